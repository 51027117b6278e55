"""What networks are made of: linear layers, functions of single components, and the lecture's three of each.

(L53–L55, L71–L75)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import combinations, pairwise

from experiments.common.acceptance import AtMost, Equals, largest, row
from experiments.common.data import datasets
from experiments.lecture.draws import FLOAT64, apart, classes, normal, predict, relative

import torch
from torch import Tensor, nn

from rllab import backprop as bp

POINTWISE = (bp.ReLU(), bp.Tanh(), bp.Sigmoid(), bp.Softplus(), bp.Identity())


@row("L53", Equals(0), wrong={"two linear layers in a row": {"more": (bp.Linear(),)}})
def layers_alternate(seed: int, fast: bool, more: tuple[bp.Module, ...] = ()) -> float:
    """A network is linear layers with non-linearities between them.

    Measures: neighbouring blocks of one kind, in networks of random depth.
    """
    sizes = tuple(2 + int(i) for i in classes(seed, "sizes", 3 + seed % 5, 9))
    modules = [*more, *(block.module for block in bp.mlp(sizes, key=seed).blocks[:-1])]
    return float(sum(isinstance(a, bp.Linear) == isinstance(b, bp.Linear) for a, b in pairwise(modules)))


@row("L54", AtMost(1e-12), wrong={"the matrix transposed": {"transposed": True}})
def linear_layer(seed: int, fast: bool, transposed: bool = False) -> float:
    """A linear layer multiplies by a matrix: each output is a weighted sum of all inputs.

    Measures: relative difference from three nested loops.
    """
    module = bp.Linear(4, 4)
    w, z = module.initial(seed), normal(seed, "z", 3, 4)
    matrix, bias = module.views(w)
    rows = (matrix.t() if transposed else matrix).tolist()
    pairs = list(zip(rows, bias.tolist(), strict=True))
    sums = [
        [sum(w_ij * z_j for w_ij, z_j in zip(row, sample, strict=True)) + b_i for row, b_i in pairs]
        for sample in z.tolist()
    ]
    return relative(module.forward(z, w), torch.tensor(sums, dtype=FLOAT64))


@row("L55", Equals(0), wrong={"log-softmax, which mixes components": {"modules": (bp.LogSoftmax(),)}})
def components_do_not_mix(seed: int, fast: bool, modules: tuple[bp.Module, ...] = POINTWISE) -> float:
    """A non-linearity acts on each component alone.

    Measures: largest number off the diagonal of its Jacobian by autograd, of five such functions.
    """
    z, worst = normal(seed, "z", 6), 0.0
    for module in modules:

        def of_one(s: Tensor, module: bp.Module = module) -> Tensor:
            return module.forward(s[None])[0]

        jacobian = torch.autograd.functional.jacobian(of_one, z)
        assert isinstance(jacobian, Tensor)
        worst = largest(worst, apart(jacobian, torch.diag(jacobian.diagonal())))
    return worst


@lru_cache(maxsize=1)
def _photo() -> Tensor:
    """Return a photo (427, 640, 3) that ships with scikit-learn, numbers in [0, 1]."""
    image = datasets("photo").load_sample_image("china.jpg")
    return torch.tensor(image, dtype=FLOAT64) / 255


def images(seed: int, samples: int) -> Tensor:
    """Return crops (samples, 3, 10, 20) of a photo, sample first as networks want it."""
    photo, corners = _photo(), classes(seed, "corners", 2 * samples, 400).tolist()
    crops = [photo[a : a + 10, b : b + 20] for a, b in zip(corners[::2], corners[1::2], strict=True)]
    return torch.stack(crops).permute(0, 3, 1, 2).contiguous()


class AsListed(nn.Module):
    """The lecture's listing: three linear layers as objects, ReLU as a function, the image flattened by view(-1)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (
            nn.utils.skip_init(nn.Linear, *sizes, dtype=FLOAT64) for sizes in ((600, 60), (60, 40), (40, 10))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.third(torch.relu(self.second(torch.relu(self.first(x.view(-1))))))


def listed(graph: bp.Graph) -> AsListed:
    """Return the listing's network with the weights of ours."""
    net = AsListed()
    nn.utils.vector_to_parameters(graph.weights, net.parameters())
    return net


@row("L71", Equals(38_910), wrong={"a layer narrower by one": {"sizes": (600, 60, 39, 10)}})
def weights_of_the_listing(seed: int, fast: bool, sizes: tuple[int, ...] = (600, 60, 40, 10)) -> float:
    """The network of the listing, 600–60–40–10, has six tensors of weights, biases among them.

    Measures: number of weights.
    """
    graph = bp.lecture_net(sizes)
    shapes = [shape for block in graph.blocks for shape in block.module.shapes.values()]
    return float(graph.weights.numel()) if len(shapes) == 6 else math.nan


@row("L71", AtMost(1e-12), wrong={"colours last": {"samples": lambda x: x.permute(0, 2, 3, 1)}})
def outputs_of_the_listing(seed: int, fast: bool, samples: Callable[[Tensor], Tensor] = lambda x: x) -> float:
    """It maps an image of 3 × 10 × 20 to ten numbers; ours and the listing, with the same weights, to the same.

    Measures: largest difference of the two outputs for a crop of a photo.
    """
    graph = bp.lecture_net(key=seed, dtype=FLOAT64)
    x = images(seed, 1)
    theirs = listed(graph)(x[0]).detach()
    return apart(predict(graph, samples(x))[0], theirs) if theirs.shape == (10,) else math.nan


@row("L72", Equals(0), wrong={"one layer used twice": {"layers": ("linear1", "linear2", "linear1")}})
def layers_are_objects(seed: int, fast: bool, layers: tuple[str, ...] = ("linear1", "linear2", "linear3")) -> float:
    """Each linear layer is an object with parameters of its own, and adds a bias.

    Measures: pairs of the three layers with equal weights, and layers whose value at 0 is not a bias ≠ 0.
    """
    graph = bp.lecture_net(key=seed, dtype=FLOAT64)
    weights = [graph.weights_of(layer)["weight"].flatten()[:400] for layer in layers]
    mistakes = sum(torch.equal(a, b) for a, b in combinations(weights, 2))
    for block in graph.blocks:
        if isinstance(block.module, bp.Linear):
            w = graph.weights_of(block.name)
            zero = torch.zeros(1, block.module.fan_in, dtype=FLOAT64)
            at_zero = block.module.forward(zero, torch.cat([t.flatten() for t in w.values()]))[0]
            mistakes += not torch.equal(at_zero, w["bias"]) or not bool(w["bias"].any())
    return float(mistakes)


@row("L73", Equals(0), wrong={"a linear layer among them": {"modules": (*POINTWISE, bp.Linear())}})
def functions_have_no_parameters(seed: int, fast: bool, modules: tuple[bp.Module, ...] = POINTWISE) -> float:
    """A ReLU needs no object: it has no parameters.

    Measures: number of parameters of ReLU and the other pointwise functions.
    """
    return float(sum(module.size for module in modules))


@row("L74", AtMost(1e-10), wrong={"one sample missing": {"rows": 3}})
def gradients_of_the_listing(seed: int, fast: bool, rows: int = 4, dtype: torch.dtype = FLOAT64) -> float:
    """From the forward code autograd makes the backward one; the products written by hand are the same numbers.

    Measures: worst relative error of the six gradients against .grad, float64.
    """
    graph = bp.lecture_net(key=seed, dtype=dtype)
    x, y = images(seed, 4).to(dtype), classes(seed, "classes", 4, 10)
    net = listed(graph).to(dtype)
    nn.utils.vector_to_parameters(graph.weights.clone(), net.parameters())
    torch.stack([nn.functional.cross_entropy(net(t), c) for t, c in zip(x, y, strict=True)]).mean().backward()
    g = graph.backward(x[:rows], y[:rows]).weights
    ours = g.split([p.numel() for p in net.parameters()])
    pairs = zip(ours, net.parameters(), strict=True)
    return largest(*(relative(a, p.grad.flatten()) for a, p in pairs if p.grad is not None))


@row("L74", AtMost(1e-4))
def gradients_in_single_precision(seed: int, fast: bool) -> float:
    """In single precision too, as far as it goes.

    Measures: worst relative error of the six gradients against .grad, float32.
    """
    return gradients_of_the_listing(seed, fast, dtype=torch.float32)


@row("L75", AtMost(1e-12), wrong={"view(-1)": {"form": lambda graph, x: listed(graph)(x)}})
def a_batch_stays_a_batch(seed: int, fast: bool, form: Callable[[bp.Graph, Tensor], Tensor] = predict) -> float:
    """A layer that flattens must keep the batch; the listing's view(-1) joins its images and stops with an error.

    Measures: largest difference of a batch's outputs, 4 images, from those of each image alone.
    """
    graph, x = bp.lecture_net(key=seed, dtype=FLOAT64), images(seed, 4)
    try:
        together = form(graph, x).detach()
    except RuntimeError:  # torch's, of shapes that do not fit
        return math.inf
    alone = torch.stack([listed(graph)(t) for t in x]).detach()
    return apart(together, alone) if together.shape == (4, 10) else math.inf
