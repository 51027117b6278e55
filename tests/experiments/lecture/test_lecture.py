"""The lecture's table: rules of the registry; every row holds, and every wrong version fails, in the fast sizes."""

import math
import re
import sys
from pathlib import Path

from experiments.common.acceptance import (
    REGISTRY,
    ROWS,
    SECTIONS,
    AtLeast,
    AtMost,
    Equals,
    Row,
    Verdict,
    Within,
    missing,
    row,
    shown,
)
from experiments.common.frame import Judge, main
from experiments.lecture import table as lecture  # registers all rows
from experiments.lecture.table_page import TEMPLATE, page, some_rows

import pytest

from rllab import backprop as bp
from rllab.runs import Job, Record

ROOT = Path(__file__).parents[3]
NAN, INF = math.nan, math.inf


def name(entry):
    return f"{'/'.join(entry.ids)}-{entry.where}"


# What measures times is left to the scripts: no test depends on how busy a machine is.
TIMED = {
    "lecture/rows/prices.py:time_of_a_gradient",
    "lecture/rows/prices.py:time_over_parameters",
    "lecture/minibatch.py:batch_on_hardware",
    "lecture/minibatch.py:batch_is_faster",
}
UNTIMED = [entry for entry in REGISTRY if entry.where not in TIMED]


WRONG = [(entry, what) for entry in UNTIMED for what in entry.wrong]


@pytest.mark.slow
@pytest.mark.parametrize("entry, what", WRONG, ids=[f"{name(entry)}-{what}" for entry, what in WRONG])
def test_a_wrong_version_comes_out_on_the_other_side(entry, what):
    assert entry.criterion.holds(entry.wrong[what](0, True)) is entry.fails


# What these count or compare holds whatever the numbers of that rule are.
BLIND_TO = {
    bp.Linear: {
        "lecture/rows/backprop.py:size_of_a_gradient",
        "lecture/rows/costs.py:loss_of_a_set",
    },
    bp.Tanh: {
        "lecture/rows/backprop.py:size_of_a_gradient",
        "lecture/rows/backprop.py:branches_add_up",  # of what is above the tanh
        "lecture/rows/costs.py:loss_of_a_set",
    },
}


def measured_with(entry, wrong, monkeypatch):
    """Measure a row while gradients of a module, None for no one's, are NaN; return the value, and calls by module."""
    calls = dict.fromkeys(BLIND_TO, 0)

    def counted(module):
        rule = module._vjp_state

        def asked(self, *given, **more):
            calls[module] += 1
            gradient = rule(self, *given, **more)
            return gradient.fill_(NAN) if module is wrong else gradient

        return asked

    def forget():  # what was measured under another rule
        for kept in vars(sys.modules[entry.measure.__module__]).values():
            if hasattr(kept, "cache_clear"):
                kept.cache_clear()

    with monkeypatch.context() as patch:
        for module in BLIND_TO:
            patch.setattr(module, "_vjp_state", counted(module))
        forget()
        # of NaN a row may raise instead, and does not hold then
        value = entry.measure(0, True) if wrong is None else lecture.measured(entry.measure, 0, True)[0]
        forget()
    return value, calls


@pytest.mark.slow
@pytest.mark.parametrize("entry", UNTIMED, ids=name)
def test_a_row_comes_out_as_the_table_states_and_does_not_hold_of_gradients_that_are_nan(entry, monkeypatch):
    value, calls = measured_with(entry, None, monkeypatch)
    assert entry.criterion.holds(value) is not entry.fails, f"{entry.measures} (needs {entry.criterion})"
    for module, blind in BLIND_TO.items():
        if calls[module] and entry.where not in blind:
            value, _ = measured_with(entry, module, monkeypatch)
            assert not entry.criterion.holds(value), f"{module.__name__}, {entry.measures}: {value}"


def test_what_measures_times_is_registered():
    assert {entry.where for entry in REGISTRY} >= TIMED


def test_every_statement_is_measured_and_many_by_something_that_can_be_wrong():
    assert missing() == []
    assert len({id for entry in REGISTRY if entry.wrong for id in entry.ids}) >= 30


def test_the_rows_are_those_of_the_lecture_each_in_one_section():
    assert set(ROWS) == {f"L{i}" for i in range(1, 84)} | {f"T{i}" for i in range(1, 8)}
    assert sum(len(section.ids) for section in SECTIONS) == len(ROWS) == 90


def entry(ids=("L50",), criterion=None, seeds="worst", wrong=None, **other):
    criterion = AtMost(1.0) if criterion is None else criterion
    return Row(ids, "It is so", "a number", criterion, lambda seed, fast: 0.0, wrong or {}, seeds, **other)


@pytest.mark.parametrize(
    ("ids", "what"),
    [
        (("L84",), "unknown id 'L84'"),
        (("T0",), "unknown id"),
        ((), "at least one"),
        (("L1", "L1"), "must be different"),
    ],
)
def test_a_row_of_wrong_ids_is_refused(ids, what):
    with pytest.raises(ValueError, match=what):
        entry(ids)


def test_a_row_without_a_criterion_or_of_unknown_seeds_is_refused():
    with pytest.raises(ValueError, match="criterion must be AtLeast, AtMost, Within or Equals, got 1"):
        entry(criterion=1)
    with pytest.raises(ValueError, match="seeds must be 'worst' or 'median', got 'best'"):
        entry(seeds="best")
    with pytest.raises(ValueError, match="fresh must be 10, 20, …, got 15"):
        entry(fresh=15)
    with pytest.raises(ValueError, match="must not be empty"):
        Row(("L50",), " ", "a number", AtMost(1.0), lambda seed, fast: 0.0)


def test_a_function_is_registered_once_for_a_row_and_a_row_may_have_several(monkeypatch):
    monkeypatch.setattr("experiments.common.acceptance.REGISTRY", registry := [])

    def register(ids):
        @row(ids, AtMost(1.0), wrong={"larger": {"number": 2.0}, "another": lambda seed, fast: 3.0})
        def measured(seed, fast, number=0.5):
            """It
            is so.

            Measures: a number.
            Note: with a caveat.

            And more that no table shows.
            """
            return number

        return measured

    assert register("L50")(0, True) == 0.5
    (made,) = registry
    assert (made.says, made.measures, made.note) == ("It is so", "a number", "with a caveat")
    assert {what: measure(0, True) for what, measure in made.wrong.items()} == {"larger": 2.0, "another": 3.0}
    register(("L51", "T2"))
    with pytest.raises(ValueError, match=r"row L52/T2: test_lecture.py:measured is registered for it already"):
        register(("L52", "T2"))
    assert [e.ids for e in registry] == [("L50",), ("L51", "T2")]
    assert "L50" not in missing(registry) and "L52" in missing(registry)


def test_a_function_that_does_not_say_what_it_measures_is_refused():
    with pytest.raises(ValueError, match="says and measures must not be empty"):

        @row("L50", AtMost(1.0))
        def measured(seed, fast):
            """It is so."""
            return 0.5


def test_all_seeds_must_hold_or_their_median():
    numbers = [0.5, 0.9, 1.1]
    assert not entry().holds(numbers) and entry().one_of(numbers) == 1.1
    assert entry(seeds="median").holds(numbers) and entry(seeds="median").one_of(numbers) == 0.9
    assert not entry(seeds="median").holds([0.5, 0.5, NAN])


def test_a_wrong_version_is_caught_only_if_every_seed_fails_or_their_median():
    assert entry().catches([1.1, NAN, 2.0]) and not entry().catches([0.9, 2.0, 2.0])
    assert entry(seeds="median").catches([0.9, 2.0, 2.0])
    assert entry(fails=True).catches([0.5, 0.9]) and not entry(fails=True).catches([0.9, 2.0])


def test_a_row_that_fails_must_fail_as_the_table_states_and_without_an_error(capsys, monkeypatch):
    def told(fails, number, *errors):
        verdict, judge = Verdict(entry(fails=fails), dict.fromkeys(range(20), number), {"half": [0.5]}, errors), Judge()
        monkeypatch.setattr(lecture, "verdicts", lambda records, entries: [verdict])
        monkeypatch.setattr(lecture, "missing", lambda: [])
        lecture.claims([], lecture.Config(row=("L50",)), judge)
        (line,) = [line for line in capsys.readouterr().out.splitlines() if " L50 " in line]
        return judge.verdicts[0], line.partition(" L50 ")[0].strip(), line.rpartition(")")[0].rpartition("; ")[2]

    assert told(False, 0.5)[:2] == (True, "holds") and told(False, 2.0)[:2] == (False, "FAILS")
    assert told(True, 2.0) == (True, "FAILS, as stated", "but it holds for half (gives 0.5")
    assert told(True, 0.5)[:2] == (False, "holds, not as stated")
    for fails, number in ((False, 0.5), (False, 2.0), (True, 0.5), (True, 2.0)):
        assert told(fails, number, "ValueError: no")[:2] == (False, "FAILS")


def test_identities_are_told_from_measurements_by_their_criterion_unless_a_row_says_otherwise():
    assert entry(criterion=Equals(3)).exact and entry(criterion=AtMost(1e-6)).exact
    assert not entry().exact and not entry(criterion=Within(0.9, 1.1)).exact and not entry(criterion=AtLeast(0.0)).exact
    assert entry(identity=True).exact and not entry(criterion=Equals(3), identity=False).exact


def test_a_verdict_needs_the_fresh_seeds_too_and_no_error():
    good, half = dict.fromkeys(range(20), 0.5), {s: 0.5 if s < 10 else 2.0 for s in range(20)}
    assert Verdict(entry(), good, {}).holds
    assert not Verdict(entry(), half, {}).holds and not Verdict(entry(), {}, {}).holds
    assert not Verdict(entry(), {0: 0.5, 10: NAN}, {}).holds
    assert not Verdict(entry(seeds="median"), half, {}).holds
    assert not Verdict(entry(), good, {"wrong": [2.0]}, ["wrong ValueError: no"]).holds
    assert Verdict(entry(), good, {"a": [2.0], "b": [0.5]}).survivors == ["b"]


def test_what_raises_is_a_failure_with_its_reason_and_leaves_others_be(tmp_path, monkeypatch):
    def raises(seed, fast):
        raise ValueError("no number\nmore")

    rows = [
        Row(("L50",), "It is so", "a number", AtMost(1.0), raises),
        Row(("L51",), "It is so", "a number", AtMost(1.0), lambda seed, fast: seed / 100, {"more": lambda s, f: 2.0}),
    ]
    monkeypatch.setattr(lecture, "REGISTRY", rows)
    records = []
    for job in lecture.jobs_of(lecture.Config(seeds=1, wrong=True)):
        assert job.config["rows"] == ["L50 test_lecture.py:raises", "L51 test_lecture.py:<lambda>"]
        with Record.create(tmp_path / job.name, job.config, seed=job.seed) as record:
            lecture.run(job, record)
            record.finish()
        records.append(Record.open(tmp_path / job.name))
    bad, good = lecture.verdicts(records)
    assert not bad.holds and bad.errors == ["ValueError: no number"]
    assert good.holds and good.numbers == {0: 0.0, 10: 0.1} and good.wrong == {"more": [2.0, 2.0]}
    stale = [Job("none-0", {"file": "none.py", "fast": False, "wrong": False, "rows": []}, 0)]
    with Record.create(tmp_path / "none-0", stale[0].config, seed=0) as record:
        lecture.run(stale[0], record)
        record.finish()
    (unmeasured, _) = lecture.verdicts([Record.open(tmp_path / "none-0")])
    assert math.isnan(unmeasured.number(fresh=False)) and not unmeasured.holds


def test_what_lacks_a_package_is_not_measured_and_catches_nothing(tmp_path, capsys, monkeypatch):
    def lacks(seed, fast):
        raise ModuleNotFoundError("digits: needs scikit-learn")

    def measured(seed, fast):
        return 0.5

    half = {"no data": lacks, "too large": lambda seed, fast: 2.0}
    rows = [
        Row(("L50", "L52"), "It is so", "a number", AtMost(1.0), lacks, {"larger": lacks}),
        Row(("L50",), "It is", "a number", AtMost(1.0), lambda seed, fast: 0.5, {"larger": lambda seed, fast: 2.0}),
        Row(("L50",), "So", "a number", AtMost(1.0), measured, half),
    ]
    monkeypatch.setattr(lecture, "REGISTRY", rows)
    monkeypatch.setattr(sys, "argv", ["table.py", "--row", "L50", "--fast", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        main(lecture.Config, lecture.__doc__, lecture.jobs_of, lecture.run, lecture.claims, lecture.figure)
    told = capsys.readouterr().out
    assert end.value.code == 1 and "nan" not in told and f"table: {tmp_path / 'lecture.md'}" in told
    assert told.count("not measured: digits: needs scikit-learn") == 2
    assert "FAILS  1 of 3 measurements were made: the others lack a package" in told
    assert "holds  2 of 2 wrong versions of 1 row are caught; survivors: none" in told
    page = (tmp_path / "lecture.md").read_text("utf-8")
    assert [line.split(" | ")[-3:-1] for line in page.splitlines() if line.startswith("| L50")] == [
        ["–", "not measured"],
        ["larger", "yes"],
        ["too large", "not measured"],
    ]


def test_links_of_a_page_outside_docs_lead_to_files(tmp_path, monkeypatch):
    config = lecture.Config(fast=True, wrong=True, out=tmp_path / "some" / "folder")
    monkeypatch.setattr(lecture, "verdicts", lambda records, entries: [Verdict(e, {0: 0.5}, {}) for e in entries])
    config.out.mkdir(parents=True)
    record = type("Run", (), {"about": {"machine": "a machine"}})
    page = lecture.figure([record], config)
    assert page == config.out / "lecture.md"
    links = re.findall(r"\]\(([^):]+)\)", page.read_text("utf-8"))
    assert len(links) > 100 and [link for link in links if not (config.out / link.partition("#")[0]).exists()] == []


def test_rows_are_measured_alone(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["table.py", "--row", "L16", "T4", "--fast"])
    with pytest.raises(SystemExit) as end:
        main(lecture.Config, lecture.__doc__, lecture.jobs_of, lecture.run, lecture.claims, lecture.figure)
    told, folder = capsys.readouterr().out, tmp_path / "results" / "lecture-L16-T4"
    assert end.value.code == 0 and re.findall(r"^  holds  (\w+)", told, re.M) == ["L16", "T4", str(1 + 3)]  # wrong ones
    assert {Record.open(at).rows[0]["row"] for at in folder.iterdir() if at.is_dir()} == {"L16", "T4"}
    page = (folder / "lecture.md").read_text("utf-8")
    assert [line.split()[1] for line in page.splitlines() if line.startswith(("| L", "| T"))] == ["L16", "T4"]
    assert "seeds 0)\n" in told and re.search(r"L16 .*; caught: [^(]+ \(gives \S+\)", told)
    assert "| seeds 0 | fresh seeds | needs |" in page
    with pytest.raises(ValueError, match="--row must be of L1 to L83 and T1 to T7, got L84"):
        lecture.Config(row=("L84",)).check()
    ten = list(lecture.jobs_of(lecture.Config(row=("L15",))))  # on seeds of its own
    assert {job.seed for job in ten} == {*range(10), *range(30, 40)}


def test_a_row_may_be_checked_on_seeds_of_its_own(monkeypatch):
    rows = [entry(), entry(("L51",), fresh=20)]
    monkeypatch.setattr(lecture, "REGISTRY", rows)
    of = {job.seed: job.config["rows"] for job in lecture.jobs_of(lecture.Config())}
    usual, late = (f"{id} test_lecture.py:<lambda>" for id in ("L50", "L51"))
    assert all(of[seed] == [usual, late] for seed in range(10))
    assert all(of[seed] == [usual] for seed in range(10, 20)) and all(of[seed] == [late] for seed in range(20, 30))
    assert lecture.checked(Verdict(rows[1], {0: 0.5, 20: 0.25, 25: 0.25}, {})) == "0.25 (seeds 20, 25)"
    assert lecture.checked(Verdict(rows[1], dict.fromkeys(range(20, 30), 0.5), {})) == "0.5 (seeds 20–29)"
    assert lecture.checked(Verdict(rows[0], {0: 0.5, 10: 0.25}, {})) == "0.25"
    assert lecture.checked(Verdict(rows[0], {0: 0.5}, {})) == "–"


def test_the_page_shows_every_row_and_missing_ones_as_missing():
    some = entry(("L50", "T1"), note="with a caveat | of its own")
    text = page([Verdict(some, dict.fromkeys(range(20), 0.25), {"sum": [2.0]})], "a machine")
    cells = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if line.startswith(("| L", "| T"))}
    assert set(cells) == set(ROWS)
    assert r"(with a caveat \| of its own) | a number | 0.25 | 0.25 | <= 1 | 1 | yes |" in cells["L50"]
    assert cells["L2"].endswith("| **missing** |  |")
    assert "2 rows as first set, 0 relaxed after a look (none), 0 fail (none)." in text
    once = "1 for 2 rows, each counted once, though a line may stand for two rows; 0 of them uncaught"
    assert "Of 2 lines 0 are *identities*" in text and once in " ".join(text.split())
    assert TEMPLATE.read_text("utf-8").partition("{sections}")[2] in text and "| gradient | 勾配 |" in text


def test_the_page_counts_rows_that_fail_or_were_relaxed_and_tells_identities_apart():
    good, bad = dict.fromkeys(range(20), 0.25), dict.fromkeys(range(20), 2.0)
    text = page(
        [
            Verdict(entry(first="<= 0.1"), good, {}),
            Verdict(entry(("T2",), fails=True), bad, {}),
            Verdict(entry(("L51",), Equals(0.25)), good, {}),
            Verdict(entry(("L51",), fresh=30), good | dict.fromkeys(range(30, 40), 0.5), {}),
        ],
        "a machine",
    )
    assert "1 rows as first set, 1 relaxed after a look (L50), 1 fail (T2)." in text
    assert "| <= 1 (first <= 0.1) | 0 | yes |" in text and "| <= 1 | 0 | **no** |" in text
    measured, _, exact = text.partition("**Identities**")
    assert "| 0.25 | 0.5 (seeds 30–39) | <= 1 |" in measured and "| = 0.25 | 0 | yes |" in exact


def test_numbers_are_shown_whole_or_to_three_digits():
    assert [shown(x) for x in (38910.0, 0.0, 1 / 3, 1e-12, NAN, INF)] == ["38,910", "0", "0.333", "1e-12", "nan", "inf"]


@pytest.mark.parametrize(
    ("seeds", "heads"),
    [(range(20), "| seeds 0–9 | fresh seeds, 10–19 |"), (range(0, 20, 5), "| seeds 0, 5 | fresh seeds, 10, 15 |")],
)
def test_a_table_names_the_seeds_that_were_run(seeds, heads):
    assert heads in some_rows([Verdict(entry(), dict.fromkeys(seeds, 0.5), {})], ["L50"], "a machine")


def test_seeds_must_divide_ten_so_that_both_kinds_have_as_many():
    with pytest.raises(ValueError, match="--seeds must be 1, 2, 5 or 10, got 3"):
        lecture.Config(seeds=3).check()
    seeds = list(lecture.Config(seeds=5).all_seeds)
    assert [sum(seed // 10 == kind for seed in seeds) for kind in range(4)] == [5, 5, 5, 5]
