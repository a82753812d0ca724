"""Fixtures of the deployed tests: an emulator with the stack on it, shared by the tests of one file."""

import pytest

from emulator import Emulator
from stack import Stack

# It needs tests/tools, which `stack` has put into the path.
import rendered


@pytest.fixture(scope="module")
def emulator():
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def stack(emulator):
    """The stack with the template's defaults, but for the settling time, which nobody wants to wait out here."""
    return Stack(emulator).deploy(SettleSeconds="0")


@pytest.fixture(scope="module")
def plain() -> dict:
    """The template as CloudFormation gets it."""
    return rendered.plain()
