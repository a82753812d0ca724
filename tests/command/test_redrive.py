"""`redrive`: what waits in the queue of failed invocations is sent, shown or left."""

import json
import os
import subprocess
import time

import pytest
from world import (
    ACCOUNT,
    CLUSTER,
    FUNCTION_ARN,
    REGION,
    a_held_entry,
    create_role,
    creation_event,
    is_bound,
    recreate_role,
)

QUEUE = "access-entry-guard-failed-invocations"
SCHEDULED = {"source": "aws.scheduler", "detail-type": "Scheduled Event", "account": ACCOUNT, "detail": {}}


@pytest.fixture
def function(aws):
    """A deployed function, and two clusters with an entry for the role `node` in each."""
    aws.do("world", regions=2, clusters=2, matches=2)
    aws.start_function(TRUSTED_CREATORS=f"arn:aws:iam::{ACCOUNT}:user/deployer")
    return aws


def record(payload, alias: str = ":events", **context) -> str:
    """What Lambda sends to the destination of a failed invocation."""
    context = {
        "requestId": "e4b46cbf-b738-4880-8a18-cdf61200d199",
        "functionArn": f"{FUNCTION_ARN}{alias}",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    } | context
    return json.dumps({"version": "1.0", "requestContext": context, "requestPayload": payload})


def queued(aws) -> list[dict]:
    return aws.do("queued", name=QUEUE)


def test_an_event_is_handed_in_by_the_plain_name_and_its_record_deleted(function, command):
    role = recreate_role(function, "node")
    function.do("queue", name=QUEUE, bodies=[record(creation_event(role))])

    said = command("redrive", "--output", "table")

    assert said.status == 0, said
    assert function.do("admitted", role="node") == 2
    assert queued(function) == []
    (call,) = function.do("invoked")
    assert call["alias"] is None
    about, result, last = said.out.splitlines()
    assert "CreateRole node" in about and "(RetriesExhausted)" in about and "2 repaired" in result
    assert last == f"1 record in {QUEUE}: 1 succeeded and deleted, 0 left."


def test_a_trusted_creator_is_not_believed_and_a_held_entry_ends_its_record(function, command):
    role = a_held_entry(function)
    identity = {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/deployer", "accountId": ACCOUNT}
    function.do("queue", name=QUEUE, bodies=[record(creation_event(role, userIdentity=identity))])

    said = command("redrive", "--output", "table")

    assert said.status == 0, said
    assert not is_bound(function, "admin")
    assert "1 held: waiting for a person" in said.out
    assert queued(function) == []


@pytest.mark.parametrize("payload", [SCHEDULED, {"command": "sweep"}], ids=["scheduled", "by hand"])
def test_the_record_of_a_sweep_becomes_a_sweep(function, command, payload):
    recreate_role(function, "node")
    function.do("queue", name=QUEUE, bodies=[record(payload)])

    said = command("redrive")

    assert (said.status, json.loads(said.out)["deleted"]) == (0, 1), said
    assert function.do("admitted", role="node") == 2
    assert queued(function) == []


def test_show_says_what_the_function_answered_and_changes_nothing(function, command):
    role = a_held_entry(function)
    failed = json.loads(record(creation_event(role)))
    failed["responsePayload"] = {"errorType": "RepairIncomplete", "errorMessage": "1 entry could not be repaired\nsent again"}
    bodies = [json.dumps(failed), record({"command": "forget"}, ":approve")]
    function.do("queue", name=QUEUE, bodies=bodies)

    said = command("redrive", "--show", "--output", "table")

    assert said.status == 1, said
    first, answered, sent, second, left, last = (line.strip() for line in said.out.splitlines())
    assert "CreateRole admin" in first and first.endswith("(RetriesExhausted)")
    assert (answered, sent) == ("the function answered: 1 entry could not be repaired sent again", "redrive sends it again")
    assert "forget" in second and "redrive leaves it in the queue: it is for the command forget" in left
    assert last == f"2 records in {QUEUE}: none sent."
    assert function.do("invoked") == []
    assert sorted(message["body"] for message in queued(function)) == sorted(bodies)
    assert all(message["hiddenSeconds"] == 0 for message in queued(function))


def test_what_is_shown_has_each_whole_message_so_that_it_can_be_kept(function, command):
    bodies = [record({"command": "forget"}, ":approve"), "no JSON"]
    function.do("queue", name=QUEUE, bodies=bodies)

    said = command("redrive", "--show", "--output", "json")

    assert sorted(shown["body"] for shown in json.loads(said.out)["records"]) == sorted(bodies)


def test_what_a_person_has_to_decide_is_shown_and_left_for_everybody_to_see(function, command):
    role = a_held_entry(function)
    entry = {"principalArn": role["Arn"], "clusterName": CLUSTER, "region": REGION}
    approval = {"command": "approve", "roleId": role["RoleId"]} | entry
    bodies = [
        record(approval, ":approve"),
        record(approval),
        record({"command": "restore", "roleId": role["RoleId"]} | entry, ":approve"),
        record({"command": "forget"} | entry, ":approve"),
        record({"command": "repair"} | entry, ""),
        record(creation_event(role), functionArn=f"{FUNCTION_ARN}-2:events"),
        json.dumps(creation_event(role)),
        record({"requestPayload": creation_event(role)}),
        "no JSON",
    ]
    function.do("queue", name=QUEUE, bodies=bodies)

    said = command("redrive")

    assert said.status == 1, said
    answer = json.loads(said.out)
    assert (answer["deleted"], answer["left"], answer["sawEveryRecord"]) == (0, len(bodies), True)
    assert all(shown["result"].startswith("left in the queue: ") for shown in answer["records"])
    assert function.do("invoked") == []
    assert not is_bound(function, "admin")
    left = queued(function)
    assert [message["body"] for message in left] == bodies
    assert all(message["hiddenSeconds"] == 0 for message in left)


def test_a_record_that_fails_again_is_left_and_the_others_are_handed_in(function, command):
    failing = record(creation_event(recreate_role(function, "node")))
    ignored = record(creation_event(create_role(function, "app"), recipientAccountId="444455556666"))
    function.do("queue", name=QUEUE, bodies=[failing, ignored])
    function.do("deny", operation="PutItem")

    said = command("redrive", "--output", "table")

    assert said.status == 1, said
    _, first, _, second, last = said.out.splitlines()
    assert "left in the queue: RepairIncomplete: " in first
    assert "sent again and deleted: Ignored: " in second
    assert last == f"2 records in {QUEUE}: 1 succeeded and deleted, 1 left."
    assert [(message["body"], message["hiddenSeconds"]) for message in queued(function)] == [(failing, 0)]


def test_nobody_else_gets_a_record_while_the_function_may_be_at_work_on_it(aws):
    role = create_role(aws, "app")
    aws.do("queue", name=QUEUE, bodies=[record(creation_event(role))])
    with subprocess.Popen([os.environ["COMMAND"], "redrive"], env=aws.environment(), stdout=subprocess.PIPE) as waiting:
        until = time.monotonic() + 60
        while not aws.do("invoked"):
            assert time.monotonic() < until
            time.sleep(0.1)
        (message,) = queued(aws)
        waiting.kill()

    assert message["hiddenSeconds"] > 15 * 60


def test_while_the_function_is_stopped_nothing_is_lost(aws, command):
    bodies = [record(creation_event(create_role(aws, "app")))]
    aws.do("queue", name=QUEUE, bodies=bodies)
    reason = {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"}
    aws.do("lambda", refuses={"status": 429, "code": "TooManyRequestsException", "body": reason})

    said = command("redrive")

    assert said.status == 2 and "delete-function-concurrency" in said.err, said
    answer = json.loads(said.out)
    assert (answer["deleted"], answer["left"], answer["sawEveryRecord"]) == (0, 1, False)
    assert "delete-function-concurrency" in answer["records"][0]["result"]
    assert [(message["body"], message["hiddenSeconds"]) for message in queued(aws)] == [(bodies[0], 0)]


def test_an_empty_queue_is_no_failure_and_a_missing_one_is_one_line(aws, command):
    said = command("redrive")
    assert (said.status, said.out, said.err.count("\n")) == (2, "", 1), said
    assert f"there is no queue {QUEUE} in us-east-1" in said.err

    aws.do("queue", name=QUEUE)
    assert command("redrive").status == 0


def test_the_queue_is_that_of_the_function_in_its_region(aws, command):
    aws.do("queue", name="guard-failed-invocations", region="eu-west-1")

    assert command("redrive", "--function", "guard", "--function-region", "eu-west-1").status == 0
    assert command("redrive", "--function", "guard").status == 2
