"""What `rllab compare` says: what is compared, of which runs, and what its columns are."""

import math
import re
import shutil

import pytest

from rllab.cli import main
from rllab.runs import Record


def test_compare_says_what_is_compared_and_of_how_few_seeds(tmp_path, capsys):
    for method, last, end in (("ppo", 5.0, 9.0), ("sac", 6.0, 8.0)):
        for seed in (0, 1):
            with Record.create(tmp_path / f"{method}-{seed}", {"method": method}, seed=seed) as record:
                record.append({"steps": 1, "evaluation": last + seed})
                record.finish(**{"return": end + seed})
    told = ["compare", str(tmp_path), "--out", str(tmp_path / "a.png")]
    best = []
    for flags in ([], ["--y", "evaluation"]):
        main([*told, *flags])
        _, title, head, first, *rest = capsys.readouterr().out.splitlines()
        assert "mean height of the curve of evaluation" in head
        assert any(line.startswith("Bootstrap intervals of fewer than 10 seeds are too narrow") for line in rest)
        best.append((title.partition(": ")[2], first.split()[0]))
    assert best == [("return on unseen episodes, at the end", "ppo"), ("evaluation", "sac")]


def test_compare_names_the_runs_it_leaves_out_and_the_report_does_too(tmp_path, capsys):
    for seed in range(3):
        with Record.create(tmp_path / f"crossq-{seed}", {"method": "crossq"}, seed=seed) as record:
            for steps in (1000, 2000, 3000)[: 3 if seed < 2 else 1]:
                record.append({"steps": steps, "evaluation": -1700.0 + steps / 3})
            if seed < 2:
                record.finish(**{"return": -700.0 + 2 * seed, "cpu_seconds": 12.25 + seed})
    main(["compare", str(tmp_path), "--threshold", "-700", "--out", str(tmp_path / "a.png")])
    _, _, head, line, *notes = capsys.readouterr().out.splitlines()
    cells = dict(zip(re.split(r"\s{2,}", head), re.split(r"\s{2,}", line), strict=True))
    assert (cells["seeds"], cells["unfinished"], cells["IQM"], cells["mean"]) == ("3", "1", "-699", "-699")
    assert (cells["median CPU seconds"], cells["reached -700"]) == ("12.75", "2 of 3")
    but = "left out of all numbers but what it takes to reach -700"
    note = f"crossq: 1 of 3 runs is {but}: crossq-2 (interrupted at steps 1,000)."
    assert note in notes
    assert "1 unfinished, left out" in (tmp_path / "a.svg").read_text()
    pytest.importorskip("jinja2", reason="the extra `report` is not installed")
    main(["report", str(tmp_path), "--threshold", "-700", "--out", str(tmp_path / "a.html")])
    page = (tmp_path / "a.html").read_text("utf-8")
    assert f"<p>{note}</p>" in page and "median CPU seconds" in page and "12.75" in page
    shutil.rmtree(tmp_path / "crossq-0")
    shutil.rmtree(tmp_path / "crossq-1")
    for command, name in (("compare", "b.png"), ("report", "b.html")):  # nothing to compare yet
        main([command, str(tmp_path), "--out", str(tmp_path / name)])
    assert "crossq: 1 of 1 runs is left out of all numbers: crossq-2" in capsys.readouterr().out


def test_the_help_says_what_a_height_and_an_infinite_end_are_and_how_many_steps_are_random(capsys):
    from rllab.agents import CrossQ
    from rllab.runs.survival import kaplan_meier

    said = {}
    for command in ("compare", "train"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        said[command] = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "The mean height of a curve is the area under its stairs" in said["compare"]
    assert "ends at ∞ with six runs or fewer, and where all reach it at once" in said["compare"]
    ends = [kaplan_meier(range(n), [True] * n).median[2] for n in (6, 7)]
    assert ends == [math.inf, 5] and kaplan_meier([3] * 9, [True] * 9).median == (3, 3, math.inf)
    starts = f"{CrossQ('Pendulum-v1', 0).learning_starts:,}"
    assert f"come before any update: {starts}, unless --set learning_starts=N or --tuned says" in said["train"]
