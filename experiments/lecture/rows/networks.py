"""What networks are made of: linear layers, functions of single components, and the lecture's three of each.

(L53–L55, L71–L75)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from itertools import pairwise

from experiments.common.acceptance import AtMost, Equals, largest, row
from experiments.lecture.rows.draws import classes, normal, predict, relative

import torch
from torch import Tensor, nn

from rllab import backprop as bp

FLOAT64 = torch.float64
POINTWISE = (bp.ReLU(), bp.Tanh(), bp.Sigmoid(), bp.Softplus(), bp.Identity())


def _neighbours_alike(seed: int, modules: list[bp.Module]) -> float:
    return float(sum(isinstance(a, bp.Linear) == isinstance(b, bp.Linear) for a, b in pairwise(modules)))


def _layers(seed: int) -> list[bp.Module]:
    sizes = tuple(2 + int(i) for i in classes(seed, "sizes", 3 + seed % 5, 9))
    return [block.module for block in bp.mlp(sizes, key=seed).blocks[:-1]]


@row(
    "L53",
    says="A network is linear layers with non-linearities between them",
    measures="neighbouring blocks of one kind, in networks of random depth",
    criterion=Equals(0),
    wrong={"two linear layers in a row": lambda seed, fast: _neighbours_alike(seed, [bp.Linear(), *_layers(seed)])},
)
def layers_alternate(seed: int, fast: bool) -> float:
    return _neighbours_alike(seed, _layers(seed))


def _by_loops(seed: int, transposed: bool) -> float:
    module = bp.Linear(4, 4)
    w, z = module.initial(seed), normal(seed, "z", 3, 4)
    matrix, bias = (part.tolist() for part in module.views(w))
    sums = [
        [sum((matrix[j][i] if transposed else matrix[i][j]) * z_j for j, z_j in enumerate(row)) + bias[i]
         for i in range(4)]
        for row in z.tolist()
    ]  # fmt: skip
    return relative(module.forward(z, w), torch.tensor(sums, dtype=FLOAT64))


@row(
    "L54",
    says="A linear layer multiplies by a matrix: each output is a weighted sum of all inputs",
    measures="relative difference from three nested loops",
    criterion=AtMost(1e-12),
    wrong={"the matrix transposed": lambda seed, fast: _by_loops(seed, True)},
)
def linear_layer(seed: int, fast: bool) -> float:
    return _by_loops(seed, False)


def _off_diagonal(seed: int, modules: tuple[bp.Module, ...]) -> float:
    z, worst = normal(seed, "z", 6), 0.0
    for module in modules:

        def of_one(s: Tensor, module: bp.Module = module) -> Tensor:
            return module.forward(s[None])[0]

        jacobian = torch.autograd.functional.jacobian(of_one, z)
        assert isinstance(jacobian, Tensor)
        worst = largest(worst, float((jacobian - torch.diag(jacobian.diagonal())).abs().max()))
    return worst


@row(
    "L55",
    says="A non-linearity acts on each component alone",
    measures="largest number off the diagonal of its Jacobian by autograd, of five such functions",
    criterion=Equals(0),
    wrong={"log-softmax, which mixes components": lambda seed, fast: _off_diagonal(seed, (bp.LogSoftmax(),))},
)
def components_do_not_mix(seed: int, fast: bool) -> float:
    return _off_diagonal(seed, POINTWISE)


@lru_cache(maxsize=1)
def _photo() -> Tensor:
    """Return a photo (427, 640, 3) that ships with scikit-learn, numbers in [0, 1]."""
    image = import_module("sklearn.datasets").load_sample_image("china.jpg")
    return torch.tensor(image, dtype=FLOAT64) / 255


def images(seed: int, samples: int) -> Tensor:
    """Return crops (samples, 3, 10, 20) of a photo, sample first as networks want it."""
    photo, corners = _photo(), classes(seed, "corners", 2 * samples, 400).tolist()
    crops = [photo[a : a + 10, b : b + 20] for a, b in zip(corners[::2], corners[1::2], strict=True)]
    return torch.stack(crops).permute(0, 3, 1, 2).contiguous()


class AsListed(nn.Module):
    """The lecture's listing: three linear layers as objects, ReLU as a function, the image flattened by view(-1)."""

    def __init__(self, sizes: tuple[int, int, int, int]):
        super().__init__()
        a, b, c, d = sizes
        self.first, self.second, self.third = (
            nn.utils.skip_init(nn.Linear, *pair, dtype=FLOAT64) for pair in ((a, b), (b, c), (c, d))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.third(torch.relu(self.second(torch.relu(self.first(x.view(-1))))))


def listed(graph: bp.Graph) -> AsListed:
    """Return the listing's network with the weights of ours."""
    net = AsListed((600, 60, 40, 10))
    nn.utils.vector_to_parameters(graph.weights, net.parameters())
    return net


def _weights(sizes: tuple[int, ...]) -> float:
    graph = bp.lecture_net(sizes)
    shapes = [shape for block in graph.blocks for shape in block.module.shapes.values()]
    return float(graph.weights.numel()) if len(shapes) == 6 else math.nan


@row(
    "L71",
    says="The network of the listing, 600–60–40–10, has six tensors of weights, biases among them",
    measures="number of weights",
    criterion=Equals(38_910),
    wrong={"a layer narrower by one": lambda seed, fast: _weights((600, 60, 39, 10))},
)
def weights_of_the_listing(seed: int, fast: bool) -> float:
    return _weights((600, 60, 40, 10))


def _as_listed(seed: int, samples: Callable[[Tensor], Tensor]) -> float:
    graph = bp.lecture_net(key=seed, dtype=FLOAT64)
    x = images(seed, 1)
    theirs = listed(graph)(x[0]).detach()
    return float((predict(graph, samples(x))[0] - theirs).abs().max()) if theirs.shape == (10,) else math.nan


@row(
    "L71",
    says="It maps an image of 3 × 10 × 20 to ten numbers; ours and the listing, with the same weights, to the same",
    measures="largest difference of the two outputs for a crop of a photo",
    criterion=AtMost(1e-12),
    wrong={"colours last": lambda seed, fast: _as_listed(seed, lambda x: x.permute(0, 2, 3, 1))},
)
def outputs_of_the_listing(seed: int, fast: bool) -> float:
    return _as_listed(seed, lambda x: x)


def _at_zero(seed: int, layers: tuple[str, str, str]) -> float:
    graph, mistakes = bp.lecture_net(key=seed, dtype=FLOAT64), 0
    weights = [graph.weights_of(layer)["weight"].flatten()[:400] for layer in layers]
    mistakes += sum(torch.equal(weights[i], weights[j]) for i in range(3) for j in range(i))
    for block in graph.blocks:
        if isinstance(block.module, bp.Linear):
            w = graph.weights_of(block.name)
            flat, zero = (
                torch.cat([t.flatten() for t in w.values()]),
                torch.zeros(1, block.module.fan_in, dtype=FLOAT64),
            )
            at_zero = block.module.forward(zero, flat)[0]
            mistakes += not torch.equal(at_zero, w["bias"]) or not bool(w["bias"].any())
    return float(mistakes)


@row(
    "L72",
    says="Each linear layer is an object with parameters of its own, and adds a bias",
    measures="pairs of the three layers with equal weights, and layers whose value at 0 is not a bias ≠ 0",
    criterion=Equals(0),
    wrong={"one layer used twice": lambda seed, fast: _at_zero(seed, ("linear1", "linear2", "linear1"))},
)
def layers_are_objects(seed: int, fast: bool) -> float:
    return _at_zero(seed, ("linear1", "linear2", "linear3"))


def _size(modules: tuple[bp.Module, ...]) -> float:
    return float(sum(module.size for module in modules))


@row(
    "L73",
    says="A ReLU needs no object: it has no parameters",
    measures="number of parameters of ReLU and the other pointwise functions",
    criterion=Equals(0),
    wrong={"a linear layer among them": lambda seed, fast: _size((*POINTWISE, bp.Linear()))},
)
def functions_have_no_parameters(seed: int, fast: bool) -> float:
    return _size(POINTWISE)


def _six_tensors(seed: int, dtype: torch.dtype, rows: int) -> float:
    """Return the worst relative error of our six gradients against .grad of the listing's own network."""
    graph = bp.lecture_net(key=seed, dtype=dtype)
    x, y = images(seed, 4).to(dtype), classes(seed, "classes", 4, 10)
    net = listed(graph).to(dtype)
    nn.utils.vector_to_parameters(graph.weights.clone(), net.parameters())
    torch.stack([nn.functional.cross_entropy(net(t), c) for t, c in zip(x, y, strict=True)]).mean().backward()
    g = graph.backward(x[:rows], y[:rows]).weights
    ours = g.split([p.numel() for p in net.parameters()])
    pairs = zip(ours, net.parameters(), strict=True)
    return largest(*(relative(a, p.grad.flatten()) for a, p in pairs if p.grad is not None))


@row(
    "L74",
    says="From the forward code autograd makes the backward one; the products written by hand are the same numbers",
    measures="worst relative error of the six gradients against .grad, float64",
    criterion=AtMost(1e-10),
    wrong={"one sample missing": lambda seed, fast: _six_tensors(seed, FLOAT64, 3)},
)
def gradients_of_the_listing(seed: int, fast: bool) -> float:
    return _six_tensors(seed, FLOAT64, 4)


@row(
    "L74",
    says="In single precision too, as far as it goes",
    measures="worst relative error of the six gradients against .grad, float32",
    criterion=AtMost(1e-4),
)
def gradients_in_single_precision(seed: int, fast: bool) -> float:
    return _six_tensors(seed, torch.float32, 4)


def _batch(seed: int, form: Callable[[bp.Graph, Tensor], Tensor]) -> float:
    """Return how far a batch's outputs are from those of its images one by one; infinite where there are none."""
    graph, x = bp.lecture_net(key=seed, dtype=FLOAT64), images(seed, 4)
    try:
        together = form(graph, x).detach()
    except RuntimeError:  # torch's, of shapes that do not fit
        return math.inf
    alone = torch.stack([listed(graph)(t) for t in x]).detach()
    return float((together - alone).abs().max()) if together.shape == (4, 10) else math.inf


@row(
    "L75",
    says="A layer that flattens must keep the batch; the listing's view(-1) joins its images and stops with an error",
    measures="largest difference of a batch's outputs, 4 images, from those of each image alone",
    criterion=AtMost(1e-12),
    wrong={"view(-1)": lambda seed, fast: _batch(seed, lambda graph, x: listed(graph)(x))},
)
def a_batch_stays_a_batch(seed: int, fast: bool) -> float:
    return _batch(seed, predict)
