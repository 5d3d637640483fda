"""``archip chip`` and ``archip.chip``: models, limits, JSON, files, and what is said where nothing is feasible."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

import archip
from archip.cli.main import app
from archip.core.errors import UserError

A, B = "resnet9:8,32,0,32,0,32,0@3x16x16", "unet:2,4,8@3x16x16"
SPEC = {"pes": {"total": 512, "step": 64}, "bandwidth": {"total": "32 GB/s", "step": "8 GB/s"}}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_text(yaml.safe_dump(SPEC))
    return str(path)


def run(*arguments: str):
    return CliRunner().invoke(app, ["chip", *arguments])


def test_best_chip_as_json_and_as_files(spec, tmp_path):
    out = tmp_path / "out"
    done = run(A, B, "--spec", spec, "--limits", "latency=2e5 cycles", "--json", "--out", str(out))
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    (chip,) = told["front"]
    assert chip["latency_cycles"] <= 2e5
    assert len(chip["assignment"]) == len(told["layers"]) == len(chip["start_cycles"])
    assert set(chip["assignment"]) <= set(range(len(chip["cores"])))
    assert {"dataflow", "pes", "bandwidth"} <= chip["cores"][0].keys()
    assert set(told["certificate"]) == {"enumerated", "pruned", "solved", "open", "gap"}
    assert told["certificate"]["gap"] == 0
    assert json.loads((out / "result.json").read_text()) == told
    cores = yaml.safe_load((out / "chip.yaml").read_text())["cores"]
    assert [(c["dataflow"], c["pes"]) for c in cores] == [(c["dataflow"], c["pes"]) for c in chip["cores"]]
    assert (out / "floor.svg").exists()
    assert "proven optimal" in (out / "report.html").read_text()
    assert [row["core"] for row in json.loads((out / "schedule.json").read_text())] == chip["assignment"]


def test_the_best_chips_are_the_ends_of_the_front(spec):
    limits = {"area": "50 mm2"}
    front = archip.chip([A, B], spec, limits, minimise=None).front
    best = {m: archip.chip([A, B], spec, limits, minimise=m).front[0] for m in ("latency", "energy", "area")}
    assert best["latency"].latency_cycles == min(chip.latency_cycles for chip in front)
    assert best["energy"].energy_j == min(chip.energy_j for chip in front)
    assert best["area"].area_mm2 == min(chip.area_mm2 for chip in front)
    assert all(chip.area_mm2 <= 50 for chip in front)


def test_nothing_feasible_names_the_bound_and_the_nearest_chips(spec):
    done = run(A, B, "--spec", spec, "--limits", "latency=1 us, area=20 mm2", "--json")
    assert done.exit_code == 3
    told = json.loads(done.stdout)
    assert told["front"] == []
    assert told["last_bound"] in ("chain", "load")
    nearest = told["nearest"]["latency"]
    assert nearest["latency_cycles"] > 1000
    assert nearest["area_mm2"] <= 20
    least = archip.chip([A, B], spec, "area=20 mm2", minimise="latency").front[0]
    assert nearest["latency_cycles"] == least.latency_cycles
    assert told["nearest"]["area"] is None  # no chip takes 1 us at any area
    smallest = archip.chip([A, B], spec, minimise="area").front[0]
    assert told["alone"]["area"]["area_mm2"] == smallest.area_mm2
    assert "latency" not in told["alone"]
    text = run(A, B, "--spec", spec, "--limits", "latency=1 us, area=20 mm2").stdout
    assert "least latency" in text
    assert "Without the limit on area nothing is feasible either" in text


def test_the_front_as_a_page(spec, tmp_path):
    page = tmp_path / "front.html"
    done = run(A, B, "--spec", spec, "--limits", "area=20 mm2", "--front", "--json", "--plot", str(page))
    assert done.exit_code == 0, done.output
    front, text = json.loads(done.stdout)["front"], page.read_text()
    assert f"{len(front):,} chips that no other one meets or beats" in text
    assert all(f"{chip['latency_cycles']:,} cycles" in text for chip in front)
    core = front[0]["cores"][0]
    assert f"{core['dataflow']}, {core['pes']} PEs" in text
    assert 'src="http' not in text
    refused = run(A, "--spec", spec, "--plot", "front.png")
    assert isinstance(refused.exception, UserError)
    assert "ends in .html" in str(refused.exception)


def test_classes_are_told_apart(spec):
    done = run(A, B, "--spec", spec, "--limits", "area=50 mm2", "--classes", "--json")
    assert done.exit_code == 0, done.output
    classes = json.loads(done.stdout)["classes"]
    assert list(classes) == ["latency", "energy", "area"]
    for metric, key in (("latency", "latency_cycles"), ("energy", "energy_j"), ("area", "area_mm2")):
        worth = classes[metric].pop("worth")
        assert set(worth) == {"more_cores", "unequal_sizes", "different_dataflows"}
        value = {kind: best["chip"][key] for kind, best in classes[metric].items()}
        assert min(value["one_core"], value["twins"]) >= value["one_dataflow"] >= value["free"]
        assert worth["different_dataflows"] == pytest.approx(value["one_dataflow"] / value["free"] - 1)
    text = run(A, B, "--spec", spec, "--limits", "area=50 mm2", "--classes").stdout
    assert "Least latency of each class" in text
    text = run(A, "--spec", spec, "--limits", "latency=1 us", "--classes").stdout
    assert "twins: none within the limits" in text


@pytest.mark.parametrize("options", [["--graph", "dag"], ["--dram", "4 GB/s"], ["--graph", "dag", "--dram", "4 GB/s"]])
def test_graphs_and_shared_dram(spec, options, tmp_path):
    small = tmp_path / "small.yaml"
    small.write_text(yaml.safe_dump(SPEC | {"pes": {"total": 256, "step": 128}}))
    question = (A, A, "--spec", str(small), "--minimise", "latency", "--json", "--time-limit", "60")
    plain, done = run(*question), run(*question, *options, "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    told, chain = (json.loads(of.stdout) for of in (done, plain))
    latency, of_chains = (found["front"][0]["latency_cycles"] for found in (told, chain))
    assert told["certificate"]["enumerated"] == chain["certificate"]["enumerated"]
    assert told["certificate"]["gap"] is not None
    assert latency <= of_chains if "--dram" not in options else latency >= of_chains
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"result.json", "chip.yaml", "schedule.json", "floor.svg", "report.html"}
    rows = json.loads((tmp_path / "out" / "schedule.json").read_text())
    assert max(row["end_cycle"] for row in rows) == latency
    assert all(("dram_share" in row) == ("--dram" in options) for row in rows)


def test_free_mappings_tell_the_clusters(tmp_path):
    options = SPEC | {"pes": {"total": 128, "step": 64}, "mapping": "free"}
    free = archip.chip([A], options).front[0]
    assert free.clusters is not None
    assert len(free.clusters) == len(free.assignment)
    assert free.energy_j <= archip.chip([A], options | {"mapping": "fastest"}).front[0].energy_j


def test_an_interrupted_command_says_that_it_goes_on(spec, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("archip.search.chip.chip", interrupted)
    done = run(A, "--spec", spec)
    assert done.exit_code == 130
    assert "the same command goes on" in done.stderr


def test_a_time_limit_gives_the_proven_gap(spec):
    done = archip.chip([A, B], spec, minimise=None, time_limit_s=0)
    assert done.certificate.n_open > 0
    assert done.certificate.gap is None
    assert done.nearest == {}
    best = archip.chip([A, B], spec, minimise="energy", time_limit_s=0)
    assert best.certificate.n_open > 0


def test_energy_is_in_the_unit_asked_for(spec):
    ours = archip.chip([A], spec).front[0]
    nasaic = archip.chip([A], {**SPEC, "mac_energy": "1 nJ"}).front[0]
    assert nasaic.energy_j == pytest.approx(ours.energy_j * 1e-9 / 0.23e-12)


def test_loopnest_prices_templates(spec):
    found = archip.chip([A], {**SPEC, "cores": 1}, "area=4 mm2", cost_model="loopnest").front
    assert found[0].area_mm2 <= 4


def test_layer_tables_and_names(tmp_path):
    path = tmp_path / "layers.csv"
    rows = ["network,layer,op,N,K,C,OY,OX,FY,FX,stride,padding,groups"]
    rows += [f"{net},l{i},conv,1,16,8,8,8,3,3,1,1,1" for net in "ab" for i in range(2)]
    path.write_text("\n".join(rows))
    found = archip.chip([f"{path}:a", f"{path}:b", f"{path}:a"], SPEC)
    assert found.layers == ("a.l0", "a.l1", "b.l0", "b.l1", "a#2.l0", "a#2.l1")
    with pytest.raises(UserError, match="several networks"):
        archip.chip([str(path)], SPEC)


@pytest.mark.parametrize(
    ("models", "spec", "limits", "words"),
    [
        ([], None, None, "no network"),
        (["model.txt"], None, None, "is no network"),
        (["missing.onnx"], None, None, r"missing\.onnx"),
        (["resnet9:8,32@3x16x16"], None, None, "7: fn0"),
        (["resnet9:9,32,0,32,0,32,0@3x16x16"], None, None, "fn0 is '9'"),
        (["resnett:8@3x16x16"], None, None, "resnet9"),
        (["resnet9:8,32,0,32,0,32,0@16x16"], None, None, "CxHxW"),
        (["bert:1,32,1,32@3x8x8"], None, None, "is no input of bert"),
        ([A], {"coers": 2}, None, "cores"),
        ([A], "missing.yaml", None, "no such file"),
        ([A], None, "latency", "METRIC=QUANTITY"),
        ([A], None, "latency=2 mm2", "latency"),
        ([A], None, "power=2 W", "unknown metric"),
        ([A], None, "area=0 mm2", "allows nothing"),
        ([A], None, "area=1 mm2,area=2 mm2", "twice"),
        ([A], {"dram": "0 GB/s"}, None, "dram"),
        ([A], {"dram": "4 mm2"}, None, "dram"),
        ([A], {"graph": "tree"}, None, "graph"),
    ],
)
def test_mistakes_are_named(models, spec, limits, words):
    with pytest.raises(UserError, match=words):
        archip.chip(models, spec, limits)


def test_whose_mistake_it_is_is_said(tmp_path):
    """An option's, not the file's."""
    path = tmp_path / "spec.yaml"
    path.write_text("cores: 1\n")
    with pytest.raises(UserError, match=r"^dram"):
        archip.chip([A], path, dram="0 GB/s")
    path.write_text("dram: 0 GB/s\n")
    with pytest.raises(UserError, match=r"spec\.yaml: dram"):
        archip.chip([A], path)


def test_the_front_minimises_nothing_by_itself(spec):
    done = run(A, "--spec", spec, "--front", "--minimise", "latency")
    assert "either --front or --minimise" in str(done.exception)
