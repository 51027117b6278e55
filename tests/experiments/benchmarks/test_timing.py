"""Timing of benchmarks: candidates take turns, what is missing is named, and a page keeps what was written by hand."""

from experiments.benchmarks import timing

import pytest

DOC = "What does it cost?\n\nNothing, and\nthat is timed.\n\n    python benchmark.py\n"


def test_each_round_begins_with_another_candidate(monkeypatch):
    order = []
    monkeypatch.setattr(timing, "cpu_seconds", lambda step, seconds: order.append(step()) or len(order))
    steps = {name: (lambda name=name: name) for name in "abc"}
    times = timing.take_turns(steps, timing.Flags(rounds=3))
    assert "".join(order) == "abcbcacab"
    assert times == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}
    # 6/5, 8/7 and 1/3
    assert timing.ratio(times, "a", "c") == pytest.approx(8 / 7)


def test_what_does_not_run_is_named_with_its_reason():
    def missing():
        raise ModuleNotFoundError(name="evotorch")

    def too_large():
        raise NotImplementedError("asks point by point")

    steps, skipped = timing.make({"floor": lambda: int, "peer": missing, "other": too_large})
    assert list(steps) == ["floor"]
    assert skipped == {"peer": "evotorch is not installed", "other": "asks point by point"}


def test_the_first_candidate_is_kept_whatever_is_asked_for():
    flags = timing.Flags(only=("rllab",))
    assert flags.chosen(["floor", "rllab", "rllab, no errors", "peer"]) == ["floor", "rllab", "rllab, no errors"]
    assert timing.Flags().chosen(["floor", "peer"]) == ["floor", "peer"]


@pytest.fixture
def script(tmp_path, monkeypatch):
    def measure(flags):
        page = timing.Page(remark=" Of nothing.")
        page.head("n", "floor")
        page.row("1", "2 µs")
        page.skip({"peer": "is too slow"}, "1 × 1")
        page.goals.append(timing.goal("floor", "<= 1 µs", "2 µs", False, "; as ever"))
        return page

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["benchmark.py", *map(str, arguments)])
        timing.main(str(tmp_path / "benchmark.py"), DOC, "Costs", measure, rounds=4)
        return tmp_path / "benchmark.md"

    return run


def test_a_page_tells_all_and_keeps_what_was_written_by_hand(script):
    page = script()
    text = page.read_text()
    assert text.startswith("# Costs\n\nNothing, and that is timed.\n\nWritten by `benchmark.py`: ")
    assert "; 4 rounds. Of nothing.\n\n| n | floor |\n| --- | --- |\n| 1 | 2 µs |\n\n| goal |" in text
    assert "| floor | <= 1 µs | 2 µs | **missed**; as ever |" in text
    assert text.endswith("\n\nNot run:\n- peer: is too slow (1 × 1)\n")
    page.write_text(f"{text}\n{timing.NOTES}\n\nIn drawing.\n")
    script()
    assert page.read_text().endswith("(1 × 1)\n\n## Where the time goes\n\nIn drawing.\n")


def test_a_fast_run_judges_no_goal_and_leaves_the_page_alone(script, tmp_path, capsys):
    assert not script("--fast").exists()
    assert "1 rounds" in capsys.readouterr().out
    script("--fast", "--out", tmp_path / "other")
    assert "**missed**" not in (tmp_path / "other").read_text()


def test_a_wrong_flag_is_one_line(script, capsys):
    with pytest.raises(SystemExit) as stop:
        script("--rounds", 0)
    assert stop.value.code == 2 and "--rounds must be positive, got 0" in capsys.readouterr().err


def test_a_page_is_written_at_each_stage_and_stays_if_the_next_one_fails(tmp_path, monkeypatch):
    written = tmp_path / "benchmark.md"

    def measure(flags):
        page = timing.Page()
        page.row("first", "1 µs")
        yield page
        assert "| first | 1 µs |" in written.read_text()
        page.row("second", "2 µs")
        yield page
        raise ZeroDivisionError("no third")

    monkeypatch.setattr("sys.argv", ["benchmark.py"])
    with pytest.raises(ZeroDivisionError, match="no third"):
        timing.main(str(tmp_path / "benchmark.py"), DOC, "Costs", measure)
    assert "| first | 1 µs |\n| second | 2 µs |" in written.read_text()
