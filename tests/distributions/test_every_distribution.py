"""What every distribution promises: torch's log p, its gradient as score, sums of that, and draws of that law."""

import functools
import itertools
import math
import pickle
import pkgutil
from importlib import import_module

import mpmath
import pytest
import torch
from scipy import stats

import rllab
from rllab import (
    Bernoulli,
    Beta,
    Categorical,
    Dirichlet,
    FromTorch,
    Gamma,
    Gaussian,
    GaussianMixture,
    Key,
    Poisson,
    Product,
)
from rllab import distributions as lab
from rllab.distributions import Distribution
from tests.proofs.batches import prove_scores
from tests.proofs.checks import fresh_state
from tests.proofs.score_sums import score_square_sum, score_sum

T = torch.distributions
A = torch.tensor([0.6, 1.0, 3.7], dtype=torch.float64)
B = torch.tensor([2.5, 0.4, 1.3], dtype=torch.float64)
LOGITS = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
PAIR = torch.stack((A, B)), torch.stack((B, A))
SPREAD = torch.tensor([[1.2, 0.0], [-0.7, 0.5]], dtype=torch.float64)


def two(*values):
    """Two problems of parameters."""
    return [torch.stack((v, v.flip(0) * 1.3)) for v in values]


def mixture(logits, loc, scale, validate_args=None):
    """Three normal laws mixed, d times over."""
    return T.MixtureSameFamily(
        T.Categorical(logits=logits, validate_args=validate_args),
        T.Normal(loc, scale, validate_args=validate_args),
        validate_args=validate_args,
    )


def diagonal_mixture(p):
    """Normal laws of vectors mixed."""
    return T.MixtureSameFamily(T.Categorical(logits=p["logits"]), T.Independent(T.Normal(p["mean"], p["scale"]), 1))


def shared_bits(logit, validate_args=None):
    """Three bits with one logit."""
    return T.Bernoulli(logits=logit.expand(*logit.shape[:-1], 3), validate_args=validate_args)


# a distribution, and the same in torch, made of a dict of parameters
CASES = {
    "Gaussian": (Gaussian(A, B), lambda p: T.Normal(p["mean"], p["scale"])),
    "two Gaussians": (Gaussian(*two(A, B)), lambda p: T.Normal(p["mean"], p["scale"])),
    "Bernoulli": (Bernoulli(LOGITS), lambda p: T.Bernoulli(logits=p["logits"])),
    "Categorical": (Categorical(LOGITS), lambda p: T.OneHotCategorical(logits=p["logits"])),
    "Categorical by index": (
        Categorical(torch.stack((LOGITS, A)), "index"),
        lambda p: T.Categorical(logits=p["logits"]),
    ),
    "Poisson": (Poisson(A), lambda p: T.Poisson(p["rate"])),
    "two Poissons": (Poisson(*two(A)), lambda p: T.Poisson(p["rate"])),
    "Gamma": (Gamma(A, B), lambda p: T.Gamma(p["concentration"], p["rate"])),
    "two Gammas": (Gamma(*two(A, B)), lambda p: T.Gamma(p["concentration"], p["rate"])),
    "Beta": (Beta(A, B), lambda p: T.Beta(p["concentration1"], p["concentration0"])),
    "two Betas": (Beta(*two(A, B)), lambda p: T.Beta(p["concentration1"], p["concentration0"])),
    "Dirichlet": (Dirichlet(A), lambda p: T.Dirichlet(p["concentration"])),
    "two Dirichlets": (Dirichlet(*two(B)), lambda p: T.Dirichlet(p["concentration"])),
    "Gaussian mixture": (GaussianMixture(LOGITS[:2], *PAIR), diagonal_mixture),
    "two Gaussian mixtures": (
        GaussianMixture(*two(LOGITS[:2]), torch.stack(PAIR), torch.stack(PAIR[::-1])),
        diagonal_mixture,
    ),
    "Laplace": (FromTorch(T.Laplace, {"loc": A, "scale": B}), lambda p: T.Laplace(p["loc"], p["scale"])),
    "two Laplaces": (
        FromTorch(T.Laplace, dict(zip(("loc", "scale"), two(A, B), strict=True))),
        lambda p: T.Laplace(p["loc"], p["scale"]),
    ),
    "correlated": (
        FromTorch(T.MultivariateNormal, {"loc": A[:2], "scale_tril": SPREAD}),
        lambda p: T.MultivariateNormal(p["loc"], scale_tril=p["scale_tril"]),
    ),
    "two correlated": (
        FromTorch(T.MultivariateNormal, {"loc": torch.stack((A, B))[:, :2], "scale_tril": torch.stack((SPREAD,) * 2)}),
        lambda p: T.MultivariateNormal(p["loc"], scale_tril=p["scale_tril"]),
    ),
    "mixture": (
        FromTorch(mixture, {"logits": torch.stack((A, B)), "loc": torch.stack((B, A)), "scale": torch.stack((A, A))}),
        lambda p: mixture(**p),
    ),
    "shared": (FromTorch(shared_bits, {"logit": LOGITS[:1]}), lambda p: shared_bits(**p)),
    "binomial": (
        FromTorch(functools.partial(T.Binomial, 7), {"logits": A}),
        lambda p: T.Binomial(7, logits=p["logits"]),
    ),
    "torch's Dirichlet": (FromTorch(T.Dirichlet, {"concentration": A}), lambda p: T.Dirichlet(p["concentration"])),
}
NESTED = Product(speed=Gaussian(A, B), choice=Product(gear=Categorical(LOGITS), lamp=Bernoulli(LOGITS[:2])))
PRODUCTS = {
    "nested": NESTED,
    "two products": Product(a=Gamma(*two(A, B)), b=Bernoulli(*two(LOGITS))),
    "finite": Product(gear=Categorical(LOGITS), lamp=Bernoulli(LOGITS[:2]), index=Categorical(A, "index")),
}
ALL = {name: at for name, (at, _) in CASES.items()} | PRODUCTS
against_torch = pytest.mark.parametrize(("at", "as_torch"), CASES.values(), ids=CASES)
every = pytest.mark.parametrize("at", ALL.values(), ids=ALL)


def test_every_exported_distribution_is_tested():
    classes = {v for v in vars(lab).values() if isinstance(v, type) and issubclass(v, Distribution)}
    assert {type(at) for at in ALL.values()} == classes - {Distribution}


def test_every_distribution_is_exported_by_its_line_and_found_at_the_top():
    modules = [import_module(module.name) for module in pkgutil.iter_modules(lab.__path__, f"{lab.__name__}.")]
    there = {kind for module in modules for kind in vars(module).values() if isinstance(kind, type)}
    for kind in there:
        if issubclass(kind, Distribution) and kind.__module__.startswith(lab.__name__) and kind.__name__[0] != "_":
            assert getattr(lab, kind.__name__, None) is getattr(rllab, kind.__name__) is kind


@against_torch
def test_log_p_and_scores_are_torchs(at, as_torch):
    prove_scores(at, as_torch)


@every
def test_sums_are_those_of_the_scores_for_one_weighting_or_several(at):
    x, noise = at.draw(9, Key(6))
    assert x.shape == (9, *at.shape)
    scores = at.scores(x, noise)
    several = torch.randn((2, 3, 9, *at.shape[:-1]), generator=Key(7).generator(), dtype=torch.float64)
    for sums, terms in ((score_sum, scores), (score_square_sum, {n: s.square() for n, s in scores.items()})):
        found = sums(at, several, x, noise)
        assert list(found) == list(at.parameters)
        for name, term in terms.items():
            assert found[name].shape == (2, 3, *at.parameters[name].shape)
            for i in range(2):
                for j in range(3):
                    w = several[i, j]
                    expected = (w.view(*w.shape, *[1] * (term.ndim - w.ndim)) * term).sum(0)
                    torch.testing.assert_close(found[name][i, j], expected, rtol=1e-10, atol=1e-12)
                    one = sums(at, w, x, noise)[name]
                    torch.testing.assert_close(one, expected, rtol=1e-10, atol=1e-12)


@every
def test_draws_come_from_their_key_alone(at):
    before = fresh_state()
    x, _ = at.draw(20, Key(1))
    torch.randn(3)
    again, _ = at.draw(20, Key(1))
    other, _ = at.draw(20, Key(2))
    assert torch.equal(x, again) and not torch.equal(x, other)
    assert fresh_state() != before  # by the randn above; and by that alone:
    state = fresh_state()
    at.draw(20, Key(1))
    at.scores(x, at.noise_of(x))
    assert fresh_state() == state


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("two ")])
def test_the_draws_of_one_problem_do_not_feel_the_parameters_of_another(name):
    at = ALL[name]
    moved = at.replace(**{n: torch.stack((v[0] * 0.3, v[1])) for n, v in at.parameters.items()})
    x, y = (d.draw(2_000, Key(1))[0] for d in (at, moved))  # enough for a rejection that the other does not make
    assert torch.equal(x[:, 1], y[:, 1]) and not torch.equal(x[:, 0], y[:, 0])


@pytest.mark.parametrize("name", [name for name in ALL if not isinstance(ALL[name], FromTorch)])
def test_single_precision_draws_are_the_double_ones_rounded(name):
    at = ALL[name]
    single = at.replace(**{name: v.float() for name, v in at.parameters.items()})
    double = single.replace(**{name: v.double() for name, v in single.parameters.items()})
    (x, noise), (y, exact) = single.draw(100, Key(1)), double.draw(100, Key(1))
    assert x.dtype == torch.float32 and y.dtype == torch.float64
    torch.testing.assert_close(x.double(), y, rtol=1e-5, atol=1e-6)
    for name, s in single.scores(x, noise).items():
        assert s.dtype == torch.float32
        torch.testing.assert_close(s.double(), double.scores(y, exact)[name], rtol=1e-4, atol=1e-5)


def mixed(i):
    """The distribution function of a coordinate of the mixture."""
    p = torch.softmax(LOGITS[:2], 0).tolist()
    return lambda x: sum(p[k] * stats.norm(PAIR[0][k, i], PAIR[1][k, i]).cdf(x) for k in range(2))


LAWS = {
    "Dirichlet": lambda i: stats.beta(A[i], A.sum() - A[i]).cdf,
    "Gaussian mixture": mixed,
    "Gamma": lambda i: stats.gamma(A[i], scale=1 / B[i]).cdf,
    "Beta": lambda i: stats.beta(A[i], B[i]).cdf,
    "Gaussian": lambda i: stats.norm(A[i], B[i]).cdf,
    "Laplace": lambda i: stats.laplace(A[i], B[i]).cdf,
}


@pytest.mark.parametrize("name", LAWS)
def test_continuous_draws_have_their_law(name):
    # Kolmogorov and Smirnov, 1e-9 over all; a shift by 4 % of a standard deviation is found at this many draws
    n = 30_000
    x, _ = ALL[name].draw(n, Key(8))
    for i in range(3):
        assert stats.kstest(x[:, i].numpy(), LAWS[name](i)).pvalue > 1e-9 / 18
        shifted = x[:, i].numpy() + 0.04 * float(x[:, i].std())
        assert stats.kstest(shifted, LAWS[name](i)).pvalue < 1e-3


def test_counts_have_poissons_law():
    # an exact binomial tail for each of the counts 0 … 9 of three rates
    n = 100_000
    x, _ = Poisson(A).draw(n, Key(8))
    for i in range(3):
        for count in range(10):
            seen, p = int((x[:, i] == count).sum()), stats.poisson(float(A[i])).pmf(count)
            assert min(stats.binom.cdf(seen, n, p), stats.binom.sf(seen - 1, n, p)) > 1e-9 / 60


def test_blocks_of_a_product_are_independent_and_drawn_by_name():
    pair = Product(a=Gaussian(A, B), b=Gaussian(A, B))
    x, _ = pair.draw(40_000, Key(3))
    r = torch.corrcoef(x.T)[:3, 3:]
    assert float(r.abs().max()) < 7 / math.sqrt(40_000)  # 9 entries, each N(0, 1/n): 3e-11 in all
    y, _ = Product(b=Gaussian(A, B), a=Gaussian(A, B)).draw(40_000, Key(3))
    assert torch.equal(x[:, :3], y[:, 3:])


def test_the_support_of_a_product_is_every_combination_once():
    at = PRODUCTS["finite"]
    x, log_p = at.support()
    assert at.support_size == len(x) == len(x.unique(dim=0)) == 3 * 4 * 3
    torch.testing.assert_close(log_p, at.log_prob(x), rtol=1e-12, atol=0)
    assert float(log_p.exp().sum()) == pytest.approx(1, rel=1e-13)
    part, log_part = at.support(5, 20)
    assert torch.equal(part, x[5:20]) and torch.equal(log_part, log_p[5:20])
    mean = score_sum(at, log_p.exp(), x, None)
    assert all(float(v.abs().max()) < 1e-15 for v in mean.values())
    assert NESTED.support_size is None
    with pytest.raises(TypeError, match=r"Product.support: not a distribution over finitely many samples"):
        NESTED.support()


def test_parameters_of_a_product_are_called_after_their_block():
    assert list(NESTED.parameters) == ["speed.mean", "speed.scale", "choice.gear.logits", "choice.lamp.logits"]
    moved = NESTED.replace(**{"choice.gear.logits": LOGITS + 1, "speed.mean": A + 2})
    assert torch.equal(moved.parameters["choice.gear.logits"], LOGITS + 1)
    assert torch.equal(moved.parameters["speed.mean"], A + 2) and torch.equal(moved.parameters["speed.scale"], B)


@pytest.mark.parametrize("name", ALL)
def test_repeated_it_is_a_batch_of_the_same(name):
    at = ALL[name]
    if len(at.shape) == 2:
        with pytest.raises(ValueError, match=rf"{type(at).__name__}.repeated: must be of shape \(d,\), no batch, got"):
            at.repeated(3)
        return
    many = at.repeated(4)
    assert type(many) is type(at) and many.shape == (4, *at.shape) and list(many.parameters) == list(at.parameters)
    x, noise = at.draw(5, Key(2))
    several, w = x[:, None].expand(5, 4, *x.shape[1:]), torch.linspace(-1, 2, 5, dtype=torch.float64)
    torch.testing.assert_close(many.log_prob(several), at.log_prob(x)[:, None].expand(5, 4), rtol=1e-12, atol=1e-13)
    sums = score_sum(many, w[:, None].expand(5, 4), several, many.noise_of(several))
    for parameter, one in score_sum(at, w, x, noise).items():
        together = sums[parameter].view(4, *one.shape)
        torch.testing.assert_close(together, one.expand(4, *one.shape), rtol=1e-9, atol=1e-11)


@every
def test_replacing_and_detaching_keep_the_rest(at):
    name, value = next(iter(at.parameters.items()))
    leaf = value.clone().requires_grad_()
    with_leaf = at.replace(**{name: leaf})
    assert type(with_leaf) is type(at) and with_leaf.parameters[name] is leaf and with_leaf.shape == at.shape
    free = with_leaf.detach()
    assert not any(v.requires_grad for v in free.parameters.values())
    assert at.detach() is at
    with pytest.raises(ValueError, match=rf"{type(at).__name__}.replace: .*, got 'sigma'"):
        at.replace(sigma=value)
    copy = pickle.loads(pickle.dumps(at))
    assert torch.equal(copy.draw(3, Key(0))[0], at.draw(3, Key(0))[0])


def test_extreme_shapes_have_finite_scores_of_the_right_mean_and_variance():
    # E s = 0 and Var s = ψ'(α) for Gamma, ψ'(α) − ψ'(α + β) for Beta, 1/λ for Poisson, by z-tests at 1e-9 each: of Beta
    # in the smaller parameter, as in the larger a few draws make all of the mean, and a z-test has no rate: what its
    # score is at a draw is tested below; x itself underflows to 0 for most of the draws at α = 1e-4
    n, small = 40_000, torch.tensor([1e-4, 0.02, 50.0, 1e8], dtype=torch.float64)
    trigamma = functools.partial(torch.polygamma, 1)
    few, many = small[:2], small.flip(0)[:2]
    of_beta = trigamma(few) - trigamma(few + many)
    for at, name, variance in (
        (Gamma(small), "concentration", trigamma(small)),
        (Beta(few, many), "concentration1", of_beta),
        (Beta(many, few), "concentration0", of_beta),
        (Poisson(small[1:]), "rate", 1 / small[1:]),
    ):
        x, noise = at.draw(n, Key(4))
        scores = at.scores(x, noise)
        assert all(torch.isfinite(s).all() for s in scores.values())
        s = scores[name]
        assert ((s.mean(0) / (s.std(0) / math.sqrt(n))).abs() < 6.5).all()
        spread = (s * s).std(0) / math.sqrt(n)
        assert (((s * s).mean(0) - variance).abs() < 7.5 * spread).all()
    assert (Gamma(small).draw(n, Key(4))[0][:, 0] == 0).double().mean() > 0.5


def test_scores_of_extreme_betas_are_exact_at_what_was_drawn():
    small = torch.tensor([1e-4, 0.02, 50.0, 1e8], dtype=torch.float64)
    at = Beta(small, small.flip(0))
    x, noise = at.draw(25, Key(4))
    scores = at.scores(x, noise)
    with mpmath.workdps(60):
        for k, i in itertools.product(range(25), range(4)):
            a, b = mpmath.mpf(float(small[i])), mpmath.mpf(float(small[3 - i]))
            log_x, log_1mx = (mpmath.mpf(float(part[k, i])) for part in noise)
            # of both, the one that is farther from 0 is what was drawn, and the other follows from it
            if log_x < log_1mx:
                log_1mx = mpmath.log(1 - mpmath.exp(log_x))
            else:
                log_x = mpmath.log(1 - mpmath.exp(log_1mx))
            both = mpmath.digamma(a + b)
            exact = {
                "concentration1": log_x - mpmath.digamma(a) + both,
                "concentration0": log_1mx - mpmath.digamma(b) + both,
            }
            for name, value in exact.items():
                got = float(scores[name][k, i])
                assert got == pytest.approx(float(value), rel=1e-12, abs=1e-15 * float(both))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Poisson(torch.tensor([1.0, 0.0])), "Poisson: rate must be positive everywhere, got a minimum of 0.0"),
        (lambda: Poisson(torch.tensor([math.inf])), "Poisson: rate must be finite, got inf"),
        (lambda: Poisson(torch.tensor([1, 2])), "Poisson: rate must be a floating tensor"),
        (lambda: Gamma(-A), "Gamma: concentration must be positive"),
        (lambda: Gamma(A, 0.0), "Gamma: rate must be positive"),
        (lambda: Gamma(A, torch.ones(2)), r"Gamma: rate must broadcast to concentration's shape \(3,\), got \(2,\)"),
        (lambda: Gamma(torch.tensor(math.nan)[None]), "Gamma: concentration must be positive"),
        (lambda: Beta(A, -1.0), "Beta: concentration0 must be positive"),
        (lambda: Gaussian(A, math.inf), "Gaussian: scale must be finite"),
        (lambda: Dirichlet(A - 1), "Dirichlet: concentration must be positive everywhere, got a minimum of -0.4"),
        (lambda: Dirichlet(A[0]), r"Dirichlet: concentration must be a floating tensor \(d,\) or \(B, d\), got \(\)"),
        (lambda: GaussianMixture(LOGITS, A), r"GaussianMixture: mean must be a floating tensor \(K, d\)"),
        (lambda: GaussianMixture(LOGITS, *PAIR), r"GaussianMixture: mean must be \(3, d\) .*, got \(2, 3\)"),
        (lambda: GaussianMixture(LOGITS[:2], PAIR[0].float()), "GaussianMixture: mean must be .* torch.float32"),
        (lambda: GaussianMixture(LOGITS[:2], *PAIR[:1], 0.0), "GaussianMixture: scale must be positive everywhere"),
        (lambda: Product(), "Product: blocks must be one or more distributions by name"),
        (
            lambda: Product(**{"a.b": Poisson(A)}),
            r"Product: names of blocks must have no dot, which parts them from parameters, got \['a.b'\]",
        ),
        (lambda: Product(a=A), "Product: blocks must be one or more distributions by name, got {'a': 'Tensor'}"),
        (lambda: Product(a=Poisson(A), b=Poisson(A.float())), "Product: blocks must have one dtype and device"),
        (lambda: Product(a=Poisson(A), b=Poisson(*two(A))), "Product: blocks must have one batch shape"),
        (lambda: FromTorch(T.Laplace, {"loc": 1.0, "scale": B}), "FromTorch: arguments must be one or more floating"),
        (lambda: FromTorch(T.Laplace, {"loc": A, "scale": -B}), "FromTorch: Expected parameter scale"),
        (
            lambda: FromTorch(T.Laplace, {"loc": torch.stack((A, B)), "scale": B}),
            r"FromTorch: arguments for samples \(2, 3\) must be \(2, ...\)",
        ),
    ],
)
def test_parameters_that_make_no_distribution_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_operation_that_only_the_global_generator_feeds_is_refused():
    class Shuffled(T.Normal):
        def sample(self, sample_shape=()):
            return torch.native_dropout(super().sample(sample_shape), 0.5, True)[0]

    with pytest.raises(
        TypeError, match=r"FromTorch: aten.native_dropout.default can draw from torch's global generator"
    ):
        FromTorch(Shuffled, {"loc": A, "scale": B}).draw(3, Key(0))
