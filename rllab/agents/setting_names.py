"""What is said of a setting that an agent does not have: which one is near, and what other libraries' are here."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# stable-baselines3's names where ours differ, and the settings that do here what those do there
ELSEWHERE = {
    "env": ("environment",),
    "env_kwargs": ("environment_arguments",),
    "learning_rate": ("lr",),
    "n_envs": ("num_envs",),
    "net_arch": ("hidden", "critic_hidden", "actor", "critic"),
    "policy_kwargs": ("hidden", "critic_hidden", "actor", "critic"),
    "wrapper_class": ("wrappers",),
}
# and where another call does it
CALLS = {
    "callback": "for row in agent.train(steps):",
    "tensorboard_log": 'rllab.fit(…, track="tensorboard")',
    "total_timesteps": "agent.learn(10_000)",
    "verbose": "agent.learn(10_000, progress=True)",
}
NOWHERE = tuple(
    "use_sde target_update_interval n_critics action_noise replay_buffer_class activation_fn optimizer_class "
    "clip_range_vf device".split()
)


def no_setting(who: str, name: str, names: Iterable[str], listed: str = "it has") -> str:
    """Return in one sentence that there is no setting of that name, what may be meant, and which there are."""
    names = sorted(names)
    here = [ours for ours in ELSEWHERE.get(name, ()) if ours in names]
    hint = ""
    if here:
        hint = f", which is {' or '.join(here)} here"
    elif name in CALLS:
        hint = f", for which there is {CALLS[name]}"
    elif name in (*ELSEWHERE, *NOWHERE):
        hint = ", which has no counterpart here"
    elif near := get_close_matches(name, names):
        hint = f"; did you mean {' or '.join(near)}?"
    return f"{who} has no setting {name!r}{hint}{' ' if hint.endswith('?') else '; '}{listed} {', '.join(names)}"
