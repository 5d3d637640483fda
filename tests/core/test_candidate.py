from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archip.core.candidate import Candidate, canonical_json, digest

GENES = st.dictionaries(
    st.text(max_size=5), st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=3), max_size=4
)
CANDIDATES = st.builds(
    Candidate,
    net=st.dictionaries(st.text("abc._", min_size=1, max_size=4), GENES, max_size=3),
    hw=st.none() | GENES,
    compress=st.dictionaries(st.text("abc._", min_size=1, max_size=4), GENES, max_size=3),
)
TWO = Candidate(net={"b": {"k": 3}, "a": {"k": 5}}, hw={"pes": 64}, compress={"a": {"bits": 8}})


@given(CANDIDATES)
def test_json_round_trip(candidate: Candidate):
    again = Candidate.from_json(json.loads(json.dumps(candidate.to_json())))
    assert again == candidate
    assert (hash(again), again.id, again.parts) == (hash(candidate), candidate.id, candidate.parts)


@given(CANDIDATES)
def test_parts_round_trip(candidate: Candidate):
    assert Candidate.from_parts(candidate.parts) == candidate


def test_parts_have_names_and_an_order():
    assert list(TWO.parts) == ["net.a", "net.b", "hw", "compress.a"]
    assert TWO.only(("hw", "net.a", "net.c")) == {"hw": {"pes": 64}, "net.a": {"k": 5}}
    assert list(Candidate(net={"a": 1}).parts) == ["net.a"]


def test_identity_ignores_order_and_nothing_else():
    same = Candidate(net={"a": {"k": 5}, "b": {"k": 3}}, hw={"pes": 64}, compress={"a": {"bits": 8}})
    assert same == TWO
    assert len({same, TWO}) == 1
    others = [
        Candidate(net={"a": {"k": 3}, "b": {"k": 5}}, hw={"pes": 64}, compress={"a": {"bits": 8}}),
        Candidate(net=TWO.net, hw={"pes": "64"}, compress=TWO.compress),
        Candidate(net=TWO.net, hw=None, compress=TWO.compress),
        Candidate(net=TWO.net, hw=TWO.hw, compress={"b": {"bits": 8}}),
    ]
    assert len({TWO, *others}) == 5
    assert TWO.id != TWO


def test_the_id_is_the_same_in_every_process():
    # Stores hold this id for ever.
    assert digest({"b": [1, 2.5], "a": "µ"}) == "c91b976f799e6f05"
    code = "from archip.core.candidate import Candidate as C; print(C(net={'b': {'k': 3}, 'a': {'k': 5}}).id)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == Candidate(net=TWO.net).id


def test_canonical_json_by_hand():
    assert canonical_json({"b": [1, None], "a": {"d": True, "c": 0.5}}) == '{"a":{"c":0.5,"d":true},"b":[1,null]}'
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": float("nan")})
