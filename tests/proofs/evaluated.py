"""Functions for the tests of executors, in a module that a worker can import."""

import os
import signal
import time
from pathlib import Path

import torch

MATRIX = torch.linspace(-1, 1, 49).reshape(7, 7).sin()


def curved(point):
    """A function of one point (d,)."""
    return float((point.exp() - point.roll(1)).square().sum())


def products(points):
    """A function of points (n, 7) whose rounding may depend on n."""
    return (points @ MATRIX.to(points)).square().sum(-1)


def drawn(point, seed):
    """A function of one point and a seed."""
    return point.sum() * (1 + seed % 7)


def drawn_rows(points, seeds):
    """A function of points and seeds."""
    return points.sum(-1) * (1 + seeds % 7)


def centred(points):
    """A function whose rows depend on each other."""
    return (points - points.mean(0)).square().sum(-1)


def analytic(points):
    """A function that can be continued into the complex plane."""
    return (points * points).sum(-1).exp()


def slope(points):
    """The gradient of `analytic`."""
    return 2 * points * analytic(points)[:, None]


def failing(point):
    """Raise an error at points whose first number is 3."""
    if point[0] == 3:
        raise ZeroDivisionError("three")
    return point.sum()


def where(point):
    """The process that evaluates, and how many threads it has there."""
    return torch.tensor([os.getpid(), torch.get_num_threads()], dtype=torch.float64)


def in_session(point):
    """Sleep for long; the process leaves its number in a file of the folder that the environment names."""
    folder = Path(os.environ["RLLAB_TEST_FOLDER"])
    (folder / str(os.getpid())).touch()
    time.sleep(300)


class Once:
    """Do something the first time that a point is at one of `places`, whoever evaluates it; return its sum.

    Args:
        folder: where it is noted that it was done.
        what: "die", "hang" or "die always", "hang always".
        places: values of the first number.
    """

    def __init__(self, folder, what, places):
        self.folder, self.what, self.places = folder, what, places

    def __call__(self, point):
        place = int(point[0])
        if place in self.places and (self.what.endswith("always") or self.is_first(place)):
            if self.what.startswith("die"):
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        return point.sum()

    def is_first(self, place):
        try:
            (Path(self.folder) / str(place)).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class Scaled:
    """The sum of a point, times a factor."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, point):
        return self.factor * point.sum()
