"""Devices: networks measured or predicted on something that exists."""
