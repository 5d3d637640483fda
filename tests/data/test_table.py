import gzip
from pathlib import Path

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.data._table import load_table

TABLES = Path(__file__).parent / "tables"
GENES = "genes: [{column: op}, {column: width}]"
HEAD = """title: t
source: s
official: the place
file: rows.csv
{keys}
metrics:
  net.accuracy: {{column: acc, unit: "%"}}
  net.latency_s: {{column: ms, unit: ms}}
searches:
  net: {{full: net.accuracy, test: [net.accuracy]}}
"""


@pytest.fixture
def made(tmp_path):
    def make(rows, keys=GENES, head=HEAD):
        (tmp_path / "rows.csv").write_text("op,width,acc,ms\n" + rows)
        (tmp_path / "t.yaml").write_text(head.format(keys=keys))
        return str(tmp_path / "t.yaml")

    load_table.cache_clear()
    return make


def test_a_new_table_needs_a_yaml_only(made):
    table = load_table(made("conv,8,90.5,1.5\npool,8,80,2\nconv,16,91,3\n"))
    assert {name: knob.values for name, knob in table.knobs.items()} == {"op": ("conv", "pool"), "width": (8, 16)}
    assert [knob.ordered for knob in table.knobs.values()] == [False, True]
    assert table.keys.codes_NG.tolist() == [[0, 0], [1, 0], [0, 1]]
    assert table.metric("accuracy").tolist() == pytest.approx([0.905, 0.8, 0.91])
    assert table.metric("net.latency_s").tolist() == pytest.approx([1.5e-3, 2e-3, 3e-3])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("conv,8,90,1\nconv,8,91,1\n", r"line 3: the same architecture as in rows.csv: line 2 \(each once, or dupl"),
        ("conv,8,90,1\npool,8,,1\n", r"rows.csv: line 3: acc is empty"),
        ("conv,8,90,1\npool,8,x,1\n", r"rows.csv: line 3: acc: 'x' is not a number"),
        ("conv,8,90,1\npool,8,inf,1\n", r"rows.csv: line 3: acc is inf"),
        ("conv,8,90\n", r"rows.csv: line 2: 3 cells, but 4 columns"),
        ("", r"the table has no rows"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_the_row(made, rows, message):
    with pytest.raises(UserError, match=message):
        load_table(made(rows)).metric("net.accuracy")


def test_unknown_architectures_are_refused(made):
    with pytest.raises(UserError, match="line 3: op: 'attention' is not one of conv, pool"):
        load_table(
            made("conv,8,1,1\nattention,8,1,1\n", "genes: [{column: op, values: [conv, pool]}, {column: width}]")
        )
    cell = "cell: {column: op, operators: [none, conv, skip], zero: none, identity: skip}"
    with pytest.raises(UserError, match="line 3: op: unknown operator 'pool'"):
        load_table(made("|conv~0|,8,1,1\n|pool~0|,8,1,1\n", cell))
    with pytest.raises(UserError, match=r"'\|conv~0\|\+\|conv~0\|' is not a cell of 3 nodes .*op~0\|op~0\|op~1"):
        load_table(made("|conv~0|+|conv~0|,8,1,1\n", cell))
    with pytest.raises(UserError, match="is not of the form"):
        load_table(
            made("a1_b2,8,1,1\nzz,8,1,1\n", r'genes: [{column: op, split: "_", pattern: "(?P<k>[ab])(?P<n>[12])"}]')
        )


def test_repeated_measurements_are_averaged(made):
    head = HEAD.replace("file:", "duplicates: mean\nfile:").replace('"%"}}', '"%", may_miss: true}}')
    table = load_table(made("conv,8,90,1\npool,8,,1\nconv,8,92,3\npool,8,50,5\n", head=head))
    assert table.n_rows == 2
    assert table.metric("net.accuracy").tolist() == pytest.approx([0.91, 0.5])
    assert table.metric("net.latency_s").tolist() == pytest.approx([2e-3, 3e-3])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("net.latency_s:", "net.latency:"), r"t.yaml: metrics.net.latency: 'net.latency' does not end in a known"),
        (("title:", "titel:"), r"unknown option 'titel'"),
        (('unit: "%"', 'unit: "parsec"'), r"metrics.net.accuracy.unit: unknown unit 'parsec'"),
        (("{column: acc,", "{column: accu,"), r"no column 'accu' \(did you mean 'acc'\?\)"),
        (("file: rows.csv", "file: no.csv"), r"no.csv is missing; .*official data: the place"),
        ((GENES, "genes: []"), r"rows are keyed in no way or in several"),
        ((GENES, "genes: [{column: colour}]"), r"there is no column 'colour'"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(made, change, message):
    head = HEAD.format(keys=GENES).replace(*change).replace("{", "{{").replace("}", "}}")
    with pytest.raises(UserError, match=message):
        load_table(made("conv,8,90,1\n", head=head)).metric("net.accuracy")


def test_metrics_by_alias_short_name_or_not_at_all():
    table = load_table(str(TABLES / "grid.yaml"))
    assert table.metric_name("latency") == table.metric_name("phone") == "phone.latency_s"
    with pytest.raises(UserError, match="no metric 'energy'"):
        table.metric("energy")
    with pytest.raises(UserError, match=r"one of valid_12.accuracy, valid.accuracy, test.accuracy"):
        table.metric("accuracy")
    name, search = table.search("test")
    assert (name, search.full, search.test) == ("test", "test.accuracy", ["test.accuracy"])
    with pytest.raises(UserError, match=r"no metric 'f1'.*\(accuracy; or a metric"):
        table.search("f1")


def test_unknown_tables_are_listed():
    with pytest.raises(UserError, match=r"unknown table 'nb2O1' \(did you mean 'nb201'"):
        load_table("nb2O1")


def test_a_file_that_is_not_where_it_was_said_to_be(tmp_path):
    with pytest.raises(UserError, match=r"there is no file nb201.csv.gz .*NAS-Bench-201 .*D-X-Y"):
        load_table("nb201", str(tmp_path))


def test_texts_of_different_length_have_inactive_genes():
    table = load_table(str(TABLES / "sampled.yaml"))
    assert list(table.knobs)[:3] == ["n_layers", "op1", "size1"]
    first = (TABLES / "sampled.csv").read_text().splitlines()[1].split(",")[1].split("_")
    codes = table.keys.codes_NG[0].tolist()
    assert table.knobs["n_layers"].values[codes[0]] == len(first)
    expected = [c for part in first for c in ("ab".index(part[0]), "123".index(part[1]))]
    assert codes[1:] == expected + [-1] * (len(codes) - 1 - len(expected))


def test_joined_files_stars_and_fits(tmp_path):
    """Latency of two devices in a second file, a training time of some rows, filled as a sum over genes."""
    rows = [(op, w) for op in ("a", "b", "c") for w in (1, 2, 4)]
    true = [{"a": 1.0, "b": 2.0, "c": 4.0}[op] + 3.0 * w for op, w in rows]
    (tmp_path / "main.csv").write_text("id,op,w,acc\n" + "".join(f"{i},{o},{w},50\n" for i, (o, w) in enumerate(rows)))
    (tmp_path / "more.csv.gz").write_bytes(
        gzip.compress(("id,ms_cpu,ms_gpu\n" + "".join(f"{i},{i}.5,{i}\n" for i in range(9))).encode())
    )
    some = [0, 1, 3, 4, 5, 8, 6]
    (tmp_path / "time.csv").write_text("id,s\n" + "".join(f"{i},{true[i]}\n" for i in some))
    (tmp_path / "t.yaml").write_text("""
title: t
source: s
official: o
file: main.csv
join: [{file: more.csv.gz, by: id}, {file: time.csv, by: id, partial: true}, {file: none.csv, by: id, optional: true}]
genes: [{column: op}, {column: w, ordered: false}]
metrics:
  net.accuracy: {column: acc, unit: "%"}
  "*.latency_s": {column: "ms_*", unit: ms}
  net.train_s: {column: s, unit: 2.0, additive: true}
  net.loss: {column: other}
searches: {net: {full: net.accuracy, test: [net.accuracy]}}
""")
    table = load_table(str(tmp_path / "t.yaml"))
    assert [name for name in table.metrics if "latency" in name] == ["cpu.latency_s", "gpu.latency_s"]
    assert table.metric("cpu").tolist() == pytest.approx([1e-3 * (i + 0.5) for i in range(9)])
    assert np.allclose(table.metric("train_s"), 2 * np.array(true))  # the two that are missing as well
    with pytest.raises(UserError, match=r"none.csv may have it"):
        table.metric("net.loss")
    (tmp_path / "more.csv.gz").write_bytes(gzip.compress(b"id,ms_cpu,ms_gpu\n0,1,1\n"))
    load_table.cache_clear()
    with pytest.raises(UserError, match=r"main.csv: line 3: more.csv.gz has no row with id 1"):
        load_table(str(tmp_path / "t.yaml")).metric("cpu")


def test_matrices_of_npz_files(tmp_path):
    valid = np.array([[0.5, 0.1], [0.6, 0.2]])
    np.savez(tmp_path / "m.npz", code=np.array([[0, 1], [1, 1]]), valid=valid, names=np.array(["x", "y", "z"]))
    (tmp_path / "t.yaml").write_text("""
title: t
source: s
official: o
file: m.npz
rows: valid
genes: [{column: "code[0]", name: op, values: {0: gat, 1: gcn}}, {column: "code[1]"}]
metrics: {"task*.accuracy": {column: "valid[*]"}}
searches: {task1: {full: task1.accuracy, test: [task1.accuracy]}}
""")
    table = load_table(str(tmp_path / "t.yaml"))
    assert table.knobs["op"].values == ("gat", "gcn")
    assert table.metric("task1").tolist() == [0.1, 0.2]


ROWS = "conv,8,90,1\npool,8,80,2\nconv,16,91,3\npool,16,,4\n"


def where(condition, more=""):
    return HEAD.replace("file:", f"where: {condition}\n{more}file:".replace("{", "{{").replace("}", "}}"))


def test_only_the_rows_that_are_asked_for(made):
    table = load_table(made(ROWS, head=where("{op: conv}")))
    assert table.n_rows == 2
    assert table.metric("net.accuracy").tolist() == pytest.approx([0.9, 0.91])
    load_table.cache_clear()
    table = load_table(made(ROWS, head=where("{op: pool, width: 8}")))  # numbers are compared as the file writes them
    assert table.metric("net.latency_s").tolist() == pytest.approx([2e-3])
    load_table.cache_clear()
    with pytest.raises(UserError, match=r"rows.csv: line 5: acc is empty"):  # the line of the file, not of what is left
        load_table(made(ROWS, head=where("{op: pool}"))).metric("net.accuracy")


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("{opp: conv}", r"t.yaml: where.opp: rows.csv has no such column \(did you mean 'op'\?\)"),
        ("{op: con}", r"t.yaml: where.op: rows.csv has no row with 'con' \(did you mean 'conv'\?\)"),
        ("{op: conv, ms: 2}", r"t.yaml: where.ms: rows.csv has no row with 2 \(one of: 1, 3\)"),
        ("[op]", "where"),
    ],
)
def test_rows_that_are_not_there(made, condition, message):
    with pytest.raises(UserError, match=message):
        load_table(made(ROWS, head=where(condition)))


def test_one_file_joined_to_itself_task_by_task(made, tmp_path):
    tasks = "task,op,acc\na,conv,50\na,pool,60\nb,pool,70\nb,conv,80\n"
    join = "join: [{file: tasks.csv, by: op, where: {task: b}, prefix: b_}]\n"
    head = """title: t
source: s
official: the place
file: tasks.csv
{keys}
where: {{task: a}}
JOIN
metrics: {{a.accuracy: {{column: acc, unit: "%"}}, b.accuracy: {{column: b_acc, unit: "%"}}}}
searches: {{a: {{full: a.accuracy, test: [b.accuracy]}}}}
"""
    (tmp_path / "tasks.csv").write_text(tasks)
    doubled = join.replace("{", "{{").replace("}", "}}")
    table = load_table(made("conv,8,1,1\n", "genes: [{column: op}]", head.replace("JOIN", doubled)))
    assert table.metric("a.accuracy").tolist() == pytest.approx([0.5, 0.6])
    assert table.metric("b.accuracy").tolist() == pytest.approx([0.8, 0.7])
    load_table.cache_clear()
    without = doubled.replace("where: {{task: b}}, ", "")
    table = load_table(made("conv,8,1,1\n", "genes: [{column: op}]", head.replace("JOIN", without)))
    with pytest.raises(UserError, match=r"tasks.csv has several rows of one op \(each once, or where:\)"):
        table.metric("b.accuracy")
    load_table.cache_clear()
    wrong = doubled.replace("task: b", "task: c")
    table = load_table(made("conv,8,1,1\n", "genes: [{column: op}]", head.replace("JOIN", wrong)))
    with pytest.raises(UserError, match=r"join\[tasks.csv\].where.task: tasks.csv has no row with 'c'"):
        table.metric("b.accuracy")
