"""About: what a folder of runs is about: the question, the command that makes it again, its claims and figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rllab.files import write_atomically
from rllab.runs.storage import read_object, storable, to_json

ABOUT = "about.json"


@dataclass(frozen=True)
class Claim:
    """One sentence with its numbers, and whether it holds; None where it is only worth knowing."""

    holds: bool | None
    text: str


@dataclass(frozen=True)
class About:
    """What stands in a folder of runs beside them, in about.json, for `rllab report`.

    Args:
        question: that the runs answer, one line.
        command: that makes the folder again.
        claims: as they were judged.
        figures: names of SVG files in the folder.
    """

    question: str = ""
    command: str = ""
    claims: tuple[Claim, ...] = ()
    figures: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write about.json.

        Raises:
            OSError: the folder cannot be written to.
        """
        write_atomically(folder / ABOUT, to_json(storable(asdict(self), "About"), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> About:
        """Return what stands in about.json; what says nothing if there is none.

        Raises:
            ValueError: the file is damaged, or of another form.
        """
        if not (folder / ABOUT).is_file():
            return cls()
        found: dict[str, Any] = read_object(folder / ABOUT)
        try:
            claims = tuple(Claim(claim["holds"], str(claim["text"])) for claim in found["claims"])
            texts = {name: str(found[name]) for name in ("question", "command")}
            return cls(**texts, claims=claims, figures=tuple(map(str, found["figures"])))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{folder / ABOUT} is not of the form that this version writes: {error!r}") from None
