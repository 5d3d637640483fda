"""Torch modules: built from graphs, and supernets that share weights between them."""
