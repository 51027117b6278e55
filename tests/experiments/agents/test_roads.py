"""The figure of harder roads: a panel for each road there are runs of, named by who beats random search on it."""

from dataclasses import replace
from types import SimpleNamespace

from experiments.agents import rider_claims, road_figures
from experiments.agents.rider_records import Run

import matplotlib.pyplot as plt
import pytest


def runs(task, method, first, n=10):
    """Return runs that ride after so many steps and some, one more each; None: never."""
    at = [None if first is None else first + i for i in range(n)]
    return [Run(method, task, "64-64", i, 6_000, at[i], None, 1.0, 1.0, 500.0, 500.0, None) for i in range(n)]


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    def draw(kept, here=()):
        monkeypatch.setattr(road_figures, "kept", lambda: kept)
        monkeypatch.setattr(road_figures, "runs_of", lambda records: list(here))
        monkeypatch.setattr(road_figures.plots, "save", lambda figure, path: figure)
        figure = road_figures.draw_roads([], tmp_path / "roads.png")
        titles = [ax.get_title() for ax in figure.axes]
        plt.close(figure)
        return titles, [text.get_text() for text in figure.legends[0].get_texts()]

    return draw


def test_a_road_has_a_panel_that_names_who_is_sooner_than_the_search(drawn):
    search = [run for task in ("balance", "delay") for run in runs(task, "random", 3_000)]
    titles, entries = drawn([*search, *runs("balance", "sac", 500), *runs("delay", "sac", None)])
    assert titles == ["Upright for 10 s: SAC", "Observed 3 steps late: nobody"]
    assert len(entries) == 2  # SAC and the search, once each


def test_a_goal_has_a_panel_only_where_it_was_run(drawn):
    balance, goal = [*runs("balance", "random", 3_000), *runs("balance", "td3", 500)], runs("goal", "ars", 500)
    assert drawn([*balance, *goal])[0] == ["Upright for 10 s: TD3"]
    assert drawn(balance, goal)[0] == ["Upright for 10 s: TD3", "To a goal 100 m away: not searched"]


def test_later_seeds_are_judged_alone():
    search = runs("balance", "random", 3_000)
    early = runs("balance", "td3", 500, n=12)
    late = [replace(run, seed=rider_claims.LATER + run.seed) for run in runs("balance", "td3", 5_000)]
    said = []
    judge = SimpleNamespace(note=said.append)
    rider_claims.note_later_seeds([*search, *early], judge)
    assert said == []  # there are none
    rider_claims.note_later_seeds([*search, *early, *late], judge)
    (line,) = said
    assert line.startswith("td3, 10 seeds from 1010 alone: not earlier than random search")  # the early ones would be
