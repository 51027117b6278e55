"""Modules and graphs with one mistake each; the three-way check on random DAGs must fail every one of them."""

import pytest
from random_graphs import random_graph
from wrong_rules import MUTANTS, wrong

from rllab import backprop as bp


@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_wrong_rule_fails_the_three_way_check(mistake):
    graphs = (random_graph(seed) for seed in range(40))
    with wrong(mistake):
        assert not all(bp.check_graph(graph, *observed).passed for graph, observed in graphs)
