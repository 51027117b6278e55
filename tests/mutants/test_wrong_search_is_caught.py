"""Wrong search directions: shaping and selection with one mistake each, which the proofs must fail."""

from dataclasses import dataclass

import pytest
import torch

from rllab.estimators import PGPE, SNES, TopDirections, xNES
from rllab.estimators.search import shaping
from rllab.estimators.search.shaping import utilities, z_scores
from rllab.estimators.search.top_directions import _pairs
from tests.proofs.searching import (
    prove_flat_costs_move_nothing,
    prove_pgpe,
    prove_ranks,
    prove_snes,
    prove_the_best,
    prove_top_directions,
    prove_top_directions_in_blocks,
    prove_utilities,
    prove_xnes,
    prove_z_scores,
)


def ranks_by_order(f):  # equal costs get different ranks
    return f.argsort(0).argsort(0) / (len(f) - 1) - 0.5


def ranks_of_returns(f):
    return shaping.centred_ranks(-f)


def ranks_not_centred(f):
    return shaping.centred_ranks(f) + 0.5


def ranks_over_n(f):
    return shaping.centred_ranks(f) * (len(f) - 1) / len(f)


def ranks_of_all_in_one(f):  # across the batch
    return shaping.centred_ranks(f.flatten()).reshape(f.shape)


def least_rank_of_equals(f):
    n = len(f)
    rows = f.movedim(0, -1).contiguous()
    return (torch.searchsorted(rows.sort(-1).values, rows) / max(1, n - 1) - (n > 1) / 2).movedim(-1, 0).double()


def utilities_not_centred(f):
    return shaping.utilities(f) - 1 / len(f)


def utilities_of_the_worst(f):
    return shaping.utilities(-f)


def utilities_without_one(f):
    n = len(f)
    raw = (torch.tensor(n / 2).log() - torch.arange(1, n + 1).double().log()).clamp_min(0)
    return shaping.by_rank(f, 1 / n - raw / raw.sum())


def the_worst(f, share):
    return shaping.the_best(-f, share)


def the_best_rounded_up(f, share):
    return shaping.the_best(f, min(1.0, share + 1 / len(f)))


def the_best_may_be_none(f, share):
    return shaping.by_rank(f, -(torch.arange(len(f)) < round(share * len(f))).double())


def z_scores_of_a_sample(f):
    return (f - f.mean(0)) / f.std(0)


def z_scores_over_the_variance(f):
    return shaping.z_scores(f) / f.std(0, correction=0)


WRONG = {
    prove_ranks: (
        ranks_by_order,
        ranks_of_returns,
        ranks_not_centred,
        ranks_over_n,
        ranks_of_all_in_one,
        least_rank_of_equals,
    ),
    prove_utilities: (utilities_not_centred, utilities_of_the_worst, utilities_without_one),
    prove_the_best: (the_worst, the_best_rounded_up, the_best_may_be_none),
    prove_z_scores: (z_scores_of_a_sample, z_scores_over_the_variance),
}


@pytest.mark.parametrize(
    ("proof", "shape"),
    [(proof, shape) for proof, shapes in WRONG.items() for shape in shapes],
    ids=lambda f: f.__name__,
)
def test_wrong_shaping_is_caught(proof, shape):
    with pytest.raises(AssertionError):
        proof(shape)


def selected(best_of, spread_of, share_of, guarded=True, pairs=_pairs):
    """TopDirections with steps of its own."""

    @dataclass(frozen=True)
    class Wrong(TopDirections):
        def _shape(self, query, costs):
            plus, minus = pairs(query.units, query.plan.block)
            m, b = query.units, self.top or query.units
            f, opposite = costs[plus], costs[minus]
            kept = best_of(f, opposite).argsort()[:b]
            spread = spread_of(f, opposite, kept)
            half = torch.zeros_like(f)
            half[kept] = self.sigma * m / share_of(m, b) * (f - opposite)[kept] / spread
            if guarded and not spread:
                half = torch.zeros_like(f)
            shaped = torch.empty_like(costs)
            shaped[plus], shaped[minus] = half, -half
            return shaped

    return Wrong


def of_kept(f, opposite, kept):
    return torch.cat((f[kept], opposite[kept])).std(correction=0)


def b_of(m, b):
    return b


def in_one_block(m, block):
    k = torch.arange(m)
    return k, k + m


def test_the_frame_of_these_mutants_is_right():
    right = selected(torch.minimum, of_kept, b_of)
    prove_top_directions(right)
    prove_top_directions_in_blocks(right)
    prove_flat_costs_move_nothing(right)


TOP = {
    "keeps the worst": (prove_top_directions, lambda f, o: -torch.minimum(f, o), of_kept, b_of),
    "by the largest cost of a pair": (prove_top_directions, torch.maximum, of_kept, b_of),
    "by the difference": (prove_top_directions, lambda f, o: -(f - o).abs(), of_kept, b_of),
    "spread of all": (
        prove_top_directions,
        torch.minimum,
        lambda f, o, kept: torch.cat((f, o)).std(correction=0),
        b_of,
    ),
    "spread of a sample": (
        prove_top_directions,
        torch.minimum,
        lambda f, o, kept: torch.cat((f[kept], o[kept])).std(),
        b_of,
    ),
    "spread of differences": (
        prove_top_directions,
        torch.minimum,
        lambda f, o, kept: (f - o)[kept].std(correction=0),
        b_of,
    ),
    "over all directions": (prove_top_directions, torch.minimum, of_kept, lambda m, b: m),
    "divides by nothing": (prove_flat_costs_move_nothing, torch.minimum, of_kept, b_of, False),
    "pairs of one block": (prove_top_directions_in_blocks, torch.minimum, of_kept, b_of, True, in_one_block),
}


@pytest.mark.parametrize("name", TOP)
def test_wrong_selection_is_caught(name):
    proof, *steps = TOP[name]
    with pytest.raises(AssertionError):
        proof(selected(*steps))


def spread_by(parent, **replaced):
    """A search in which some of its steps are others."""
    return dataclass(frozen=True)(type(parent.__name__, (parent,), replaced))


def pgpe_weights(pairs, above):
    def weigh(self, costs):
        z = z_scores(costs.flatten(0, 1)).view_as(costs)
        return pairs(z), above(z.mean(0), costs.shape[1])

    return weigh


def half_difference(z):
    return (z[0] - z[1]) / (2 * z.shape[1])


def without_own(middle, m):
    return (middle - middle.mean(0)) / (m - 1)


SPREADS = {
    "PGPE without the half": (
        prove_pgpe,
        PGPE,
        {"_weigh": pgpe_weights(lambda z: 2 * half_difference(z), without_own)},
    ),
    "PGPE with its own pair in the baseline": (
        prove_pgpe,
        PGPE,
        {"_weigh": pgpe_weights(half_difference, lambda f, m: (f - f.mean(0)) / m)},
    ),
    "PGPE that widens where it should narrow": (
        prove_pgpe,
        PGPE,
        {"_follow": lambda self, spread, c: spread * (1 + self.lr_sigma * c)},
    ),
    "PGPE by Euclid's gradient": (
        prove_pgpe,
        PGPE,
        {"_follow": lambda self, spread, c: spread - self.lr_sigma * c / spread},
    ),
    "SNES without the half": (
        prove_snes,
        SNES,
        {"_follow": lambda self, spread, c: spread * (self.lr_sigma * c).exp()},
    ),
    "SNES by second moments": (
        prove_snes,
        SNES,
        {"_curvature": lambda self, v, s: torch.einsum("k,kd->d", v.abs(), s * s)},
    ),
    "SNES uphill": (prove_snes, SNES, {"_weigh": lambda self, f: (-utilities(f), -utilities(f))}),
    "xNES from the left": (
        prove_xnes,
        xNES,
        {"_follow": lambda self, a, c: torch.linalg.matrix_exp(self.lr_sigma / 2 * c) @ a},
    ),
    "xNES elementwise": (prove_xnes, xNES, {"_follow": lambda self, a, c: a * (self.lr_sigma / 2 * c).exp()}),
    "xNES by the transpose": (prove_xnes, xNES, {"_moved": lambda self, s, a: s @ a}),
}


@pytest.mark.parametrize("name", SPREADS)
def test_wrong_spreads_are_caught(name):
    proof, parent, replaced = SPREADS[name]
    with pytest.raises(AssertionError):
        proof(spread_by(parent, **replaced))


def test_the_frame_of_wrong_spreads_is_right():
    prove_pgpe(spread_by(PGPE, _weigh=pgpe_weights(half_difference, without_own)))
    prove_snes(spread_by(SNES))
    prove_xnes(spread_by(xNES))
