"""`make live-test` against the strict AWS of the scenarios, over HTTP and HTTPS, with the function beside it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import probes
from running import ACCOUNT
from sandbox import REGION
from subject import TAG

PROJECT = Path(__file__).resolve().parents[2]
SANDBOX = ["--cluster", "sandbox", "--region", REGION, "--observe", "1"]
# New roles and entries are known everywhere after a while only; in milliseconds.
SLOW = {"roleUnknownToEks": 600, "roleUnknownToSts": 600, "associationRefused": 300}
NOTHING = {"roles": ["node"], "entries": []}


@pytest.fixture
def waiting(aws):
    """What lets the events go as soon as the live test waits for them."""
    return {"Waiting for the function": lambda _: aws.do("deliver-events", afterMs=300)}


def test_a_function_that_heals_is_proven_by_its_own_event(aws, waiting):
    aws.start_function()
    aws.do("habits", **SLOW)

    status, said = aws.live_test(*SANDBOX, when=waiting)

    assert status == 0, said
    steps = ["plain is let in with its new entry: 200", "plain is refused: 401", "plain is let in again: 200", "PROVEN"]
    assert [step for step in steps if step in said] == steps
    assert [said.index(step) for step in steps] == sorted(said.index(step) for step in steps)
    assert "group, waits for a person: 401" in said
    assert aws.do("left") == NOTHING


def test_invoked_and_told_to_approve_it_proves_every_kind_of_entry(empty):
    """By way of make, which hands its variables on; confirmed by the account's ID instead of a tag."""
    empty.do("cluster", region=REGION, name="sandbox", tags={})
    empty.start_function()
    variables = ["CLUSTER=sandbox", f"REGION={REGION}", f"SANDBOX={ACCOUNT}"]
    variables += ["INVOKE=1", "APPROVE=1", "NODE=1", "OBSERVE=1"]
    # The interpreter that runs this has all that is needed.
    make = ["make", "-C", str(PROJECT), "live-test", f"LIVE_PYTHON={sys.executable}", "VENV_READY=", *variables]

    done = subprocess.run(make, env=empty.environment(), capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {"plain": "stale, repaired", "node": "stale, repaired", "group": "stale, held, privileged"}
    for kind, outcome in outcomes.items():
        assert f"-{kind}: {outcome}" in done.stdout
    assert "a group: stale, repaired" in done.stdout
    assert done.stdout.count("are as they were made") == 3
    assert empty.do("left") == NOTHING


def test_where_no_event_arrives_it_fails_says_so_and_removes_everything(aws):
    aws.start_function()

    status, said = aws.live_test(*SANDBOX, "--timeout", "3")

    assert status == 1
    assert "NOT PROVEN" in said and "the function did not repair it" in said
    # Asked for by a command it can: so it is the event that is missing.
    assert "the function reports: stale, repaired" in said
    assert aws.do("left") == NOTHING


def test_a_function_that_may_not_heal_says_why(aws, waiting):
    aws.start_function(ROLE_PATTERNS="!access-entry-guard-live-test-*")

    status, said = aws.live_test(*SANDBOX, "--timeout", "3", when=waiting)

    assert status == 1
    assert "the function reports: stale, held, rolePattern" in said
    assert aws.do("left") == NOTHING


@pytest.mark.parametrize(
    ("what", "words"),
    [("group", "groups: made with []"), ("tag", "tags: made with"), ("scope", "access policies and scopes: made with")],
)
def test_a_function_that_heals_wrongly_is_noticed(aws, what, words):
    aws.start_function()

    status, said = aws.live_test(*SANDBOX, "--invoke", when={"Recreated": lambda _: aws.do("spoil", what=what)})

    assert status == 1, said
    assert "is not as it was made" in said and words in said and "spoilt" in said
    assert aws.do("left") == NOTHING


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("Made roles", signal.SIGTERM),
        ("plain is let in with", signal.SIGHUP),
        ("group is refused", signal.SIGINT),
        ("Waiting for the function", signal.SIGINT),
    ],
)
def test_interrupted_it_removes_everything(aws, words, number):
    aws.start_function()

    status, said = aws.live_test(*SANDBOX, when={words: lambda process: process.send_signal(number)})

    assert status == 130, said
    assert "Interrupted" in said and "PROVEN" not in said
    assert aws.do("left") == NOTHING


def test_impatience_does_not_keep_it_from_removing_everything(aws):
    aws.start_function()

    def interrupt(process):
        process.send_signal(signal.SIGINT)

    status, said = aws.live_test(*SANDBOX, when={"Made roles": interrupt, "Removing": interrupt})

    assert status == 130
    assert "Still removing" in said
    assert aws.do("left") == NOTHING


def test_it_removes_everything_where_nobody_reads_any_more(aws):
    aws.start_function()

    with aws.begin_live_test(*SANDBOX, "--invoke") as process:
        process.stdout.readline()
        process.stdout.close()
        status = process.wait(300)

    assert status == 0
    assert aws.do("left") == NOTHING


def test_an_entry_that_a_repair_under_way_brings_back_is_removed_again(aws):
    aws.start_function()

    def interrupt(process):
        aws.do("bring-back")
        process.send_signal(signal.SIGINT)

    status, said = aws.live_test(*SANDBOX, when={"Waiting for the function": interrupt})

    assert status == 130, said
    assert aws.do("left") == NOTHING


def test_what_cannot_be_removed_is_listed_with_its_command(aws):
    aws.start_function()

    def deny(_):
        aws.do("deny", operation="DeleteRole")

    status, said = aws.live_test(*SANDBOX, "--invoke", when={"waits for a person": deny})

    assert status == 1
    after = said[said.index("Could not be removed") :]
    left = aws.do("left")
    roles = [name for name in left["roles"] if name.startswith("access-entry-guard-live-test-")]
    assert len(roles) == 4 and left["entries"] == []
    assert [line.strip() for line in after.splitlines() if "aws iam delete-role " in line] == [
        f"aws iam delete-role --role-name {name}" for name in sorted(roles, key=lambda name: after.index(name))
    ]
    assert "AccessDenied" in after


@pytest.mark.parametrize(
    ("tags", "arguments", "words"),
    [
        ({}, [], "Nobody has said that sandbox"),
        ({TAG: "no"}, [], "Nobody has said that sandbox"),
        ({TAG: "allowed"}, ["--sandbox", "444455556666"], "another account"),
        ({TAG: "allowed", "access-entry-guard": "ignore"}, [], "leaves it alone"),
        ({TAG: "allowed"}, ["--cluster", "another"], "cannot be read"),
    ],
)
def test_without_confirmation_it_makes_nothing(empty, tags, arguments, words):
    empty.do("cluster", region=REGION, name="sandbox", tags=tags)
    empty.start_function()

    status, said = empty.live_test(*SANDBOX, *arguments)

    assert status == 2
    assert "Refused, and nothing was made" in said and words in said
    assert not set(empty.do("calls")["byOperation"]) & {"CreateRole", "CreateAccessEntry"}


def test_a_function_that_only_looks_is_not_waited_for(aws):
    aws.start_function(MODE="observe")

    status, said = aws.live_test(*SANDBOX)

    assert status == 2
    assert "mode is observe" in said
    assert "CreateRole" not in aws.do("calls")["byOperation"]


def test_the_open_questions_are_answered_as_the_world_is(aws, waiting):
    aws.start_function()
    aws.do("habits", **SLOW)
    ordinary = answers(aws.live_test(*SANDBOX, "--node", when=waiting))

    assert ordinary["What is a rehearsal answered?"].startswith("ResourceInUseException")
    assert ordinary["And one by a caller without any permission?"] == "AccessDeniedException for eks:CreateAccessEntry"
    missing = [answer for question, answer in ordinary.items() if "without iam:PassRole" in question]
    assert missing == ["AccessDeniedException for iam:PassRole"] * 6
    assert ordinary["How long is a new role an invalid principal?"].startswith("last refused after")
    assert ordinary["How long is a new entry not found by associations?"].startswith("last refused after")
    assert ordinary["Does UpdateAccessEntry bind an entry again?"].startswith("no, not within")
    assert "(roleCreated)" in ordinary["How long after the role's recreation did its events reach the function?"]
    question = "What is ListAssociatedAccessPolicies of an EC2_LINUX entry answered?"
    assert ordinary[question].startswith("InvalidParameterException")
    assert ordinary["How long after its deletion is an entry's creation refused?"] == "not at all: accepted at once"
    assert ordinary[probes.PASSED_TO_EC2] == "yes"
    assert ordinary[probes.PASSED_TO_EKS] == "no: AccessDeniedException for iam:PassRole"
    assert ordinary[probes.GONE_WITH_KEYS].startswith("no")
    assert ordinary[probes.TAGS_AT_ONCE] == "in the answer to the creation: yes; in a read: yes"
    assert ordinary[probes.DATES].startswith("the role's has 0 microseconds")
    assert ordinary[probes.ORDER] == "yes"
    assert ordinary[probes.ASSOCIATED_TWICE].startswith("modifiedAt ")
    assert ordinary[probes.TWO_AT_ONCE] == "answered accepted and accepted; 2 of 2 are listed"
    assert ordinary[probes.DELETED_STILL_SHOWN] == "not at all"
    assert ordinary[probes.ANOTHER_ARN] == "yes"
    assert ordinary[probes.OLD_SESSION] == "no: InvalidClientTokenId"
    assert ordinary[probes.REDRIVE] == "not asked: OPERATOR names no role"


def test_the_open_questions_are_answered_otherwise_in_another_world(aws):
    aws.start_function()
    aws.do("habits", updateRebinds=True, inUseFirst=True, deletionSettles=900)

    other = answers(aws.live_test(*SANDBOX, "--invoke"))

    assert other[probes.ANOTHER_ARN] == "yes", "its creation is repeated until the deletion has settled"
    assert other["And one by a caller without any permission?"].startswith("ResourceInUseException")
    assert other["And one of type EC2_LINUX, where the role has an entry already?"].startswith("ResourceInUseException")
    assert other["How long is a new role an invalid principal?"] == "not at all"
    assert other["Does UpdateAccessEntry bind an entry again?"].startswith("yes")
    assert other["How long after its deletion is an entry's creation refused?"].startswith("last after")


def answers(outcome: tuple[int, str]) -> dict[str, str]:
    """The open questions of a run that ended well."""
    status, said = outcome
    assert status == 0, said
    lines = said[said.index("What AWS does not document") :].splitlines()[1:]
    told = lines[: lines.index("")]
    triples = list(zip(told[::3], told[1::3], told[2::3], strict=True))
    assert [question for question, _, consequence in triples if "[AWS-" not in consequence] == []
    return {question.strip(): answer.strip() for question, answer, _ in triples}
