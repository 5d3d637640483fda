"""Every claim is complete, and the ledger tells the stored results."""

import ast

import pytest

from claims import _claim

MINE = '''"""Mine."""
from claims._claim import Observed

EXPECTED = "1"
SOURCE = "a table"


def check():
    return Observed(False, "2")
'''


@pytest.mark.parametrize("name", _claim.names())
def test_a_claim_states_what_it_expects_and_from_where(name):
    tree = ast.parse((_claim.FOLDER / f"{name}.py").read_text())
    assigns = [node for node in tree.body if isinstance(node, ast.Assign)]
    assigned = {name.id for a in assigns for t in a.targets for name in ast.walk(t) if isinstance(name, ast.Name)}
    assert ast.get_docstring(tree)
    assert {"EXPECTED", "SOURCE"} <= assigned
    assert "check" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("path", sorted(_claim.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_results_are_of_claims_as_they_stand_and_in_the_ledger(path):
    result = _claim.stored(path.stem)
    assert result is not None, f"the claim has changed since it ran: python -m claims {path.stem}"
    row = next(r for r in (_claim.FOLDER / "LEDGER.md").read_text().splitlines() if r.startswith(f"| [{path.stem}]"))
    assert result.observed.replace("|", "\\|") in row
    assert f"| {result.verdict} |" in row


def test_a_result_of_another_text_is_out_of_date(tmp_path, monkeypatch):
    monkeypatch.setattr(_claim, "FOLDER", tmp_path)
    monkeypatch.setattr(_claim, "RESULTS", tmp_path / "results")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.setattr("claims.__path__", [str(tmp_path)])
    result = _claim.run("mine")
    assert (result.verdict, result.observed) == ("FAILED", "2")
    assert _claim.stored("mine") == result
    (tmp_path / "mine.py").write_text('"""Mine, changed."""')
    assert _claim.stored("mine") is None
