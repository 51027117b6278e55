"""One picture of a ride of the Whipple bicycle: lean from behind, handlebar, and the rear wheel's track from above."""

import math
from collections import deque

import numpy as np
from PIL import Image, ImageDraw

from ..bicycle.render import (
    BACK,
    FAINT,
    FRONT,
    HEIGHT,
    INK,
    OVER,
    PAPER,
    SOFT,
    WIDTH,
    Pen,
    Point,
    handlebar,
    rear_view,
    sided,
    turned,
)
from .parameters import Parameters

METRE = 34.0  # pixels per metre of the track


class Track:
    """Follows the rear contact of one ride, which the task itself does not need, and draws the ride.

    ψ̇ = (v δ + c δ̇) cos λ / w,    (ẋ, ẏ) = v (cos ψ, sin ψ),    x forward at the start, y and ψ to the right
    """

    def __init__(self, speed: float, parameters: Parameters) -> None:
        self.speed, self.parameters = speed, parameters
        self.heading = 0.0  # ψ, rad
        self.past = deque([(0.0, 0.0)], maxlen=600)  # x, y in m: 6 s
        self.torque = 0.0  # N·m, in the last step
        self.steps = 0

    def follow(self, before: np.ndarray, inputs: np.ndarray, after: np.ndarray) -> None:
        """Go one step on: φ, φ̇, δ, δ̇ before and after it; roll and steer torque, (2,)."""
        p = self.parameters
        rate = (self.speed * before[2] + p.trail * before[3]) * math.cos(p.tilt) / p.wheelbase
        x, y = self.past[-1]
        way = self.speed * p.time_step
        self.past.append((x + way * math.cos(self.heading), y + way * math.sin(self.heading)))
        self.heading += p.time_step * float(rate)
        self.torque, self.steps = float(inputs[1]), self.steps + 1

    def draw(self, state: np.ndarray) -> np.ndarray:
        """Return the picture of the ride, (360, 960, 3) uint8; state is (φ, φ̇, δ, δ̇)."""
        p, lean, steer = self.parameters, -float(state[0]), -float(state[2])  # drawn positive to the left
        image = Image.new("RGB", (WIDTH * OVER, HEIGHT * OVER), PAPER)
        pen = Pen(ImageDraw.Draw(image))
        self._ground(pen, steer)
        pen.box(0, 0, 600, HEIGHT, PAPER)
        rear_view(pen, lean, p.fall_angle, 0.0)
        handlebar(pen, steer)
        pen.box(330, 264, 570, 272, FAINT)
        to = 450.0 + 120.0 * self.torque / p.max_torque
        pen.box(min(450.0, to), 264, max(450.0, to), 272, INK)
        pen.text((450, 255), "torque " + sided(-self.torque, 2, " N·m"), 13)
        pen.text((450, 338), f"{self.steps * p.time_step:.2f} s at {self.speed:.2f} m/s", 17)
        for x in (300, 600):
            pen.line([(x, 14), (x, HEIGHT - 14)], FAINT, 2)
        return np.array(image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))

    def _ground(self, pen: Pen, steer: float) -> None:
        x_0, y_0 = self.past[-1]

        def place(x: float, y: float) -> Point:
            return 780.0 + (y - y_0) * METRE, 195.0 - (x - x_0) * METRE

        for k in range(-6, 7):
            across, along = place(math.floor(x_0) + k, math.floor(y_0) + k)
            pen.line([(across, 0), (across, HEIGHT)], FAINT, 1)
            pen.line([(600, along), (WIDTH, along)], FAINT, 1)
        past = list(self.past)[::-4]  # from now, every 0.04 s
        if len(past) > 1:
            pen.line([place(*contact) for contact in past], BACK, 3)
        wheel = [(0.0, -0.34), (0.0, 0.34)]
        (front,) = turned([(0.0, self.parameters.wheelbase)], place(x_0, y_0), -self.heading, METRE)
        pen.line([place(x_0, y_0), front], INK, 3)
        pen.line(turned(wheel, place(x_0, y_0), -self.heading, METRE), BACK, 7)
        pen.line(turned(wheel, front, steer - self.heading, METRE), FRONT, 7)
        pen.box(602, 0, WIDTH, 34, PAPER)
        pen.text((780, 20), "track of the rear tyre, 1 m grid", 13, SOFT)
