from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.registry import create

TABLE = "id,width,height,kind\n" + "".join(f"{i},{i % 3}.5,{1000 * i},{'xyz'[i % 3]}\n" for i in range(30))


@pytest.fixture
def load(tmp_path: Path):
    def load(text: str = TABLE, encoding: str = "utf-8", **options: object):
        (tmp_path / "t.csv").write_bytes(text.encode(encoding))
        return create("data", "csv", {"path": str(tmp_path / "t.csv"), "label": "kind", **options}).load()

    return load


def test_table_as_series(load):
    data = load(features=["height", "width"])
    assert (data.name, data.axes, data.input_shape, data.classes) == ("t", "NCL", (1, 2), ("x", "y", "z"))
    x, y = data.splits["train"]
    raw = x[:, 0] * data.std[0] + data.mean[0]
    np.testing.assert_allclose(raw[:, 1], y + 0.5, atol=1e-2)  # the width gives the class away
    assert [len(y) for _, y in data.splits.values()] == [19, 5, 6]


def test_columns_as_channels_are_normalised_one_by_one(load):
    data = load(layout="channels", features=["height", "width"])
    assert data.input_shape == (2, 1)
    np.testing.assert_allclose(data.splits["train"][0].std(0), 1, atol=1e-5)


def test_all_other_columns_by_default(load):
    assert load().input_shape == (1, 3)


def test_byte_order_mark_quotes_and_semicolons(load):
    text = TABLE.replace(",", ";").replace("kind", '"kind"')
    assert load(text, encoding="utf-8-sig", delimiter=";").input_shape == (1, 3)


def test_numbers_as_classes(load):
    text = "a,kind\n" + "".join(f"{i},{[2, 10, 1][i % 3]}\n" for i in range(30))
    assert load(text).classes == ("1", "2", "10")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "has no rows"),
        ("a,kind\n", {}, "has no rows"),
        (TABLE, {"label": "knd"}, r"has no column 'knd' \(did you mean 'kind'"),
        (TABLE, {"features": ["depth"]}, "has no column 'depth'"),
        (TABLE, {"features": ["width", "kind"]}, "not the label"),
        (TABLE, {"features": []}, "at least one column"),
        (TABLE, {"delimiter": "::"}, "'::' is not a delimiter"),
        (TABLE.replace("5,2.5,", "5,,"), {}, "line 7, column 'width': '' is not a finite number"),
        (TABLE.replace("5,2.5,", "5,many,"), {}, "line 7, column 'width': 'many' is not a finite number"),
        (TABLE.replace("5,2.5,", "5,nan,"), {}, "line 7, column 'width': 'nan' is not a finite number"),
        (TABLE.replace("5,2.5,", "5,2.5,9,"), {}, r"line 7 has 5 cells \(4, as in the header"),
        (TABLE.replace("5000,z", "5000,"), {}, "line 7, column 'kind' is empty"),
        (TABLE.replace("id,", "width,"), {}, "two columns called 'width'"),
        (TABLE, {"label": "width"}, "column 'width' holds fractions such as"),
        ("a,kind\n1,x\n2,y\n", {}, "split is empty"),
    ],
)
def test_bad_tables(load, text: str, options: dict, message: str):
    with pytest.raises(UserError, match=message):
        load(text, **options)


def test_not_utf8(load):
    with pytest.raises(UserError, match=r"t.csv: cannot be read.*UTF-8"):
        load(TABLE.replace("x", "ä"), encoding="latin-1")
