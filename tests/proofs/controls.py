"""Proofs for learned control variates: exact mean and variance over the noise of z and of z̃ given the sample.

z = l + e and z̃ are functions of two independent logistic numbers e and ẽ = log v − log(1 − v): a product rule in the
two, one panel of which ends where the sample changes, u = 1 − p, stands for all draws of one estimate.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from rllab import Bernoulli, Categorical, Cost, Gaussian
from rllab.estimators import ControlVariateState, Lax, MuProp, Rebar, Relax, ScoreFunction
from rllab.estimators.control_variates import conditional
from rllab.estimators.relaxed.relaxation import perturbed_logits_given
from rllab.keys import Key
from rllab.quality.estimates import repeated
from tests.proofs.prescribed import Prescribed, bits_as_uniforms
from tests.proofs.relaxed import logistic
from tests.proofs.sampling import (
    LOGITS,
    all_outcomes,
    assert_close,
    enumerated,
    knotty,
    path_moments,
    product_rule,
    toy,
    weighted,
)

LOGIT = torch.tensor([1.0], dtype=torch.float64)
PHI = torch.linspace(-1.3, 0.5, 14, dtype=torch.float64)  # of a Relax of 1 bit, hidden = 4: W, a, v, c₀, log τ, none 0


def twice_logistic(logit: float, width: float = 2.0, order: int = 10) -> tuple[Tensor, Tensor, Tensor]:
    """Return nodes e and ẽ and weights, (N,) each."""
    nodes, weights = product_rule(logistic(-logit, width, order), logistic(0.0, width, order))
    return nodes[:, 0], nodes[:, 1], weights


def both_moments(estimator, f, at: Bernoulli, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return mean and variance of an estimate from one sample of one bit, with a state (P,) at every node."""
    e, given, weights = twice_logistic(float(at.logits))
    # z is asked for as (k, B, n), z̃ as (1, k, B, n)
    key = Prescribed({"sample.logistic": e[None, :, None], "given.logistic": given[None, None, :, None]})
    many = repeated(at, len(weights))
    cost, learned = (
        Cost(f, relaxed=True),
        None if state is None else ControlVariateState(state.expand(len(weights), -1)),
    )
    rows = estimator(cost, many, evaluations=estimator.minimum(at), key=key, state=learned).gradient["logits"]
    mean, covariance = weighted(rows, weights)
    return mean[0], covariance[0, 0]


def prove_rebar(estimator) -> None:
    """Over e and ẽ: the true gradient at logit 1 and −0.7, for a square and a wave, at two temperatures and weights."""
    for logit in (1.0, -0.7):
        at = Bernoulli(torch.tensor([logit], dtype=torch.float64))
        for f in (toy(), toy(0.1), lambda x: torch.sin(3 * x[:, 0]) + x[:, 0]):
            for temperature, eta in ((0.5, 1.0), (1.65, -0.6)):
                mean, _ = both_moments(replace(estimator, temperature=temperature, eta=eta), f, at)
                assert_close(mean, enumerated(at, f)["logits"], rtol=1e-7, atol=1e-10)


def prove_rebar_variances(estimator) -> None:
    """The two variances of REBAR that are known at p = ½, t = 0.499, with the mean that goes with them."""
    at = Bernoulli(torch.zeros(1, dtype=torch.float64))
    for temperature, variance in ((0.5, 0.0223), (1.65, 0.0170)):
        mean, got = both_moments(replace(estimator, temperature=temperature), toy(), at)
        assert_close(mean, 5e-4, rtol=1e-7, atol=1e-10)
        assert_close(got, variance, rtol=0, atol=5e-5)
    _, got = both_moments(replace(estimator, eta=0.0), toy(), at)
    assert_close(got, 0.25 * ((0.501**2 + 0.499**2) / 2) ** 2, rtol=1e-8)  # 0.015625, that of f s


def prove_relax(estimator) -> None:
    """Over e and ẽ: the true gradient, whatever φ is and however large."""
    for logit in (1.0, -0.7):
        at = Bernoulli(torch.tensor([logit], dtype=torch.float64))
        for f in (toy(), lambda x: torch.floor(2.5 * x[:, 0]) - 0.3):
            for phi in (PHI, torch.cat((-2 * PHI[:-1], PHI[-1:] / 2))):
                mean, _ = both_moments(replace(estimator, hidden=4, lr=0.0), f, at, phi)
                assert_close(mean, enumerated(at, f)["logits"], rtol=1e-7, atol=1e-9)


def prove_choices(estimator) -> None:
    """Over real draws of a choice among three: (∂z̃/∂l)ᵀ h is what differences of z̃ say, up to what c ignores."""
    del estimator
    logits = torch.tensor([[0.4, -1.1, 0.9]], dtype=torch.float64)
    x, h = torch.eye(3, dtype=torch.float64), torch.tensor([0.7, -0.2, -0.5], dtype=torch.float64).expand(3, 1, 3)
    z = perturbed_logits_given(Categorical(logits), x, 1, Key(3))[0]
    got, step = conditional.pull_back_given(Categorical(logits), x, z, h), 1e-6
    for i in range(3):
        e = step * torch.eye(3, dtype=torch.float64)[i]
        up, down = (perturbed_logits_given(Categorical(logits + s * e), x, 1, Key(3))[0] for s in (1, -1))
        assert_close(got[:, 0, i], ((up - down) / (2 * step) * h).sum((-2, -1)), rtol=1e-7, atol=1e-9)


def prove_lax(estimator) -> None:
    """Over u: mean and scale's gradient of squares and of a jump, whatever w is."""
    w = torch.linspace(-1.1, 0.8, 13, dtype=torch.float64)
    for mu, scale in ((1.0, 1.0), (0.3, 0.7)):
        small = replace(estimator, hidden=4, lr=0.0)
        found = path_moments(small, lambda x: (x[:, 0] - 1.1) ** 2, mu, scale, w)
        assert_close(found["mean"][0], 2 * (mu - 1.1), rtol=1e-8, atol=1e-9)
        assert_close(found["scale"][0], 2 * scale, rtol=1e-8, atol=1e-9)
        # E 1[x > μ + s]: ∂/∂μ = φ(1)/s, and ∂/∂s = φ(1)/s, by the cut between panels at u = 1
        density = math.exp(-0.5) / math.sqrt(2 * math.pi) / scale
        found = path_moments(small, lambda x, c=mu + scale: (x[:, 0] > c).double(), mu, scale, w)
        assert_close(found["mean"][0], density, rtol=1e-8, atol=1e-9)
        assert_close(found["scale"][0], density, rtol=1e-8, atol=1e-9)


def prove_muprop(estimator) -> None:
    """Over all outcomes: the mean of a knotty cost of three bits, and no variance of a linear one."""
    at = Bernoulli(LOGITS)
    many, weights, key = all_outcomes(at, 1)
    rows = estimator(Cost(knotty, relaxed=True), many, evaluations=2, key=key).gradient["logits"]
    assert_close(weights @ rows, enumerated(at, knotty)["logits"])
    line = Cost(lambda x: 0.4 + x @ LOGITS, relaxed=True)
    rows = estimator(line, many, evaluations=2, key=key).gradient["logits"]
    assert_close(weighted(rows, weights)[1], torch.zeros(3, 3), atol=1e-20)


def prove_slope_of_the_square(estimator) -> None:
    """The step that φ takes is along ∂Σĝ²/∂φ, taken here by central differences of the estimates' own rows."""
    at: Bernoulli | Gaussian
    if isinstance(estimator, Lax):
        at, f = Gaussian(torch.tensor([0.3, -0.8], dtype=torch.float64), 0.7), lambda x: (x[:, 0] - 1) ** 2 * x[:, 1]
    else:
        at, f = Bernoulli(torch.tensor([1.0, -0.4], dtype=torch.float64)), lambda x: torch.sin(3 * x[:, 0]) * x.sum(-1)
    cost = Cost(f, relaxed=True)

    def square(values: Tensor) -> float:
        e = estimator(cost, at, evaluations=60, key=1, state=ControlVariateState(values), per_unit=True)
        return sum(float(r.square().sum()) / len(r) for r in e.per_unit.values())

    start = estimator(cost, at, evaluations=60, key=1).state.values
    values = start + 0.3 * torch.linspace(-1, 1.3, len(start), dtype=torch.float64)
    after = estimator(cost, at, evaluations=60, key=1, state=ControlVariateState(values)).state
    got, h = after.optimizer["state"][0]["exp_avg"] / 0.1, 1e-5  # Adam's first moment after one step: 0.1 of the slope
    for i in range(len(values)):
        e = h * torch.eye(len(values), dtype=torch.float64)[i]
        expected = (square(values + e) - square(values - e)) / (2 * h)
        # REBAR's temperature is moved by a secant over e^±0.1, whose error is of the order of 0.1²
        rtol = 0.05 if isinstance(estimator, Rebar) and i == 1 else 1e-6
        assert_close(got[i], expected, rtol=rtol, atol=1e-7)


def prove_nothing_controlled(estimator) -> None:
    """With a control variate of 0 the estimate is, sample by sample, that of the score function at the same samples."""
    at = Bernoulli(torch.tensor([1.0, -0.4, 0.3], dtype=torch.float64))
    cost, off = Cost(knotty, relaxed=True), estimator
    if isinstance(estimator, Rebar):
        off = replace(estimator, eta=0.0)
    query = off.ask(at, 90, 5)
    e = off(cost, at, evaluations=90, key=5, per_unit=True)
    x = torch.cat([block.points[: len(block.points) // query.plan.per_unit] for block in query])
    same = Prescribed({"uniform": bits_as_uniforms(x)})
    plain = ScoreFunction(baseline=None)(cost, at, evaluations=len(x), key=same, per_unit=True)
    torch.testing.assert_close(e.per_unit["logits"], plain.per_unit["logits"], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(e.value, plain.value, rtol=1e-12, atol=1e-12)


def prove_used_as_given(estimator) -> None:
    """The estimate is made with the φ it was given, whether it learns or not, and that φ is still there afterwards."""
    at, cost = Bernoulli(torch.tensor([1.0], dtype=torch.float64)), Cost(toy(0.1))
    state = ControlVariateState(PHI.clone())
    for _ in range(2):
        learning, fixed = (
            replace(estimator, hidden=4, lr=lr)(cost, at, evaluations=20, key=2, state=state) for lr in (0.1, 0.0)
        )
        torch.testing.assert_close(learning.gradient, fixed.gradient, rtol=0, atol=0)
        assert torch.equal(state.values, PHI) and torch.equal(fixed.state.values, PHI)
        assert bool(((learning.state.values - PHI).abs() > 1e-3).any())
        again = replace(estimator, hidden=4, lr=0.1)(cost, at, evaluations=20, key=2, state=learning.state)
        twice = replace(estimator, hidden=4, lr=0.1)(cost, at, evaluations=20, key=2, state=learning.state)
        assert torch.equal(again.state.values, twice.state.values)  # Adam's moments were left alone too


PROOFS = {
    prove_rebar: Rebar(),
    prove_rebar_variances: Rebar(),
    prove_relax: Relax(),
    prove_choices: Relax(),
    prove_lax: Lax(),
    prove_muprop: MuProp(),
    prove_used_as_given: Relax(),
    prove_slope_of_the_square: Relax(hidden=3),
}
