"""Every shipped table against facts that its publication or the folder's README states; needs the data folder."""

import numpy as np
import pytest

from archip.data._table import load_table
from archip.data._table_spec import read_spec, table_names

# table → rows, then (metric, best value to five digits)
FACTS = {
    "accel_nasbench": (5125, ("imagenet_valid.accuracy", 0.67052)),
    "apq": (6567,),
    "bert_bench": (491, ("glue.score", 75.13)),
    "fbnet": (5000,),
    "nas_bench_graph": (26206, ("cora_test", 0.8313), ("citeseer_test", 0.7157), ("arxiv_test", 0.7239)),
    "nas_bench_graph_proteins": (2021,),
    "nas_bench_macro": (6561, ("cifar10_mean", 0.931267)),
    "nats_size": (32768, ("cifar10_test", 0.9365)),
    "nb101": (423624, ("cifar10_test_108", 0.9431758), ("params", 49_979_274)),
    "nb101_sample": (20001,),
    "nb201": (
        15625,
        ("cifar10_test_200", 0.94373),
        ("cifar100_test_200", 0.73513),
        ("in16_test_200", 0.47311),
        ("cifar10_valid_200", 0.91607),
        ("cifar10.params", 1_531_546),
        ("cifar10.macs", 220_119_690),
    ),
    "ofa": (5000,),
    "pooling36": (36, ("baseline", 0.920117)),
    "rnn_nlp": (8794,),
    "spaceevo_mobilew": (205_051,),
    "spaceevo_onnxw": (125_835,),
    "transnas_macro": (
        662,
        ("class_object", 0.4747213),
        ("class_scene", 0.5691182),
        ("room_layout", -0.5627617),
        ("jigsaw", 0.9691978),
        ("segmentsemantic", 0.9504964),
        ("autoencoder", 0.7399139),
        ("normal", 0.6435415),
    ),
}
SLOW = {"nb101", "nb101_sample", "spaceevo_mobilew", "spaceevo_onnxw", "nats_size", "nas_bench_graph", "rnn_nlp"}


def test_every_declaration_reads_and_has_its_facts_here():
    assert table_names() == sorted(FACTS)
    for name in table_names():
        spec, _ = read_spec(name)
        assert spec.official


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in FACTS])
def test_rows_metrics_and_statistics(shared_data, name):
    table = load_table(name)
    n_rows, *best = FACTS[name]
    assert table.n_rows == n_rows
    for metric, value in best:
        assert np.nanmax(table.metric(metric)) == pytest.approx(value, abs=6e-5 * value)
    for metric in table.metrics:
        assert table.metric(metric).shape == (n_rows,)
    for search in table.spec.searches.values():
        early = [] if search.early is None else [search.early.metric, search.early.seconds]
        for metric in [search.full, search.seconds, *search.test, *early]:
            assert metric is None or np.isfinite(table.metric(metric)).all()
    assert np.isfinite(table.statistics_NS).all()
    assert table.statistics_NS.shape == (n_rows, len(table.spec.statistics))
    for alias in table.spec.aliases:
        assert table.metric_name(alias) in table.metrics


def test_nas_bench_201_has_6466_networks_and_its_known_cells(shared_data):
    table = load_table("nb201")
    codes, same = table.keys.codes_NG, table.keys.same_N
    official = table.files.main.numbers("iso_rep").astype(int)  # of the landscape repository, found independently
    assert len(np.unique(same)) == 6466
    assert (same == official).all()
    assert (codes == np.stack([table.files.main.numbers(f"op{i}") for i in range(6)], 1)).all()
    all_skip = int(np.flatnonzero((codes == 1).all(1))[0])
    values = [table.metric(f"{d}_test_200")[all_skip] for d in ("cifar10", "cifar100", "in16")]
    assert (all_skip, values) == (1835, pytest.approx([0.54297, 0.15607, 0.16322], abs=1e-5))
    assert table.metric("raspi4")[:2].tolist() == pytest.approx([10.48198e-3, 54.77740e-3])  # HW-NAS-Bench's notebook


def test_the_fitted_training_time_is_close_where_it_is_known(shared_data):
    """Leave every fifth of the 1,000 timed cells out: the fit on genes predicts them (R2 above 0.98)."""
    table = load_table("nb201")
    known = np.flatnonzero(np.isfinite(table.files.numbers("cifar10_train_time_s_12")))
    assert len(known) == 1000
    from archip.core.encoding import encode_codes

    X = np.column_stack([encode_codes(table.keys.codes_NG, list(table.knobs.values())), np.ones(table.n_rows)])
    y = 0.5 * table.files.numbers("cifar10_train_time_s_12")
    left_out = known[::5]
    weights = np.linalg.lstsq(X[np.setdiff1d(known, left_out)], y[np.setdiff1d(known, left_out)], rcond=None)[0]
    errors = y[left_out] - X[left_out] @ weights
    assert 1 - errors.var() / y[left_out].var() > 0.98
