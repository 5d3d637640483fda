"""Training: one loop for every task and every rule; needs torch."""
