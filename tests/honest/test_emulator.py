"""The in-process AWS and the emulator play the same scenarios, and differ only where it is known and said why."""

import pytest
from emulator import Emulator

from compare import differences, surprises, table
from differences import KNOWN


@pytest.fixture(scope="module")
def found(aws):
    with Emulator() as emulator:
        yield differences(aws, emulator)


def test_the_two_differ_where_it_is_known_and_nowhere_else(found):
    assert surprises(found) == [], table(found)



def test_the_emulator_is_nowhere_the_more_faithful_of_the_two():
    assert [it.scenario for it in KNOWN if it.right not in ("in-process", "open")] == []
