"""What does a learned ride look like beside a fall? Two rides played and stored by a run, and one GIF of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from rllab import agents
from rllab.files import write_atomically
from rllab.plots.palettes import reduced

EVERY = 8  # steps from one picture to the next: 0.08 s
FILE = "ride.npz"  # in the run's folder


def pictures(agent: agents.Agent, steps: int, seed: int) -> np.ndarray:
    """Play one episode and return every EVERY-th picture, (pictures, height, width, 3); after a fall its last stays."""
    env = replace(agent.maker, arguments={**agent.environment_arguments, "render_mode": "rgb_array"})()
    o, _ = env.reset(seed=seed)
    shown: list[np.ndarray] = []
    fallen = False
    for step in range(steps):
        if not fallen:
            o, _, terminated, truncated, _ = env.step(agent.act(o))
            fallen = terminated or truncated
        if step % EVERY == 0:
            shown.append(shown[-1] if fallen and step % (4 * EVERY) and shown else np.asarray(env.render()))
    env.close()
    return np.stack(shown)


def store_ride(untrained: agents.Agent, trained: agents.Agent, run: Path, *, seconds: float, seed: int = 0) -> None:
    """Play both agents in the same noise and write their pictures into the run's folder."""
    steps = round(100 * seconds)
    file = BytesIO()
    np.savez_compressed(file, untrained=pictures(untrained, steps, seed), trained=pictures(trained, steps, seed))
    write_atomically(run / FILE, file.getvalue())


def draw_ride(run: Path, path: Path) -> Path:
    """Write the GIF of a run's stored rides, the untrained agent above the trained one; return its path."""
    with np.load(run / FILE) as stored:
        both = stored["untrained"], stored["trained"]
    pairs = (Image.fromarray(np.concatenate(pair)) for pair in zip(*both, strict=True))
    return write_gif([pair.resize((560, 420), Image.Resampling.LANCZOS) for pair in pairs], path, 10 * EVERY)


def write_gif(frames: Sequence[Image.Image], path: Path, milliseconds: int | list[int]) -> Path:
    """Write a GIF of frames that are each shown for so long, and return its path."""
    file, (first, *others) = BytesIO(), map(reduced, frames)
    first.save(file, "gif", save_all=True, append_images=others, duration=milliseconds, loop=0)
    write_atomically(path, file.getvalue())
    return path
