"""Descent: step down the gradient of all samples, of one, or of a few; and a ledger of what that costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rllab.backprop.batches import Order, TakenSamples, minibatches
from rllab.backprop.gradients import Gradients
from rllab.backprop.graph import Graph
from rllab.checks import check_count
from rllab.keys import Key
from rllab.warned import warn

Eta = float | Tensor | Callable[[Tensor], Tensor]


def step(w: Tensor, g: Tensor, eta: Eta) -> Tensor:
    """Return w − ηg (d,) for weights and gradient (d,).

    Args:
        eta: η, a number, a number for each weight (d,), a matrix (d, d), or a function g ↦ ηg (L27). With a positive
            definite matrix a small step goes down, though not the steepest way (L28, L29).
        w: weights (d,).
        g: gradient (d,).

    Returns:
        The weights after the step, (d,).

    Raises:
        ValueError: the shapes do not fit, or a number is not finite.

    Example:
        import torch
        from rllab import backprop as bp

        print(bp.step(torch.ones(2), torch.tensor([1.0, 2.0]), 0.1))
    """
    if g.shape != w.shape:
        raise ValueError(f"step: g must be shaped as w, {tuple(w.shape)}, got {tuple(g.shape)}")
    if isinstance(eta, Tensor) and eta.ndim == 2 and eta.shape == (*w.shape, *w.shape):
        return w - eta @ g
    if callable(eta) and not isinstance(eta, Tensor):
        change = eta(g)
        if not isinstance(change, Tensor) or change.shape != w.shape:
            raise ValueError(f"step: eta(g) must be a tensor {tuple(w.shape)}, got {_shown(change)}")
        return w - change
    if isinstance(eta, Tensor):
        if eta.shape not in ((), w.shape):
            raise ValueError(f"step: eta must be a number, {tuple(w.shape)} or a square matrix, got {_shown(eta)}")
    elif type(eta) not in (int, float) or not math.isfinite(eta):
        raise ValueError(f"step: eta must be a finite number, a tensor or a function, got {eta!r}")
    return w - eta * g


def extragradient(w: Tensor, field: Callable[[Tensor], Tensor], eta: Eta) -> Tensor:
    """Return w − ηF(w − ηF(w)), a step towards a point where F vanishes and no cost need fall (L20).

    Args:
        field: F, for min_x max_y f(x, y) the pair (∂f/∂x, −∂f/∂y). It is called twice.
        eta: η, as in `step`.
        w: weights (d,).

    Returns:
        The weights after the step, (d,).

    Source: Korpelevich (1976), "The extragradient method for finding saddle points and other problems".

    Example:
        import torch
        from rllab import backprop as bp

        saddle = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])  # of xy: min over x, max over y
        bp.extragradient(torch.ones(2), lambda w: saddle @ w, 0.1)
    """
    return step(w, field(step(w, field(w), eta)), eta)


@dataclass
class FitHistory:
    """What a fit did.

    Attributes:
        weights: the weights reached (d,).
        steps: updates made.
        sample_gradients: gradients of single samples spent, those of an abandoned last step included.
        sample_losses: losses of single samples evaluated to look at the fit, which are not among the former.
        counts: sample-gradients spent before each look, the first at 0.
        losses: mean loss at each look; the last is not finite if the fit diverged.
        path: weights at each look (looks, d), if they were kept.

    Example:
        import torch
        from rllab import backprop as bp

        x, net = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)), bp.linear(2)
        history = bp.fit(net, x, x.sum(1, keepdim=True), sample_gradients=500, eta=0.1, key=0)
        history.counts, history.losses
    """

    weights: Tensor
    steps: int
    sample_gradients: int
    sample_losses: int
    counts: list[int]
    losses: list[float]
    path: Tensor | None

    def reached(self, loss: float) -> int | None:
        """Return the sample-gradients spent at the first look at which the loss was at most `loss`; None if at none."""
        return next((n for n, value in zip(self.counts, self.losses, strict=True) if value <= loss), None)


def fit(
    graph: Graph,
    x: Tensor,
    y: Tensor,
    *,
    sample_gradients: int,
    key: Key | int,
    batch: int | None = 1,
    eta: Eta | None = None,
    optimizer: Callable[[list[Tensor]], torch.optim.Optimizer] | None = None,
    order: Order = "independent",
    look: int | None = None,
    on: tuple[Tensor, Tensor] | None = None,
    stop: float | None = None,
    keep_path: bool = False,
) -> FitHistory:
    """Minimise the mean loss of the samples x, y, from the graph's weights on, which stay as they are.

        batch         w ← w − η ∂L(S, w)/∂w               P sample-gradients a step                         (L25, L45)
        stochastic    w ← w − η ∂L(x_p, y_p, w)/∂w        1, p drawn uniformly                              (L26)
        mini-batch    w ← w − η/B Σ_p∈batch ∂L_p/∂w       B                                                 (L50)

    Momentum, Adam and L-BFGS are those of torch.optim. One sample-gradient is the gradient of one sample's cost; a
    batch of B costs B of them.

    Args:
        graph: what is fitted; its weights are the start.
        x, y: the samples, first dimension first, as the graph takes them.
        key: of how samples are drawn.
        sample_gradients: what may be spent; the fit ends before a gradient that would exceed it.
        batch: samples a step, None for all of them.
        eta: step size of `step`; or instead
        optimizer: called with the list of parameters, as functools.partial(torch.optim.Adam, lr=0.01); one that asks
            for several gradients a step, as L-BFGS does, is charged for each.
        order: how batches are drawn, see `minibatches`.
        look: sample-gradients between looks at the loss, by default as many as there are samples. There is a look at
            the start and one at the end. A loss that is not finite ends the fit with a warning: it diverged.
        on: samples x, y of which the loss is looked at, those of the fit by default.
        stop: a loss at which the fit ends.
        keep_path: keep the weights of every look.

    Returns:
        A `FitHistory`: the weights reached, what was spent, and the losses on the way.

    Raises:
        TypeError, ValueError: arguments do not fit, or the budget is below one step.
        FloatingPointError: the loss is not finite at the start, where nothing has been learned yet.

    Source: LeCun (2020), NYU Deep Learning, week 2.

    Example:
        import torch
        from rllab import backprop as bp

        x = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
        history = bp.fit(bp.linear(1), x, 2 * x, sample_gradients=400, eta=0.05, key=0)
        print(history.weights, history.losses[-1])
    """
    size = len(x) if batch is None else batch
    look = len(x) if look is None else look
    _check_fit(x, y, size, sample_gradients, look, eta, optimizer)
    shown = (x, y) if on is None else on
    batches = None if batch is None else minibatches(len(x), size, order=order, key=key)
    w = graph.weights.detach().clone()  # one tensor throughout, so that passes over the graph are made again in place
    leaf = w.detach().requires_grad_()  # the same numbers, for an optimiser
    stepper = None if optimizer is None else optimizer([leaf])
    history, path, due = FitHistory(w, 0, 0, 0, [], [], None), [], 0
    before, take = w.clone(), TakenSamples(x, y)
    last: dict[int, Gradients] = {}  # for each size of a batch: that of an epoch's last one may be another

    def gradients(chosen: tuple[Tensor, Tensor]) -> Gradients:
        n = len(chosen[0])
        if history.sample_gradients + n > sample_gradients:
            raise _BudgetSpent
        history.sample_gradients += n
        last[n] = graph.backward(*chosen, weights=w, out=last.get(n))
        return last[n]

    def closure() -> float:
        g = gradients(chosen)
        leaf.grad = g.weights
        return float(g.loss)

    while True:
        if history.sample_gradients >= due:
            _look(history, path if keep_path else None, graph, shown, w)
            due = history.sample_gradients + look
            if not math.isfinite(history.losses[0]):
                raise FloatingPointError(
                    f"fit: the loss of the samples looked at must be finite at the graph's weights, got "
                    f"{history.losses[0]}"
                )
            if not math.isfinite(history.losses[-1]) or (stop is not None and history.losses[-1] <= stop):
                break
        chosen = (x, y) if batches is None else take(next(batches))
        before.copy_(w)
        try:
            if eta is not None:
                _consume_gradient(w, gradients(chosen).weights, eta)
            elif stepper is not None:
                stepper.step(closure)
        except _BudgetSpent:
            w.copy_(before)  # an optimiser may have stopped in the middle of a step
            if history.sample_gradients > history.counts[-1]:
                _look(history, path if keep_path else None, graph, shown, w)
            break
        history.steps += 1
    history.path = torch.stack(path) if keep_path else None
    if not math.isfinite(history.losses[-1]):
        warn(
            f"fit: the loss is {history.losses[-1]} after {history.sample_gradients} sample-gradients: it diverged; "
            "take a smaller eta, or a smaller lr of the optimizer",
            RuntimeWarning,
        )
    return history


def _consume_gradient(w: Tensor, g: Tensor, eta: Eta) -> None:
    """Put w − ηg in the place of w, and write over g."""
    if type(eta) in (int, float) and math.isfinite(eta):  # type: ignore[arg-type] - a number
        w.sub_(g.mul_(eta))  # type: ignore[arg-type] - a number
    else:
        w.copy_(step(w, g, eta))


class _BudgetSpent(Exception):
    """The next gradient would cost more than is left."""


@torch.no_grad()
def _look(
    history: FitHistory, path: list[Tensor] | None, graph: Graph, shown: tuple[Tensor, Tensor], w: Tensor
) -> None:
    history.counts.append(history.sample_gradients)
    history.losses.append(float(graph.loss_per_sample(*shown, weights=w).mean()))
    history.sample_losses += len(shown[0])
    if path is not None:
        path.append(w.clone())


def _check_fit(x: Tensor, y: Tensor, size: int, budget: int, look: int, eta: object, optimizer: object) -> None:
    if len(x) != len(y) or not len(x):
        raise ValueError(f"fit: x and y must hold as many samples, at least one, got {len(x)} and {len(y)}")
    if (eta is None) == (optimizer is None):
        raise ValueError(f"fit: needs eta or an optimizer, and not both, got {eta!r} and {optimizer!r}")
    check_count("fit", batch=size, sample_gradients=budget, look=look)
    if budget < size:
        raise ValueError(f"fit: sample_gradients must pay for one step of {size}, got {budget}")


def _shown(value: object) -> str:
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
