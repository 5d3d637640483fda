"""Known networks have their known figures; small modules agree with torch in shapes, weights and products."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from _networks import AlexNet, Bert, MobileNetV2, ResNet18, ViTTiny  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from archip.core.errors import UserError  # noqa: E402
from archip.ir.layer_table import from_table  # noqa: E402
from archip.ir.ops import OPS  # noqa: E402
from archip.ir.read_torch import read_torch  # noqa: E402
from archip.ir.workload import Workload, workload  # noqa: E402


def on_meta(cls, *args):
    with torch.device("meta"):
        return cls(*args)


def image() -> Tensor:
    return torch.empty(1, 3, 224, 224, device="meta")


def words(n: int) -> tuple[Tensor, Tensor]:
    return (torch.zeros(1, n, dtype=torch.long, device="meta"),) * 2


def test_resnet18():
    w = workload(read_torch(on_meta(ResNet18), (image(),)))
    assert (w.macs, w.params) == (1_814_073_344, 11_689_512)
    assert {"layer1.0.conv1", "layer2.0.downsample.0", "layer4.1.bn2", "maxpool", "fc"} <= set(w.names)
    assert sum(k == "conv" for k in w.kinds) == 20


@pytest.mark.slow
def test_mobilenetv2():
    w = workload(read_torch(on_meta(MobileNetV2), (image(),)))
    assert (w.macs, w.params) == (300_774_272, 3_504_872)
    assert sum(w.dims_LD[:, 1] > 1) == 17  # depthwise convolutions


@pytest.mark.slow
def test_vit_tiny():
    w = workload(read_torch(on_meta(ViTTiny), (image(),)))
    assert w.params == 5_717_416
    n, d = 197, 192
    block = n * d * (3 * d + d + 4 * d + 4 * d) + 2 * n * n * d  # layers, then scores and context
    assert w.macs == 12 * block + 196 * d * 3 * 16**2 + d * 1000


@pytest.mark.slow
def test_bert_base():
    w = workload(read_torch(on_meta(Bert), words(128)))
    assert w.params == 109_482_240
    n, d = 128, 768
    assert w.macs == 12 * (12 * n * d * d + 2 * n * n * d) + d * d


def _layers(w: Workload) -> list[tuple[int, ...]]:
    """Loops, stride and padding of the rows that multiply."""
    rows = [i for i, kind in enumerate(w.kinds) if kind != "vector"]
    return sorted((*w.dims_LD[i], *w.stride_L2[i], *w.padding_L2[i]) for i in rows)


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.parametrize(("name", "cls"), [("alexnet", AlexNet), ("resnet18", ResNet18), ("mobilenetv2", MobileNetV2)])
def test_layers_are_those_of_the_reference_table(name, cls):
    folder = os.environ.get("ARCHIP_REFERENCE")
    if not folder:
        pytest.skip("ARCHIP_REFERENCE names no folder with the reference tables")
    found = workload(read_torch(on_meta(cls), (image(),)))
    assert _layers(found) == _layers(from_table(Path(folder) / "layers.csv", name))


class Odds(nn.Module):
    """Many operators that the table has, and some that torch has to take apart."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, padding="same", dilation=3)
        self.up = nn.ConvTranspose2d(8, 4, 3, 2, 1, 1, groups=2, bias=False)
        self.norm = nn.GroupNorm(2, 4)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.register_buffer("mask", torch.ones(16, 16) > 0)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.conv(x)
        x = self.norm(self.up(F.avg_pool2d(x, 2, ceil_mode=True))) * self.scale
        x = x.masked_fill(self.mask, 0.0)
        a, b = x.chunk(2, 1)
        c = torch.einsum("bchw,bcvw->bhv", a, b)
        d = torch.where(a > 0, a, -b).clamp(0, 6)
        e = F.interpolate(x, size=(5, 7), mode="bilinear")
        f = F.pixel_unshuffle(torch.roll(x, (1, 2), (2, 3)), 2).std(1)
        g = F.pad(x, (1, 2, 0, 3), value=1.0)[:, 1:3, ::2].unsqueeze(0).squeeze(0)
        h = 1 - F.glu(x, 1).amax((2, 3)) ** 2
        return c, d, e, f, g, h, x[:, 0].flip(1), x.permute(0, 3, 1, 2).repeat(1, 1, 2, 1)


class Sequences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, 12)
        self.conv = nn.Conv1d(12, 16, 3, stride=2, padding=1)
        self.lstm = nn.LSTM(16, 10, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(20, 6)
        self.encoder = nn.TransformerEncoderLayer(20, 4, 32, batch_first=True)

    def forward(self, ids: Tensor) -> tuple[Tensor, ...]:
        x = F.gelu(self.conv(self.embed(ids).transpose(1, 2))).transpose(1, 2)
        x, (h, c) = self.lstm(x)
        y, last = self.gru(self.encoder(x).transpose(0, 1))
        return y, last, h, c


@pytest.mark.parametrize(
    ("module", "x"), [(Odds(), torch.randn(2, 3, 16, 16)), (Sequences(), torch.zeros(2, 9, dtype=torch.long))]
)
def test_shapes_weights_and_products_agree_with_torch(module, x):
    graph = read_torch(module, (x,))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        results = module.eval()(x)
    assert [graph.shapes[o] for o in graph.outputs] == [tuple(r.shape) for r in results]
    w = workload(graph)
    assert w.params == sum(p.numel() for p in module.parameters())
    assert {node.op for node in graph.nodes} <= set(OPS)
    if isinstance(module, Odds):
        assert 2 * w.macs == counter.get_total_flops()
    else:  # torch does not count recurrent layers
        steps = 2 * 5 * 2
        lstm = steps * 4 * 10 * (16 + 10 + 20 + 10)
        gru = 2 * 5 * 3 * 6 * (20 + 6)
        attention = 2 * 5 * (4 * 20 * 20 + 2 * 20 * 32) + 2 * 2 * 5 * 5 * 20
        assert w.macs == 2 * 5 * 16 * 12 * 3 + lstm + gru + attention


def test_names_are_paths_and_shared_modules_are_numbered():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            x = self.act(self.body(x))
            return self.act(self.body(x) + x)

    module = Twice()
    graph = read_torch(module, (torch.zeros(1, 8),))
    assert [n.name for n in graph.nodes] == ["body.0", "body.1", "act", "body.0_1", "body.1_1", "add", "act_1"]
    assert graph.node["body.0_1"].attrs["tied"] == (("weight", "body.0.weight"), ("bias", "body.0.bias"))
    w = workload(graph)
    assert w.params == sum(p.numel() for p in module.parameters()) == 72
    assert w.macs == 128


def test_in_place_operators_change_what_later_nodes_read():
    class InPlace(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2
            y.relu_()
            return y + 1

    graph = read_torch(InPlace(), (torch.zeros(1, 3),))
    assert graph.node["add"].inputs[0] == "relu"


def test_the_module_is_left_as_it_was():
    module = nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.BatchNorm1d(3))
    module[1].eval()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    read_torch(module, (torch.zeros(2, 3),))
    assert [m.training for m in module.modules()] == [True, True, False, True]
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_operators_without_a_row_are_all_named():
    class Strange(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.fft(x).real + torch.linalg.det(x.reshape(1, 2, 2))

    with pytest.raises(
        UserError, match=r"Strange: operators that archip does not know: .*_fft_r2c.*_linalg_det.*view_as_real"
    ):
        read_torch(Strange(), (torch.zeros(1, 4),))


def test_what_torch_cannot_trace_is_said_in_one_line():
    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(UserError, match=r"Branch: torch.export cannot trace it") as caught:
        read_torch(Branch(), (torch.zeros(1, 4),))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"Linear: torch.export cannot trace it"):
        read_torch(nn.Linear(3, 4), (torch.zeros(1, 4),))


def test_the_rest_of_ir_works_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from archip.ir import graph, ops, workload, memory, layer_table, read_torch, read_onnx\n"
        "from archip.core.errors import MissingExtra\n"
        "try: read_torch.read_torch(None, ())\n"
        "except MissingExtra as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "archip[torch]" in done.stdout


def test_products_of_matrices_by_torchs_own_count():
    class Products(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(6, 7))

        def forward(self, x: Tensor) -> Tensor:
            y = x @ self.weight
            return torch.bmm(y, y.transpose(1, 2)) @ y[0, :, 0]

    module, x = Products(), torch.zeros(2, 5, 6)
    graph = read_torch(module, (x,))
    with FlopCounterMode(display=False) as counter:
        module(x)
    w = workload(graph)
    assert graph.shapes[graph.outputs[0]] == (2, 5)
    assert w.params == 42
    assert 2 * w.macs == counter.get_total_flops() + 2 * math.prod((2, 5, 5))  # torch leaves out the vector
