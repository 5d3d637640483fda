"""TDNN: the published sizes and counts, and its layers written by hand."""

from __future__ import annotations

import pytest

from archip.core.errors import UserError
from archip.ir.workload import workload
from archip.spaces.tdnn import Tdnn

SECONDS_3 = (80, 300)  # mel bands, frames of 10 ms
TOY = {"channels": 16, "aggregate": 24, "embedding": 6, "attention": 5, "scale": 4, "widths": (0.5, 1.0)}


def genes(depth: int, widths, kernels, cat: float = 1.0) -> dict:
    found = {"depth": depth, "cat": cat}
    for i, (width, kernel) in enumerate(zip(widths, kernels, strict=True)):
        found |= {f"width{i}": width, f"kernel{i}": kernel}
    return Tdnn().canonical(found)


def size(genotype: dict, n_outputs: int = 2):
    """(weights, MACs) without the classifier, which the publication does not count."""
    work = workload(Tdnn().graph(genotype, SECONDS_3, n_outputs))
    return work.params - n_outputs * (192 + 1), work.macs - n_outputs * 192


def test_the_size_of_ecapa_is_as_published():
    """(3, 4 x 512, [5, 3, 3, 3], 1536): 5.79 M weights, 1.45 G MACs for 3 s (EfficientTDNN-Base).

    The published MACs count norms as two a value, ours do not: 1.6 % less.
    """
    params, macs = size(genes(3, [1.0] * 4, [5, 3, 3, 3]))
    assert params == 5_789_760
    assert macs == pytest.approx(1.45e9, rel=0.02)


def test_choices_are_as_published():
    """128 to 512 channels, 384 to 1536 behind the blocks; 243 networks of four blocks by kernels, 351 in all."""
    shapes = [Tdnn().graph(genes(2, [w] * 3, [1] * 3, w), SECONDS_3, 2).shapes for w in Tdnn().widths]
    assert [s["stem.conv"][1] for s in shapes] == [128, 176, 256, 384, 512]
    assert [s["cat.conv"][1] for s in shapes] == [384, 536, 768, 1152, 1536]
    assert len(list(Tdnn(widths=(1.0,), depths=(4,)).enumerate())) == 243
    assert len(list(Tdnn(widths=(1.0,)).enumerate())) == 351


@pytest.mark.parametrize("length", [1, 2, 64])
def test_series_of_any_length(length):
    graph = Tdnn(**TOY).graph(genes(4, [1.0] * 5, [5] * 5), (3, length), 4)
    assert graph.shapes[graph.outputs[0]] == (1, 4)
    assert graph.shapes["block4.add"] == (1, 16, length)


def test_computes_what_the_docstring_says():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    space = Tdnn(**TOY)
    genotype = space.canonical(genes(2, [1.0, 0.5, 1.0], [5, 3, 1], 0.5))
    m = space.build(genotype, (3, 20), 4, seed=3).eval()
    x = torch.randn(2, 3, 20)

    def norm(x, name):
        n = getattr(m, f"{name}_norm")
        return F.batch_norm(x, n.running_mean, n.running_var, n.weight, n.bias)

    def crn(x, name, kernel=1, dilation=1):
        weight = getattr(m, f"{name}_conv").weight
        assert weight.shape[2] == kernel
        return norm(F.relu(F.conv1d(x, weight, padding=dilation * (kernel // 2), dilation=dilation)), name)

    def block(x, i, kernel):
        parts = list(crn(x, f"block{i}_in").chunk(4, 1))
        parts[0] = crn(parts[0], f"block{i}_res0", kernel, i + 1)
        for p in (1, 2):
            parts[p] = crn(parts[p] + parts[p - 1], f"block{i}_res{p}", kernel, i + 1)
        x = crn(torch.cat(parts, 1), f"block{i}_out")
        s = F.relu(x.mean(2) @ m.get_parameter(f"block{i}_se_squeeze.weight")[:, :, 0].T)
        return x * torch.sigmoid(s @ m.get_parameter(f"block{i}_se_excite.weight")[:, :, 0].T)[:, :, None]

    x0 = crn(x, "stem", 5)
    x1 = block(x0, 1, 3) + x0
    x2 = block(x1, 2, 1) + x0 + x1
    y = F.relu(F.conv1d(torch.cat([x1, x2], 1), m.cat_conv.weight))
    a = torch.tanh(F.conv1d(y, m.pool_hidden.weight))
    a = torch.softmax(F.conv1d(a, m.pool_attention.weight), 2)
    mean = (a * y).sum(2)
    std = ((a * (y - mean[:, :, None]) ** 2).sum(2)).clamp(min=1e-9).sqrt()
    y = norm(m.embedding(norm(torch.cat([mean, std], 1), "pool")), "embedding")
    torch.testing.assert_close(m(x), y @ m.classifier.weight.T + m.classifier.bias, atol=1e-4, rtol=1e-4)


def test_options_that_cannot_be_meant_are_refused():
    with pytest.raises(UserError, match="even kernel"):
        Tdnn(kernels=(2, 3))
    with pytest.raises(UserError, match="2, 4 or 8"):
        Tdnn(scale=3)
