"""Regression with uncertainty from few labels, one method a file; knows nothing of networks or hardware."""
