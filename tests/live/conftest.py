"""Fixtures of the tests in this directory: an AWS on loopback ports with a sandbox cluster in it."""

import pytest

from sandbox import REGION, Sandbox
from subject import TAG


@pytest.fixture
def empty():
    """An account with a ledger for the function, and nothing else."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def aws(empty):
    """The same with the cluster `sandbox`, and somebody who records events."""
    empty.do("cluster", region=REGION, name="sandbox", tags={TAG: "allowed"})
    empty.do("record-events")
    return empty
