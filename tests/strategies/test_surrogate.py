"""The Gaussian process on a pool against its textbook form, with explicit inverses."""

import numpy as np
import pytest

from archip.strategies import _surrogate
from archip.strategies._surrogate import Kernel, Posterior

RNG = np.random.default_rng(0)
KERNEL = Kernel(np.array([0.3, -0.5, -0.2, -1.0, -2.0, -3.0]))


def groups(n, rng=RNG):
    return [rng.normal(size=(n, 3)), rng.normal(size=(n, 2))]


def textbook(A, B):
    """The kernel written out pair by pair."""
    K = np.zeros((len(A[0]), len(B[0])))
    for i in range(len(A[0])):
        for j in range(len(B[0])):
            for g, (length, amplitude) in enumerate(np.exp(KERNEL.log_P[:4]).reshape(2, 2)):
                r = np.linalg.norm(A[g][i] - B[g][j]) / length
                K[i, j] += amplitude * (1 + 5**0.5 * r + 5 / 3 * r**2) * np.exp(-(5**0.5) * r)
                K[i, j] += np.exp(-2.0) * A[g][i] @ B[g][j]
    return K


@pytest.mark.parametrize("blocks", [[9], [4, 5], [1] * 9])
def test_samples_in_any_blocks_give_the_textbook_posterior(blocks):
    rows, pool, t_N = groups(9), groups(6), RNG.normal(size=9)
    posterior, at = Posterior(KERNEL, pool), 0
    for size in blocks:
        posterior.add([g[at : at + size] for g in rows])
        at += size
    mean, std = posterior.expect(t_N)
    inverse, cross = np.linalg.inv(textbook(rows, rows) + KERNEL.noise * np.eye(9)), textbook(pool, rows)
    np.testing.assert_allclose(mean, cross @ inverse @ t_N, rtol=1e-8)
    variance = np.diag(textbook(pool, pool) - cross @ inverse @ cross.T)
    np.testing.assert_allclose(std**2, variance, rtol=1e-7)


def test_what_is_believed_takes_uncertainty_and_moves_no_mean_and_can_be_taken_back():
    rows, pool, t_N = groups(6), groups(5), RNG.normal(size=6)
    posterior = Posterior(KERNEL, pool)
    posterior.add(rows)
    before = posterior.expect(t_N)
    posterior.add([g[2:3] for g in pool])
    mean, std = posterior.expect(t_N)
    np.testing.assert_allclose(mean, before[0])
    assert std[2] < 0.3 * before[1][2]
    posterior.keep(6)
    np.testing.assert_array_equal(posterior.expect(t_N)[1], before[1])


def test_gradient_of_the_loss_is_that_of_finite_differences():
    rows, t_N = groups(8), RNG.normal(size=8)
    squares = [((g[:, None] - g[None]) ** 2).sum(-1) for g in rows]
    rest = (squares, sum(g @ g.T for g in rows), t_N, np.zeros(6), np.ones(6))
    _, gradient = _surrogate._loss(KERNEL.log_P, *rest)
    for p in range(6):
        step = np.zeros(6)
        step[p] = 1e-5
        up, down = (_surrogate._loss(KERNEL.log_P + sign * step, *rest)[0] for sign in (1, -1))
        assert gradient[p] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-7)


def test_a_fitted_kernel_finds_the_group_that_matters():
    rows = groups(80, np.random.default_rng(1))
    kernel = Kernel.prior(2).fitted(rows, np.sin(2 * rows[1][:, 0]))
    assert kernel.log_P[3] > kernel.log_P[1] + 1  # amplitude of the second group against that of the first
