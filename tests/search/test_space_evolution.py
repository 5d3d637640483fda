"""Evolution of spaces: the Q-T score by hand, against brute force, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from archip.core.candidate import canonical_json
from archip.core.errors import UserError
from archip.search.space_evolution import StageSpace, evolve_space

HEADER = "stage,block,window,config,c_in,hw,nsr_loss,mflops,mparams,int8_ms"


def table(tmp_path, rows):
    path = tmp_path / "stages.csv"
    path.write_text("\n".join([HEADER, *(f"{s},{b},{w},x,8,{hw},{loss},1,1,{ms}" for s, b, w, hw, loss, ms in rows)]))
    return path


def rows_of(n_settings=3, seed=0):
    rng = np.random.default_rng(seed)
    keys = [(s, b, w, 16 * s + r) for s in (1, 2) for b in (0, 1, 2) for w in (0, 1) for r in (0, 1)]
    return [(*key, 0.5 + key[1] / 4 + rng.random() / 9, 4 - key[1] + key[2]) for key in keys for _ in range(n_settings)]


def test_the_score_of_one_setting_is_the_formula(tmp_path):
    rows = [(s, 0, 0, 8 * s, 0.25 * s, 3.0) for s in (1, 2)]
    space = StageSpace.read(table(tmp_path, rows), fixed_ms=(1.0,))
    genotype = {"block1": 0, "window1": 0, "block2": 0, "window2": 0}
    assert space.networks(genotype, 700, np.random.default_rng(0)) == pytest.approx(np.array([[0.75, 7.0]] * 700))
    assert space.score(genotype, [7.0]) == pytest.approx(1 / 0.75)
    assert space.score(genotype, [6.9]) == 0
    assert space.score(genotype, [7.0, 8.0]) == pytest.approx(2 / 0.75)


def test_rare_networks_within_the_limit_count_less(tmp_path):
    rows = [(1, 0, 0, 8, 0.5, 3.0)] + [(1, 0, 0, 8, 0.5, 9.0)] * 99
    space = StageSpace.read(table(tmp_path, rows), fixed_ms=(0.0,))
    genotype = {"block1": 0, "window1": 0}
    share = (space.networks(genotype, 100_000, np.random.default_rng(0))[:, 1] < 5).mean()
    assert share == pytest.approx(0.01, rel=0.1)
    assert space.score(genotype, [5.0]) == pytest.approx(2 / 8**0.01, rel=1e-3)


def test_evolution_finds_the_best_of_all_spaces(tmp_path):
    space = StageSpace.read(table(tmp_path, rows_of()), fixed_ms=(0.5, 1.0))
    scores = {canonical_json(g): space.score(g, [6.5], n=2000) for g in space.enumerate()}
    records = evolve_space(space, [6.5], cycles=24, population=8, n=2000)
    assert len(records) == 24
    assert records[0].metrics["quality"] == scores[canonical_json(records[0].candidate.net["space"])]
    assert records[0].metrics["quality"] >= np.quantile(list(scores.values()), 0.9)


def test_wrong_tables_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        StageSpace.read(tmp_path / "none.csv")
    with pytest.raises(UserError, match=r"stage 1 has 2 resolutions, fixed_ms 3 values"):
        StageSpace.read(table(tmp_path, rows_of()))
    with pytest.raises(UserError, match="stage 2, block 2, window 1, resolution number 1 has no row"):
        StageSpace.read(table(tmp_path, rows_of()[:-3]), fixed_ms=(1.0, 2.0))
