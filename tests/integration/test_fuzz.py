"""Some inputs of `benchmarks/fuzz.py` of each kind: a result or a message, never a traceback or a hang."""

import pytest

from benchmarks.fuzz import Fault, attack

COUNTS = {"problem": 250, "accelerator": 60, "layers": 500, "onnx": 400, "chip": 250, "table": 40}


@pytest.mark.parametrize("kind", COUNTS)
def test_wrong_inputs_bring_messages(kind):
    outcomes = list(attack(kind, range(COUNTS[kind]), seed=11, limit_s=30.0))
    assert [o for o in outcomes if isinstance(o, Fault)] == []
    assert outcomes.count("refused") > COUNTS[kind] / 2
    assert outcomes.count("result") > 0
