"""TransNAS-Bench-101's macro networks against the benchmark's own counts, of networks and of their weights."""

import numpy as np
import pytest

from archip.core.errors import CandidateError, UserError
from archip.data._table import load_table
from archip.ir.workload import workload
from archip.spaces.tabular import Tabular
from archip.spaces.transnas_macro import TransNASMacro

RESNET = ("double", "double_halve", "halve", "normal", "none", "none")


def genes(*kinds):
    return {f"module{m}": kind for m, kind in enumerate(kinds, 1)}


def test_the_space_has_as_many_networks_as_the_paper_says():
    assert len(list(TransNASMacro().enumerate())) == 3256


@pytest.mark.parametrize(
    "kinds",
    [
        ("normal",) * 4 + ("none", "none"),  # nothing halves or doubles
        ("double_halve",) * 4 + ("none", "none"),  # four doublings
        ("double", "halve", "normal", "normal", "none", "normal"),  # a gap
    ],
)
def test_what_the_space_does_not_have(kinds):
    with pytest.raises(UserError, match="breaks a constraint"):
        TransNASMacro().canonical(genes(*kinds))


def test_a_small_network_by_hand():
    """Channels 4, one block a module: 1 + 4 modules."""
    work = workload(TransNASMacro(channels=4, blocks=1).graph(genes(*RESNET), (3, 32, 32), 5))
    stem = 27 * 2 + 2 * 2 + 9 * 2 * 4 + 2 * 4
    double = 9 * 4 * 8 + 9 * 8 * 8 + 4 * 8 + 3 * 2 * 8
    both = 9 * 8 * 16 + 9 * 16 * 16 + 8 * 16 + 3 * 2 * 16
    halve = 2 * 9 * 16 * 16 + 16 * 16 + 3 * 2 * 16
    normal = 2 * 9 * 16 * 16 + 2 * 2 * 16
    assert work.params == stem + double + both + halve + normal + 16 * 5 + 5
    macs_of_stem = 16 * 16 * 27 * 2 + 8 * 8 * 9 * 2 * 4
    at_8 = 8 * 8 * (9 * 4 * 8 + 9 * 8 * 8 + 4 * 8)
    at_4 = 4 * 4 * (9 * 8 * 16 + 9 * 16 * 16 + 8 * 16)
    at_2 = 2 * 2 * (4 * 9 * 16 * 16 + 16 * 16)
    assert work.macs == macs_of_stem + at_8 + at_4 + at_2 + 16 * 5


@pytest.mark.parametrize(("search", "column", "decoder", "outputs"), [
    ("class_object", "", "classifier", 100), ("class_scene", "scene_", "classifier", 63),
    ("room_layout", "room_", "classifier", 9), ("jigsaw", "jigsaw_", "jigsaw", 1000),
    ("segmentsemantic", "segment_", "segmentation", 17), ("autoencoder", "autoencoder_", "image", 3),
    ("normal", "normal_", "image", 3),
])  # fmt: skip
def test_parameters_are_those_of_the_benchmark(shared_data, search, column, decoder, outputs):
    """The file has seven digits, in millions; multiply-adds within what its counter adds for batch-norms.

    The counter leaves out transposed convolutions, and has seen one of the nine tiles.
    """
    table = Tabular("transnas_macro")
    _, asked = table.rows.search(search)
    assert np.isfinite(table.rows.metric(asked.full)).all()
    params, macs = (table.rows.files.numbers(column + name) * 1e6 for name in ("params", "flops"))
    shape = (27, 64, 64) if decoder == "jigsaw" else (3, 256, 256)
    space = TransNASMacro(decoder=decoder)
    for row in np.random.default_rng(0).choice(table.rows.n_rows, 12, replace=False).tolist():
        graph = space.graph(table.genotype(row), shape, outputs)
        work = workload(graph)
        assert work.params == pytest.approx(params[row], rel=5e-7)  # of seven digits half the last: at most 5e-7
        transposed = {f"decoder{i}.up" for i in range(14)}
        counted = sum(int(m) for name, m in zip(work.names, work.macs_L, strict=True) if name not in transposed)
        last = int(work.macs_L[-1]) if decoder == "jigsaw" else 0
        counted = (counted - last) / (9 if decoder == "jigsaw" else 1) + last
        assert macs[row] * 0.97 <= counted <= macs[row]


@pytest.mark.parametrize("decoder", ["segmentation", "image"])
def test_a_dense_decoder_ends_at_the_size_of_the_image(decoder):
    """However often the encoder halves, from 3 to 6 times."""
    space = TransNASMacro(channels=4, blocks=1, decoder=decoder)
    assert space.task == "segmentation"
    assert TransNASMacro().task == "classification"
    for halving in range(1, 5):
        kinds = ["halve"] * (halving - 1) + ["double_halve"] + ["normal"] * (6 - halving)
        graph = space.graph(genes(*kinds), (3, 128, 64), 2)
        assert graph.shapes[graph.outputs[0]] == (1, 2, 128, 64)
        assert sum(node.op == "conv_transpose" for node in graph.nodes) == 2 + halving


def test_tiles_of_a_jigsaw_go_through_one_encoder():
    """The answer to nine equal tiles is that of one encoder's features, nine times side by side."""
    import torch

    space = TransNASMacro(channels=4, blocks=1, decoder="jigsaw")
    module = space.build(genes(*RESNET), (27, 32, 32), 5, seed=0).eval()
    plain = TransNASMacro(channels=4, blocks=1).build(genes(*RESNET), (3, 32, 32), 16, seed=0).eval()
    weights = {k: v for k, v in module.state_dict().items() if not k.startswith("classifier")}
    plain.load_state_dict(weights | {"classifier.weight": torch.eye(16), "classifier.bias": torch.zeros(16)})
    x = torch.randn(2, 27, 32, 32)
    with torch.no_grad():
        features = torch.cat([plain(tile) for tile in x.split(3, dim=1)], dim=1)
        expected = features @ module.state_dict()["classifier.weight"].T + module.state_dict()["classifier.bias"]
        torch.testing.assert_close(module(x), expected)


def test_inputs_that_do_not_fit_a_decoder():
    with pytest.raises(CandidateError, match="not 9 tiles"):
        TransNASMacro(decoder="jigsaw").graph(genes(*RESNET), (3, 64, 64), 10)
    with pytest.raises(CandidateError, match="no multiples of 16"):
        TransNASMacro(decoder="image").graph(genes(*RESNET), (3, 40, 64), 3)


def test_the_modules_are_the_digits_of_the_file(shared_data):
    table = load_table("transnas_macro")
    digits = {"none": "0", "normal": "1", "double": "2", "halve": "3", "double_halve": "4"}
    space = Tabular("transnas_macro")
    for row, code in list(enumerate(table.files.main["arch"].tolist()))[:50]:
        assert "".join(digits[kind] for kind in space.genotype(row).values()) == code
