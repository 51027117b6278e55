"""One picture of a ride to the goal, drawn with Pillow: lean from behind, handlebar, and the whole way from above."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ..bicycle.parameters import Parameters
from ..bicycle.render import (
    BACK,
    DANGER,
    FAINT,
    FRONT,
    HEIGHT,
    INK,
    OVER,
    PAPER,
    RIDER,
    SOFT,
    WIDTH,
    Pen,
    Point,
    handlebar,
    rear_view,
    sided,
    turned,
)

LEFT, RIGHT, TOP, BOTTOM = 620.0, 940.0, 50.0, 290.0  # pixels of the map
THIN = 4000  # points of the way kept: when there are more, every other one is dropped


class Map:
    """Follows one ride from above and draws it.

    Args:
        distance: of the goal's centre from the origin, in m.
        radius: of the goal, in m.
        parameters: constants of the bicycle.
        bearing: gives bearing in rad and distance in m of states (9, 1), (1,) each.
    """

    def __init__(
        self, distance: float, radius: float, parameters: Parameters, bearing: Callable[[np.ndarray], Any]
    ) -> None:
        self.distance, self.radius, self.parameters, self.bearing = distance, radius, parameters, bearing
        self.way: list[Point] = []  # (x_f, y_f) in m
        self.every = 1  # steps between two of them
        self.shift = 0.0  # m, displacement with its noise, in the last step
        self.steps = 0

    def follow(self, before: np.ndarray, inputs: np.ndarray, after: np.ndarray) -> None:
        """Go one step on: the nine variables before and after it; torque and displacement with its noise, (2,)."""
        if self.steps % self.every == 0:
            self.way.append((float(before[4]), float(before[5])))
        self.shift, self.steps = float(inputs[1]), self.steps + 1
        if len(self.way) > THIN:
            self.way, self.every = self.way[::2], 2 * self.every

    def draw(self, state: np.ndarray) -> np.ndarray:
        """Return the picture of the ride, (360, 960, 3) uint8."""
        image = Image.new("RGB", (WIDTH * OVER, HEIGHT * OVER), PAPER)
        pen = Pen(ImageDraw.Draw(image))
        self._map(pen, state)
        rear_view(pen, float(state[0]), self.parameters.fall_angle, self.shift)
        handlebar(pen, float(state[2]))
        ((alpha,), (far,)) = self.bearing(state[:, None])
        hub = (450.0, 296.0)
        pen.dashes(hub, (hub[0], hub[1] - 36.0), SOFT, 1.2)
        pen.line([hub, *turned([(0.0, 40.0)], hub, float(alpha))], DANGER, 3)
        pen.text((450, 318), f"goal {far:.0f} m, " + sided(math.degrees(alpha), 0, "°"), 15)
        pen.text((450, 340), f"{self.steps * self.parameters.time_step:.2f} s", 15)
        for x in (300, 600):
            pen.line([(x, 14), (x, HEIGHT - 14)], FAINT, 2)
        return np.array(image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))

    def _map(self, pen: Pen, state: np.ndarray) -> None:
        here = float(state[4]), float(state[5])
        way = [*self.way, here]
        # the window holds start, goal and way, and a margin of a tenth
        points = np.array([*way, (0.0, 0.0), (self.distance + self.radius, self.radius), (self.distance, -self.radius)])
        low, high = points.min(0), points.max(0)
        metre = 0.9 * min((RIGHT - LEFT) / (high[0] - low[0]), (BOTTOM - TOP) / (high[1] - low[1]))  # pixels
        middle = (low + high) / 2.0

        def place(x: float, y: float) -> Point:
            return (LEFT + RIGHT) / 2.0 + (x - middle[0]) * metre, (TOP + BOTTOM) / 2.0 - (y - middle[1]) * metre

        pen.disc(place(self.distance, 0.0), max(4.0, self.radius * metre), RIDER)
        pen.disc(place(0.0, 0.0), 3.0, SOFT)
        if len(way) > 1:
            pen.line([place(*point) for point in way], FRONT, 2)
        nose = [(-4.0, -7.0), (4.0, -7.0), (0.0, 9.0)]
        pen.shape(turned(nose, place(*here), float(state[8])), BACK)
        step = 10.0 ** math.floor(math.log10(120.0 / metre))  # m, of the scale bar
        pen.line([(640, 318), (640 + step * metre, 318)], INK, 2)
        pen.text((640 + step * metre + 8, 318), f"{step:g} m", 13, SOFT, "lm")
        pen.text((780, 20), "the way from above, the goal green", 13, SOFT)
