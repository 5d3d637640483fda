"""Data sets: one file each. `_dataset.py` has the noun and the way to it, `_cache.py` says where files live."""
