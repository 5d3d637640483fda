"""Accelerator templates, one dataflow a file."""
