"""What does the chain rule through modules cost, beside autograd, a chain written for one net, and the bare products?

One step is the average cross-entropy of a fully connected ReLU net on one batch and its gradient with respect to all
weights, in float32. `autograd` is torch's, over `nn.Linear`s. `chain` is what one would write by hand for this very net
and shapes: no modules, no graph, every buffer made beforehand; `products` are its matrix products alone, into
buffers, the floor under all. `rllab` is the default call, `graph.backward(x, y)`, whose result is a copy of its own;
`rllab, x too` adds `variables="x"`; `rllab, new tensors` is the default call with weights and inputs that are other
tensors every time; `rllab, out` is `graph.backward(x, y, out=g)`, which writes over an earlier result, and
`rllab, out, new tensors` both. CPU time of one thread; all take turns, and a ratio is the median over rounds of two
times of one round, so that the machine's other work cancels.

    python experiments/benchmarks/backprop.py                  prints, and writes backprop.md beside this file
    python experiments/benchmarks/backprop.py --rounds 51 --out other.md
"""

from collections.abc import Callable
from functools import partial
from itertools import cycle, pairwise

from experiments.benchmarks.timing import Flags, Page, goal, main, make, microseconds, ratio, take_turns

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rllab import backprop as bp

Step = Callable[[], Tensor]  # returns the gradient of all weights, flat
SHAPES = [((784, 256, 256, 10), 128), ((784, 256, 256, 10), 1), ((4, 64, 64, 2), 32), ((256,) * 9, 256)]
# candidate, beside which other, widths and batch it is meant for, and at most what ratio
WIDE = [SHAPES[0], SHAPES[3]]
GOALS = [
    ("rllab", "autograd", [SHAPES[0]], 1.00),
    ("rllab", "autograd", [SHAPES[1]], 0.55),
    ("rllab", "autograd", [SHAPES[2]], 0.45),
    ("rllab, out", "autograd", [SHAPES[0]], 0.80),
    ("rllab, out", "autograd", SHAPES[1:3], 0.40),
    ("rllab, out", "products", WIDE, 1.10),
    ("rllab, out", "chain", SHAPES, 1.05),
]


def problem(sizes: tuple[int, ...], n: int) -> tuple[bp.Graph, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return bp.mlp(sizes), torch.randn(n, sizes[0], generator=g), torch.randint(sizes[-1], (n,), generator=g)


def autograd(sizes: tuple[int, ...], n: int) -> Step:
    graph, x, y = problem(sizes, n)
    layers: list[nn.Module] = []
    for k, (i, o) in enumerate(pairwise(sizes)):
        layer, w = nn.utils.skip_init(nn.Linear, i, o), graph.weights_of(f"linear{k + 1}")
        layer.load_state_dict(w)
        layers += [layer, nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    parameters = list(net.parameters())

    def step() -> Tensor:
        net.zero_grad()
        F.cross_entropy(net(x), y).backward()
        return parameters[0]

    step.gradient = lambda: torch.cat([p.grad.flatten() for p in parameters])  # type: ignore[attr-defined, union-attr]
    return step


def chain(sizes: tuple[int, ...], n: int) -> Step:
    """By hand for this net: z_k = max(z_k−1 W_kᵀ + b_k, 0) in one place, back with both factors of every product."""
    graph, x, y = problem(sizes, n)
    depth, flat = len(sizes) - 1, torch.zeros_like(graph.weights)
    w = [graph.weights_of(f"linear{k + 1}") for k in range(depth)]
    g = [graph.weights_of(f"linear{k + 1}", weights=flat) for k in range(depth)]
    wt = [part["weight"].t() for part in w]
    z = [x, *(torch.empty(n, width) for width in sizes[1:])]
    d = [torch.empty(n, width) for width in sizes[1:]]
    mask = [torch.empty(n, width) for width in sizes[1:-1]]
    dt, weigh = [t.t() for t in d], torch.mul if n == 1 else torch.mm
    log_p, c, loss = torch.empty_like(z[-1]), torch.empty(n, 1), torch.empty(())
    minus, average = torch.full((n, 1), -1.0), torch.full((n,), 1 / n)
    index, flat_c, average_column = y[:, None], c.view(-1), average[:, None]

    def step() -> Tensor:
        for k in range(depth):
            torch.addmm(w[k]["bias"], z[k], wt[k], out=z[k + 1])
            if k < depth - 1:
                z[k + 1].relu_()
        torch.log_softmax(z[-1], 1, out=log_p)
        torch.gather(log_p, 1, index, out=c).neg_()
        torch.dot(flat_c, average, out=loss)
        torch.exp(log_p, out=d[-1]).scatter_add_(1, index, minus).mul_(average_column)
        for k in range(depth - 1, -1, -1):
            weigh(dt[k], z[k], out=g[k]["weight"])
            torch.sum(d[k], 0, out=g[k]["bias"])
            if k:
                torch.mm(d[k], w[k]["weight"], out=d[k - 1])
                d[k - 1].mul_(torch.sign(z[k], out=mask[k - 1]))
        return flat

    return step


def rllab(
    sizes: tuple[int, ...], n: int, *, new: bool = False, written: bool = False, variables: tuple[str, ...] = ()
) -> Step:
    """Return a step of the library.

    Args:
        new: weights and inputs are other tensors in every call.
        written: the result is written over an earlier one.
        variables: what is asked for besides the gradient of the weights.
    """
    graph, x, y = problem(sizes, n)
    if variables:
        return lambda: graph.backward(x, y, variables=variables).weights
    if not new and not written:
        return lambda: graph.backward(x, y).weights  # what a user types first
    out = graph.backward(x, y) if written else None
    copies = [(t, t.clone()) for t in (x, y, graph.weights)]
    turns = cycle(list(zip(*copies, strict=True))[: 2 if new else 1])

    def step() -> Tensor:
        x, y, w = next(turns)
        return graph.backward(x, y, weights=w, out=out).weights

    return step


def products(sizes: tuple[int, ...], n: int) -> Step:
    triples = []
    for k, (i, o) in enumerate(pairwise(sizes)):
        for a, b, c in [(n, i, o), (o, n, i)] + ([(n, o, i)] if k else []):
            triples.append((torch.randn(a, b), torch.randn(b, c), torch.empty(a, c)))

    def step() -> Tensor:
        for a, b, out in triples:
            torch.mm(a, b, out=out)
        return out

    return step


CANDIDATES = {
    "autograd": autograd,
    "chain": chain,
    "rllab": rllab,
    "rllab, x too": partial(rllab, variables=("x",)),
    "rllab, new tensors": partial(rllab, new=True),
    "rllab, out": partial(rllab, written=True),
    "rllab, out, new tensors": partial(rllab, new=True, written=True),
    "products": products,
}


def check(sizes: tuple[int, ...], n: int, steps: dict[str, Step]) -> None:
    """Refuse to time what does not agree."""
    steps["autograd"]()
    truth = steps["autograd"].gradient()  # type: ignore[attr-defined]
    for name in steps.keys() - {"autograd", "products"}:
        torch.testing.assert_close(steps[name](), truth, rtol=1e-4, atol=1e-6, msg=f"{name} at {sizes}, {n}")


def measure(flags: Flags) -> Page:
    page, names = Page(), flags.chosen(CANDIDATES)
    page.head("net, batch", *names)
    for sizes, n in SHAPES[2:3] if flags.fast else SHAPES:
        steps, _ = make({name: partial(CANDIDATES[name], sizes, n) for name in names})
        check(sizes, n, steps)
        times = take_turns(steps, flags)
        title = f"{'-'.join(map(str, sizes)) if len(sizes) < 9 else '8 layers of 256'}, {n}"
        cells = [f"{ratio(times, name, 'autograd'):.2f}" for name in names[1:]]
        page.row(title, f"{microseconds(times, 'autograd'):,.0f} µs", *cells)
        for name, to, where, limit in GOALS:
            if (sizes, n) in where and name in times and to in times:
                got = ratio(times, name, to)
                why = f"; the products alone: {ratio(times, 'products', to):.2f}" if "products" in times else ""
                page.goals.append(goal(f"{name} / {to}, {title}", f"<= {limit:.2f}", f"{got:.2f}", got <= limit, why))
    return page


if __name__ == "__main__":
    main(__file__, __doc__, "Backprop: CPU time, in multiples of autograd's", measure, rounds=31)
