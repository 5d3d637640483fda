"""Spaces of chips: what is refused because it is too large to be enumerated."""

import pytest

from archip.core.errors import UserError
from archip.search.chip import load_spec


@pytest.mark.parametrize("pes", [{"total": 2**40, "step": 1}, {"total": 10**30, "step": 10**29}])
def test_designs_that_nobody_can_list(pes):
    with pytest.raises(UserError, match=r"pes: too many: total \d+"):
        load_spec({"pes": pes})


def test_a_file_is_read_as_other_files_are(tmp_path):
    (tmp_path / "chip.yaml").write_text("cores: 1\ncores: 2\n")
    with pytest.raises(UserError, match=r"chip\.yaml: line 2: key 'cores' is given twice"):
        load_spec(tmp_path / "chip.yaml")
