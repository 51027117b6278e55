"""The real data: sizes, ranges, splits that share nothing, and what is said where scikit-learn is missing."""

import sys

from experiments.common import data

import pytest
import torch


@pytest.mark.parametrize(
    ("name", "shape", "classes"), [("digits", (1797, 64), 10), ("wine", (178, 13), 3), ("breast_cancer", (569, 30), 2)]
)
def test_classes_come_as_whole_numbers_and_measurements_in_double_precision(name, shape, classes):
    samples = getattr(data, name)()
    assert samples.x.shape == shape and samples.x.dtype == torch.float64 and len(samples) == shape[0]
    assert samples.y.dtype == torch.int64 and samples.y.unique().tolist() == list(range(classes)) == [
        *range(samples.classes)
    ]


def test_pixels_are_between_0_and_1_and_both_occur():
    x = data.digits().x
    assert x.min() == 0 and x.max() == 1


def test_the_course_of_diabetes_is_a_column_of_mean_0_and_deviation_1():
    samples = data.diabetes()
    assert samples.x.shape == (442, 10) and samples.y.shape == (442, 1)
    assert abs(samples.y.mean()) < 1e-12 and abs(samples.y.std(correction=0) - 1) < 1e-12


def test_a_split_shares_no_sample_and_loses_none():
    numbered = data.Data(torch.arange(20.0, dtype=torch.float64)[:, None], torch.arange(20))
    train, test = numbered.split(6, key=3)
    assert len(train) == 14 and len(test) == 6
    assert sorted([*train.y.tolist(), *test.y.tolist()]) == list(range(20))
    assert torch.equal(train.x[:, 0].long(), train.y)  # x and y stay together
    assert torch.equal(numbered.split(6, key=3)[1].y, test.y)
    assert not torch.equal(numbered.split(6, key=4)[1].y, test.y)


def test_the_test_samples_are_standardised_by_the_training_samples():
    train = data.Data(torch.tensor([[0.0, 5.0], [4.0, 5.0]], dtype=torch.float64), torch.tensor([0, 1]))
    test = data.Data(torch.tensor([[6.0, 7.0]], dtype=torch.float64), torch.tensor([1]))
    assert train.standardised().x.tolist() == [[-1.0, 0.0], [1.0, 0.0]]  # a column of one value is shifted alone
    assert test.standardised(like=train).x.tolist() == [[2.0, 2.0]]


@pytest.mark.parametrize("samples", [0, 21])
def test_more_samples_than_there_are_are_refused(samples):
    numbered = data.Data(torch.zeros(20, 1), torch.arange(20))
    with pytest.raises(ValueError, match=f"Data: there are 20 samples, {samples} are wanted"):
        numbered.draw(samples, key=0)
    with pytest.raises(ValueError, match="none of 20 samples is left to train with"):
        numbered.split(20, key=0)


def test_a_missing_scikit_learn_is_named_with_the_extra_that_brings_it(monkeypatch):
    data._loaded.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"digits: needs scikit-learn.*\.\[data\]"):
        data.digits()
