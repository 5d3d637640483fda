"""Writes outcomes to a store for ever, and says on stdout which puts returned. Run by test_sqlite.py.

Arguments: file, prefix of the keys, seed.
"""

import sys

import numpy as np

from archip.core.record import Outcome
from archip.store.sqlite import SQLite

path, prefix, seed = sys.argv[1:]
rng = np.random.default_rng(int(seed))
store = SQLite(path)
number = 0
while True:
    keys = [f"{prefix}{number + i}" for i in range(rng.integers(1, 40))]
    items = [(key, "cost", {"hw": {"gene": [1] * 50}}, Outcome({"macs": float(key[1:])})) for key in keys]
    store.put(items)
    number += len(keys)
    print(*keys, flush=True)
