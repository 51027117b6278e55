"""FromTorch: scores of many families of torch.distributions by autograd, what it reads off one, what it refuses."""

import functools
import itertools
import math

import pytest
import torch

from rllab import Cost, FromTorch, Key
from rllab.estimators import VIMCO, ImportanceWeighted, ScoreFunction
from rllab.estimators.base import BLOCK
from tests.proofs.checks import fresh_state
from tests.proofs.score_sums import score_square_sum, score_sum

T = torch.distributions
A = torch.tensor([0.6, 1.0, 3.7], dtype=torch.float64)
B = torch.tensor([2.5, 0.4, 1.3], dtype=torch.float64)
P = torch.tensor([0.8, 0.3, 0.55], dtype=torch.float64)
SPREAD = torch.tensor([[1.2, 0.0], [-0.7, 0.5]], dtype=torch.float64)
WARM = torch.tensor(0.7, dtype=torch.float64)

# what is read off an instance, and what needs a family and its arguments
INSTANCES = {
    "Geometric": T.Geometric(P),
    "Geometric by logits": T.Geometric(logits=B),
    "Cauchy": T.Cauchy(A, B),
    "Chi2": T.Chi2(A),
    "Exponential": T.Exponential(A),
    "FisherSnedecor": T.FisherSnedecor(A, B),
    "Gumbel": T.Gumbel(A, B),
    "HalfCauchy": T.HalfCauchy(A),
    "HalfNormal": T.HalfNormal(A),
    "Kumaraswamy": T.Kumaraswamy(A, B),
    "LogNormal": T.LogNormal(A, B),
    "StudentT": T.StudentT(A + 1, A, B),
    "VonMises": T.VonMises(A, B),
    "Weibull": T.Weibull(A, B),
    "NegativeBinomial": T.NegativeBinomial(A, logits=B),
    "LowRankMultivariateNormal": T.LowRankMultivariateNormal(A[:2], SPREAD[:, :1], B[:2]),
    "InverseGamma": T.InverseGamma(A, B),
    "LogisticNormal": T.LogisticNormal(A, B),
    "Binomial": T.Binomial(7, logits=A),
    "Laplace with one scale": T.Laplace(A, 0.7),
    "one choice": T.Categorical(logits=A),
    "one number": T.Normal(A[0], B[0]),
    "two problems of a vector": T.MultivariateNormal(torch.stack((A, B))[:, :2], scale_tril=torch.stack((SPREAD,) * 2)),
}
MADE = {
    "Multinomial": FromTorch(functools.partial(T.Multinomial, 5), {"logits": A}),
    "RelaxedBernoulli": FromTorch(functools.partial(T.RelaxedBernoulli, WARM), {"logits": A}),
    "RelaxedOneHotCategorical": FromTorch(functools.partial(T.RelaxedOneHotCategorical, WARM), {"logits": A}),
    "OneHotCategorical": FromTorch(T.OneHotCategorical, {"logits": A}),
    "ContinuousBernoulli": FromTorch(T.ContinuousBernoulli, {"probs": P}),
    "Uniform between fixed bounds": FromTorch(
        lambda power, validate_args=None: T.Kumaraswamy(power, torch.ones_like(power), validate_args=validate_args),
        {"power": A},
    ),
    "two problems of Multinomial": FromTorch(functools.partial(T.Multinomial, 5), {"logits": torch.stack((A, B))}),
    "two problems of Geometric": FromTorch(T.Geometric, {"probs": torch.stack((P, P.flip(0)))}),
}
ALL = {name: FromTorch(d) for name, d in INSTANCES.items()} | MADE
every = pytest.mark.parametrize("at", ALL.values(), ids=ALL)


def of_torch(at, parameters):
    return at.family(**parameters, validate_args=True)


@every
def test_scores_are_the_gradients_of_torchs_own_log_prob(at):
    state = fresh_state()
    x, noise = at.draw(6, Key(3))
    assert x.shape == (6, *at.shape) and noise is None and x.dtype == torch.float64
    leaves = {name: v.clone().requires_grad_() for name, v in at.parameters.items()}
    d = of_torch(at, leaves)
    log_p = d.log_prob(x.reshape(6, *d.batch_shape, *d.event_shape)).reshape(6, -1).sum(-1)
    scores = at.scores(x, None)
    torch.testing.assert_close(at.log_prob(x).reshape(6, -1).sum(-1), log_p.detach(), rtol=1e-11, atol=1e-12)
    for k in range(6):
        wanted = torch.autograd.grad(log_p[k], list(leaves.values()), retain_graph=True, materialize_grads=True)
        for (name, leaf), expected in zip(leaves.items(), wanted, strict=True):
            assert scores[name].shape == (6, *leaf.shape)
            torch.testing.assert_close(scores[name][k], expected, rtol=1e-9, atol=1e-11)
    assert fresh_state() == state


@every
def test_sums_are_those_of_the_scores(at):
    x, _ = at.draw(7, Key(4))
    w = torch.randn((7, *at.shape[:-1]), generator=Key(5).generator(), dtype=torch.float64)
    for name, s in at.scores(x, None).items():
        weight = w.view(*w.shape, *[1] * (s.ndim - w.ndim))
        torch.testing.assert_close(score_sum(at, w, x, None)[name], (weight * s).sum(0), rtol=1e-9, atol=1e-11)
        square = score_square_sum(at, w, x, None)[name]
        torch.testing.assert_close(square, (weight * s * s).sum(0), rtol=1e-9, atol=1e-11)


@pytest.mark.slow
@every
def test_scores_have_mean_zero(at):
    # E s = 0 by z-tests, of one draw in each of n problems, whose scores come by one backward pass; the skewness that
    # their rate is counted with, see tests/proofs/alarms.py, holds: the largest, of Student's degrees, is 7.6
    n = 100_000
    if len(at.shape) == 1:
        many = at.repeated(n)
    else:
        many = at.replace(**{name: v.repeat(n, *[1] * (v.ndim - 1)) for name, v in at.parameters.items()})
    x, _ = many.draw(1, Key(6))
    for s in score_sum(many, torch.ones((1, len(x[0])), dtype=torch.float64), x, None).values():
        s = s.reshape(n, -1)  # two problems take turns
        spread = s.std(0).clamp_min(1e-300)
        assert float(((s - s.mean(0)) / spread).pow(3).mean(0).abs().max()) < 10
        assert float((s.mean(0) / (spread / math.sqrt(n))).abs().max()) < 7


@pytest.mark.parametrize("name", INSTANCES)
def test_an_instance_is_the_family_and_arguments_it_was_made_of(name):
    d, at = INSTANCES[name], ALL[name]
    again = of_torch(at, at.parameters)
    assert type(again) is type(d) and again.batch_shape == d.batch_shape and again.event_shape == d.event_shape
    x = at.draw(5, Key(1))[0].reshape(5, *d.batch_shape, *d.event_shape)
    torch.testing.assert_close(again.log_prob(x), d.log_prob(x), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ("one choice", "one number"))
def test_a_single_number_is_a_vector_of_one_for_every_estimator(name):
    at = ALL[name]
    assert at.shape == (1,)
    cost = Cost(lambda x: torch.cos(x[:, 0]) + x[:, 0] ** 2)
    several = [
        ScoreFunction(),
        ScoreFunction("optimal"),
        VIMCO(3),
        ImportanceWeighted(),
        ImportanceWeighted(normalise=True),
    ]
    for estimator, evaluations in itertools.product(several, (300, BLOCK + 30)):  # in one block and in two
        e = estimator(cost, at, evaluations=evaluations, key=2, per_unit=True)
        for parameter, value in at.parameters.items():
            assert e.gradient[parameter].shape == value.shape == e.standard_error[parameter].shape
            assert e.per_unit[parameter].shape[1:] == value.shape
            torch.testing.assert_close(e.per_unit[parameter].mean(0), e.gradient[parameter], rtol=1e-8, atol=1e-11)
    assert FromTorch(T.Categorical, {"logits": torch.stack((A, A))[:, None]}).shape == (2, 1)  # of two problems


@pytest.mark.parametrize("name", [name for name, at in ALL.items() if len(at.shape) == 1])
def test_repeated_it_is_so_many_problems_of_the_same(name):
    at = ALL[name]
    many, x = at.repeated(3), at.draw(4, Key(7))[0]
    assert many.shape == (3, *at.shape)
    together = many.log_prob(x[:, None].expand(4, 3, *at.shape))
    torch.testing.assert_close(together, at.log_prob(x)[:, None].expand(4, 3), rtol=1e-12, atol=1e-13)


def test_an_argument_for_all_outputs_is_repeated_with_them():
    at = FromTorch(T.Laplace, {"loc": A, "scale": B[0]})
    assert at.repeated(2).shape == (2, 3) and at.repeated(2).parameters["scale"].shape == (2, 1)


def test_densities_are_by_what_torchs_support_says():
    measures = {"Geometric": "counting", "one choice": "counting", "LogisticNormal": "simplex", "Cauchy": "length"}
    assert {name: ALL[name].measure for name in measures} == {
        name: (kind,) * ALL[name].shape[-1] for name, kind in measures.items()
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FromTorch(T.Uniform(A, A + B)), "the support must not depend on the arguments, got Uniform"),
        (lambda: FromTorch(T.Uniform, {"low": A, "high": A + B}), "the support must not depend .*, got Uniform"),
        (lambda: FromTorch(functools.partial(T.Uniform, low=A), {"high": A + B}), "the support must not depend"),
        (lambda: FromTorch(T.Pareto(A, B)), "the support must not depend on the arguments, got Pareto"),
        (
            lambda: FromTorch(
                lambda high, validate_args: T.Independent(T.Uniform(0, high, validate_args), 1), {"high": B}
            ),
            "the support must not depend",
        ),
        (lambda: FromTorch(T.Binomial, {"total_count": A.round() + 1, "logits": A}), "the support must not depend"),
        (
            lambda: FromTorch(T.Wishart, {"df": A[2], "scale_tril": SPREAD}),
            r"samples must be numbers or vectors, .*, got batch shape \(\) and event shape \(2, 2\)",
        ),
        (
            lambda: FromTorch(functools.partial(T.LKJCholesky, 3), {"concentration": A[0]}),
            r"samples must be .* event shape \(3, 3\)",
        ),
        (
            lambda: FromTorch(T.Normal(torch.zeros(2, 3, 4), 1.0)),
            r"samples must be .*, got batch shape \(2, 3, 4\) and event shape \(\)",
        ),
        (
            lambda: FromTorch(T.MultivariateNormal(torch.zeros(2, 3, 4), torch.eye(4))),
            r"samples must be .*, got batch shape \(2, 3\) and event shape \(4,\)",
        ),
        (lambda: FromTorch(T.Laplace, {"loc": A}), ".*missing 1 required positional argument: 'scale'"),
        (lambda: FromTorch(T.Laplace, {"loc": A, "scale": B[:2]}), "The size of tensor a"),
        (lambda: FromTorch(T.Laplace), "arguments must be one or more floating tensors by name, got None"),
        (lambda: FromTorch(T.Laplace, [A, B]), "arguments must be one or more floating tensors by name, got"),
        (lambda: FromTorch(T.Laplace(A, B), {"loc": A}), "arguments must be None beside a distribution that has them"),
        (
            lambda: FromTorch(T.Multinomial(5, logits=A)),
            "Multinomial does not tell what it was made of; give family and arguments",
        ),
        (lambda: FromTorch(T.Independent(T.Normal(A, B), 1)), "Independent does not tell what it was made of"),
        (lambda: FromTorch(T.ContinuousBernoulli(P, lims=(0.4, 0.6))), "ContinuousBernoulli does not tell"),
    ],
)
def test_what_has_no_score_of_use_is_refused(make, message):
    with pytest.raises(ValueError, match=f"FromTorch: {message}"):
        make()


def test_the_fixed_argument_of_a_family_may_bound_its_support():
    at = FromTorch(functools.partial(T.Binomial, A.round() + 1), {"logits": A})
    assert score_sum(at, torch.ones(3).double(), at.draw(3, Key(0))[0], None)["logits"].shape == (3,)
