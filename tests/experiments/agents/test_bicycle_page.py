"""docs/bicycle.md says what the records say: every row of its tables, and the settings of its trials."""

from itertools import takewhile
from pathlib import Path

from experiments.agents import rider_trials
from experiments.agents.rider_claims import TITLES, table
from experiments.agents.rider_records import chosen, kept

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "bicycle.md").read_text("utf-8").splitlines()
# in the order of the page
TABLES = [
    ("balance", "64-64"),
    *(("balance", size) for size in ("linear", "16", "256-256")),
    *((task, "64-64") for task in ("whipple", "delay", "no-rates")),
]


def tables_under(titles: str) -> list[list[str]]:
    """Return the rows of every table of the page that has this first line."""
    found = []
    for i, line in enumerate(PAGE):
        if line == titles.splitlines()[0]:
            found.append(list(takewhile(lambda row: row.startswith("|"), PAGE[i + 2 :])))
    return found


def rows_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ") and line not in TITLES.splitlines()]


def test_the_page_has_a_table_for_each_task_and_size():
    assert len(tables_under(TITLES)) == len(TABLES)


@pytest.mark.parametrize(("i", "where"), list(enumerate(TABLES)), ids=["-".join(at) for at in TABLES])
def test_every_row_is_what_the_records_come_to(i, where):
    assert tables_under(TITLES)[i] == rows_of(table(kept(), *where))


def test_settings_are_those_that_the_trials_came_to():
    titles = rider_trials.TITLES.splitlines()
    wanted = [line for line in rider_trials.table().splitlines() if line.startswith("| ") and line not in titles]
    assert [row for rows in tables_under(rider_trials.TITLES) for row in rows] == wanted


@pytest.mark.parametrize("method", ["ppo", "ars"])
def test_arrivals_at_the_goal_are_those_of_the_records(method):
    shares = sorted((100 * run.fresh for run in chosen(kept(), task="goal", method=method)), reverse=True)
    assert any(f" {', '.join(f'{share:.0f}' for share in shares)} |" in line for line in PAGE)
