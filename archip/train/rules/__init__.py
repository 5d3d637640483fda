"""Training rules for networks that share weights, one published method a file."""
