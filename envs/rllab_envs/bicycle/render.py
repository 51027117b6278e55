"""One picture of a ride, drawn with Pillow: lean from behind, handlebar and track from above, the last action."""

import math
from collections import deque
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .dynamics import contact_step, heading_step
from .parameters import Parameters

WIDTH, HEIGHT = 960, 360  # pixels of the picture
OVER = 3  # drawn this many times larger, then reduced: smooth edges
INK, SOFT, FAINT, PAPER = "#222222", "#8a8a8a", "#e4e4e4", "#ffffff"
FRONT, BACK, RIDER, DANGER, FRAME = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#333333"  # Okabe and Ito's palette
BAND = "#f3cf80"  # a lighter BACK
METRE = 34.0  # pixels per metre of the track
AHEAD = 90.0  # pixels from the middle of the track's window to the front tyre, along the heading
Point = tuple[float, float]


class Trail:
    """Follows the tyre contacts of one ride, which the balance task itself does not need, and draws them."""

    def __init__(self, variant: str, parameters: Parameters) -> None:
        self.variant, self.parameters = variant, parameters
        self.pose = np.array([0.0, parameters.wheelbase, 0.0, 0.0, 0.0])  # x_f, y_f, x_b, y_b m, ψ rad from the y axis
        self.past = deque([self.pose[:4]], maxlen=600)  # 6 s, more than the window shows
        self.action = np.zeros(2)  # T N·m, δ m: the displacement with its noise, in the last step
        self.steps = 0

    def follow(self, before: np.ndarray, inputs: np.ndarray, after: np.ndarray) -> None:
        """Go one step on: ω, ω̇, θ, θ̇ before and after it; torque and displacement with its noise, (2,)."""
        p, theta_old, theta = self.parameters, before[2:3], after[2:3]
        if self.variant == "author":
            self.pose = np.concatenate(contact_step(np, theta_old, theta, tuple(self.pose[:, None]), p))
        else:  # the back contact moves v dt along the old heading; drawn with ψ from the y axis as well
            psi = self.pose[4]
            back = self.pose[2:4] + p.speed * p.time_step * np.array([-math.sin(psi), math.cos(psi)])
            psi = heading_step(np, theta_old, self.pose[4:5], p)[0]
            front = back + p.wheelbase * np.array([-math.sin(psi), math.cos(psi)])
            self.pose = np.array([*front, *back, psi])
        self.past.append(self.pose[:4])
        self.action, self.steps = np.array(inputs), self.steps + 1

    def draw(self, state: np.ndarray) -> np.ndarray:
        """Return the picture of the ride, (360, 960, 3) uint8; state is (ω, ω̇, θ, θ̇)."""
        image = Image.new("RGB", (WIDTH * OVER, HEIGHT * OVER), PAPER)
        pen = Pen(ImageDraw.Draw(image))
        lean, steer = float(state[0]), float(state[2])
        _track(pen, self, steer)
        pen.box(0, 0, 600, HEIGHT, PAPER)
        rear_view(pen, lean, self.parameters.fall_angle, float(self.action[1]))
        handlebar(pen, steer)
        _gauges(pen, self)
        for x in (300, 600):
            pen.line([(x, 14), (x, HEIGHT - 14)], FAINT, 2)
        return np.array(image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


class Pen:
    """Draws in picture pixels on an image `OVER` times larger."""

    def __init__(self, to: ImageDraw.ImageDraw) -> None:
        self.to = to

    def line(self, points: list[Point], colour: str, width: float) -> None:
        scaled = [(x * OVER, y * OVER) for x, y in points]
        self.to.line(scaled, colour, round(width * OVER), joint="curve")
        if width >= 4:  # round ends
            for end in (points[0], points[-1]):
                self.disc(end, width / 2, colour)

    def dashes(self, start: Point, end: Point, colour: str, width: float) -> None:
        n = max(1, round(math.dist(start, end) / 7))
        at = [(start[0] + (end[0] - start[0]) * i / n, start[1] + (end[1] - start[1]) * i / n) for i in range(n + 1)]
        for i in range(0, n, 2):
            self.line([at[i], at[i + 1]], colour, width)

    def disc(self, at: Point, radius: float, colour: str) -> None:
        x, y, r = at[0] * OVER, at[1] * OVER, radius * OVER
        self.to.ellipse((x - r, y - r, x + r, y + r), colour)

    def shape(self, points: list[Point], colour: str) -> None:
        self.to.polygon([(x * OVER, y * OVER) for x, y in points], colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        self.to.rectangle((left * OVER, top * OVER, right * OVER, bottom * OVER), colour)

    def text(self, at: Point, text: str, size: float, colour: str = INK, anchor: str = "mm") -> None:
        self.to.text((at[0] * OVER, at[1] * OVER), text, colour, _font(size * OVER), anchor=anchor)


@cache
def _font(size: float) -> Any:
    return ImageFont.load_default(size)


def turned(points: list[Point], at: Point, angle: float, scale: float = 1.0) -> list[Point]:
    """Points (right, up) turned counter-clockwise by `angle` and placed at `at` in the picture, where y points down."""
    c, s = math.cos(angle), math.sin(angle)
    return [(at[0] + scale * (c * x - s * y), at[1] - scale * (s * x + c * y)) for x, y in points]


def sided(value: float, digits: int, unit: str) -> str:
    """The size of a value with its side in words: positive is left."""
    size = f"{abs(value):.{digits}f}"
    return size + unit + ("" if float(size) == 0.0 else " left" if value > 0 else " right")


def rear_view(pen: Pen, lean: float, limit: float, shift: float) -> None:
    foot, metre = (150.0, 300.0), 125.0  # where the tyre touches, pixels per metre
    fallen = abs(lean) > limit
    body = DANGER if fallen else RIDER
    for angle in (-limit, limit):
        ((x, y),) = turned([(0.0, 1.92)], foot, angle, metre)
        pen.dashes(foot, (x, y), DANGER, 1.6)
        pen.text((x, y - 9), f"{math.degrees(limit):.0f}°", 12, DANGER)
    pen.dashes(foot, (foot[0], foot[1] - 1.92 * metre), SOFT, 1.2)
    pen.line([(24, foot[1] + 2), (276, foot[1] + 2)], INK, 3)

    def part(points: list[Point], colour: str, width: float) -> None:
        pen.line(turned(points, foot, lean, metre), colour, width)

    part([(0, 0.04), (0, 0.66)], INK, 9)  # tyre
    part([(0, 0.60), (0, 0.98)], FRAME, 5)  # seat post
    part([(-0.30, 1.07), (0.30, 1.07)], FRAME, 5)  # handlebar
    for side in (-1, 1):
        part([(0.09 * side + shift, 0.98), (0.17 * side, 0.68), (0.13 * side, 0.30)], body, 8)  # leg
        part([(0.17 * side + shift, 1.44), (0.31 * side, 1.26), (0.28 * side, 1.07)], body, 6)  # arm
        part([(0.07 * side, 0.29), (0.19 * side, 0.29)], FRAME, 5)  # pedal
    trunk = [(-0.12, 0.94), (0.12, 0.94), (0.19, 1.47), (-0.19, 1.47)]
    pen.shape(turned([(x + shift, y) for x, y in trunk], foot, lean, metre), body)
    (head,) = turned([(shift, 1.66)], foot, lean, metre)
    pen.disc(head, 0.125 * metre, body)
    pen.text((150, 20), "from behind", 13, SOFT)
    pen.text(
        (150, 331), "fallen: " * fallen + "lean " + sided(math.degrees(lean), 1, "°"), 17, DANGER if fallen else INK
    )


def handlebar(pen: Pen, steer: float) -> None:
    hub, metre = (450.0, 112.0), 92.0  # steering axis, pixels per metre
    pen.line(turned([(0, -1.0), (0, -0.42)], hub, 0, metre), BACK, 9)  # back tyre
    pen.line(turned([(0, -0.86), (0, 0)], hub, 0, metre), FRAME, 5)
    pen.shape(turned([(-0.04, -0.52), (0.04, -0.52), (0.11, -0.78), (-0.11, -0.78)], hub, 0, metre), RIDER)  # saddle
    pen.dashes(hub, (hub[0], hub[1] - 0.72 * metre), SOFT, 1.2)
    pen.line(turned([(0, -0.1), (0, 0.48)], hub, steer, metre), FRONT, 9)  # front tyre
    bar = [(-0.40, -0.22), (-0.36, -0.08), (-0.12, 0.0), (0.12, 0.0), (0.36, -0.08), (0.40, -0.22)]
    pen.line(turned(bar, hub, steer, metre), INK, 6)
    pen.text((450, 20), "from above", 13, SOFT)
    pen.text((450, 226), "handlebar " + sided(math.degrees(steer), 1, "°"), 15)


def _track(pen: Pen, trail: Trail, steer: float) -> None:
    x_f, y_f, x_b, y_b, psi = (float(v) for v in trail.pose)

    # the window goes with the bicycle and shows more of what lies behind it
    middle = 780.0 - AHEAD * math.sin(psi), 195.0 - AHEAD * math.cos(psi)

    def place(x: float, y: float) -> Point:
        return middle[0] + (x - x_f) * METRE, middle[1] - (y - y_f) * METRE

    for k in range(-9, 10):
        x, y = place(math.floor(x_f) + k, math.floor(y_f) + k)
        pen.line([(x, 0), (x, HEIGHT)], FAINT, 1)
        pen.line([(600, y), (WIDTH, y)], FAINT, 1)
    past = np.array(trail.past)[::-4]  # from now, every 0.04 s
    if len(past) > 1:  # the back tyre's track is a broad band, so that it is seen where the front one's covers it
        for columns, colour, width in (((2, 3), BAND, 6), ((0, 1), FRONT, 1.6)):
            pen.line([place(*contact) for contact in past[:, columns]], colour, width)
    pen.line([place(x_b, y_b), place(x_f, y_f)], FRAME, 3)
    wheel = [(0.0, -0.34), (0.0, 0.34)]
    pen.line(turned(wheel, place(x_b, y_b), psi, METRE), BACK, 7)
    pen.line(turned(wheel, place(x_f, y_f), psi + steer, METRE), FRONT, 7)
    pen.box(602, 0, WIDTH, 34, PAPER)
    pen.text((780, 20), "track of the tyres, 1 m grid", 13, SOFT)
    pen.text((948, HEIGHT - 36), "front", 13, FRONT, "rm")
    pen.text((948, HEIGHT - 18), "back", 13, BACK, "rm")


def _gauges(pen: Pen, trail: Trail) -> None:
    p = trail.parameters
    torque, shift = (float(value) for value in trail.action)
    gauges = (
        (264.0, torque, p.max_torque, "torque " + sided(torque, 2, " N·m")),
        (304.0, shift, p.max_displacement + p.noise, "rider and noise " + sided(100.0 * shift, 1, " cm")),
    )
    for y, value, most, label in gauges:
        pen.box(330, y, 570, y + 8, FAINT)
        to = 450.0 - 120.0 * max(-1.0, min(1.0, value / most))  # left is positive, as in the picture
        pen.box(min(450.0, to), y, max(450.0, to), y + 8, INK)
        pen.text((450, y - 9), label, 13)
    pen.text((450, 338), f"{trail.steps * p.time_step:.2f} s", 17)
