"""Mappers, one a file."""
