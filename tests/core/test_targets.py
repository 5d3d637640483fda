"""Several targets in one problem: what they share, what each has of its own, and what is refused."""

from __future__ import annotations

import pytest

from archip.core.errors import UserError
from archip.core.problem import Problem
from archip.core.targets import load_problems, problems_of

BASE = {"name": "two", "tasks": {"digits": {"data": "digits", "net": "resnet9"}}}
CHIP = {"target": {"chip": {"cores": 1}}, "limits": {"area": "1 mm2"}}
MCU = {"target": {"mcu": {"sram": "64 KiB", "flash": "128 KiB"}}, "objectives": ["quality", "sram"]}


def test_each_target_is_a_problem_of_its_own():
    found = problems_of({**BASE, "limits": {"macs": 1e6}, "targets": {"asic": CHIP, "small-mcu": MCU}})
    assert list(found) == ["asic", "small-mcu"]
    assert [p.name for p in found.values()] == ["two.asic", "two.small-mcu"]
    assert found["asic"] == Problem.from_dict(
        {**BASE, **CHIP, "name": "two.asic", "limits": {"macs": 1e6, "area": "1 mm2"}}
    )
    assert found["small-mcu"].limits.keys() == {"macs", "flash", "sram"}
    assert [o.metric for o in found["small-mcu"].goals.objectives] == ["quality", "sram_bytes"]


def test_a_file_without_targets_is_one_problem(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("name: one\ntasks: {digits: {data: digits, net: resnet9}}\n")
    assert load_problems(path) == {"": Problem.load(path)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": {}}, "targets: are no targets by name"),
        ({"targets": {"a": 3}}, "targets.a: 3 is no target"),
        ({"targets": {"a b": CHIP}}, "'a b' cannot name a target"),
        ({"targets": {"a": {**CHIP, "limit": {}}}}, "targets.a.limit: unknown key 'limit' .*limits"),
        ({"targets": {"a": {**CHIP, "limits": {"latency": "5 kg"}}}}, "targets.a.limits.latency"),
        ({"targets": {"a": CHIP}, "target": {"chip": {}}}, "target: stands beside targets"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(change, message):
    with pytest.raises(UserError, match=message):
        problems_of({**BASE, **change})


def test_one_problem_is_not_several():
    with pytest.raises(UserError, match="run_targets"):
        Problem.from_dict({**BASE, "targets": {"a": CHIP}})


def test_weights_of_a_supernet_need_a_supernet():
    with pytest.raises(UserError, match=r"finish\.epochs"):
        Problem.from_dict({**BASE, "evaluator": "train", "finish": {"epochs": 0}})
    with pytest.raises(UserError, match=r"finish\.seeds"):
        Problem.from_dict({**BASE, "finish": {"epochs": 0, "seeds": 2}})
