from pathlib import Path

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.core.problem import Plug
from archip.search._bench_report import BASELINES, as_json, markdown, mean_ranks, p_value, summary_rows, write_report
from archip.search.bench import Bench, Curves, answers, run_bench, search_table, setting

GRID = str(Path(__file__).parent.parent / "data" / "tables" / "grid.yaml")
PLUGS = {name: Plug(name) for name in (*BASELINES, "reinforce")}


def ranked(here, metric):
    """Rows, the best by a metric first."""
    return np.argsort(-here.table.metric(metric)).tolist()


def test_the_answer_is_the_test_value_of_the_best_seen():
    here = setting(Bench(GRID, budget=6))
    best = ranked(here, "valid")
    rows = [best[20], best[5], best[30], best[2]]
    test = here.table.metric("test")
    expected = [test[best[20]], test[best[5]], test[best[5]], test[best[2]], test[best[2]], test[best[2]]]
    assert answers(here, rows).tolist() == [expected]
    assert np.isnan(answers(here, [])).all()


def test_promotion_is_paid_with_queries_and_answers_by_full_training():
    """Early training costs a tenth: the second full training is ten queries."""
    here = setting(Bench(GRID, protocol="early", budget=14, promote=2))
    early, valid, test = (here.table.metric(m) for m in ("valid_12", "valid", "test"))
    rows = [int(r) for r in np.random.default_rng(0).permutation(36)[:14]]
    values = answers(here, rows)[0]
    assert np.isnan(values[:11]).all()  # 10 for the training, and two candidates to choose from
    for q in (12, 13, 14):
        seen = sorted(rows[: q - 10], key=lambda row: -early[row])[:2]
        assert values[q - 1] == test[max(seen, key=lambda row: valid[row])]


def test_what_breaks_a_limit_is_no_query_and_never_the_answer():
    bench = Bench(GRID, budget=10, limits=(("phone.latency_s", 1e-3),))
    here = setting(bench)
    latency, test = here.table.metric("latency"), here.table.metric("test")
    assert here.optimum == pytest.approx(test[latency <= 1e-3].max())
    trace = search_table(here, Plug("random_search"), 0)
    assert len(trace.rows) == 10
    assert trace.n_refused > 0
    assert (latency[trace.rows] <= 1e-3).all()


def test_a_network_is_its_first_row_with_a_limit_too(tmp_path):
    """The best cell stands there twice; the row that counts breaks the limit, so that no search can answer with it."""
    cells = ["conv~0|+|none~0|skip~1", "none~0|+|conv~0|none~1", "conv~0|+|conv~0|conv~1", "skip~0|+|conv~0|conv~1"]
    rows = [f"|{cell}|,{acc},{ms}" for cell, acc, ms in zip(cells, (90, 90, 80, 70), (3, 1, 1, 1), strict=True)]
    (tmp_path / "c.csv").write_text("\n".join(["cell,acc,ms", *rows]))
    (tmp_path / "c.yaml").write_text("""
title: t
source: s
official: o
file: c.csv
cell: {column: cell, operators: [none, conv, skip], zero: none, identity: skip}
metrics: {net.accuracy: {column: acc, unit: "%"}, net.latency_s: {column: ms, unit: ms}}
searches: {net: {full: net.accuracy, test: [net.accuracy]}}
""")
    table = str(tmp_path / "c.yaml")
    assert setting(Bench(table)).optimum == pytest.approx(0.9)
    here = setting(Bench(table, budget=4, limits=(("net.latency_s", 2e-3),)))
    assert here.optimum == pytest.approx(0.8)
    assert sorted(search_table(here, Plug("random_search"), 0).rows) == [2, 3]
    assert setting(Bench(table, limits=(("net.latency_s", 2e-3),), merge=False)).optimum == pytest.approx(0.9)


def test_simulated_time_ends_a_search(tmp_path):
    """Each of 30 s: with 100 s, three trainings."""
    text = Path(GRID).read_text().replace("grid.csv", str(Path(GRID).parent / "grid.csv"))
    text = text.replace("searches:", "  net.train_s: {column: t, unit: 1.0}\nsearches:")
    text = text.replace("full: valid.accuracy", "full: valid.accuracy\n    seconds: net.train_s")
    rows = (Path(GRID).parent / "grid.csv").read_text().splitlines()
    (tmp_path / "timed.csv").write_text("\n".join([rows[0] + ",t", *(row + ",30" for row in rows[1:])]))
    (tmp_path / "timed.yaml").write_text(text.replace(str(Path(GRID).parent / "grid.csv"), "timed.csv"))
    bench = Bench(str(tmp_path / "timed.yaml"), budget=36, seconds=100.0)
    assert len(search_table(setting(bench), Plug("random_search"), 0).rows) == 3
    with pytest.raises(UserError, match="no training times"):
        setting(Bench(GRID, seconds=100.0))


def test_seeds_decide_and_processes_do_not():
    bench = Bench(GRID, budget=8)
    alone = run_bench(bench, PLUGS, 6, n_jobs=1)
    shared = run_bench(bench, PLUGS, 6, n_jobs=2)
    assert {n: c.rows for n, c in alone.items()} == {n: c.rows for n, c in shared.items()}
    assert all((alone[n].values_KTQ == shared[n].values_KTQ).all() for n in PLUGS)
    assert len({tuple(rows) for rows in alone["random_search"].rows}) == 6


def test_every_query_is_a_network_of_its_own_and_the_space_may_end():
    curves = run_bench(Bench(GRID, budget=50), PLUGS, 2, n_jobs=1)
    for found in curves.values():
        assert [sorted(rows) for rows in found.rows] == [list(range(36))] * 2
        assert found.values_KTQ.shape == (2, 1, 50)


def test_a_metric_to_be_made_small_is_made_small():
    bench = Bench(GRID, metric="latency", budget=36)
    here = setting(bench)
    assert here.optimum == here.table.metric("latency").min()
    assert run_bench(bench, {"local_search": Plug("local_search")}, 1, 1)["local_search"].values_KTQ[0, 0, -1] == (
        here.optimum
    )


def test_ranks_significance_and_relative_improvement_by_hand():
    here = setting(Bench(GRID, budget=2))
    values = {"random_search": [0.80, 0.81, 0.82, 0.80], "local_search": [0.82, 0.82, 0.83, 0.84]}
    found = {name: Curves(Plug(name), np.repeat(np.array(v)[:, None, None], 2, axis=2)) for name, v in values.items()}
    assert mean_ranks(here, found)["local_search"].tolist() == [1.0, 1.0]
    assert p_value(found["random_search"], found["local_search"]) == 0.125  # all four of one sign: 2 / 2^4
    rows = {row["strategy"]: row for row in summary_rows(here, found, [2])}
    average = here.table.metric("test").mean()
    assert rows["random_search"]["ri"] == pytest.approx(100 * (0.8075 - average) / average)
    assert rows["local_search"]["regret"] == pytest.approx(100 * (here.table.metric("test").max() - 0.8275))
    assert rows["local_search"]["at"] == {2: "82.750 ± 0.957"}
    few = {name: Curves(c.plug, c.values_KTQ[:2]) for name, c in found.items()}
    assert mean_ranks(here, few) == {}
    assert "2 seeds are too few to rank" in markdown(here, few, [2])


def test_json_and_files_of_a_report(tmp_path):
    bench = Bench(GRID, protocol="early", budget=14, promote=2)
    here, found = setting(bench), run_bench(bench, PLUGS, 3, n_jobs=1)
    value = as_json(here, found)
    assert {k: value[k] for k in ("table", "metric", "protocol")} == {
        "table": "grid", "metric": "accuracy", "protocol": "early",
    }  # fmt: skip
    curve = value["strategies"]["local_search"]
    assert curve["queries"] == list(range(1, 15))
    assert curve["mean"][:11] == [None] * 11
    assert curve["mean"][13] == pytest.approx(100 * found["local_search"].values_KTQ[:, 0, 13].mean(), abs=1e-5)
    assert curve["std"][13] == pytest.approx(100 * found["local_search"].values_KTQ[:, 0, 13].std(ddof=1), abs=1e-5)
    write_report(tmp_path, here, found, [14])
    assert "| local_search |" in (tmp_path / "report.md").read_text()
    page = (tmp_path / "report.html").read_text()
    assert all(f'id="{name}"' in page for name in ("test", "regret", "rank", "spread"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "f1"}, "no metric 'f1'"),
        ({"metric": "test", "protocol": "early"}, "has no early metric"),
        ({"limits": (("phone.latency_s", 1e-9),)}, "no row of the table keeps the limits"),
        ({"limits": (("nobody.energy_j", 1.0),)}, "no metric 'nobody.energy_j'"),
    ],
)
def test_what_the_table_lacks_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        setting(Bench(GRID, **options))


def test_a_strategy_that_refuses_is_named():
    with pytest.raises(UserError, match=r"broken: .*unknown option 'no'"):
        run_bench(Bench(GRID, budget=2), {"broken": Plug("random_search", {"no": 1})}, 1, n_jobs=1)
