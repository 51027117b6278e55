"""What does a learned ride look like beside a fall? One GIF from a run's saved agents, before and after learning."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import gymnasium
import numpy as np
from PIL import Image

from rllab import agents
from rllab.files import write_atomically

EVERY = 8  # steps from one picture to the next: 0.08 s


def pictures(agent: agents.Agent, steps: int, seed: int) -> list[np.ndarray]:
    """Play one episode and return every EVERY-th picture; after a fall its last one stays."""
    env = gymnasium.make(agent.environment, render_mode="rgb_array", **agent.environment_arguments)
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
    return shown


def draw_ride(run: Path, path: Path, *, seconds: float, seed: int = 0) -> Path:
    """Write the GIF of a run's untrained agent above its trained one, in the same noise; return its path."""
    both = [pictures(agents.load(run / name), round(100 * seconds), seed) for name in ("untrained.pt", "agent.pt")]
    frames = [
        Image.fromarray(np.concatenate(pair)).resize((640, 480), Image.Resampling.LANCZOS).quantize(64)
        for pair in zip(*both, strict=True)
    ]
    file = BytesIO()
    frames[0].save(file, "gif", save_all=True, append_images=frames[1:], duration=10 * EVERY, loop=0)
    write_atomically(path, file.getvalue())
    return path
