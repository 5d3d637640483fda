"""Addresses of the dashboard: what each of them answers."""
