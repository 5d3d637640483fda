"""Tokens a second from the bandwidths, and the tile of a page."""

from dataclasses import replace

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models.cambricon_llm import CambriconLlm

# 4 dies of 1 plane read 1000 bytes in 1 us: 4 GB/s inside, 1 GB/s outside.
SMALL = CambriconLlm(channels=1, dies_per_channel=4, planes=1, page_bytes=1000, read_s=1e-6)


def test_bandwidths():
    assert SMALL.inside_bytes_per_s == pytest.approx(4e9)
    assert SMALL.in_flash == pytest.approx(0.8)


def test_both_parts_of_a_matrix_end_together():
    """What is worked on in flash and what is streamed take equally long: that is why a is B_i / (B_i + B_c)."""
    found = SMALL.decode(1e9)
    assert found["weight_s"] == pytest.approx(SMALL.in_flash * 1e9 / SMALL.inside_bytes_per_s)
    assert found["weight_s"] == pytest.approx((1 - SMALL.in_flash) * 1e9 / SMALL.outside_bytes_per_s)


def test_published_speeds_from_250_gb_a_second():
    """Card: 35.7 and 3.57 tokens a second of 7B and 70B at 8 bits."""
    model = CambriconLlm(channels=25, dies_per_channel=9, planes=1, page_bytes=10**6, read_s=1e-3, special_s=0.0)
    assert model.inside_bytes_per_s + model.outside_bytes_per_s == pytest.approx(250e9)
    assert model.decode(np.array([7e9, 70e9]))["tokens_per_s"] == pytest.approx([35.7, 3.57], rel=1e-3)


def test_cache_and_special_functions_add_up():
    model = replace(SMALL, weight_bits=4, special_s=0.01, dram_bytes_per_s=1e9)
    assert model.decode(1e9, 2e8)["token_s"] == pytest.approx(0.5 / 5 + 0.2 + 0.01)


def test_the_tile_of_a_page_by_trying_all():
    model = CambriconLlm(page_bytes=4096)
    h, w, is_hidden = model.tile()
    assert h * w == 4096
    assert h + w == min(h + 4096 // h for h in range(1, 4097) if 4096 % h == 0)
    # 16 planes of a channel move 128 bytes each: 2.05 us of the 30 us.
    assert is_hidden
    assert not replace(model, channel_bytes_per_s=6e7).tile()[2]


def test_options_are_checked():
    with pytest.raises(UserError, match="greater than 0"):
        registry.create("hardware/models", "cambricon_llm", {"read_s": 0})
