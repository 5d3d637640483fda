"""Whatever stands in a name, a reason or a genotype, a report shows it as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from archip.core.candidate import Candidate
from archip.core.problem import Problem
from archip.core.record import Record, Status
from archip.export.report import Report
from archip.search.bill import bill

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}"


class _Elements(HTMLParser):
    """Names of all elements, and attributes that would run something."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@pytest.mark.parametrize("is_feasible", [True, False])
def test_hostile_texts_add_no_element(tmp_path, toy_problem, is_feasible):
    problem = Problem.from_dict(toy_problem)
    pages = []
    for text in ("plain", HOSTILE):
        metrics = {"quality": 0.5, "latency_s": 1e-4, "energy_j": 1e-4, "area_mm2": 1.0}
        candidate = Candidate(net={"shapes": {"gene": text}}, hw={text: text})
        records = [Record(candidate, metrics, number=0), Record(candidate, {}, Status.FAILED, text, number=1)]
        path = Report().write(tmp_path / "report.html", problem, _summary(text, is_feasible), records, {text: records})
        pages.append(path.read_text())
    plain, hostile = (_elements(page) for page in pages)
    assert hostile.names == plain.names
    assert hostile.handlers == []
    assert "<script>alert" not in pages[1]
    assert "7*7" in pages[1]  # never filled in as a template


def _elements(page: str) -> _Elements:
    found = _Elements()
    found.feed(page)
    return found


def _summary(text: str, is_feasible: bool) -> dict:
    row = {"candidates": 2, "feasible": 1, "front": 1, "best_quality": 0.5, "hypervolume": 0.1}
    told = {
        "name": text,
        "seed": 0,
        "problem": text,
        "version": text,
        "feasible": is_feasible,
        "comparison": {text: row},
        "stages": {text: 1.0},
        "bill": bill(1.0, 1.0),
        "peak_bytes": 1,
        "tasks": {},
        "chip": None,
        "device": None,
    }
    if not is_feasible:
        nearest = {"metrics": {text: 1.0}}
        return told | {"binding": {"limit": text, "least_violation": {text: 0.1}, "nearest": nearest}}
    limit = {"name": text, "metric": "latency_s", "value_text": text, "limit_text": text, "ok": True}
    network = {
        "metric": text, "value": 0.5, "val": 0.5, "searched": 0.5, "baseline": 0.5, "baseline_is": text,
        "seeds": [0.5], "params": 1, "macs": 1, "splits": text, "genotype": {text: text},
        "layers": [[text, text, 1, 1]],
        "onnx": {"latency_s": 1e-3, "max_difference": 0.0, "test": 0.5, "runtime": text, "threads": 1, "repeats": 1,
                 "drift": 1.0},
    }  # fmt: skip
    metrics = {"quality": 0.5, "latency_s": 1e-4, "energy_j": 1e-4, "area_mm2": 1.0}
    finalist = {"id": text, "searched": 0.5, "quality": 0.5, "test": {text: 0.5}, "metrics": metrics}
    return told | {"limits": [limit], "tasks": {re.sub(r"\s", "", text): network}, "finalists": [finalist]}
