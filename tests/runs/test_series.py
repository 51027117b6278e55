"""What is drawn of records that nobody described: parts, settings, curves, panels, each on rows made up for it."""

import pytest

from rllab import plots
from rllab.runs import Record
from rllab.runs.row_kinds import axes_of, kinds_of
from rllab.runs.series import Task, curves_by_task, group_runs, task_of
from rllab.runs.standings import label_of
from tests.proofs.figures import names_at_ends, names_in_legend, names_shown


def recorded(folder, rows, seeds=2, config=None, summary=None):
    """Return records of as many seeds; a row may be a function of the seed."""
    records = []
    for seed in range(seeds):
        with Record.create(folder / f"run-{seed}", config or {}, seed=seed) as record:
            for row in rows:
                record.append(row(seed) if callable(row) else row)
            record.finish(**(summary(seed) if summary else {}))
        records.append(Record.open(folder / f"run-{seed}"))
    return records


def measured(**settings):
    """Return a row of settings and an error that no two seeds share."""
    return lambda seed: {**settings, "error": 0.1234567 * (seed + 1) / (1 + len(settings))}


def names(records, *axes):
    return {
        (task.title.partition(": ")[2], task.x, task.y): [curve.name for curve in curves]
        for task, curves in curves_by_task(records, *axes).items()
    }


def test_a_setting_is_what_errors_are_drawn_against_and_never_what_is_measured(tmp_path):
    rows = [measured(method=method, d=d) for method in ("a", "b") for d in (2, 8, 32)]
    assert names(recorded(tmp_path / "many", rows)) == {("", "d", "error"): ["a", "b"]}
    assert names(recorded(tmp_path / "one", rows, seeds=1)) == {("", "d", "error"): ["a", "b"]}
    # without a name that says so, what differs between seeds is what was measured
    renamed = [
        lambda seed, row=row: {("height" if k == "error" else k): v for k, v in row(seed).items()} for row in rows
    ]
    assert names(recorded(tmp_path / "renamed", renamed)) == {("", "d", "height"): ["a", "b"]}


def test_a_setting_of_runs_of_unequal_length_tells_curves_apart(tmp_path):
    def rows(seed):
        return [{"depth": d, "step": n, "loss": 1.2345 / (n + d + seed + 1)} for d in (1, 2) for n in range(4 + seed)]

    records = [recorded(tmp_path / f"{seed}", rows(seed), seeds=seed + 1)[-1] for seed in range(2)]
    for record in records:
        record.config["environment"] = "Toy-v0"
    assert names(records) == {("", "step", "loss"): ["depth 1", "depth 2"]}


def test_a_column_that_some_rows_lack_is_not_what_the_others_are_drawn_against(tmp_path):
    rows = [{"where": "weights", "price": 0.1234}, {"where": "output", "outputs": 1, "price": 0.5678}]
    ((task, curves),) = curves_by_task(recorded(tmp_path, rows, seeds=1)).items()
    assert (task.x, task.y, [curve.name for curve in curves]) == ("", "price", ["weights", "output"])


def test_counts_come_after_what_was_measured(tmp_path):
    rows = [lambda seed: {"d": 2, "pilot": 384 + seed, "ratio": 1.0625 + seed}]
    ((task, _),) = curves_by_task(recorded(tmp_path, rows)).items()
    assert task.y == "ratio"


def test_a_count_comes_before_a_setting(tmp_path):
    rows = [measured(evaluations=n, d=3) for n in (10, 20, 40)]
    assert list(names(recorded(tmp_path, rows))) == [("", "evaluations", "error")]


def test_rows_of_other_columns_are_another_part(tmp_path):
    rows = [measured(part="fit", shown=n) for n in (64, 512)]
    rows += [{"part": "path", "step": n, "loss": 1.0 / (n + 1)} for n in range(3)]
    assert list(names(recorded(tmp_path, rows))) == [("fit", "shown", "error"), ("path", "step", "loss")]


def test_a_text_for_each_of_whose_values_another_setting_varies_says_parts(tmp_path):
    rows = [measured(sweep="horizon", k=1, T=T) for T in (5, 10, 20)]
    rows += [measured(sweep="systems", k=k, T=20) for k in (1, 2, 4)]
    assert list(names(recorded(tmp_path, rows))) == [("horizon", "T", "error"), ("systems", "k", "error")]


def test_learners_whose_rows_have_other_columns_are_compared_in_one_panel(tmp_path):
    sac = recorded(tmp_path / "sac", [{"steps": 1, "return": 1.0, "alpha": 0.1}], config={"method": "sac", "task": "t"})
    ppo = recorded(tmp_path / "ppo", [{"steps": 2, "return": 2.0, "clipped": 0}], config={"method": "ppo", "task": "t"})
    for record in (*sac, *ppo):
        record.config["environment"] = "Toy-v0"
    ((task, curves),) = curves_by_task([*sac, *ppo]).items()
    assert (task.title, task.x, task.y) == ("Toy-v0", "steps", "return") and [c.name for c in curves] == ["sac", "ppo"]


def test_a_setting_tells_curves_apart_only_where_one_x_would_have_several_values(tmp_path):
    rows = [measured(budget=n, noise=noise) for noise in (0.0, 0.1) for n in (1, 2, 3)]
    assert names(recorded(tmp_path / "two", rows)) == {("", "budget", "error"): ["noise 0", "noise 0.1"]}
    rows = [measured(budget=n, repeat=i) for i in range(4) for n in (1, 2, 3, 4, 5)]
    ((_, (curve,)),) = curves_by_task(recorded(tmp_path / "again", rows)).items()
    assert len(curve.points[0][0]) == 5  # repetitions are one curve, their median


def test_runs_without_rows_are_compared_by_what_they_concluded(tmp_path):
    def concluded(seed):
        return {"found": True, "steps": 100.5 + seed, "draws": 3}

    records = recorded(tmp_path, [], summary=concluded)
    assert list(names(records)) == [("", "", "steps")]
    (ax,) = plots.overview(records).axes
    assert ax.get_legend() is None and [text.get_text() for text in ax.get_yticklabels()] == [
        f"{tmp_path.name} (2 seeds)"
    ]
    assert sorted(x for line in ax.lines[:1] for x in line.get_xdata()) == [100.5, 101.5]


def test_who_finished_without_a_row_beside_learners_is_not_drawn_and_who_was_killed_is(tmp_path):
    records = recorded(tmp_path, [{"steps": n, "loss": 1.0 / n} for n in (1, 2)], config={"method": "a"})
    records += recorded(tmp_path / "x", [], seeds=1, config={"method": "by hand", "environment": tmp_path.name})
    Record.create(tmp_path / "killed", {"method": "b"}, seed=0).close()
    killed = Record.open(tmp_path / "killed")
    (ax,) = plots.overview([*records, killed]).axes
    assert names_at_ends(ax) == ["a (2 seeds)"]
    assert names_in_legend(ax) == ["b (1 seed, 1 unfinished, no rows)"]


def test_too_many_curves_are_divided_by_the_text_that_makes_the_fewest_panels(tmp_path):
    rows = [
        measured(function=f"f{i}", method=method, d=d) for i in range(5) for method in ("a", "b", "c") for d in (1, 2)
    ]
    found = names(recorded(tmp_path, rows))
    assert [title for title, _, _ in found] == ["a", "b", "c"]
    assert all(curves == [f"f{i}" for i in range(5)] for curves in found.values())


def test_many_configurations_of_one_method_go_on_in_another_panel(tmp_path):
    records = []
    for i in range(14):
        rows = [{"steps": n, "loss": float(i + n)} for n in (1, 2)]
        records += recorded(tmp_path / f"{i}", rows, seeds=1, config={"method": "a", "lr": i, "environment": "Toy-v0"})
    assert [len(names_shown(ax)) for ax in plots.overview(records).axes] == [12, 2]


def test_configurations_are_named_by_a_text_alone_where_it_suffices(tmp_path):
    records = []
    for case, radii in (("fast", [0.03, 0.2]), ("slow", [0.2, 0.5])):
        config = {"case": case, "radii": radii, "d": len(radii)}
        records += recorded(tmp_path / case, [{"steps": 1}], config=config)
    assert [curve.name for curve in group_runs(records)] == ["fast", "slow"]


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"environment": "rllab_envs:rllab/BicycleBalance-v0"}, "rllab/BicycleBalance-v0"),
        ({"cell": "CartPole-v1/PPO", "share": 1.0}, "CartPole-v1"),
        ({"task": "balance"}, "here: balance"),
        ({"method": "a"}, "here"),
    ],
)
def test_a_run_is_about_its_environment_or_task(config, name, tmp_path):
    (record,) = recorded(tmp_path / "here", [], seeds=1, config=config)
    assert task_of(record) == name


def test_an_axis_is_logarithmic_where_values_are_wide_and_shows_zeros_and_signs(tmp_path):
    def scales(name, values, x=(1, 2, 3)):
        rows = [{"d": d, "error": v} for d, v in zip(x, values, strict=True)]
        (ax,) = plots.overview(recorded(tmp_path / name, rows)).axes
        return ax.get_xscale(), ax.get_yscale()

    assert scales("narrow", (1.0, 2.5, 3.5)) == ("linear", "linear")
    assert scales("wide", (1.0, 2.5, 350.5)) == ("linear", "log")
    assert scales("zero", (0.0, 2.5, 350.5)) == ("linear", "symlog")
    assert scales("signs", (-1.0, 1.5, 3e5)) == ("linear", "symlog")
    assert scales("settings", (1.0, 1.5, 1.25), x=(1, 10, 1000)) == ("log", "linear")


def test_times_and_truths_are_not_drawn_unless_nothing_else_is_there(tmp_path):
    rows = [lambda seed: {"d": 2, "took seconds": 1.5 + seed, "reached": bool(seed)}]
    (kind,) = kinds_of(recorded(tmp_path, rows))
    assert axes_of(kind, None, None) in {("", "reached"), ("d", "reached")}
    assert axes_of(kind, None, "took seconds") in {("", "took seconds"), ("d", "took seconds")}
    assert axes_of(kind, "steps", None) is None and axes_of(kind, None, "return") is None


def test_a_score_along_a_setting_says_at_which_of_its_values():
    assert label_of(Task("a", "T", "variance")) == "−variance at the largest T (less is better)"
    assert label_of(Task("a", "steps", "return")) == "return" and label_of(Task("a", "", "error")).startswith(
        "−error ("
    )


def test_configurations_that_differ_in_several_settings_are_named_by_their_folders(tmp_path):
    def trained(folder, **settings):
        config = {"method": "ars", "environment": "Toy-v0", "settings": {"lr": 0.1, **settings}, "given": settings}
        return recorded(tmp_path / folder, [{"steps": n, "evaluation": float(n)} for n in (1, 2)], config=config)

    wide = trained("wide/ars", lr=0.2, delta_std=0.3, n_delta=3)
    near = trained("near/ars", lr=0.1, delta_std=0.1, n_delta=4)
    assert [curve.name for curve in group_runs([*wide, *near])] == ["ars, wide/ars", "ars, near/ars"]
    # one setting says all there is to say, however often it stands in the configuration
    slow, fast = trained("slow", lr=0.01), trained("fast", lr=0.02)
    assert [curve.name for curve in group_runs([*slow, *fast])] == ["ars, lr = 0.01", "ars, lr = 0.02"]
