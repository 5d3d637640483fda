"""Exact exploration of chips: for fixed networks, the best chip or the whole Pareto set, with a certificate."""
