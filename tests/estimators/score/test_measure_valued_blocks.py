"""MeasureValued at choices and at products: exact mean and variance over all that each parameter's sample is made of.

Variances are written down from the laws of both points, with no regard to how these are coupled: x⁺ of choice c is
certain and x⁻ is j with probability p_j/(1 − p_c), the other variables and blocks are as they are drawn.
"""

import itertools
import math

import pytest
import torch
from torch import Tensor

from rllab import Bernoulli, Categorical, Gaussian, Product
from rllab.estimators import MeasureValued
from rllab.estimators.score import weak_derivatives
from tests.proofs.prescribed import bits_as_uniforms, choices_as_uniforms
from tests.proofs.sampling import assert_close, bit, enumerated, moments, panels, product_rule

CHOICES = torch.tensor([[0.5, -1.0, 0.2], [2.0, 0.1, -0.4]], dtype=torch.float64)
LAMPS = torch.tensor([0.4, -1.1], dtype=torch.float64)
REACH = 10.0


def crossed(x: Tensor) -> Tensor:
    """A cost of two choices among three that is not a sum over them."""
    v = torch.tensor([0.3, -1.2, 0.9], dtype=x.dtype)
    return (x[:, :3] @ v + 0.4) * (x[:, 3:] @ v.flip(0)) + x[:, 1]


def lit(x: Tensor) -> Tensor:
    """A cost of two bits and a choice among three, of which none is for itself."""
    v = torch.tensor([0.3, -1.2, 0.9], dtype=x.dtype)
    return (0.5 + x[:, 0] - 2 * x[:, 0] * x[:, 1]) * (x[:, 2:] @ v) + torch.exp(x[:, 1] * x[:, 3]) - x[:, 0]


def replacements(p: Tensor) -> tuple[list[int], list[float], Tensor]:
    """Every choice by p, with both others in its place by a u of each: choices, u and probabilities, for three."""
    chosen, u, weights = [], [], []
    for c in range(3):
        first, second = (j for j in range(3) if j != c)
        chance = float(p[first] / (p[first] + p[second]))
        chosen += [c, c]
        u += [chance / 2, (1 + chance) / 2]
        weights += [float(p[c]) * chance, float(p[c]) * (1 - chance)]
    return chosen, u, torch.tensor(weights, dtype=torch.float64)


def spread(values: list[float], weights: list[float]) -> float:
    v, w = torch.tensor(values, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64)
    assert math.isclose(float(w.sum()), 1)
    return float(w @ (v - w @ v) ** 2)


def choice_variance(f, p: Tensor, c: int, elsewhere: Tensor) -> float:
    """Var p_c (1 − p_c) (f(c, z) − f(j, z)), j ≠ c by p_j/(1 − p_c), z by the weights `elsewhere`; f(j, z) a number."""
    values, weights = [], []
    for j, z in itertools.product([j for j in range(3) if j != c], range(len(elsewhere))):
        values.append(float(p[c] * (1 - p[c])) * (f(c, z) - f(j, z)))
        weights.append(float(p[j] / (1 - p[c]) * elsewhere[z]))
    return spread(values, weights)


def test_two_choices_have_the_exact_mean_and_variance():
    p, hot = torch.softmax(CHOICES, -1), torch.eye(3, dtype=torch.float64)
    (c0, u0, w0), (c1, u1, w1) = (replacements(row) for row in p)
    a, b = (torch.tensor(i) for i in zip(*itertools.product(range(6), range(6)), strict=True))
    x = torch.cat((hot[torch.tensor(c0)[a]], hot[torch.tensor(c1)[b]]), -1)
    u = torch.stack((torch.tensor(u0, dtype=torch.float64)[a], torch.tensor(u1, dtype=torch.float64)[b]), -1)
    at, chosen = Categorical(CHOICES), choices_as_uniforms(x.view(-1, 1, 2, 3).argmax(-1), p)
    drawn = {"sample.uniform": chosen, "other.uniform": u[:, None, :, None]}
    mean, covariance = moments(drawn, w0[a] * w1[b], MeasureValued(), crossed, at, 12)["logits"]

    def f(j: int, k: int) -> float:
        return float(crossed(torch.cat((hot[j], hot[k]))[None]))

    first = [choice_variance(f, p[0], c, p[1]) for c in range(3)]
    second = [choice_variance(lambda j, k: f(k, j), p[1], c, p[0]) for c in range(3)]
    assert_close(mean, enumerated(at, crossed)["logits"].flatten())
    assert_close(covariance.diagonal(), torch.tensor([*first, *second], dtype=torch.float64))


def prove_lamps_and_gear() -> None:
    """Bits and a choice: over the sample of all, the bits' own, and the choice's own with what replaces it."""
    at = Product(lamps=Bernoulli(LAMPS), gear=Categorical(CHOICES[:1]))
    bits, log_q = Bernoulli(LAMPS).support()
    q, p, hot = log_q.exp(), torch.softmax(CHOICES[0], -1), torch.eye(3, dtype=torch.float64)
    own, u, w = replacements(p)
    i, j, k, m = (torch.tensor(t) for t in zip(*itertools.product(range(4), range(3), range(4), range(6)), strict=True))
    weights = q[i] * p[j] * q[k] * w[m]
    own_bits, own_gear = bits_as_uniforms(bits[k]), choices_as_uniforms(torch.tensor(own)[m, None], p)
    drawn = {
        "lamps.uniform": bits_as_uniforms(bits[i])[:, None],
        "gear.uniform": choices_as_uniforms(j[:, None, None], p),
        "sample.uniform": lambda shape: (own_bits if shape[-1] == 2 else own_gear)[None],  # a block's own
        "other.uniform": torch.tensor(u, dtype=torch.float64)[m].view(-1, 1, 1, 1),
    }
    found = moments(drawn, weights, MeasureValued(), lit, at, 10)
    truth = enumerated(at, lit)

    def f(bit: Tensor, gear: int) -> float:
        return float(lit(torch.cat((bit, hot[gear]))[None]))

    lamps = []
    for i, s in enumerate(torch.sigmoid(LAMPS).tolist()):
        values, chances = [], []
        for other, gear in itertools.product((0.0, 1.0), range(3)):
            both = [torch.tensor([v, other] if i == 0 else [other, v], dtype=torch.float64) for v in (1.0, 0.0)]
            values.append(s * (1 - s) * (f(both[0], gear) - f(both[1], gear)))
            o = float(torch.sigmoid(LAMPS[1 - i]))
            chances.append((o if other else 1 - o) * float(p[gear]))
        lamps.append(spread(values, chances))
    gears = [choice_variance(lambda c, z: f(bits[z], c), p, c, q) for c in range(3)]
    for name, variances in (("lamps.logits", lamps), ("gear.logits", gears)):
        assert_close(found[name][0], truth[name].flatten())
        assert_close(found[name][1].diagonal(), torch.tensor(variances, dtype=torch.float64))


def test_a_product_of_bits_and_a_choice_has_the_exact_mean_and_variance():
    prove_lamps_and_gear()


def test_a_product_of_a_number_and_a_bit_has_its_closed_form_moments():
    # f = x² (½ + b), so that the factor of the other block has the moments h₁ and h₂ of ½ + b
    mu, s, chance = 0.9, 0.7, 0.3
    h1, h2 = 0.5 + chance, 0.25 * (1 - chance) + 2.25 * chance
    edges = torch.arange(-REACH, REACH + 1)
    w, v = panels(edges[edges >= 0], 12)
    u, g = panels(edges, 12)
    normal = torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    bits = torch.tensor([0.0, 1.0], dtype=torch.float64), torch.tensor([1 - chance, chance], dtype=torch.float64)
    # the columns of each rule: x, W, M, U, b; what a parameter's sample is not made of is held
    still = torch.full((1,), 0.5, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    rules = {
        "speed.mean": product_rule(still, (w, v * w * torch.exp(-w * w / 2)), still, still, bits),
        "speed.scale": product_rule(still, still, (u, g * u * u * normal), panels([0.0, 1.0], 6), bits),
        "lamp.logits": product_rule((mu + s * u, g * normal), still, still, still, still),
    }
    at, found = Product(speed=Gaussian(torch.tensor([mu], dtype=torch.float64), s), lamp=bit(chance)), {}
    for name, (nodes, weights) in rules.items():
        laws = ((1, "rayleigh"), (2, "maxwell"), (3, "uniform.uniform"))
        drawn = {law: nodes[:, None, i : i + 1] for i, law in laws}
        drawn["normal"] = (nodes[:, None, :1] - mu) / s
        drawn["lamp.uniform"] = drawn["sample.uniform"] = bits_as_uniforms(nodes[:, None, 4:])
        found[name] = moments(drawn, weights, MeasureValued(), lambda t: t[:, 0] ** 2 * (0.5 + t[:, 1]), at, 6)[name]
    q = chance * (1 - chance)
    second, fourth = mu**2 + s**2, mu**4 + 6 * mu**2 * s**2 + 3 * s**4  # E x², E x⁴
    expected = {
        "speed.mean": (2 * mu * h1, 16 * mu**2 / math.pi * h2 - (2 * mu * h1) ** 2),
        "speed.scale": (2 * s * h1, (4 * mu**2 + 8 * s**2) * h2 - (2 * s * h1) ** 2),
        "lamp.logits": (q * second, q**2 * (fourth - second**2)),
    }
    for name, (mean, variance) in expected.items():
        assert_close(found[name][0], mean)
        assert_close(found[name][1], variance)


def broken_rate(right):
    """The constant of a block, twice."""
    return lambda *a: {name: one._replace(constant=2 * one.constant) for name, one in right(*a).items()}


def stands_still(right):
    """The other blocks are those of the first sample in all."""
    return lambda x, own, points: right(x[:, :1].expand_as(x), own, points)


def own_block_as_drawn(right):
    """The block is where it was: the points of its parameters are not put in."""
    return lambda x, own, points: right(x, slice(0, 0), points[..., :0])


@pytest.mark.parametrize(
    ("name", "mistake"), [("_product", broken_rate), ("_with_block", stands_still), ("_with_block", own_block_as_drawn)]
)
def test_a_wrong_product_is_caught(monkeypatch, name, mistake):
    wrong = mistake(getattr(weak_derivatives, name))
    if name == "_product":
        monkeypatch.setitem(weak_derivatives._FAMILIES, Product, wrong)
    else:
        monkeypatch.setattr(weak_derivatives, name, wrong)
    with pytest.raises(AssertionError, match="not close"):
        prove_lamps_and_gear()
