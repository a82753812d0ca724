"""Fixtures: the in-process AWS, served, and a world in it."""

import pytest
from running import LocalAws

from samples import World


@pytest.fixture(scope="session")
def aws():
    with LocalAws() as running:
        yield running


@pytest.fixture(scope="session")
def world(aws):
    made = World(aws)
    yield made
    made.close()
