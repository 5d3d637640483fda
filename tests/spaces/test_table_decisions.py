"""Decisions over sorted rows against a filter over all of them."""

import numpy as np
import pytest

from archip.spaces._table_decisions import Decisions


def filtered(names, codes_NG, choose):
    """The rows that are left, gene after gene."""
    left = np.arange(len(codes_NG))
    for gene, name in enumerate(names):
        codes_N = codes_NG[left, gene]
        allowed = sorted(set(codes_N[codes_N >= 0].tolist()))
        if allowed:
            left = left[codes_N == choose(name, allowed)]
    return int(left[0])


@pytest.mark.parametrize("seed", range(4))
def test_the_same_row_and_the_same_questions(seed):
    """Codes with gaps, genes that some or all rows lack, and rows that occur twice."""
    rng = np.random.default_rng(seed)
    codes_NG = rng.integers(-1, 4, (200, 6)).astype(np.int8)
    codes_NG[:, 1][codes_NG[:, 1] == 2] = 0
    codes_NG[:, 4] = -1
    codes_NG[100:150] = codes_NG[:50]
    names = [f"g{i}" for i in range(6)]
    decisions = Decisions(names, codes_NG)
    for walk in range(50):
        asked = {}
        for who, row_of in (("sorted", decisions.row), ("all", lambda choose: filtered(names, codes_NG, choose))):
            draw, seen = np.random.default_rng([seed, walk]), []

            def choose(name, allowed, draw=draw, seen=seen):
                seen.append((name, list(allowed)))
                return int(draw.choice(allowed))

            asked[who] = (row_of(choose), seen)
        assert asked["sorted"] == asked["all"]
