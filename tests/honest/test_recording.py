"""What the scenarios' callers and their AWS said to each other keeps the service models: every request that the
function's real SDK sends in any scenario, and every reply that any scenario sees, faults included.

The environment variable CLOUD_RECORDING names the recording; a run of the scenarios with the same variable makes it."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from conformity import problems_of_reply, problems_of_request
from model import SERVED
from wire import Exchange

# The tests of the in-process AWS itself send requests that break the models, to see them refused.
TESTS_OF_THE_CLOUD = "cloud::self_tests::"

pytestmark = pytest.mark.skipif("CLOUD_RECORDING" not in os.environ, reason="CLOUD_RECORDING names no recording")


@pytest.fixture(scope="module")
def recording() -> list[tuple[str, Exchange]]:
    """Every exchange of an operation that is served, and the test that made it."""
    lines = [json.loads(line) for line in Path(os.environ["CLOUD_RECORDING"]).read_text().splitlines()]
    return [(line["by"], _exchange(line)) for line in lines if line["operation"] in SERVED[line["service"]]]


def test_the_recording_has_successes_of_the_operations_that_the_function_uses(recording):
    """A recording of next to nothing would prove nothing."""
    succeeded = Counter(exchange.operation for _, exchange in recording if exchange.accepted)
    unused = {"UpdateAccessEntry", "TagResource", "DisassociateAccessPolicy"}
    # Of the command, whose scenarios are compiled with its feature only.
    unused |= {"LookupEvents", "GetUser"}
    operations = {name for names in SERVED.values() for name in names}
    assert operations - unused - set(succeeded) == set()


def test_every_request_keeps_the_model(recording):
    wrong = [
        (by, exchange.operation, problems)
        for by, exchange in recording
        if (problems := problems_of_request(exchange.model, exchange.parameters))
    ]
    assert [it for it in wrong if not it[0].startswith(TESTS_OF_THE_CLOUD)] == []


def test_what_breaks_the_model_was_refused(recording):
    broken = [it for it in recording if problems_of_request(it[1].model, it[1].parameters)]
    assert broken, "the tests of the in-process AWS send such requests"
    assert [(by, exchange.operation, exchange.parameters) for by, exchange in broken if exchange.accepted] == []


# Scenarios in which an operation answers with errors of other services, or with a code that nobody knows yet: the function
# must be right about those, too.
SAY_ANYTHING = {
    "blind::any_clear_refusal_of_a_read_is_reported_and_not_retried",
    "logs::what_aws_repeats_of_a_request_is_not_told",
}


def test_every_reply_keeps_the_model(recording):
    assert {by for by, _ in recording} >= SAY_ANYTHING
    said = [(by, exchange) for by, exchange in recording if by not in SAY_ANYTHING]
    wrong = [(by, exchange.operation, problems) for by, exchange in said if (problems := _of_reply(exchange))]
    assert len(said) > 100 and wrong == []


def _of_reply(exchange: Exchange) -> list[str]:
    return problems_of_reply(exchange, bool(problems_of_request(exchange.model, exchange.parameters)))


def _exchange(line: dict) -> Exchange:
    body = bytes.fromhex(line["body"])
    return Exchange(line["service"], line["operation"], line["parameters"], line["status"], line["headers"], body)
