import numpy as np
import pytest

from archip.core.errors import UserError
from archip.ir.workload import workload
from archip.spaces.pruning_spaces import PruningSpaces


def test_shares_are_those_of_the_networks_as_built():
    """Counted here in closed form, there from the operator table, at the size that shares are stated for."""
    space = PruningSpaces(filters=(16, 32), layers=2)
    whole = workload(space.graph({f"keep{i}": 1.0 for i in range(1, 5)}, (3, 32, 32), 10))

    def convolutions(work):
        chosen = [i for i, op in enumerate(work.ops) if op in ("conv", "linear")]
        return sum(int(work.macs_L[i]) for i in chosen), sum(int(work.params_L[i]) for i in chosen)

    macs, weights = convolutions(whole)
    weights -= 10  # biases of the classifier
    rng = np.random.default_rng(0)
    for _ in range(20):
        genes = space.sample(rng)
        found_macs, found_weights = convolutions(workload(space.graph(genes, (3, 32, 32), 10)))
        share, ratio = space.shares(genes)
        assert share == pytest.approx(found_macs / macs)
        assert ratio == pytest.approx((found_macs / (found_weights - 10)) / (macs / weights))
        assert 0.4 <= share <= 0.6


def test_a_band_of_ratios_is_kept():
    space = PruningSpaces(ratio=(1.2, 1.5))
    rng = np.random.default_rng(1)
    ratios = [space.shares(space.sample(rng))[1] for _ in range(20)]
    assert min(ratios) >= 1.2
    assert max(ratios) <= 1.5


@pytest.mark.parametrize("option", [{"keeps": (1.0, 0.5)}, {"macs": (0.6, 0.4)}, {"ratio": (1.0, 1.0)}])
def test_bands_that_hold_nothing_are_refused(option):
    with pytest.raises(UserError, match=next(iter(option))):
        PruningSpaces(**option)
