"""How many numbers exist at a time: the largest tensor that any operation makes, and the peak of numpy's arrays."""

import tracemalloc

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rllab import Bernoulli, Categorical, Cost, FromTorch, GaussianMixture, Key, Product
from rllab.distributions.base import PIECE
from rllab.estimators import VIMCO, ImportanceWeighted, ScoreFunction, SumAndSample
from rllab.estimators.base import BLOCK


class Largest(TorchDispatchMode):
    """Keeps the number of elements of the largest tensor that an operation made anew."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for t in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(t, torch.Tensor):
                held = min(t.numel(), t.untyped_storage().size() // t.element_size())  # of an expanded one less
                self.numbers = max(self.numbers, held)
        return made


def largest(estimator, at, evaluations, errors=True):
    """Return the most numbers in one tensor, and the peak of numpy's in numbers of 8 bytes."""
    cost = Cost(lambda x: x[:, 0] * 0.3 + 1)
    with Largest():  # what torch imports at first is not counted
        estimator(cost, at, evaluations=10, key=1)
    with Largest() as seen:
        tracemalloc.start()
        estimator(cost, at, evaluations=evaluations, key=1, errors=errors)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return seen.numbers, peak // 8


MIXTURE = GaussianMixture(torch.zeros(200), torch.linspace(-1, 1, 2_000).view(200, 10), 0.5)  # scores of 4,200 numbers
CHOICES = Categorical(torch.linspace(0, 1, 1_000), "index")
VECTORS = FromTorch(torch.distributions.MultivariateNormal, {"loc": torch.zeros(100), "scale_tril": torch.eye(100)})
SMALL = Product(a=CHOICES, b=Bernoulli(torch.zeros(2)))
CASES = {
    "a mixture of many": (ScoreFunction(), MIXTURE, 26_000, True),
    "a mixture of many, weighed": (ImportanceWeighted(), MIXTURE, 2_000, True),
    "the soft minimum of indices": (VIMCO(), CHOICES, 20_000, True),
    "the soft minimum of indices, the estimate alone": (VIMCO(), CHOICES, 100_000, False),
    "the soft minimum of mixtures": (VIMCO(), MIXTURE, 1_000, True),
    "the soft minimum of a product": (VIMCO(), SMALL, 4_000, True),
    "correlated vectors": (ScoreFunction(), VECTORS, 150, True),
}


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "at", "evaluations", "errors"), CASES.values(), ids=CASES)
def test_scores_of_many_numbers_exist_piece_by_piece(estimator, at, evaluations, errors):
    numbers = sum(value.numel() for value in at.parameters.values())
    assert evaluations * numbers > 2 * PIECE  # all of them at once would be seen
    tensor, arrays = largest(estimator, at, evaluations, errors)
    assert tensor <= max(PIECE, BLOCK)
    assert arrays <= 16 * BLOCK


@pytest.mark.parametrize("at", (MIXTURE, VECTORS, SMALL), ids=("mixture", "vectors", "product"))
def test_sums_by_pieces_are_those_of_all_scores(at):
    double = at.replace(**{name: value.double() for name, value in at.parameters.items()})
    x, noise = double.draw(150, Key(2))
    assert len(list(double.pieces(150))) > 1 or at is SMALL
    w = torch.randn((2, 150), generator=Key(3).generator(), dtype=torch.float64)
    once, twice = double.score_sums(w.numpy(), w.numpy(), x, noise)
    for name, s in double.scores(x, noise).items():
        torch.testing.assert_close(torch.from_numpy(once[name]), torch.einsum("ik,k...->i...", w, s))
        torch.testing.assert_close(torch.from_numpy(twice[name]), torch.einsum("ik,k...->i...", w, s * s))


@pytest.mark.parametrize(
    "at", (CHOICES, SMALL, Bernoulli(torch.tensor([0.4, -1.0]))), ids=("choices", "product", "bits")
)
def test_the_soft_minimum_is_the_same_with_and_without_its_error(at):
    cost = Cost(lambda x: torch.cos(x).sum(-1))
    with_error, alone = (VIMCO()(cost, at, evaluations=3_000, key=1, errors=errors) for errors in (True, False))
    assert alone.standard_error is None and alone.evaluations == with_error.evaluations
    torch.testing.assert_close(alone.value, with_error.value)
    for name, g in with_error.gradient.items():
        torch.testing.assert_close(alone.gradient[name], g, rtol=1e-4, atol=1e-6)


def test_sum_and_sample_makes_no_scores_of_what_it_samples():
    tensor, _ = largest(SumAndSample(), CHOICES, 5_000)
    assert tensor <= BLOCK
