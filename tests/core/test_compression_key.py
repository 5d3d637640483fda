"""The key ``compress`` of a problem: what it may say, and that problems without it stay what they were."""

from __future__ import annotations

import pytest

from archip.core.errors import UserError
from archip.core.problem import Plug, Problem

BASE = {
    "name": "bits",
    "tasks": {"digits": {"data": "digits", "net": "resnet9"}},
    "target": {"mcu": {"flash": "1 MiB", "sram": "256 KiB"}},
}


def problem(**more):
    return Problem.from_dict({**BASE, **more})


def test_without_the_key_nothing_is_said_of_it():
    assert problem().compress is None
    assert "compress" not in problem().to_json()


def test_defaults_are_filled_in_and_the_resolved_problem_is_the_same():
    made = problem(compress={"weight_bits": [4, 8]})
    assert made.to_json()["compress"] == {
        "weight_bits": [4, 8],
        "activation_bits": [8],
        "quantizer": {"uniform": {"percentile": 99.99}},
    }
    assert made.compress is not None
    assert made.compress.quantizer == Plug("uniform", {"percentile": 99.99})
    again = Problem.from_dict(made.to_json())
    assert again == made
    assert again.id == made.id != problem().id


def test_one_number_is_one_choice():
    made = problem(compress={"weight_bits": 4}).compress
    assert made is not None
    assert made.weight_bits == (4,)


@pytest.mark.parametrize(
    ("compress", "where"),
    [
        ({"weight_bits": [8, 4]}, "growing"),
        ({"weight_bits": []}, "compress.weight_bits"),
        ({"weight_bits": [1, 4]}, "compress.weight_bits"),
        ({"activation_bits": "eight"}, "compress.activation_bits"),
        ({"weigth_bits": [4]}, "weight_bits"),
        ({"quantizer": "uniforms"}, "uniform"),
        ({"quantizer": {"uniform": {"percentile": 101}}}, "percentile"),
        ({"quantizer": 3}, "compress.quantizer"),
    ],
)
def test_what_it_cannot_be_is_refused(compress, where):
    with pytest.raises(UserError, match=where):
        problem(compress=compress)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"evaluator": "train"}, "supernet"),
        ({"evaluator": "zero_cost"}, "supernet"),
        ({"target": None}, "nothing tells what bits save"),
        ({"target": {"device": "this"}}, "float networks only"),
    ],
)
def test_bits_need_an_evaluator_and_a_target_that_tell_them_apart(more, why):
    with pytest.raises(UserError, match=why) as error:
        problem(compress={}, **more)
    assert "compress" in str(error.value)
