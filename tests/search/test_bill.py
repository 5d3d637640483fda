import json
import os
import subprocess
import sys
import time

import pytest

from archip.core.errors import UserError
from archip.search.bill import KG_PER_LB, bill, carbon_kg, energy_kwh
from archip.search.journal import Journal


@pytest.mark.parametrize(("kwh", "lb"), [(201, 192), (1507, 1438), (275, 262), (656_347, 626_155)])
def test_carbon_is_that_of_the_paper(kwh, lb):
    """Strubell et al. 2019, table 3: transformer (big), BERT base, ELMo, and the architecture search."""
    assert round(carbon_kg(kwh) / KG_PER_LB) == lb


def test_energy_by_hand():
    assert energy_kwh(2.0, 100.0, pue=1.0) == pytest.approx(0.2)
    assert energy_kwh(1.0, 100.0, 20.0, 250.0, n_gpus=2) == pytest.approx(1.58 * 0.62)
    assert energy_kwh(1.0, 100.0, 20.0, 250.0, n_gpus=0) == pytest.approx(1.58 * 0.12)


def test_a_bill_by_hand():
    """An hour with two busy cores half of the time and 10 GB."""
    told = bill(3600.0, 3600.0, 10 * 10**9)
    assert told["energy_kwh"] == pytest.approx(1.58 * (8.0 + 3.725) / 1000)
    assert told["carbon_kg"] == pytest.approx(told["energy_kwh"] * 0.954 * 0.45359237)


def test_the_electricity_of_this_place(monkeypatch):
    monkeypatch.setenv("ARCHIP_KG_CO2_PER_KWH", "0.05")
    told = bill(10.0, 10.0)
    assert told["carbon_kg"] == pytest.approx(0.05 * told["energy_kwh"])
    for text in ("green", "-1", "nan"):
        monkeypatch.setenv("ARCHIP_KG_CO2_PER_KWH", text)
        with pytest.raises(UserError, match="ARCHIP_KG_CO2_PER_KWH"):
            bill(10.0, 10.0)


def test_the_journal_counts_what_living_and_ended_workers_take(tmp_path):
    journal = Journal(tmp_path / "log.jsonl")
    own = time.process_time()
    code = "import time\nwhile time.process_time() < 0.4: pass\nprint(1, flush=True)\ninput()"
    worker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdout.readline() == "1\n"
    alive_s = journal.cpu_s - (time.process_time() - own)
    worker.communicate("\n")
    ended_s = journal.cpu_s - (time.process_time() - own)
    assert ended_s >= 0.38
    assert not os.path.isdir("/proc/self") or 0.3 <= alive_s <= ended_s + 0.02


def test_a_session_that_was_killed_is_counted(tmp_path):
    path = tmp_path / "log.jsonl"
    told = [
        {"event": "run begins"},
        {"event": "told", "cpu_s": 5.0},
        {"event": "told", "cpu_s": 12.0},
        {"event": "run begins"},
        {"event": "stage ends", "cpu_s": 3.0},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in told) + '{"event": "to')
    journal = Journal(path)
    assert journal.earlier_cpu_s == 15.0
    with journal.stage("search"):
        pass
    assert "cpu_s" in path.read_text().splitlines()[-1]
    assert Journal(tmp_path / "none.jsonl").earlier_cpu_s == 0.0
