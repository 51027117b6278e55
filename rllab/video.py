"""An episode of a trained agent, as an animated GIF."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled

from rllab.agents import Agent
from rllab.checks import as_count
from rllab.files import write_atomically

FRAMES = 300  # at most: of a longer episode every n-th step is shown
WIDTH = 480  # pixels at most
SECONDS = 0.05  # a frame, where the environment does not say how often it is rendered


def record_episode(agent: Agent, path: str | Path, *, episode: int = 0, max_steps: int = 1_000) -> Path:
    """Play an episode without exploration and write what the environment renders as a GIF, atomically.

    Args:
        agent: left as it is.
        path: of the GIF; its folder is made.
        episode: the environment's seed: another number is another start.
        max_steps: steps after which it is cut off.

    Returns:
        path.

    Raises:
        ValueError: the environment renders no pictures: by its id, or a factory that takes it, it is made with
            render_mode="rgb_array".
        ModuleNotFoundError: what it renders with is not installed: Gymnasium's classic control (CartPole, Pendulum)
            needs pygame, `pip install '.[video]'`.

    Example:
        import tempfile
        from rllab.agents import Evolution
        from rllab.video import record_episode

        agent = Evolution("rllab_envs:rllab/BicycleBalance-v0", seed=0, population=8)
        with tempfile.TemporaryDirectory() as folder:
            record_episode(agent, f"{folder}/ride.gif", max_steps=8)
    """
    who = type(agent).__name__
    episode, max_steps = as_count(who, "episode", episode, 0), as_count(who, "max_steps", max_steps)
    make, arguments = agent.environment, dict(agent.environment_arguments)
    if isinstance(make, str) or _takes(make, "render_mode"):
        arguments["render_mode"] = "rgb_array"
    env = replace(agent.maker, arguments=arguments)()
    frames, fps = [], env.metadata.get("render_fps") or 1 / SECONDS
    try:
        (observation, _), ended = env.reset(seed=episode), False
        while not ended and len(frames) < max_steps:
            frames.append(_frame(who, env.render()))
            observation, _, terminated, truncated, _ = env.step(agent.act(observation))
            ended = bool(terminated or truncated)
        frames.append(_frame(who, env.render()))
    except DependencyNotInstalled as missing:
        how = "pip install '.[video]'" if "pygame" in str(missing) else str(missing)
        raise ModuleNotFoundError(f"{who}: its environment draws by a package that is not installed: {how}") from None
    finally:
        env.close()
    every = -(-len(frames) // FRAMES)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, _as_gif(frames[::every], every / fps))
    return path


def _takes(factory: Callable[..., Any], name: str) -> bool:
    parameters = inspect.signature(factory).parameters.values()
    return any(p.name == name or p.kind is p.VAR_KEYWORD for p in parameters)


def _frame(who: str, picture: Any) -> Any:
    from PIL import Image

    from rllab.plots.palettes import reduced

    given = np.asarray(picture)
    if given.dtype != np.uint8 or given.ndim != 3 or given.shape[2] not in (3, 4):
        got = f"{given.shape} {given.dtype}" if given.ndim else f"{picture!r:.60}"
        raise ValueError(
            f"{who}: its environment must render pictures (render_mode='rgb_array'), uint8 (height, width, 3), "
            f"got {got}"
        )
    image = Image.fromarray(given)
    image.thumbnail((WIDTH, WIDTH))
    return reduced(image.convert("RGB"))


def _as_gif(frames: list[Any], seconds: float) -> bytes:
    content = io.BytesIO()
    milliseconds = max(20, round(1000 * seconds))  # browsers slow down what is faster
    frames[0].save(
        content, "GIF", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0, optimize=True
    )
    return content.getvalue()
