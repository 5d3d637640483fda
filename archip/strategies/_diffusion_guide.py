"""The guide of a diffusion model: it predicts what noised networks are worth, and its gradient leads to better ones.

Source: DiffusionNAG, An et al. 2024, arXiv:2305.16943, section 3.2 (a predictor of noised networks and times).

Legend: N samples, V genes, K values of a gene.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from archip.strategies._diffusion import Diffusion

if TYPE_CHECKING:
    import torch

__all__ = ["Guide"]


class Guide:
    """Predicts standardised answers of noised networks; its gradient leads to networks of a high answer.

    Args:
        steps: of Adam, each on all samples with new noise.
    """

    def __init__(self, model: Diffusion, steps: int, hidden: int = 64) -> None:
        import torch
        from torch import nn

        self._model, self._steps = model, steps
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            width = model.is_kind_VK.numel() + 1
            self._net = nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
                                      nn.Linear(hidden, 1))  # fmt: skip
        self._target, self._error = 0.0, 1.0

    def train(self, codes_NV: np.ndarray, y_N: np.ndarray) -> None:
        """Squared error at random times; what it is at the end is how sure the guide is."""
        import torch

        t_N = torch.as_tensor((y_N - y_N.mean()) / (y_N.std() or 1.0)).float()
        clean_NVK = self._model.one_hot(codes_NV)
        optimizer = torch.optim.AdamW(self._net.parameters(), lr=5e-3, weight_decay=0.1)
        losses = []
        for _ in range(self._steps):
            noised_NVK, times_N, _ = self._model.noised(clean_NVK)
            loss = ((self._said(noised_NVK, times_N) - t_N) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        self._target, self._error = float(t_N.max()), float(np.mean(losses[-20:])) + 1e-3

    def expects(self, codes_NV: np.ndarray) -> np.ndarray:
        """[N] of networks without noise."""
        import torch

        with torch.no_grad():
            return self._said(self._model.one_hot(codes_NV), torch.zeros(len(codes_NV))).numpy()

    def towards(self, weight: float) -> Any:
        """Gradient of the log density of the best answer so far, given a noised network (a normal distribution)."""
        import torch

        def gradient(noised_NVK: torch.Tensor, t_N: torch.Tensor) -> torch.Tensor:
            x = noised_NVK.detach().requires_grad_()
            fit = -((self._target - self._said(x, t_N)) ** 2).sum() / (2 * self._error)
            return weight * torch.autograd.grad(fit, x)[0]

        return gradient

    def _said(self, noised_NVK: torch.Tensor, t_N: torch.Tensor) -> torch.Tensor:
        import torch

        sigma_N1 = self._model.schedule.sigma(t_N)[:, None]
        scaled = noised_NVK.flatten(1) / (1 + sigma_N1**2) ** 0.5
        return self._net(torch.cat([scaled, sigma_N1.log()], 1))[:, 0]
