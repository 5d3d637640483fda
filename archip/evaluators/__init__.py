"""Evaluators of candidates, one file each: what a candidate costs, and how well its networks do."""
