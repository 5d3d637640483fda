"""QuantizerContract: what every quantiser has to keep, also one of another package."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from archip.core import registry
from archip.core.candidate import canonical_json
from archip.core.errors import CandidateError
from archip.spaces.bert import Bert
from archip.spaces.resnet9 import ResNet9

__all__ = ["QuantizerContract"]

_RESNET = ResNet9(stem=(4,), filters=(8,), skips=(1,), blocks=1)
_BERT = Bert(depths=(1,), hiddens=(32,), heads=(2,), ffns=(32,), vocabulary=50)
_LAYERS = {"convolutions": "stem.conv", "attention": "layer1.attention.q"}


class QuantizerContract:
    """Subclass with `quantizer_name` parametrised, as in `tests/contracts/test_quantizers.py`."""

    @pytest.fixture
    def quantizer(self, quantizer_name: str) -> Any:
        return registry.create("compress/quantize", quantizer_name)

    @pytest.fixture(params=list(_LAYERS))
    def case(self, request: pytest.FixtureRequest) -> tuple[Any, Any, str]:
        """(network, batch, name of a layer)"""
        import torch

        draws = torch.Generator().manual_seed(0)
        if request.param == "attention":
            net = _BERT.build({"depth": 1, "hidden": 32, "heads1": 2, "ffn1": 32}, (12,), 3, seed=0)
            return net.eval(), torch.randint(1, 50, (32, 12), generator=draws), _LAYERS["attention"]
        net = _RESNET.build({"fn0": 4, "fn1": 8, "sk1": 1}, (1, 8, 8), 3, seed=0)
        return net.eval(), torch.randn(32, 1, 8, 8, generator=draws), _LAYERS["convolutions"]

    def test_options_are_json(self, quantizer: Any) -> None:
        assert canonical_json(dataclasses.asdict(quantizer))

    def test_the_network_itself_stays_as_it_was(self, quantizer: Any, case: tuple[Any, Any, str]) -> None:
        import torch

        net, batch, _ = case
        before = {name: value.clone() for name, value in net.state_dict().items()}
        quantizer.quantized(net, {"weight_bits": 4, "activation_bits": 8}, [batch])
        after = net.state_dict()
        assert list(after) == list(before)
        assert all(torch.equal(after[name], value) for name, value in before.items())

    def test_the_same_call_gives_the_same_network(self, quantizer: Any, case: tuple[Any, Any, str]) -> None:
        net, batch, layer = case
        bits = {"weight_bits": {layer: 4}, "activation_bits": 8}
        one, other = (_outputs(quantizer.quantized(net, bits, [batch]), batch) for _ in range(2))
        assert one.equal(other)

    def test_more_bits_are_nearer_to_the_network(self, quantizer: Any, case: tuple[Any, Any, str]) -> None:
        net, batch, _ = case
        whole = _outputs(net, batch)
        errors = []
        for bits in (3, 8, 32):
            made = quantizer.quantized(net, {"weight_bits": bits, "activation_bits": bits}, [batch])
            errors.append(float((_outputs(made, batch) - whole).abs().mean()))
        assert errors[0] > errors[1] > errors[2] == 0

    @pytest.mark.parametrize("bits", [2, 3, 4])
    def test_a_channel_has_no_more_weights_than_its_bits_tell(
        self, quantizer: Any, case: tuple[Any, Any, str], bits: int
    ) -> None:
        net, batch, layer = case
        made = quantizer.quantized(net, {"weight_bits": {layer: bits}}, [batch])
        weight = made.get_parameter(f"{layer.replace('.', '_')}.layer.weight").detach()
        assert max(len(channel.unique()) for channel in weight) <= 2**bits
        others = [p for name, p in made.named_parameters() if name.endswith(".layer.weight") and p.ndim > 1]
        assert max(len(p.flatten(1)[0].unique()) for p in others) > 2**bits

    def test_weights_of_zero_stay_zero(self, quantizer: Any, case: tuple[Any, Any, str]) -> None:
        net, batch, layer = case
        name = f"{layer.replace('.', '_')}"
        net.get_parameter(f"{name}.weight").data[0] = 0
        made = quantizer.quantized(net, {"weight_bits": 4}, [batch])
        assert not made.get_parameter(f"{name}.layer.weight")[0].any()

    def test_bits_of_a_layer_that_is_not_there_are_refused(self, quantizer: Any, case: tuple[Any, Any, str]) -> None:
        with pytest.raises(CandidateError, match="nowhere"):
            quantizer.quantized(case[0], {"activation_bits": {"nowhere": 8}}, [case[1]])


def _outputs(net: Any, batch: Any) -> Any:
    import torch

    with torch.no_grad():
        return net(batch)
