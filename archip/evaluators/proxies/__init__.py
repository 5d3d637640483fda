"""Zero-cost scores of untrained networks, one score a file."""
