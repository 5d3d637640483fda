"""Runs in ZigZag's own environment: reads a layer from stdin, writes what its search finds as one line of JSON.

`evaluations` are the mappings that it costed, in `evaluation_cpu_s` of processor time; `cpu_s` is that of all.
"""

import contextlib
import json
import logging
import sys
import time
from pathlib import Path

import yaml
import zigzag
import zigzag.stages.evaluation.cost_model_evaluation as evaluation
from zigzag.api import get_hardware_performance_zigzag

_HARDWARE = Path(zigzag.__file__).parent / "inputs" / "hardware"


class Counted(evaluation.CostModelEvaluation):
    """Its cost model, which works when it is made, with a clock."""

    made, cpu_s = 0, 0.0

    def __init__(self, **given: object) -> None:
        began = time.process_time()
        super().__init__(**given)
        Counted.made, Counted.cpu_s = Counted.made + 1, Counted.cpu_s + time.process_time() - began


def workload(row: dict) -> list[dict]:
    """The layer in ZigZag's terms; the input's size is without padding."""
    wide = row["OY"] if row["OY"] > 1 else 1
    sizes = {"B": 1, "G": 1, "K": row["K"], "C": row["C"], "OY": row["OY"], "OX": wide, "FY": row["F"], "FX": row["F"]}
    stride, padding = row["stride"], row["padding"]
    return [
        {
            "id": 0,
            "operator_type": "Conv",
            "equation": "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]",
            "dimension_relations": [f"ix={stride}*ox+1*fx", f"iy={stride}*oy+1*fy"],
            "loop_dims": list(sizes),
            "loop_sizes": list(sizes.values()),
            "operand_precision": {"W": 8, "I": 8, "O": 16, "O_final": 8},
            "operand_source": {"I": 0, "W": 0},
            "pr_loop_dims": ["IX", "IY"],
            "pr_loop_sizes": [stride * (n - 1) + row["F"] - 2 * padding for n in (wide, row["OY"])],
            "padding": [[padding, padding], [padding, padding]],
        }
    ]


def mapping(asked: dict[str, dict[str, int]]) -> list[dict]:
    """One unrolling for whatever operator."""
    links = {"O": "O", "W": "I2", "I": "I1"}
    spatial = {d: [f"{loop}, {n}" for loop, n in loops.items()] for d, loops in asked.items()}
    return [{"name": "default", "spatial_mapping": spatial, "memory_operand_links": links}]


def best(row: dict, accelerator: str, asked: dict) -> dict[str, float]:
    """Latency and energy that the search finds, and how long it takes."""
    folder = Path.cwd() / "run"
    folder.mkdir(exist_ok=True)
    for name, content in (("mapping", mapping(asked)), ("workload", workload(row))):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    evaluation.CostModelEvaluation = Counted
    began, began_cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(sys.stderr):
        energy, latency, _ = get_hardware_performance_zigzag(
            str(folder / "workload.yaml"),
            str(_HARDWARE / f"{accelerator}.yaml"),
            str(folder / "mapping.yaml"),
            opt="latency",
            dump_folder=str(folder),
            lpf_limit=6,
            loma_show_progress_bar=False,
        )
    found = {"latency": float(latency), "energy": float(energy), "seconds": round(time.perf_counter() - began, 3)}
    spent = {"cpu_s": time.process_time() - began_cpu, "evaluation_cpu_s": Counted.cpu_s}
    return found | {"evaluations": Counted.made} | {key: round(seconds, 4) for key, seconds in spent.items()}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    told = json.load(sys.stdin)
    print(json.dumps(best(told["row"], told["accelerator"], told["asked"])))
