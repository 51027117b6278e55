"""The commands that the pages show exist: scripts, with flags that they have, and `rllab` with its own."""

import importlib
import re
import shlex
from dataclasses import fields

import pytest

from rllab.cli import learning, looking, recorded
from tests.docs.pages import PAGES, ROOT, blocks, name_of

COMMANDS = {
    name.lower(): kind
    for module in (learning, looking, recorded)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and kind.__module__ == module.__name__
}
COMMAND = re.compile(r"^(?:\.venv/bin/)?(?:python3? (experiments/[\w/]+\.py)|rllab ([a-z]+))((?: \S+)*)")


def commands(page):
    """Return script, sub-command and arguments of every command of a page, in blocks and in running text."""
    text = page.read_text("utf-8")
    lines = [line for block in blocks(page) if block.language in ("sh", "text") for line in block.text.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M))
    found = [COMMAND.match(line) for line in lines]
    return [(match[1], match[2], shlex.split(match[3], comments=True)) for match in found if match]


def unknown(script, command, words):
    """Return what a command has that there is not."""
    if script is not None:
        if not (ROOT / script).exists():
            return [script]
        module = importlib.import_module(script.removesuffix(".py").replace("/", "."))
        config = vars(module).get("Config") or module.Flags  # of an experiment, of a benchmark
    elif command not in COMMANDS:
        return [command]
    else:
        config = COMMANDS[command]
    flags = {f"--{field.name.replace('_', '-')}" for field in fields(config)} | {"--help"}
    return [word for word in words if word.startswith("--") and word.partition("=")[0] not in flags]


EVERY = [(page, *found) for page in [*PAGES, ROOT / "README.md"] for found in commands(page)]


def test_there_are_many():
    assert len({page for page, *_ in EVERY}) >= 10 and len(EVERY) >= 60


@pytest.mark.parametrize("page", dict.fromkeys(page for page, *_ in EVERY), ids=name_of)
def test_every_command_of_a_page_exists_with_its_flags(page):
    wrong = [(script or command, what) for at, script, command, words in EVERY if at == page
             if (what := unknown(script, command, words))]  # fmt: skip
    assert wrong == []


def test_a_wrong_command_is_noticed():
    assert unknown("experiments/none.py", None, []) == ["experiments/none.py"]
    assert unknown("experiments/lecture/table.py", None, ["--row", "L36", "--rows"]) == ["--rows"]
    assert unknown(None, "teach", []) == ["teach"] and unknown(None, "train", ["--seeds", "2", "--lr"]) == ["--lr"]
