"""Scheduling policies, one file each: which core computes which layer, and when."""
