"""One set of workers for all tests: to start one takes seconds."""

import pytest

from rllab.executors import Workers


@pytest.fixture(scope="session")
def workers():
    with Workers(2) as workers:
        yield workers
