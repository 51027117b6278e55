"""The `rllab` command: one dataclass per sub-command, whose fields are its flags; `--help` answers without torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import tyro

from rllab.cli.learning import Train, Tune, Video
from rllab.cli.looking import Doctor, Estimators
from rllab.cli.recorded import Compare, Export, List, Plot, Report
from rllab.version import __version__

DESCRIPTION = (
    "A gradient-estimation lab for reinforcement learning. `rllab train CartPole-v1 --method ppo` trains, `rllab "
    "list`, `plot`, `compare` and `report` show what was recorded. A command that was stopped goes on with --resume. "
    "`rllab COMMAND --help` explains one command, `rllab --version` prints the version."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with 1 where a run was damaged and skipped, or something is amiss."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments == ["--version"]:
        print(__version__)
        return
    command = tyro.cli(
        Train | Tune | List | Plot | Compare | Report | Export | Video | Estimators | Doctor,
        prog="rllab",
        description=DESCRIPTION,
        args=arguments,
    )
    from rllab.runs import limit_threads, one_line_errors  # here, as --help is to answer at once
    from rllab.stopping import sigterm_interrupts
    from rllab.text import degrade_output

    limit_threads()
    degrade_output()
    with one_line_errors(), sigterm_interrupts():
        if code := command.run():
            sys.exit(code)
