"""Standings and the series they are made of: hand-made runs, what is compared, and what is never left out."""

import math

import numpy as np
import pytest

from rllab.runs import Record
from rllab.runs.about import About, Claim
from rllab.runs.series import Task, curves_by_task, group_runs
from rllab.runs.standings import has_final, label_of, notes_on, ranked
from rllab.runs.statistics import iqm


def run(folder, config, seed, rows, *, finish=True, **summary):
    with Record.create(folder, config, seed=seed) as record:
        for row in rows:
            record.append(row)
        if finish:
            record.finish(**summary)
    return Record.open(folder)


def fail(record):
    (record.folder / "error.txt").write_text("Traceback\nValueError: it has diverged\n")
    return Record.open(record.folder)


@pytest.fixture
def records(tmp_path):
    """Return four seeds of two methods in one environment; one run diverged, and one failed before its first row."""
    found = []
    for seed in range(4):
        for method, shift in (("td3", 0.0), ("sac", 10.0)):
            config = {"method": method, "environment": "module:here/Toy-v0", "settings": {"lr": 0.1}}
            rows = [{"steps": 10, "evaluation": 1.0}, {"steps": 30, "evaluation": seed + shift}]
            if failed := (method, seed) == ("td3", 3):
                rows = []
            if (method, seed) == ("sac", 0):
                rows[1]["evaluation"] = math.nan
            record = run(tmp_path / f"{method}-{seed}", config, seed, rows, finish=not failed)
            found.append(fail(record) if failed else record)
    return found


def test_what_each_method_reached_is_worked_out_by_hand(records):
    ((task, curves),) = curves_by_task(records).items()
    assert task == Task("here/Toy-v0", "steps", "evaluation")
    (first, second), (pair,) = ranked(task, curves, threshold=2.0, key=0)
    assert (first.name, second.name) == ("sac", "td3")
    assert first.scores == {0: -math.inf, 1: 11.0, 2: 12.0, 3: 13.0}  # NaN is the worst, not left out
    assert second.scores == {0: 0.0, 1: 1.0, 2: 2.0, 3: -math.inf}
    assert first.iqm == iqm([-math.inf, 11, 12, 13]) == 11.5 and second.iqm == 0.5
    assert (first.unfinished, second.unfinished, second.failed) == (0, 1, ("td3-3",))
    assert notes_on([first, second], 2.0) == ["td3: 1 of 4 runs failed and counts as the worst: td3-3."]
    # heights from 10 to 30, where the curve of the second row has no length yet: 1 everywhere, but of the failed run
    assert first.area == second.area == 1.0
    assert (first.reached, second.reached) == (3, 1)
    # at 30 all four of sac are at risk, of td3 three: the run without rows was censored at 0
    assert first.steps[0] == 30 and second.steps[0] == math.inf
    # sac above td3: −∞ beats only by half the −∞ of td3; the three others beat all four
    assert pair.probability == (3 * 4 + 0.5) / 16 and pair.difference is None
    assert 0 <= pair.low <= pair.probability <= pair.high <= 1


def test_the_last_value_of_an_unfinished_run_is_no_score_and_the_table_says_whose(tmp_path):
    returns = {"crossq": (-700.0, -698.0, None, None), "td3": (-900.0, -800.0, -850.0, None)}
    runs = []
    for method, ends in returns.items():
        for seed, end in enumerate(ends):
            evaluations = [-1500.0, -1000.0, -900.0] if end is not None else [-1700.0] if method == "crossq" else []
            rows = [{"steps": 1000 * (i + 1), "evaluation": value} for i, value in enumerate(evaluations)]
            finished = {"return": end, "cpu_seconds": 10.0 + seed}
            config = {"method": method, "environment": "Pendulum-v1"}
            runs.append(run(tmp_path / f"{method}-{seed}", config, seed, rows, finish=end is not None, **finished))
    ((task, curves),) = curves_by_task(runs).items()
    best, (pair,) = ranked(task, curves, threshold=-1000.0, key=0)
    first, second = best
    assert label_of(task, final=has_final(task, curves)) == "return on unseen episodes, at the end"
    assert (first.name, first.scores, first.iqm) == ("crossq", {0: -700.0, 1: -698.0}, -699.0)
    assert (second.name, second.iqm, second.unfinished) == ("td3", -850.0, 1)
    assert (first.median, first.mean, first.cpu_seconds, second.cpu_seconds) == (-699.0, -699.0, 10.5, 11.0)
    assert -700 <= first.low <= first.high <= -698 and pair.probability == 1.0 and pair.difference.mean == 151.0
    assert first.area == second.area == (-1500.0 - 1000.0) / 2
    assert (first.runs, first.reached, first.steps[0]) == (4, 2, 2000.0)  # these are censored, not left out
    but = "left out of all numbers but what it takes to reach -1000"
    assert notes_on(best, -1000.0) == [
        f"crossq: 2 of 4 runs are {but}: crossq-2 (interrupted at steps 1,000), crossq-3 (interrupted at steps 1,000).",
        f"td3: 1 of 4 runs is {but}: td3-3 (interrupted without a row).",
    ]
    for flags in ({"final": False}, {"lower": False}):  # a column's last value is of another step just as well
        assert set(ranked(task, curves, **flags, key=0)[0][0].scores) < {0, 1, 2}
    runs = [record for record in runs if not record.finished]
    ((task, curves),) = curves_by_task(runs).items()
    best, pairs = ranked(task, curves, key=0)
    assert not has_final(task, curves) and pairs == [] and [s.scores for s in best] == [{}, {}]
    assert all(math.isnan(value) for s in best for value in (s.iqm, s.low, s.median, s.mean, s.area, s.cpu_seconds))
    assert notes_on(best, None)[1] == "td3: 1 of 1 runs is left out of all numbers: td3-3 (interrupted without a row)."


def test_a_run_without_a_return_at_the_end_makes_last_values_what_is_compared(tmp_path):
    ends = ({"return": 9.0}, {"return": 8.0}, {})
    runs = [
        run(tmp_path / f"a-{seed}", {"method": "a"}, seed, [{"steps": 1, "evaluation": 5.0}], **end)
        for seed, end in enumerate(ends)
    ]
    ((task, curves),) = curves_by_task(runs).items()
    assert not has_final(task, curves) and ranked(task, curves, key=0)[0][0].scores == dict.fromkeys(range(3), 5.0)


def test_a_failed_run_has_the_worst_cost_too(tmp_path):
    rows = [{"steps": s, "cost": 1.0} for s in (1, 2)]
    runs = [run(tmp_path / f"a-{seed}", {"method": "a"}, seed, rows, finish=seed > 0) for seed in range(2)]
    ((task, curves),) = curves_by_task([fail(runs[0]), runs[1]]).items()
    (found,), _ = ranked(task, curves, key=0)
    assert found.scores == {0: -math.inf, 1: -1.0} and found.area == math.inf


def test_less_is_better_of_a_cost_and_scores_are_then_its_negative(tmp_path):
    runs = [
        run(tmp_path / f"{m}-{s}", {"method": m}, s, [{"evaluations": 5, "error": e + s}])
        for m, e in (("a", 1.0), ("b", 3.0))
        for s in (0, 1)
    ]
    runs.append(run(tmp_path / "aside-0", {"method": "aside"}, 0, []))
    ((task, curves),) = curves_by_task(runs).items()
    found, (pair,) = ranked(task, curves, threshold=2.0, key=0)
    assert [(s.name, s.scores) for s in found] == [("a", {0: -1.0, 1: -2.0}), ("b", {0: -3.0, 1: -4.0})]
    assert pair.probability == 1.0 and pair.difference.mean == 2.0 and found[0].reached == 2
    assert label_of(task) == "−error (less is better)" and label_of(task, lower=False) == "error"
    assert ranked(task, curves, lower=False, key=0)[0][0].name == "b"


def test_what_is_compared_is_the_end_on_unseen_episodes_and_the_column_only_where_it_is_named(tmp_path):
    runs = []
    for method, last, end in (("ppo", 5.0, 9.0), ("sac", 6.0, 8.0)):
        for seed in (0, 1):
            rows = [{"steps": 1, "return": 0.0, "evaluation": last + seed / 4}]
            runs.append(
                run(tmp_path / f"{method}-{seed}", {"method": method}, seed, rows, **{"return": end + seed / 4})
            )
    ((task, curves),) = curves_by_task(runs).items()
    best, (pair,) = ranked(task, curves, key=0)
    assert has_final(task, curves) and label_of(task, final=True) == "return on unseen episodes, at the end"
    assert (best[0].name, best[0].scores, pair.probability) == ("ppo", {0: 9.0, 1: 9.25}, 1.0)
    best, (pair,) = ranked(task, curves, final=False, key=0)
    assert (best[0].name, best[0].scores, pair.probability) == ("sac", {0: 6.0, 1: 6.25}, 1.0)
    assert not has_final(task, curves, lower=True)
    assert ranked(task, curves, lower=True, key=0)[0][0].scores == {0: -5.0, 1: -5.25}
    assert not has_final(task, [curve for curve in curves if curve.runs[0].config["method"] == "a2c"])


def test_rows_with_texts_are_curves_of_their_own_and_one_x_is_one_point(tmp_path):
    rows = [{"method": m, "dimension": d, "error": v} for m, d, v in (("a", 3, 1.0), ("b", 3, 9.0), ("a", 2, 4.0))]
    rows += [{"method": "a", "dimension": 3, "error": 3.0}, {"note": "no numbers"}]
    runs = [run(tmp_path / "toys" / f"toys-{s}", {"fast": True}, s, rows) for s in (0, 1)]
    ((task, curves),) = curves_by_task(runs).items()
    assert task == Task("toys", "dimension", "error")
    assert [(c.name, len(c.runs)) for c in curves] == [("a", 2), ("b", 2)]
    np.testing.assert_array_equal(curves[0].points[0], [[2, 3], [4, 2]])
    ((task, _),) = curves_by_task(runs, "row", "error").items()
    assert task.x == "row"
    assert curves_by_task(runs, "steps", "score") == {}


def test_many_methods_are_compared_with_the_best_alone(tmp_path):
    runs = [run(tmp_path / f"m{i}-0", {"method": f"m{i}"}, 0, [{"steps": 1, "return": 1.0 * i}]) for i in range(7)]
    ((task, curves),) = curves_by_task(runs).items()
    found, pairs = ranked(task, curves, key=0)
    assert [s.name for s in found] == [f"m{i}" for i in reversed(range(7))]
    assert {p.first for p in pairs} == {"m6"} and len(pairs) == 6
    assert all(math.isnan(p.low) for p in pairs)  # one run has no interval


def test_about_comes_back_and_another_form_is_refused(tmp_path):
    about = About("Why?", "python a.py", (Claim(True, "1 (needs 1)"), Claim(None, "a note")), ("a.svg",))
    about.save(tmp_path)
    assert About.read(tmp_path) == about and About.read(tmp_path / "nowhere") == About()
    (tmp_path / "about.json").write_text('{"question": "?"}')
    with pytest.raises(ValueError, match="not of the form that this version writes"):
        About.read(tmp_path)


def test_times_are_never_what_is_compared(tmp_path):
    rows = [{"steps": 1, "cpu_seconds": 2.0, "seconds": 3.0}]
    assert curves_by_task([run(tmp_path / "a-0", {"method": "a"}, 0, rows)]) == {}
    rows[0]["height"] = 4.0
    ((task, _),) = curves_by_task([run(tmp_path / "a-1", {"method": "a"}, 1, rows)]).items()
    assert task.y == "height"


def test_a_field_that_only_the_middle_one_of_three_has_otherwise_is_named(tmp_path):
    settings = ((0.1, 2), (0.5, 2), (0.1, 3), (0.1, 4))
    runs = [
        run(tmp_path / f"a-{i}", {"method": "a", "lr": lr, "layers": layers}, 0, [{"steps": 1, "value": 1.0}])
        for i, (lr, layers) in enumerate(settings)
    ]
    names = [curve.name for curve in group_runs(runs)]
    assert names == [f"a, layers = {layers}, lr = {lr}" for lr, layers in settings]
