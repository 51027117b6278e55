"""The experiment on the price of a gradient: what its flag takes."""

from experiments.zeroth_order import dimension

import pytest


@pytest.mark.parametrize("largest", [32, 63, 100, 1000])
def test_numbers_of_parameters_that_would_not_be_probed_are_refused(largest):
    with pytest.raises(ValueError, match=f"--largest must be 64, .*, 128, 256, …, got {largest}"):
        dimension.Config(largest=largest).check()


@pytest.mark.parametrize("largest", [64, 128, 1024])
def test_the_largest_number_of_parameters_is_probed(largest):
    config = dimension.Config(largest=largest)
    config.check()
    assert config.dimensions[-1] == largest
