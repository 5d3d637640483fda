"""Customise: the limit holds for what is cut out, the accuracy is that of the module, and what cannot be is said."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from archip.core.errors import UserError  # noqa: E402
from archip.data.digits import Digits  # noqa: E402
from archip.hardware.devices._device import Deployed  # noqa: E402
from archip.hardware.devices.mcu import Mcu  # noqa: E402
from archip.search.customise import customise, macs, of_classes  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402
from archip.train.loop import Recipe, fit  # noqa: E402
from archip.train.nn_factory import Factory, NNFactory  # noqa: E402

SPACE = ResNet9(stem=(8,), filters=(16,), skips=(0,), blocks=2)
CLASSES = [7, 1, 4]


@pytest.fixture(scope="module")
def trained():
    data = Digits(limit=400).load()
    backbone = SPACE.build({"fn0": 8, "fn1": 16, "sk1": 0, "fn2": 16, "sk2": 0}, data.input_shape, 10, 0)
    factory = Factory(backbone, 10, modules=4)
    fit(factory, data, Recipe(epochs=12, batch=32, lr=1e-2, keep="last"), 0, rule=NNFactory())
    return factory, data


def _macs(graph) -> float:
    return macs(graph)["macs"]


def test_the_limit_holds_for_what_is_cut_out(trained):
    factory, data = trained
    whole = _macs(factory.gated.backbone.graph)
    found = [customise(factory, data, CLASSES, {"macs": share * whole}, tries=6) for share in (0.3, 0.6)]
    for one, share in zip(found, (0.3, 0.6), strict=True):
        assert _macs(one.module.graph) == one.costs["macs"] <= share * whole
        x, y = of_classes(data, "val", CLASSES)
        with torch.inference_mode():
            outputs = one.module(torch.from_numpy(x)).numpy()
        assert outputs.shape == (len(x), 3)
        assert one.accuracy == pytest.approx(float((outputs.argmax(1) == y).mean()))
        assert one.gates.sum() < len(factory.gated.spans)
    assert found[1].accuracy >= 0.85


def test_what_a_device_says_may_be_limited(trained):
    factory, data = trained
    device = Mcu(flash="1 MiB", sram="1 MiB", code="1 KiB", runtime="1 KiB")

    def costs(graph):
        return device.costs([Deployed(graph)])

    whole = costs(factory.gated.graph(torch.ones(len(factory.gated.spans)), CLASSES))
    limits = {name: 0.7 * whole[name] for name in ("flash_bytes", "sram_bytes")}
    found = customise(factory, data, CLASSES, limits, costs, tries=3)
    assert all(costs(found.module.graph)[name] == found.costs[name] <= most for name, most in limits.items())


def test_it_gives_the_same_again(trained):
    factory, data = trained
    limits = {"macs": 0.5 * _macs(factory.gated.backbone.graph)}
    first, second = (customise(factory, data, CLASSES, limits, tries=4, seed=3) for _ in range(2))
    assert np.array_equal(first.gates, second.gates)
    assert first.accuracy == second.accuracy


def test_what_nothing_keeps_is_said_with_what_would_do(trained):
    factory, data = trained
    words = r"limits: no network that was assembled for \[7, 1, 4\] keeps macs 10 \(.*come down to macs \d+"
    with pytest.raises(UserError, match=words):
        customise(factory, data, CLASSES, {"macs": 10.0})
    with pytest.raises(UserError, match="some of 0 to 9"):
        customise(factory, data, [10], {"macs": 1e9})
    with pytest.raises(UserError, match=r"no cost is called 'mac'.*macs"):
        customise(factory, data, CLASSES, {"mac": 1e9})


def test_samples_of_classes_are_numbered_in_their_order(trained):
    _, data = trained
    x, y = of_classes(data, "test", [5, 2])
    whole_x, whole_y = data.splits["test"]
    assert len(x) == int(np.isin(whole_y, [5, 2]).sum())
    assert np.array_equal(np.array([5, 2])[y], whole_y[np.isin(whole_y, [5, 2])])
    assert np.array_equal(x, whole_x[np.isin(whole_y, [5, 2])])
