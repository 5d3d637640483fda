"""Beyond Inference (2024): what surrounds the network takes more than half of a request.

The waiting that the model predicts is compared with a pipeline that is run request by request.
"""

import numpy as np

from archip.hardware.models.server_overheads import ServerOverheads
from claims._claim import Observed

EXPECTED = """With decode 5, resize 1, copy 0.5 and inference 4 ms: overhead 61.9 % of the latency (the paper: up to
56 % for medium images); serial 95 requests/s, without decode 182; pipelined 200, bound by decode, without decode 250,
bound by inference. At half of the pipelined capacity the predicted waiting is at least that of a simulated pipeline and
at most twice."""
SOURCE = "arXiv:2403.12981; card SERVER"


def check() -> Observed:
    serial, pipelined = ServerOverheads(workers="serial"), ServerOverheads(workers="pipelined")
    bare = {w: ServerOverheads(stages=serial.stages[1:], workers=w).evaluate() for w in ("serial", "pipelined")}
    share = float(serial.evaluate()["overhead_share"])
    capacities = [serial.evaluate()["capacity_per_s"], bare["serial"]["capacity_per_s"]]
    capacities += [pipelined.evaluate()["capacity_per_s"], bare["pipelined"]["capacity_per_s"]]
    binds = [str(pipelined.evaluate()["bottleneck"]), str(bare["pipelined"]["bottleneck"])]
    predicted = float(pipelined.evaluate(100.0)["waiting_s"])
    simulated = _simulated([stage.seconds for stage in pipelined.stages], 100.0)
    holds = round(share, 3) == 0.619 and [round(float(c)) for c in capacities] == [95, 182, 200, 250]
    holds = holds and binds == ["decode", "inference"] and simulated <= predicted <= 2 * simulated
    return Observed(
        holds,
        f"overhead {share:.1%}; capacities {', '.join(f'{c:.0f}' for c in capacities)} requests/s, bound by"
        f" {' and '.join(binds)}; waiting at 100 requests/s {predicted * 1e3:.2f} ms, simulated"
        f" {simulated * 1e3:.2f} ms",
    )


def _simulated(seconds: list[float], rate: float, n: int = 300_000) -> float:
    """Mean waiting in a line of workers, by the times at which requests leave each of them."""
    ready = np.cumsum(np.random.default_rng(0).exponential(1 / rate, n))
    first = ready.copy()
    for service in seconds:
        # A request starts when it is ready and its predecessor has left: leave = max(ready, leave before) + service.
        order = np.arange(n) * service
        ready = np.maximum.accumulate(ready - order) + order + service
    return float((ready - first).mean() - sum(seconds))
