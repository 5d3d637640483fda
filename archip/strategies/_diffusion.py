"""Diffusion over architectures: noise is added to one-hot genes until nothing is left, a network learns the way back.

Variance-exploding: at time t in [0, 1] the noise has the standard deviation sigma(t) = low (high / low)^t. The score,
the gradient of the log density of noised genes, is learnt by denoising; the way back is a corrector step (Langevin) and
a predictor step (Euler-Maruyama of the reverse equation) at each of a row of times, the last one without noise.
Source: Song et al. 2021, arXiv:2011.13456, equations 6, 7 and 30, algorithms 2, 4 and 5; as DiffusionNAG,
arXiv:2305.16943, uses them: a transformer over nodes, attention along the graph, the end is the likeliest kind of each.

Legend: N samples, V nodes (genes), K kinds (values) of a node, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["Diffusion", "Schedule"]

_LOW, _HIGH = 0.1, 5.0  # of the noise, as in the paper
_EARLIEST = 1e-3  # time at which the way back ends
_SNR = 0.16  # signal-to-noise ratio of the corrector
_HEADS = 4

Gradient = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]


@dataclass(frozen=True)
class Schedule:
    """How strong the noise is."""

    low: float = _LOW
    high: float = _HIGH

    def sigma(self, t: Any) -> Any:
        """Standard deviation of the noise at a time."""
        return self.low * (self.high / self.low) ** t

    def rate(self, t: Any) -> Any:
        """g(t): how fast noise is added; g^2 is the slope of sigma^2."""
        return self.sigma(t) * np.sqrt(2 * np.log(self.high / self.low))


class Diffusion:
    """A score network, how it is trained, and how genes are drawn with it.

    Args:
        counts: values of each gene; a gene with fewer than the most has columns that are always 0.
        sees_VV: which node attends to which; all to all where it is None.
    """

    def __init__(self, counts: list[int], hidden: int, layers: int, seed: int, sees_VV: np.ndarray | None = None):
        import torch

        self.schedule, self._counts = Schedule(), counts
        self._draws = torch.Generator().manual_seed(seed)
        self._mask = None if sees_VV is None else torch.as_tensor(~sees_VV.astype(bool))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._net = _net(len(counts), max(counts), hidden, layers)
        kinds = torch.arange(max(counts))
        self.is_kind_VK = kinds < torch.tensor(counts)[:, None]

    def one_hot(self, codes_NV: np.ndarray) -> torch.Tensor:
        """[N, V, K], an inactive gene is all zeros."""
        import torch

        codes = torch.as_tensor(np.asarray(codes_NV))
        return ((codes[..., None] == torch.arange(max(self._counts))) & (codes[..., None] >= 0)).float()

    def noised(self, clean_NVK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(noised, time, noise) at random times."""
        import torch

        t_N = _EARLIEST + (1 - _EARLIEST) * torch.rand(len(clean_NVK), generator=self._draws)
        noise_NVK = torch.randn(clean_NVK.shape, generator=self._draws) * self.is_kind_VK
        return clean_NVK + self.schedule.sigma(t_N)[:, None, None] * noise_NVK, t_N, noise_NVK

    def train(self, codes_NV: np.ndarray, steps: int, batch: int, lr: float) -> list[float]:
        """Denoising score matching (equation 7, weighted by sigma^2); the losses. What is kept is a moving average."""
        import torch

        clean_NVK = self.one_hot(codes_NV)
        optimizer = torch.optim.Adam(self._net.parameters(), lr=lr)
        average = torch.optim.swa_utils.AveragedModel(
            self._net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(1 - 10 / (steps + 10))
        )
        losses = []
        for _ in range(steps):
            rows = torch.randint(len(clean_NVK), (batch,), generator=self._draws)
            noised_NVK, t_N, noise_NVK = self.noised(clean_NVK[rows])
            said_NVK = self.score(noised_NVK, t_N) * self.schedule.sigma(t_N)[:, None, None]
            loss = (((said_NVK + noise_NVK) * self.is_kind_VK) ** 2).sum((1, 2)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update_parameters(self._net)
            losses.append(loss.item())
        self._net.load_state_dict(average.module.state_dict())
        return losses

    def score(self, noised_NVK: torch.Tensor, t_N: torch.Tensor) -> torch.Tensor:
        """Gradient of the log density at a time."""
        sigma_N11 = self.schedule.sigma(t_N)[:, None, None]
        return self._net(noised_NVK / (1 + sigma_N11**2) ** 0.5, sigma_N11.log()[:, 0], self._mask) / sigma_N11

    def sample(self, n: int, steps: int, guidance: Gradient | None = None) -> np.ndarray:
        """[N, V] codes. `guidance` is what is added to the score: of noised genes and times, [N, V, K]."""
        import torch

        shape = (n, *self.is_kind_VK.shape)
        x = self.schedule.high * torch.randn(shape, generator=self._draws) * self.is_kind_VK
        times = torch.linspace(1, _EARLIEST, steps)

        def score(x: torch.Tensor, t: float) -> torch.Tensor:
            t_N = torch.full((n,), t)
            with torch.no_grad():
                own = self.score(x, t_N)
            return (own if guidance is None else own + guidance(x, t_N)) * self.is_kind_VK

        mean = x
        for t in times.tolist():
            noise = torch.randn(shape, generator=self._draws) * self.is_kind_VK
            pull = score(x, t)
            step = 2 * (_SNR * _norm(noise) / _norm(pull)) ** 2  # algorithm 5
            x = x + step * pull + (2 * step) ** 0.5 * noise
            noise = torch.randn(shape, generator=self._draws) * self.is_kind_VK
            rate = float(self.schedule.rate(t))
            mean = x + rate**2 * score(x, t) / steps
            x = mean + rate * noise / steps**0.5
        return mean.masked_fill(~self.is_kind_VK, -torch.inf).argmax(2).numpy()


def _norm(x: torch.Tensor) -> float:
    return float(x.flatten(1).norm(dim=1).mean())


def _net(nodes: int, kinds: int, hidden: int, layers: int) -> Any:
    """A transformer over nodes: what a node is, which node it is, and how strong the noise is."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read, self.place = nn.Linear(kinds, hidden), nn.Parameter(torch.randn(nodes, hidden) * 0.1)
            self.time = nn.Sequential(nn.Linear(1, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
            block = nn.TransformerEncoderLayer(
                hidden, _HEADS, 2 * hidden, 0.0, "gelu", batch_first=True, norm_first=True
            )
            self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
            self.write = nn.Linear(hidden, kinds)

        def forward(self, x: torch.Tensor, log_sigma: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
            h = self.read(x) + self.place + self.time(log_sigma)[:, None]
            return self.write(self.blocks(h, mask))

    return Net()
