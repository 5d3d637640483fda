"""InTAR against the card's chain, against every partition, and by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from archip.core.errors import CandidateError
from archip.hardware.schedule.intar import InTAR, Task

KB = 1024


def random_chains(n, seed=0):
    """The card's: 3 to 7 tasks, volumes log-uniform over three decades; work in proportion to what is moved."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        n_tasks = int(rng.integers(3, 8))
        volumes = KB * 10 ** rng.uniform(0, 3, n_tasks + 1)
        macs = 10 ** rng.uniform(5, 7, n_tasks)
        weights = KB * 10 ** rng.uniform(-1, 1, n_tasks)
        yield [Task(*row) for row in zip(macs, volumes[1:], weights, strict=True)], float(volumes[0])


def cycles(model, tasks, input_bytes):
    try:
        return model.plan(tasks, input_bytes).cycles
    except CandidateError:
        return math.inf


def every_partition(model, tasks, input_bytes):
    """The least time over all ways to cut the chain and to keep tensors, written down anew from the card."""
    n, least = len(tasks), math.inf
    volumes = [input_bytes, *(t.output_bytes for t in tasks)]
    for cuts in itertools.product([False, True], repeat=n - 1):
        edges = [0, *(i + 1 for i, is_cut in enumerate(cuts) if is_cut), n]
        for kept in itertools.product([False, True], repeat=len(edges) - 2):
            keeps, total, modes = [False, *kept, False], 0.0, []
            for s, (a, b) in enumerate(itertools.pairwise(edges)):
                total += segment_cycles(model, tasks[a:b], volumes[a : b + 1], keeps[s], keeps[s + 1])
                modes.append(b - a > 1)
            total += model.switch_cycles * sum(m or k for m, k in itertools.pairwise(modes))
            least = min(least, total)
    return least


def segment_cycles(model, tasks, volumes, keeps_input, keeps_output):
    room = sum(v if keep else v / model.tiles for v, keep in ((volumes[0], keeps_input), (volumes[-1], keeps_output)))
    moved = sum(v for v, keep in ((volumes[0], keeps_input), (volumes[-1], keeps_output)) if not keep)
    held = sum(t.weight_bytes for t in tasks)
    if len(tasks) > 1:
        room += held + sum(volumes[1:-1]) / model.tiles
    work = sum(t.macs for t in tasks) / model.macs_per_cycle
    time = max(work, (moved + held) / model.bytes_per_cycle) + (len(tasks) - 1) * work / model.tiles
    return time if room <= model.onchip_bytes else math.inf


def test_the_cards_chain_is_fused_around_its_large_tensor():
    """Volumes 4, 400, 4, 4 KB, 64 KB on chip: tasks 1 and 2, counted from 0, write and read the 400 KB."""
    tasks = [Task(1e5, volume * KB) for volume in (4, 400, 4, 4)]
    plan = InTAR(256, 64 * KB, 16).plan(tasks, 4 * KB)
    assert [(s.first, s.last, s.mode) for s in plan.segments] == [
        (0, 0, "sequential"),
        (1, 2, "pipelined"),
        (3, 3, "sequential"),
    ]
    assert plan.segments[1].macs_per_cycle == (128, 128)
    # 1e5 / 256 = 390.6 for a task; input and result take 4 KB / 16 = 256 cycles and hide behind it; the pipeline takes
    # 781.25 and 1 / 16 of it to fill; two changes of 5 cycles.
    assert plan.cycles == pytest.approx(390.625 + 781.25 * (1 + 1 / 16) + 390.625 + 10)


def test_a_spilled_tensor_is_written_and_read():
    # Sequential: 400 KB do not fit and cross a link of 16 bytes a cycle twice.
    tasks = [Task(1e5, 400 * KB), Task(1e5, 4 * KB)]
    plan = InTAR(256, 64 * KB, 16, mode="sequential").plan(tasks, 4 * KB)
    assert [s.cycles for s in plan.segments] == [404 * KB / 16, 404 * KB / 16]
    assert not plan.segments[0].keeps_output


def test_weights_of_a_pipeline_have_to_fit_together():
    tasks = [Task(1e5, 400 * KB, 20 * KB), Task(1e5, 4 * KB, 20 * KB)]
    small, large = (InTAR(256, room * KB, 16).plan(tasks, 4 * KB) for room in (60, 70))  # 25 + 0.5 + 40 KB
    assert [s.mode for s in small.segments] == ["sequential", "sequential"]
    assert [s.mode for s in large.segments] == ["pipelined"]


@pytest.mark.parametrize("mode", ["both", "sequential", "pipelined"])
def test_the_optimum_of_all_partitions(mode):
    for tasks, input_bytes in random_chains(40, seed=1):
        model = InTAR(256, 64 * KB, 16, mode=mode)
        if mode == "both":
            expected = every_partition(model, tasks[:5], input_bytes)
            assert cycles(model, tasks[:5], input_bytes) == pytest.approx(expected)
        else:
            assert cycles(model, tasks, input_bytes) >= cycles(InTAR(256, 64 * KB, 16), tasks, input_bytes) - 1e-6


def test_the_cards_thousand_chains():
    """Card: never worse than the better baseline, strictly better on 625 in a reference run."""
    better = 0
    for tasks, input_bytes in random_chains(1000):
        best = cycles(InTAR(256, 64 * KB, 16), tasks, input_bytes)
        either = min(
            cycles(InTAR(256, 64 * KB, 16, mode=mode), tasks, input_bytes) for mode in ("sequential", "pipelined")
        )
        assert best <= either
        better += best < either * (1 - 1e-9)
    assert better >= 500


def test_a_chain_that_fits_in_no_way_is_refused():
    with pytest.raises(CandidateError, match="no plan of these 1 tasks fits into 10 bytes"):
        InTAR(1, 10, 1, tiles=1).plan([Task(1, 8)], 8)
