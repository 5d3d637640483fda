"""Training-free scores of RNNs and transformers: hidden covariance for the one, little beyond size for the other.

Spearman's correlations of the published scores with the published results, on all networks of both benchmarks; and
whether leaving out half of a space beats ranking all of it by a score. Recurrent cells: correlation with minus the
loss on Penn Treebank. Transformers: with the mean of GLUE.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from archip.data._table import Table, load_table
from claims._claim import Observed, data_file

EXPECTED = """
RNN cells (8,794): layer-1 hidden covariance 0.524, layer-2 0.457, layer-3 0.367, Jacobian cosine of more noise 0.417,
Jacobian cosine 0.398, activation distance 0.338, Jacobian covariance 0.005, synaptic saliency -0.183, each within
0.001, and no score above layer-1 hidden covariance. Transformers (500): head confidence 0.716, parameters 0.652,
activation distance 0.331, saliency 0.281, each within 0.001, Jacobian -0.07 within 0.005, and no score but head and
softmax confidence above the parameters. Space pruning: keeping networks of 4 layers lifts the mean of GLUE from 68.9 to
71.7 with the best, 75.1, kept; each within 0.05.
"""
SOURCE = """
Serianni and Kalita 2023, arXiv:2306.00288 (ACL), tables of RNN and BERT scores; figures from the card "Training-free
Neural Architecture Search for RNNs and Transformers", whose author computed them from the published data.
"""

_RNN = {
    "layer_1_hidden_covariance": 0.524,
    "layer_2_hidden_covariance": 0.457,
    "layer_3_hidden_covariance": 0.367,
    "more_noised_jacobian_cosine": 0.417,
    "jacobian_cosine": 0.398,
    "activation_distance": 0.338,
    "jacobian_covariance": 0.005,
    "synaptic_saliency": -0.183,
}
_BERT = {
    "zc_head_confidence": 0.716,
    "zc_number_of_parameters": 0.652,
    "zc_activation_distance": 0.331,
    "zc_synaptic_saliency": 0.281,
    "zc_jacobian_score": -0.07,
}
_PRUNING = (68.9, 71.7, 75.1, 75.1)  # mean of all, of 4 layers; best of all, of 4 layers


def check() -> Observed:
    for file in ("rnn_nlp_zc.csv.gz", "bert_bench.csv.gz"):
        data_file(file)
    rnn, bert = load_table("rnn_nlp"), load_table("bert_bench")
    of_rnn = _correlations(rnn, -rnn.files.numbers("loss"), {"model_id", "loss", "perplexity", "bits_per_word"})
    glue_N = bert.files.numbers("score_glue")
    scores = {name for name in bert.files.names if name.startswith("zc_")}
    of_bert = _correlations(bert, glue_N, set(bert.files.names) - scores)
    above_size = {name for name, rho in of_bert.items() if rho > of_bert["zc_number_of_parameters"]}
    deep_N = bert.files.numbers("n_layers") == 4
    pruning = (glue_N.mean(), glue_N[deep_N].mean(), glue_N.max(), glue_N[deep_N].max())
    off = [abs(of_rnn[name] - rho) <= 0.001 for name, rho in _RNN.items()]
    off += [abs(of_bert[n] - rho) <= (0.005 if "jacobian" in n else 0.001) for n, rho in _BERT.items()]
    off += [abs(seen - published) <= 0.05 for seen, published in zip(pruning, _PRUNING, strict=True)]
    best = max(of_rnn, key=lambda name: of_rnn[name])
    holds = all(off) and best == "layer_1_hidden_covariance" and all("confidence" in name for name in above_size)
    text = f"""
    RNN: {_listed(of_rnn, _RNN)}; best of all: {best}. Transformers: {_listed(of_bert, _BERT)}; above the parameters:
    {", ".join(sorted(above_size)) or "none"}. GLUE {pruning[0]:.2f} on average, {pruning[1]:.2f} with 4 layers; best
    {pruning[2]:.2f} and {pruning[3]:.2f}.
    """
    return Observed(holds, text)


def _correlations(table: Table, goal_N: np.ndarray, leave_out: set[str]) -> dict[str, float]:
    """Score → Spearman's correlation with the goal, over the networks that have both."""
    found = {}
    for name in table.files.names:
        if name in leave_out:
            continue
        score_N = table.files.numbers(name)
        known_N = np.isfinite(score_N) & np.isfinite(goal_N)
        found[name] = float(np.corrcoef(rankdata(score_N[known_N]), rankdata(goal_N[known_N]))[0, 1])
    return found


def _listed(found: dict[str, float], names: dict[str, float]) -> str:
    return ", ".join(f"{name.removeprefix('zc_')} {found[name]:.4f}" for name in names)
