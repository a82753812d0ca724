"""Fixtures of the deployed tests: an emulator with the stack on it, shared by the tests of one file."""

import pytest

from emulator import Emulator
from stack import TEMPLATE, Stack

# In tests/tools, which `stack` has put into the path.
from package import decoded, with_code_in


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
    return decoded(with_code_in(TEMPLATE.read_text(), "bucket", "bootstrap.zip"))
