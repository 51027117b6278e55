"""Implicit paths of Dirichlet and mixture samples with one mistake each; the proof of the right ones must fail them."""

import pytest
import torch

from rllab import Dirichlet, GaussianMixture
from rllab.estimators import ImplicitPathwise
from rllab.estimators.pathwise.gamma_paths import log_derivative
from rllab.estimators.pathwise.mixture_paths import pull_back
from tests.proofs.paths import MIXTURES, prove_drawn_means, prove_mixture, prove_shares


class WeightsPathForgotten(ImplicitPathwise):
    """Samples stay within their component: the weights move nothing."""

    def _along_paths(self, at, noise, g):
        found = super()._along_paths(at, noise, g)
        return found | {"logits": torch.zeros_like(found["logits"])} if isinstance(at, GaussianMixture) else found


class ComponentOfTheSample(ImplicitPathwise):
    """Mean and scale get the whole slope of the component a sample is likeliest from, not shares of it."""

    def _along_paths(self, at, noise, g):
        found = super()._along_paths(at, noise, g)
        if not isinstance(at, GaussianMixture):
            return found
        u = (noise.unsqueeze(-2) - at.mean) / at.scale
        log_joint = torch.log_softmax(at.logits, -1) - (0.5 * u * u + at.scale.log()).sum(-1)
        mine = torch.nn.functional.one_hot(log_joint.argmax(-1), at.logits.shape[-1]).unsqueeze(-1)
        return found | {"mean": mine * g.unsqueeze(-2), "scale": mine * u * g.unsqueeze(-2)}


class ConditioningForgotten(ImplicitPathwise):
    """−∂F_i/p_i of each coordinate's own marginal: right in one dimension only."""

    def _along_paths(self, at, noise, g):
        if not isinstance(at, GaussianMixture):
            return super()._along_paths(at, noise, g)
        each = [
            pull_back(
                GaussianMixture(at.logits, at.mean[..., i : i + 1], at.scale[..., i : i + 1]),
                noise[..., i : i + 1],
                g[..., i : i + 1],
            )
            for i in range(at.mean.shape[-1])
        ]
        by_place = {name: torch.cat([one[name] for one in each], -1) for name in ("mean", "scale")}
        return {"logits": torch.stack([one["logits"] for one in each]).sum(0), **by_place}


class NormalisationForgotten(ImplicitPathwise):
    """∂x_i/∂α_i = x_i r_i, as if the sum of the gamma variables stayed as it is."""

    def _along_paths(self, at, noise, g):
        if not isinstance(at, Dirichlet):
            return super()._along_paths(at, noise, g)
        return {"concentration": torch.softmax(noise, -1) * g * log_derivative(noise, at.concentration)}


class OwnShareOnly(ImplicitPathwise):
    """∂x_i/∂α_i = x_i (1 − x_i) r_i as a beta's, and the other shares stay as they are."""

    def _along_paths(self, at, noise, g):
        if not isinstance(at, Dirichlet):
            return super()._along_paths(at, noise, g)
        x = torch.softmax(noise, -1)
        return {"concentration": x * (1 - x) * g * log_derivative(noise, at.concentration)}


def prove_vectors(estimator):
    prove_mixture(estimator, MIXTURES[3:])


MUTANTS = [
    (prove_mixture, WeightsPathForgotten()),
    (prove_mixture, ComponentOfTheSample()),
    (prove_vectors, ConditioningForgotten()),
    (prove_shares, NormalisationForgotten()),
    (prove_shares, OwnShareOnly()),
    (prove_drawn_means, WeightsPathForgotten()),
    (prove_drawn_means, ConditioningForgotten()),
    (prove_drawn_means, NormalisationForgotten()),
    (prove_drawn_means, OwnShareOnly()),
]


@pytest.mark.parametrize(("proof", "mutant"), MUTANTS, ids=lambda v: getattr(v, "__name__", type(v).__name__))
def test_the_wrong_path_is_caught(proof, mutant):
    with pytest.raises(AssertionError):
        proof(mutant)


def test_forgotten_conditions_are_right_in_one_dimension():
    prove_mixture(ConditioningForgotten(), MIXTURES[:3])
