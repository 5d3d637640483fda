"""One published method a file: its effect shown small, expected beside observed.

``python -m claims NAME…`` runs claims; ``python -m claims`` runs those that are new or have changed and writes
LEDGER.md from all results.
"""
