"""Fixtures of the tests of the command `access-entry-guard`: an AWS on loopback ports, and the command beside it.

COMMAND, BOOTSTRAP and LOCAL_AWS name the three programs. `aws.start_function()` lets the deployed function poll."""

import os
import subprocess
from typing import NamedTuple

import pytest

from sandbox import Sandbox


class Said(NamedTuple):
    """How a run of the command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def aws():
    """An account with two Regions, a role `node` and a ledger; `aws.do("world", …)` makes another."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def command(aws):
    """Runs the command as a pipeline does: with the operator's credentials and without a terminal."""

    def run(*arguments: str, stdin: str = "", **environment: str) -> Said:
        done = subprocess.run(
            [os.environ["COMMAND"], *arguments],
            env=aws.environment() | environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run
