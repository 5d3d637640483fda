"""Compression of trained networks: fewer bits (`quantize`). One method a file."""
