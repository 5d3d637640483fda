"""Appends the records of its share to one search of one run. Run by test_writers.py.

Arguments: store, number of records, share (i of n), batch.
"""

import sys

from archip.store._url import open_store
from archip.testing.store import GOALS, toy_records

place, n_records, share, n_shares, batch = sys.argv[1], *map(int, sys.argv[2:])
records = toy_records(n_records)
mine = [r for r in records if r.number % n_shares == share] + records[:40]  # the first ones by everybody
store = open_store(place)
store.begin("a", {"strategy": "nsga2"}, GOALS, "key", f"writer {share}")
print("ready", flush=True)
sys.stdin.readline()
for i in range(0, len(mine), batch):
    new = store.append("a", "nsga2", mine[i : i + batch])
    claimed = store.claim([f"lease {i}"], f"writer {share}", 600)
    print(new, len(claimed), i, flush=True)
store.close()
