"""Quantisers: what a trained network computes when its weights and activations have few bits."""
