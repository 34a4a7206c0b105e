"""Workers for tests: one that many share, and homes of one's own for those that break things."""

from __future__ import annotations

import pytest
from worker_home import Home


@pytest.fixture(scope="session")
def shared_home():
    """A home whose worker nobody may end."""
    home = Home()
    yield home
    home.end()


@pytest.fixture
def client(shared_home):
    """An editor at the shared worker."""
    return shared_home.started()


@pytest.fixture
def make_home():
    """Makes homes with settings of the worker; they end with the test."""
    made = []

    def make(**settings):
        made.append(Home(**settings))
        return made[-1]

    yield make
    for home in made:
        home.end()


@pytest.fixture
def home(make_home):
    """A home of the test's own."""
    return make_home()
