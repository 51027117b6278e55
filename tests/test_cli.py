"""The command line: help at once, figures and tables from recorded runs, one clear line for an error."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from rllab import critics, plots
from rllab.cli import checkup, main
from rllab.runs import Record, load_records
from rllab.tables import table
from rllab.testing import exported_estimators
from rllab.version import __version__
from tests.proofs.figures import names_at_ends, names_in_legend

COMMANDS = ("train", "tune", "list", "plot", "compare", "report", "export", "video", "estimators", "doctor")


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
        timeout=240,
        **options,
    )


def test_help_and_version_load_nothing_heavy():
    heavy = {"torch", "numpy", "scipy", "matplotlib", "gymnasium", "PIL"}
    asked = [["--help"], *([command, "--help"] for command in COMMANDS), ["--version"], []]
    program = f"""
import contextlib, io, json, sys
from rllab.cli import main
for arguments in {asked}:  # one after the other: the first that loads something is told, and all after it
    code = None
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue(), sorted({heavy} & set(sys.modules))]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240)
    for arguments, line in zip(asked, done.stdout.splitlines(), strict=True):
        code, out, err, loaded = json.loads(line)
        assert loaded == [], arguments
        if "--help" in arguments:
            assert out.startswith("usage: rllab") and code == 0, arguments
        elif arguments == ["--version"]:
            assert out.startswith(f"{__version__}\n")
        else:
            assert code == 2 and all(command in err for command in COMMANDS)


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


@pytest.fixture
def two_environments(tmp_path):
    """Ten seeds of two methods in Pendulum-v1, three of one in CartPole-v1, a table of an experiment; all in `all`."""
    for seed in range(10):
        for method, shift in (("td3", 0.0), ("sac", 5.0)):
            config = {"method": method, "environment": "Pendulum-v1"}
            with Record.create(tmp_path / "all" / "pendulum" / f"{method}-{seed}", config, seed=seed) as record:
                for steps in (100, 200):
                    record.append({"steps": steps, "return": 0.0, "evaluation": steps / 10 + seed + shift})
                record.finish(**{"return": 30.0 + seed + shift})
    for seed in range(3):
        config = {"method": "ars", "environment": "CartPole-v1"}
        with Record.create(tmp_path / "all" / "cartpole" / f"ars-{seed}", config, seed=seed) as record:
            record.append({"steps": 50, "evaluation": 100.0})
            record.append({"steps": 90 + seed, "evaluation": 500.0 if seed else 200.0})
            record.finish()
        with Record.create(tmp_path / "all" / "toys" / f"toys-{seed}", {"dimension": 3}, seed=seed) as record:
            for method in ("spsa", "gaussian"):
                for evaluations in (20, 10, 20):
                    record.append({"method": method, "evaluations": evaluations, "error": 1.0 / evaluations})
            record.finish()
    return tmp_path / "all"


def test_plot_draws_every_experiment_by_environment_with_one_entry_a_curve(two_environments):
    figure = plots.overview(load_records(two_environments))
    panels = {ax.get_title(): ax for ax in figure.axes}
    assert list(panels) == ["CartPole-v1", "Pendulum-v1", "toys"]
    entries = {name: names_at_ends(ax) for name, ax in panels.items()}
    assert entries == {
        "CartPole-v1": ["ars (3 seeds)"],
        "Pendulum-v1": ["sac (10 seeds)", "td3 (10 seeds)"],
        "toys": ["spsa (3 seeds)", "gaussian (3 seeds)"],
    }
    for name, ax in panels.items():
        labelled = [line for line in ax.lines if not line.get_label().startswith("_")]
        assert [line.get_label() for line in labelled] == entries[name]
    spsa = panels["toys"].lines[3]
    assert spsa.get_xydata().tolist() == [[10, 0.1], [20, 0.05]]
    assert [ax.get_ylabel() for ax in panels.values()] == ["evaluation", "evaluation", "error"]


def test_more_curves_than_a_panel_can_hold_go_on_in_another(tmp_path):
    for i in range(14):
        with Record.create(tmp_path / f"m{i}-0", {"method": f"m{i}"}, seed=0) as record:
            record.append({"steps": 1, "loss": 1.0 * i})
            record.append({"steps": 2, "loss": 2.0 * i})
    figure = plots.overview(load_records(tmp_path))
    assert [len(names_in_legend(ax)) for ax in figure.axes] == [12, 0]
    assert [len(names_at_ends(ax)) for ax in figure.axes] == [0, 2]
    assert [ax.get_title() for ax in figure.axes] == [tmp_path.name, f"{tmp_path.name} (continued)"]


@pytest.mark.slow
def test_compare_prints_and_draws_the_probability_of_improvement(two_environments, tmp_path, capsys):
    main(["compare", str(two_environments), "--out", str(tmp_path / "improvement.png")])
    out = capsys.readouterr().out
    pendulum = out[out.index("Pendulum-v1: return on unseen episodes, at the end") :]
    lines = [line.split() for line in pendulum.splitlines()]
    assert lines[2][:4] == ["sac", "10", "0", "39.5"]
    assert lines[3][:4] == ["td3", "10", "0", "34.5"]
    # of a hundred pairs 15 are wrong way round and 5 equal: seeds i of td3 and j of sac with i > j + 5, i = j + 5
    wrong, ties = sum(i > j + 5 for i in range(10) for j in range(10)), 5
    (pair,) = [line for line in lines if line[:2] == ["sac", "td3"]]
    assert float(pair[2]) == pytest.approx((100 - wrong - ties / 2) / 100, abs=0.0051)  # printed to two digits
    low, high = (float(text.strip("[],")) for text in pair[3:5])
    assert 0.5 < low < float(pair[2]) < high < 1
    assert pair[5:8] == ["5", "(10", "seeds)"] and pair[8:] == ["[5,", "5]"]
    cartpole = out[: out.index("Pendulum-v1")]
    assert "reached 475" in cartpole and "2 of 3" in cartpole  # what Gymnasium says solves it
    assert "toys: −error (less is better)" in out and f"figure: {tmp_path / 'improvement.png'}" in out
    svg = (tmp_path / "improvement.svg").read_text()
    assert "probability of improvement, 95 % bootstrap interval" in svg


def test_plot_draws_several_columns_each_in_its_panel(results, tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(plots, "save", lambda figure, path: drawn.extend(ax.get_ylabel() for ax in figure.axes))
    main(["plot", str(results), "--y", "evaluation, seconds", "--out", str(tmp_path / "a.png")])
    assert drawn == ["evaluation", "seconds"]
    with pytest.raises(SystemExit):
        main(["plot", str(results), "--y", "evaluation,nothing", "--out", str(tmp_path / "a.png")])
    assert "no row has 'nothing'; columns are evaluation, seconds, steps" in capsys.readouterr().err


def test_export_writes_every_row(two_environments, tmp_path, capsys):
    main(["export", str(two_environments), "--out", str(tmp_path / "new" / "rows.csv")])
    assert capsys.readouterr().out == f"{tmp_path / 'new' / 'rows.csv'}: 64 rows of 26 runs\n"
    with open(tmp_path / "new" / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    first = next(row for row in rows if row["environment"] == "Pendulum-v1")
    assert (first["method"], first["seed"], first["status"]) == ("sac", "0", "finished")
    assert (first["steps"], first["evaluation"], first["error"]) == ("100", "15.0", "")
    assert {row["row.method"] for row in rows} == {"", "spsa", "gaussian"} and len(rows) == 64


@pytest.mark.slow
@pytest.mark.parametrize("command", ["list", "plot", "compare", "report", "export"])
def test_a_damaged_run_is_named_and_skipped_and_the_exit_code_says_so(two_environments, tmp_path, capsys, command):
    for undamaged in ("cartpole", "toys"):
        shutil.rmtree(two_environments / undamaged)
    damaged = two_environments / "pendulum" / "td3-3" / "rows.jsonl"
    damaged.write_text("nonsense\n" + damaged.read_text())
    name = {"list": "", "export": "a.csv", "report": "a.html"}.get(command, "a.png")
    out_flag = ["--out", str(tmp_path / name)] if name else []
    with pytest.raises(SystemExit) as caught:
        main([command, str(two_environments), *out_flag])
    out, err = capsys.readouterr()
    assert caught.value.code == 1
    assert err.startswith(f"skipped {damaged.parent}: {damaged}: line 1 is not a row") and err.count("\n") == 1
    assert "td3-4" in out if command == "list" else "a." in out


def test_doctor_says_what_is_there_and_what_is_amiss(capsys, monkeypatch):
    main(["doctor"])
    out = capsys.readouterr().out
    assert "all is well" in out and "WRONG" not in out and "ok     torch: " in out
    assert "rllab.runs.limit_threads()" in out  # what is true of a command is not of a script
    monkeypatch.setitem(checkup.LEAST, "numpy", "99.1")
    monkeypatch.setitem(checkup.EXTRAS, "moon", (["no_such_module"], "nothing"))
    with pytest.raises(SystemExit) as caught:
        main(["doctor"])
    out = capsys.readouterr().out
    assert caught.value.code == 1 and out.endswith("1 of the checks failed\n")
    assert "WRONG  numpy: 99.1 or newer is needed, this is " in out
    assert "-----  extra moon, nothing: not there: pip install '.[moon]'\n" in out


def test_the_module_runs_as_the_command_does():
    done = subprocess.run([sys.executable, "-m", "rllab", "--version"], capture_output=True, text=True, timeout=240)
    assert done.stdout == f"{__version__}\n"


def test_list_says_what_is_there(results, capsys, monkeypatch):
    monkeypatch.chdir(results.parent)
    main(["list"])
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
    assert re.split(r"\s{2,}", head)[:6] == ["estimator", "at", "target", "unbiased for it", "needs", "share a seed"]
    assert "evaluations, d = 6" in head
    classes = [*exported_estimators(), *exported_estimators(critics)]
    assert [line.split()[0] for line in lines] == [cls.__name__ for cls in classes]
    assert {"Rebar", "Lax", "Critic", "Residual", "ThroughCritic"} < {cls.__name__ for cls in classes}
    start = head.index("share a seed")
    shared = {line.split()[0]: line[start:].split("  ")[0] for line in lines}
    assert (shared["SPSA"], shared["Rebar"], shared["ScoreFunction"]) == ("pairs", "units", "none")
    assert shared["CentralDifference"] == "all points"
    start = head.index("evaluations, d = 6")
    price = {line.split()[0]: line[start:].split()[0] for line in lines}
    assert price["CentralDifference"] == "12" and price["ForwardDifference"] == "7" and price["SPSA"] == "2"
    assert price["Enumeration"] == "64" and price["Quadrature"] == "10^9"
    assert any(line.startswith("CentralDifference") and "O(h^2)" in line and "(1952)" in line for line in lines)
    main(["estimators", "--dimension", "20000"])  # 2^20000 is no float
    assert "10^6021" in capsys.readouterr().out
    main(["estimators", "--dimension", "30000"])  # more than Sobol' points have, and a covariance takes
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(classes) + 1
    assert [line.split()[0] for line in lines if " cannot " in line] == ["xNES", "SobolSmoothing"]
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
        (["list", "nowhere"], "error: there is no folder nowhere\n"),
        (["list", "."], "error: no run in .\n"),
        (["list"], "error: there is no folder results\n"),
        (["plot", "nowhere"], "error: there is no folder nowhere\n"),
    ],
    ids=str,
)
def test_an_error_is_one_line_and_code_2(tmp_path, arguments, line):
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--y", "score"], "no row has 'score'; columns are evaluation, seconds, steps"),
        (["--out", "a.pdf"], "path must end in .png or .svg, both are written, got 'a.pdf'"),
        (["--out", "."], "path must name a file, got the folder '.'"),
        (["--out", ".."], "path must name a file, got the folder '..'"),
        (["--out", "/"], "path must name a file, got the folder '/'"),
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


def test_settings_are_what_their_text_says():
    from rllab.cli.common import number, setting

    for text, value in {
        "false": False,
        "False": False,
        "true": True,
        "2e-3": 2e-3,
        "(8,)": (8,),
        "auto": "auto",
    }.items():
        assert setting(f"a.b={text}") == ("a.b", value)
        assert type(setting(f"a={text}")[1]) is type(value)
    with pytest.raises(ValueError, match=r"^rllab: --set takes NAME=VALUE"):  # whatever the command
        setting("a b=1")
    with pytest.raises(ValueError, match=r"^rllab: --range must be a number"):
        number("range", "low")


def test_the_help_lists_the_agents_there_are(capsys):
    from rllab.agents.base import known_agents

    names = sorted(kind.__name__.lower() for kind in known_agents() if kind.__module__.startswith("rllab."))
    choices = [kind.__name__.lower() for kind in known_agents() if kind.takes_choices]
    for command in ("train", "tune"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        said = " ".join(capsys.readouterr().out.replace("│", " ").split())
        assert f"Which agent: {', '.join(names[:-1])} or {names[-1]}." in said
        assert command == "tune" or all(name in said.partition("Only")[2].partition("take")[0] for name in choices)


def test_panels_of_several_columns_say_which_and_missing_ones_are_named_together(tmp_path):
    with Record.create(tmp_path / "run", {"method": "ppo", "environment": "Tank-v0"}, seed=0) as record:
        for steps in (1, 2):
            record.append({"steps": steps, "a": 1.0 * steps, "b": 2.0})
    records = [Record.open(tmp_path / "run")]
    assert [ax.get_title() for ax in plots.overview(records, y=["a", "b"]).axes] == ["Tank-v0: a", "Tank-v0: b"]
    assert [ax.get_title() for ax in plots.overview(records, y=["a"]).axes] == ["Tank-v0"]
    with pytest.raises(ValueError, match=r"^overview: no row has 'c' nor 'd'; columns are a, b, steps"):
        plots.overview(records, y=["a", "c", "d"])
