"""The command line: help at once, figures and tables from recorded runs, one clear line for an error."""

import os
import subprocess
import sys

import pytest
from PIL import Image

from rllab import critics
from rllab.cli import main
from rllab.runs import Record
from rllab.tables import table
from rllab.testing import exported_estimators
from rllab.version import __version__

COMMANDS = ("train", "tune", "plot", "runs", "video", "estimators")


@pytest.fixture
def results(tmp_path):
    for name, steps in (("evolution-0", (0, 1000)), ("evolution-1", (0, 1000)), ("td3-0", (0,)), ("td3-1", ())):
        method, seed = name.split("-")
        with Record.create(tmp_path / "results" / name, {"method": method}, seed=int(seed)) as record:
            for s in steps:
                record.append({"steps": s, "seconds": s / 7, "evaluation": 2.0 * s + int(seed)})
            if method == "evolution":
                record.finish(best=1 / 3, curve=list(range(20)))
    return tmp_path / "results"


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", "from rllab.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([command, "--help"] for command in COMMANDS), ["--version"], []],
    ids=str,
)
def test_help_and_version_load_nothing_heavy(arguments):
    heavy = {"torch", "numpy", "scipy", "matplotlib", "gymnasium", "PIL"}
    program = f"""
import sys
from rllab.cli import main
try:
    main({arguments})
except SystemExit as end:
    print("exit", end.code)
print("loaded", sorted({heavy} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.endswith("loaded []\n")
    if "--help" in arguments:
        assert "usage: rllab" in done.stdout and "exit 0" in done.stdout
    elif arguments == ["--version"]:
        assert done.stdout.startswith(f"{__version__}\n")
    else:
        assert "exit 2" in done.stdout and all(command in done.stderr for command in COMMANDS)


def test_the_help_shows_every_command_and_flag(capsys):
    for arguments, words in (
        (["--help"], (*COMMANDS, "rllab --version")),
        (["estimators", "--help"], ("--dimension",)),
        (["plot", "--help"], ("--x", "--y", "--out", "--log", "DIR")),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        said = capsys.readouterr().out
        assert all(word in said for word in words)


def test_plot_overlays_runs_and_prints_the_path_of_the_figure(results, tmp_path, capsys):
    out = tmp_path / "figures" / "both.png"
    main(["plot", str(results / "evolution-0"), str(results), "--x", "seconds", "--log", "--out", str(out)])
    assert capsys.readouterr().out == f"{out}\n"
    with Image.open(out) as image:
        assert image.size[0] > 500
    svg = out.with_suffix(".svg").read_text()
    for text in ("wall seconds", "evolution (2 seeds)", "td3 (2 seeds, 2 unfinished)"):
        assert f"<!-- {text} -->" in svg


def test_runs_lists_what_is_there(results, capsys, monkeypatch):
    monkeypatch.chdir(results.parent)
    main(["runs"])
    assert capsys.readouterr().out.splitlines() == [
        "run                  method     seed  status       rows  steps  summary",
        "results/evolution-0  evolution     0  finished        2   1000  best=0.333333 curve=[0, 1, 2, 3, 4, 5, 6, 7…",
        "results/evolution-1  evolution     1  finished        2   1000  best=0.333333 curve=[0, 1, 2, 3, 4, 5, 6, 7…",
        "results/td3-0        td3           0  interrupted     1      0",
        "results/td3-1        td3           1  interrupted     0",
    ]


def test_estimators_are_listed_with_what_they_estimate_and_their_price(capsys):
    main(["estimators", "--dimension", "6"])
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["estimator", "at", "target", "unbiased", "needs"] and "evaluations, d = 6" in head
    classes = [*exported_estimators(), *exported_estimators(critics)]
    assert [line.split()[0] for line in lines] == [cls.__name__ for cls in classes]
    assert {"Rebar", "Lax", "Critic", "Residual", "ThroughCritic"} < {cls.__name__ for cls in classes}
    start = head.index("evaluations, d = 6")
    price = {line.split()[0]: line[start:].split()[0] for line in lines}
    assert price["CentralDifference"] == "12" and price["ForwardDifference"] == "7" and price["SPSA"] == "2"
    assert price["Enumeration"] == "64" and price["Quadrature"] == "10^9"
    assert any(line.startswith("CentralDifference") and "O(h^2)" in line and "(1952)" in line for line in lines)
    main(["estimators", "--dimension", "20000"])  # 2^20000 is no float
    assert "10^6021" in capsys.readouterr().out
    main(["estimators", "--dimension", "30000"])  # more than Sobol' points have
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(classes) + 1
    assert [line.split()[0] for line in lines if " cannot " in line] == ["SobolSmoothing"]
    for wrong in (0, -3, 10_000_000_000):
        with pytest.raises(SystemExit):
            main(["estimators", "--dimension", str(wrong)])
        said = f"error: rllab estimators: dimension must be >= 1 and <= 10,000,000, got {wrong}\n"
        assert capsys.readouterr().err == said


def test_a_table_is_aligned_by_its_widest_cells():
    assert table(["a", "number"], [["xyz", 5], ["", 12345678]]).splitlines() == [
        "a      number",
        "xyz         5",
        "     12345678",
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["runs", "nowhere"], "error: load_records: there is no folder nowhere\n"),
        (["runs", "."], "error: load_records: no run in .\n"),
        (["runs"], "error: load_records: there is no folder results\n"),
        (["plot", "nowhere"], "error: load_records: there is no folder nowhere\n"),
    ],
    ids=str,
)
def test_an_error_is_one_line_and_code_2(tmp_path, arguments, line):
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--y", "score"], "curves: no row has both 'steps' and 'score'; columns are evaluation, seconds, steps"),
        (["--out", "a.pdf"], "save: path must end in .png or .svg, both are written, got 'a.pdf'"),
        (["--out", "."], "save: path must name a file, got the folder '.'"),
        (["--out", ".."], "save: path must name a file, got the folder '..'"),
        (["--out", "/"], "save: path must name a file, got the folder '/'"),
        (["--out", "file/a.png"], "file: File exists"),
        (["--out", "file/b/a.png"], "file/b: Not a directory"),
    ],
    ids=str,
)
def test_errors_of_drawing_and_writing_are_one_line_too(results, monkeypatch, capsys, arguments, line):
    monkeypatch.chdir(results.parent)
    (results.parent / "file").touch()
    with pytest.raises(SystemExit) as caught:
        main(["plot", *arguments])
    out, err = capsys.readouterr()
    assert (caught.value.code, out, err) == (2, "", f"error: {line}\n")
    assert sorted(os.listdir()) == ["file", "results"]
