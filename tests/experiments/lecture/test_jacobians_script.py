"""Explicit products of Jacobians: what they count."""

from experiments.lecture import jacobians

from rllab import Key


def test_numbers_in_jacobians_are_counted_and_every_gradient_is_there():
    graph, x, y = jacobians.network(5, Key(0))
    found = jacobians.explicit(graph, x, y)
    assert found.states == 5 * 2 * 5 * 5  # three layers and two functions, each J and the product down to it
    assert found.weights == 3 * 5 * (5 * 5 + 5)
    assert set(found.gradients) == set(graph.backward(x, y, variables=graph.continuous).by_variable)
    assert jacobians.explicit(graph, x, y, by_weights=False).weights == 0


def test_the_jacobian_by_weights_of_the_lectures_first_layer_is_60_by_36060():
    assert jacobians.jacobian_by_weights(0).shape == (1, 60, 36_060)
