"""Series and speech on a microcontroller: are all limits kept, and is the search better than a hand-made network?

    ARCHIP_DATA=… python -m benchmarks.mcu [series | speech ...]      some ten minutes a problem

`archip run` on a problem with limits on flash, SRAM and latency: JapaneseVowels (nine speakers) and spoken digits
(FSDD), space conv1d, one supernet with the sandwich rule, the best network trained in full. Beside it a network as one
would make it by hand: the same width and kernel in all blocks; of those that keep the same limits, the three dearest in
multiply-accumulates are trained with the same recipe, and the best of them on validation is the baseline.

Expected before the first run: no limit is ever exceeded, neither by what is delivered nor by any network on the front;
the test accuracy over three seeds is not below that of the baseline by more than 0.5 points.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import archip
from archip.core.candidate import Candidate
from archip.core.problem import Problem
from archip.evaluators.cost import Cost
from archip.search.setup import prepare
from benchmarks._machine import result_path, write_result

PROBLEMS: dict[str, dict[str, Any]] = {
    "series": {
        "name": "mcu_series",
        "tasks": {"speaker": {"data": {"timeseries": {"name": "JapaneseVowels"}}, "net": "conv1d"}},
        "target": {"mcu": {"flash": "96 KiB", "sram": "10 KiB", "macs_per_s": 4e7}},
        "limits": {"latency": "8 ms"},
    },
    "speech": {
        "name": "mcu_speech",
        "tasks": {"digit": {"data": "fsdd", "net": "conv1d"}},
        "target": {"mcu": {"flash": "96 KiB", "sram": "14 KiB", "macs_per_s": 4e7}},
        "limits": {"latency": "15 ms"},
    },
}
_SHARED = {
    "strategy": {"nsga2": {"population": 32}},
    "evaluator": {"supernet": {"rule": "sandwich", "epochs": 15}},
    "budget": {"candidates": 256, "batch": 32},
    "finish": {"keep": 3, "seeds": 3},
    "baselines": [],
}


def main(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    """One problem: what was found, and the baseline."""
    problem = Problem.from_dict({**PROBLEMS[name], **_SHARED, **changes})
    with tempfile.TemporaryDirectory() as folder:
        result = archip.run(problem, Path(folder) / "run")
        ((task, found),) = result.summary["tasks"].items()
        by_hand = _by_hand(problem, Path(folder) / "hand")
    within = all(problem.goals.feasible(record) for record in result.front)
    mean = sum(found["seeds"]) / len(found["seeds"])
    return {
        "task": task,
        "test": found["seeds"],
        "mean": mean,
        "genotype": found["genotype"],
        "limits": [[row["name"], row["value"], row["limit"]] for row in result.summary["limits"]],
        "seconds": result.summary["seconds"],
        "front": len(result.front),
        "hand": by_hand,
        "holds": {
            "no limit exceeded": within and all(row["ok"] for row in result.summary["limits"]),
            "not below the baseline": mean >= by_hand["mean"] - 0.005,
        },
    }


def _by_hand(problem: Problem, folder: Path) -> dict[str, Any]:
    """The best on validation of the three dearest uniform networks within the limits, over as many seeds."""
    folder.mkdir()
    setup = prepare(problem, folder)
    (task,) = setup.run.tasks
    (stage,) = Cost().stages(setup.run)
    uniform = list(_uniform(task.space))
    outcomes = stage.evaluate([Candidate({task.name: genotype}) for genotype in uniform])
    kept = [
        (outcome.metrics["macs"], genotype)
        for genotype, outcome in zip(uniform, outcomes, strict=True)
        if problem.goals.violation(outcome.metrics) == 0
    ]
    dearest = sorted(kept, key=lambda pair: -pair[0])[:3]
    trainer = setup.trainer(None)
    trained = [(trainer.train(task, genotype), macs) for macs, genotype in dearest]
    best, macs = max(trained, key=lambda pair: pair[0].val)
    seeds = [best.test, *(trainer.train(task, best.genotype, repeat).test for repeat in (1, 2))]
    return {"genotype": best.genotype, "macs": macs, "test": seeds, "mean": sum(seeds) / 3, "uniform": len(kept)}


def _uniform(space: Any) -> Iterator[dict[str, Any]]:
    """Networks with one width and one kernel in all blocks."""
    shared = product(space.depths, space.dilations, space.reduces, space.widths, space.kernels)
    for depth, dilation, reduce, width, kernel in shared:
        blocks = {f"{gene}{i}": v for i in range(1, depth + 1) for gene, v in (("width", width), ("kernel", kernel))}
        yield space.canonical({"depth": depth, "dilation": dilation, "reduce": reduce, **blocks})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", choices=[*PROBLEMS, []])
    parser.add_argument("--toy", action="store_true")
    given = parser.parse_args()
    small = {"budget": {"candidates": 16, "batch": 16}, "finish": {"keep": 1, "epochs": 1, "seeds": 2}}
    quick = {"evaluator": {"supernet": {"epochs": 1}}, **small} if given.toy else {}
    path = result_path("mcu")
    results = json.loads(path.read_text()).get("problems", {}) if path.exists() and not given.toy else {}
    for name in given.problems or PROBLEMS:
        results[name] = main(name, quick)
        print(name, json.dumps(results[name], indent=1), flush=True)
        if not given.toy:
            write_result("mcu", "python -m benchmarks.mcu", {"problems": results})
