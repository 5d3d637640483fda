from pathlib import Path

import numpy as np
import pytest

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.objectives import Goals, Objective
from archip.core.protocols import RunContext, Task
from archip.core.record import Status
from archip.evaluators.tabular import Tabular
from archip.spaces.conv1d import Conv1d
from archip.spaces.product import ProductSpace
from archip.spaces.tabular import Tabular as TabularSpace
from archip.testing.evaluator import EvaluatorContract

GRID = str(Path(__file__).parent.parent / "data" / "tables" / "grid.yaml")


def run_of(space):
    task = Task("net", space, lambda: None, "accuracy", 1.0)
    return RunContext((task,), None, Goals((Objective("quality", 1),)), 0, Path())


class TestTabularEvaluator(EvaluatorContract):
    @pytest.fixture
    def space(self):
        return ProductSpace({"net.net": TabularSpace(GRID)})

    @pytest.fixture
    def make(self):
        return lambda: Tabular(costs=("latency",)).stages(run_of(TabularSpace(GRID)))


def test_looks_up_the_row_in_si_units():
    costs, accuracy = Tabular(metric="test", costs=("latency",)).stages(run_of(TabularSpace(GRID)))
    candidate = Candidate({"net": {"depth": 2, "width": 16, "op": "pool"}})
    assert costs.evaluate([candidate])[0].metrics == {"phone.latency_s": pytest.approx(0.8e-3)}  # 0.1 ms * 2 * 16 / 4
    assert accuracy.evaluate([candidate])[0].metrics == {"net.accuracy": pytest.approx(0.71)}  # 60 + 8 + 6 - 3


def test_a_missing_value_is_a_reason(tmp_path):
    text = Path(GRID).read_text().replace("{column: test, ", "{column: test, may_miss: true, ")
    (tmp_path / "holes.yaml").write_text(text.replace("grid.csv", "holes.csv"))
    rows = (Path(GRID).parent / "grid.csv").read_text().splitlines()
    cells = rows[1].split(",")
    (tmp_path / "holes.csv").write_text("\n".join([rows[0], ",".join([*cells[:5], "", cells[6]]), *rows[2:]]))
    space = TabularSpace(str(tmp_path / "holes.yaml"))
    (stage,) = Tabular(metric="test").stages(run_of(space))
    first, second = stage.evaluate([Candidate({"net": space.genotype(row)}) for row in (0, 1)])
    assert (first.status, second.status) == (Status.FAILED, Status.OK)
    assert "no value of net.accuracy" in first.reason
    assert np.isnan(space.rows.metric("test")[0])


def test_other_spaces_and_unknown_metrics_are_refused():
    with pytest.raises(UserError, match="is no table"):
        Tabular().stages(run_of(Conv1d()))
    with pytest.raises(UserError, match="no metric 'energy'"):
        Tabular(costs=("energy",)).stages(run_of(TabularSpace(GRID)))
