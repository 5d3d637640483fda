"""How many mappings a second does the loop-nest model cost on a GPU?

    python -m benchmarks.gpu_speed                 on a GPU if there is one, else on the CPU, which says so
    python -m benchmarks.gpu_speed --compile       with torch.compile, which fuses the columns' arithmetic

ResNet-50's 3x3 convolution of 128 channels on `eyeriss_like`: random loop orders of prime factors, random cuts, costed
from tables of cuts (``hardware/models/_torch_cuts.py``) and, a sample of them, by the compiled kernels of the CPU.
Expected: equal results; on an H200 a billion mappings a second.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from archip.hardware.instances import load_accelerator
from archip.hardware.models import _kernels as kernels
from archip.hardware.models._cut_tables import tabulate
from archip.hardware.models._torch_cuts import CutCosts
from archip.hardware.models.loopnest import pack_chips, pack_layers
from benchmarks._machine import write_result

LOOPS = [(kernels.K, p) for p in (2,) * 7] + [(kernels.C, p) for p in (2,) * 7]
LOOPS += [(kernels.OY, 2), (kernels.OY, 2), (kernels.OY, 7), (kernels.OX, 2), (kernels.OX, 2), (kernels.OX, 7)]
LOOPS += [(kernels.FY, 3), (kernels.FX, 3)]
N_ORDERS, SAMPLE = 64, 20_000


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--mappings", type=int, help="by default 2^26 on a GPU, 2^18 on a CPU")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    n = arguments.mappings or (1 << 26 if device == "cuda" else 1 << 18)
    rng = np.random.default_rng(0)
    chips = pack_chips([load_accelerator("eyeriss_like")])
    ones = np.ones((1, 2), np.int64)
    layers = pack_layers(np.array([[1, 1, 128, 128, 28, 28, 3, 3]]), ones, ones, ones, np.full((1, 3), 8))
    orders = [[LOOPS[i] for i in rng.permutation(len(LOOPS))] for _ in range(N_ORDERS)]
    loops_RT, sizes_RT = (np.array([[loop[k] for loop in order] for order in orders]) for k in (0, 1))
    asked_RDF = np.ones((N_ORDERS, kernels.MAX_ARRAY, 8), np.int64)
    began = time.perf_counter()
    tables = tabulate(chips, layers, asked_RDF, loops_RT, sizes_RT, False)
    table_s = time.perf_counter() - began
    order_M = torch.randint(N_ORDERS, (n,), device=device)
    levels = [int(levels) for levels in chips[0]["levels_O"]]
    cuts = torch.randint(len(LOOPS) + 1, (n, 3, kernels.MAX_LEVELS + 1), device=device, dtype=torch.int8)
    for o, n_levels in enumerate(levels):
        cuts[:, o, 0], cuts[:, o, n_levels:] = 0, len(LOOPS)
        cuts[:, o, 1:n_levels] = cuts[:, o, 1:n_levels].sort(1).values
    costs = CutCosts(chips, tables, device=device)
    call = torch.compile(costs) if arguments.compile else costs
    call(order_M[:SAMPLE], cuts[:SAMPLE])
    _wait(device)
    began = time.perf_counter()
    found = call(order_M, cuts)
    _wait(device)
    seconds = time.perf_counter() - began
    expected, kernel_s = _by_kernels(chips, layers, asked_RDF, loops_RT, sizes_RT, order_M[:SAMPLE], cuts[:SAMPLE])
    error = float(np.max(np.abs(found[:SAMPLE].cpu().numpy() - expected) / np.maximum(np.abs(expected), 1.0)))
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU (no GPU at hand)"
    print(f"{name}: {n:,} mappings in {seconds:.2f} s, {n / seconds / 1e6:,.1f} million/s; tables {table_s:.2f} s")
    print(
        f"one core, compiled kernels: {SAMPLE / kernel_s / 1e6:.2f} million/s; largest relative difference {error:.1e}"
    )
    result = {"device": name, "mappings": n, "per_s": n / seconds, "compiled": arguments.compile}
    result |= {"kernels_per_s": SAMPLE / kernel_s, "largest_difference": error}
    write_result("gpu_speed", "python -m benchmarks.gpu_speed", result)


def _wait(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def _by_kernels(chips, layers, asked_RDF, loops_RT, sizes_RT, order_M, cuts):
    """Results of the compiled kernels, and their seconds."""
    order_M, n, longest = order_M.cpu().numpy(), len(order_M), loops_RT.shape[1]
    loops_MT, sizes_MT = np.zeros((n, kernels.MAX_LOOPS), np.int64), np.ones((n, kernels.MAX_LOOPS), np.int64)
    loops_MT[:, :longest], sizes_MT[:, :longest] = loops_RT[order_M], sizes_RT[order_M]
    results, words = np.zeros((n, kernels.N_RESULTS)), np.zeros((n, 3, kernels.MAX_LEVELS, 4))
    which, n_loops = np.zeros((n, 2), np.int64), np.full(n, longest)
    given = (loops_MT, sizes_MT, n_loops, cuts.cpu().numpy().astype(np.int64), False, kernels.scratch(), results, words)
    kernels.evaluate_batch(chips, layers, which[:1], asked_RDF[order_M], *given)  # compiles
    began = time.perf_counter()
    kernels.evaluate_batch(chips, layers, which, asked_RDF[order_M], *given)
    return results[:, :6], time.perf_counter() - began


if __name__ == "__main__":
    main()
