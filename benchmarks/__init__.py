"""Benchmarks: one question a file; results in ``results/``."""
