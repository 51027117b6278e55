"""What a module of one's own gets wrong with `out` and with lists of weights, and who says so."""

from typing import Any, ClassVar

import pytest
import torch

from rllab import backprop as bp


class Leaky(bp.Module):
    """max(z, 0) + w min(z, 0); right, unless one of the methods below stands in for its own."""

    shapes: ClassVar = {"a": ()}  # type: ignore[assignment] - a property of the class above

    def _forward(self, z, w, out=None):
        return torch.where(z > 0, z, w[0] * z)

    def _vjp_state(self, v, z, w, y, out=None):
        return torch.where(z > 0, v, w[0] * v)

    def _vjp_weights(self, v, z, w, y, out):
        out[0].copy_((v * z.clamp(max=0)).sum())


def leaky():
    blocks = [
        bp.Block("leaky", Leaky(), ("x",), ("z",)),
        bp.Block("cost", bp.SquaredDistance(), ("z", "y"), ("C",)),
    ]
    graph = bp.Graph(blocks, {"x": False, "y": False}, output="z", cost="C", key=0, dtype=torch.float64)
    return graph, torch.tensor([[0.5, -1.0], [2.0, -0.3], [-0.4, 0.1]]).double(), torch.ones(3, 2).double()


def added(made, out):
    return made if out is None else out.add_(made)


def largest(made, out):
    return made if out is None else torch.maximum(out, made, out=out)


def with_plus(self, v, z, w, y, out):
    out[0] += (v * z.clamp(max=0)).sum()


def in_place_of_its_tensor(self, v, z, w, y, out):
    out[0] = (v * z.clamp(max=0)).sum()


forward, vjp_state = Leaky._forward, Leaky._vjp_state
NOT_OVER_OUT = {
    "_vjp_weights: +=": with_plus,
    "_vjp_weights: add_": lambda self, v, z, w, y, out: out[0].add_((v * z.clamp(max=0)).sum()) and None,
    "_vjp_weights: untouched": lambda self, v, z, w, y, out: None,
    "_vjp_weights: put into the list": in_place_of_its_tensor,
    "_vjp_state: add_": lambda self, v, z, w, y, out=None: added(vjp_state(self, v, z, w, y), out),
    "_vjp_state: maximum": lambda self, v, z, w, y, out=None: largest(vjp_state(self, v, z, w, y), out),
    "_vjp_state: not returned": lambda self, v, z, w, y, out=None: vjp_state(self, v, z, w, y) if out is None else None,
    "_forward: add_": lambda self, z, w, out=None: added(forward(self, z, w), out),
    "_forward: maximum": lambda self, z, w, out=None: largest(forward(self, z, w), out),
    "_forward: what was there": lambda self, z, w, out=None: forward(self, z, w) if out is None else out,
}


@pytest.mark.parametrize("where", NOT_OVER_OUT)
def test_a_check_names_the_method_that_does_not_write_over_what_out_held(where, monkeypatch):
    graph, x, y = leaky()
    assert bp.check_graph(graph, x, y).passed
    method = where.split(":")[0]
    monkeypatch.setattr(Leaky, method, NOT_OVER_OUT[where])
    message = rf"block 'leaky' \(Leaky\): what {method} makes depends on what `out` held .* never add to it"
    with pytest.raises(ValueError, match=message):
        bp.check_graph(graph, x, y)


def test_what_adds_into_out_is_wrong_from_the_third_pass_on_though_the_first_is_right(monkeypatch):
    graph, x, y = leaky()
    right = graph.backward(x, y).weights
    monkeypatch.setattr(Leaky, "_vjp_weights", with_plus)
    graph, *_ = leaky()
    made = [graph.backward(x, y).weights for _ in range(4)]
    torch.testing.assert_close(made[0], right)
    assert not torch.allclose(made[-1], right)  # why the check must see it


def add_lists(self, z, w, out=None):
    return w + z


AS_IF_A_TENSOR = {
    "_vjp_weights: out.copy_": lambda self, v, z, w, y, out: out.copy_((v * z.clamp(max=0)).sum()),
    "_forward: w * z": lambda self, z, w, out=None: w * z,
    "_forward: torch.mul(w, z)": lambda self, z, w, out=None: torch.mul(w, z),
    "_forward: w + z": add_lists,
    "_vjp_state: w.sum()": lambda self, v, z, w, y, out=None: w.sum() * v,
}


@pytest.mark.parametrize("where", AS_IF_A_TENSOR)
def test_weights_or_out_taken_for_one_tensor_are_said_to_be_lists(where, monkeypatch):
    graph, x, y = leaky()
    monkeypatch.setattr(Leaky, where.split(":")[0], AS_IF_A_TENSOR[where])
    message = r"block 'leaky' \(Leaky\) cannot .*; w, and the out of _vjp_weights, are lists with one tensor for each"
    with pytest.raises(ValueError, match=message):
        graph.backward(x, y, variables="x")
    with pytest.raises(ValueError, match=message):
        bp.check_graph(graph, x, y)


def into_out(self, z, w, out: Any = None):
    return out.copy_(forward(self, z, w))


def test_out_taken_for_a_tensor_where_there_is_none_yet_is_said_to_be_none(monkeypatch):
    graph, x, y = leaky()
    monkeypatch.setattr(Leaky, "_forward", into_out)
    with pytest.raises(ValueError, match=r"block 'leaky' .*out is None in a first call of _forward and of _vjp_state"):
        graph.backward(x, y)


def test_a_method_that_fails_only_where_out_is_given_is_named(monkeypatch):
    graph, x, y = leaky()
    monkeypatch.setattr(
        Leaky, "_forward", lambda self, z, w, out=None: forward(self, z, w) if out is None else out.nothing
    )
    with pytest.raises(ValueError, match=r"block 'leaky' \(Leaky\) cannot compute \['z'\] from 'x'"):
        bp.check_graph(graph, x, y)


@pytest.mark.parametrize("times", [1, 2])
def test_a_repeated_module_that_adds_into_out_fails_the_check(times, monkeypatch):
    repeat = bp.Repeat(lambda z: torch.full((len(z),), times), Leaky())
    blocks = [bp.Block("repeat", repeat, ("x",), ("z",)), bp.Block("cost", bp.SquaredDistance(), ("z", "y"), ("C",))]
    graph = bp.Graph(blocks, {"x": False, "y": False}, output="z", cost="C", key=0, dtype=torch.float64)
    _, x, y = leaky()
    assert bp.check_graph(graph, x, y).passed
    monkeypatch.setattr(Leaky, "_vjp_weights", with_plus)
    check = bp.check_graph(graph, x, y)
    assert not check.passed and check.blocks == ("repeat",)
