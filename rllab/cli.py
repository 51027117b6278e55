"""The `rllab` command; `rllab --help` answers without loading torch."""

from __future__ import annotations

import argparse

from rllab import __version__


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="rllab", description="A gradient-estimation lab for reinforcement learning.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.parse_args(arguments)
