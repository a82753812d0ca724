"""How payloads reach the function without a person: asynchronously, through the queue, and out of a dead-letter queue.

EventBridge accepts events of `aws.iam` from AWS alone, and so does the emulator: a rule of the tests' own, with the targets
of the stack's, stands in for it. The failure that is forced is a ledger that is not there; without one, nothing may be
deleted.

In three points the emulator is less than AWS. A rule's invocation is tried once: so what fails for good is invoked
asynchronously here, as the rule would. Messages are not moved from queue to queue (`StartMessageMoveTask`): a test moves
them. No report is sent on (`ReportDestinationArn`): it is looked at in the deployed configuration only.
"""

import json
import time

import pytest
from botocore.exceptions import ClientError

from stack import Stack
from world import Cluster, create_role, creation_event, recreate_role, sample

REGION = "us-east-1"
LEDGER = "access-entry-guard-ledger"


@pytest.fixture(scope="module")
def stack(emulator):
    return Stack(emulator).deploy(SettleSeconds="0", Regions=REGION)


@pytest.fixture(scope="module")
def batched(emulator, stack):
    """The stack with a queue between rule and function, and failed records that do not wait for their next delivery."""
    stack.deploy(SettleSeconds="0", Regions=REGION, BatchWindowSeconds="1")
    emulator.client("sqs").set_queue_attributes(
        QueueUrl=stack.outputs["EventQueueUrl"], Attributes={"VisibilityTimeout": "1"}
    )
    return stack


@pytest.fixture(scope="module")
def cluster(emulator, stack):
    return Cluster(emulator, "prod", REGION)


@pytest.fixture
def ledger_lost(emulator):
    """Takes the ledger away, and gives a function that brings an empty one back."""
    ledger = emulator.client("dynamodb")
    table = ledger.describe_table(TableName=LEDGER)["Table"]
    ledger.delete_table(TableName=LEDGER)

    def bring_back():
        if LEDGER not in ledger.list_tables()["TableNames"]:
            ledger.create_table(
                TableName=LEDGER,
                KeySchema=table["KeySchema"],
                AttributeDefinitions=table["AttributeDefinitions"],
                BillingMode="PAY_PER_REQUEST",
            )

    yield bring_back
    bring_back()


def stale_node(emulator, cluster, name: str) -> tuple[dict, dict]:
    """A node role that was created again, and the entry that was made for its predecessor."""
    role = create_role(emulator, name)
    entry = cluster.allow(role, type="EC2_LINUX")
    return recreate_role(emulator, role), entry


def repaired(cluster, role: dict, stale: dict) -> bool:
    try:
        return cluster.entry(role)["accessEntryArn"] != stale["accessEntryArn"]
    except ClientError:
        # Looked at between the deletion and the creation.
        return False


def eventually(happens, seconds: float = 20):
    """The first true value of `happens`, or the last false one."""
    deadline = time.monotonic() + seconds
    while not (value := happens()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return value


def messages(emulator, url: str) -> list[str]:
    received = emulator.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [message["Body"] for message in received.get("Messages", [])]


def deliver(emulator, event: dict):
    """What EventBridge does with an event that the stack's rule lets in: hands it to the rule's targets."""
    events = emulator.client("events")
    targets = events.list_targets_by_rule(Rule="access-entry-guard-role-events")["Targets"]
    events.put_rule(Name="stand-in", EventPattern=json.dumps({"source": ["stand-in"]}))
    events.put_targets(Rule="stand-in", Targets=[target | {"Input": json.dumps(event)} for target in targets])
    events.put_events(Entries=[{"Source": "stand-in", "DetailType": "a role", "Detail": "{}"}])


def invoke_later(emulator, stack, payload: dict):
    """What the rule and the schedule do."""
    emulator.client("lambda").invoke(
        FunctionName=stack.outputs["EventsAliasArn"], InvocationType="Event", Payload=json.dumps(payload)
    )


def test_an_event_delivered_asynchronously_is_acted_on(emulator, stack, cluster):
    role, stale = stale_node(emulator, cluster, "node")

    deliver(emulator, creation_event(role))

    assert eventually(lambda: repaired(cluster, role, stale))


def test_the_schedules_payload_sweeps(emulator, stack, cluster):
    role, stale = stale_node(emulator, cluster, "forgotten")
    payload = emulator.client("scheduler").get_schedule(
        GroupName="access-entry-guard", Name="access-entry-guard-sweep"
    )["Target"]["Input"]

    invoke_later(emulator, stack, json.loads(payload))

    assert eventually(lambda: repaired(cluster, role, stale))
    assert eventually(lambda: stack.metric_sum("SweepsCompleted")) == 1


def test_an_event_that_failed_for_good_waits_in_the_queue_and_heals_when_handed_in_again(
    emulator, stack, cluster, ledger_lost
):
    role, stale = stale_node(emulator, cluster, "unlucky")
    queue = stack.outputs["FailedInvocationsQueueUrl"]

    invoke_later(emulator, stack, creation_event(role))
    (record,) = eventually(lambda: messages(emulator, queue))
    assert not repaired(cluster, role, stale)

    ledger_lost()
    report = stack.invoke(json.loads(record))

    assert [entry["outcome"] for entry in report["entries"]] == ["repaired"]
    assert repaired(cluster, role, stale)


def test_a_batch_out_of_the_queue_repairs_the_entries_of_each_role(emulator, batched, cluster):
    nodes = [stale_node(emulator, cluster, name) for name in ("blue", "green")]

    for role, _ in nodes:
        deliver(emulator, creation_event(role))

    for role, stale in nodes:
        assert eventually(lambda role=role, stale=stale: repaired(cluster, role, stale))


def test_a_body_that_cannot_be_read_ends_in_the_dead_letter_queue_and_holds_up_no_other(emulator, batched, cluster):
    role, stale = stale_node(emulator, cluster, "neighbour")
    bodies = ['{"version":"0","id":', json.dumps(creation_event(role)), json.dumps(sample("command-sweep"))]

    for body in bodies:
        emulator.client("sqs").send_message(QueueUrl=batched.outputs["EventQueueUrl"], MessageBody=body)

    assert eventually(lambda: repaired(cluster, role, stale))
    dead = batched.outputs["UndeliveredEventsQueueUrl"]
    assert eventually(lambda: len(messages(emulator, dead)) == 2, seconds=60)
    assert sorted(messages(emulator, dead)) == sorted([bodies[0], bodies[2]])


def test_an_event_that_the_queue_gave_up_on_is_redriven_and_heals(emulator, batched, cluster, ledger_lost):
    role, stale = stale_node(emulator, cluster, "redriven")
    queues, dead = emulator.client("sqs"), batched.outputs["UndeliveredEventsQueueUrl"]
    queues.purge_queue(QueueUrl=dead)

    deliver(emulator, creation_event(role))
    (event,) = eventually(lambda: messages(emulator, dead), seconds=60)
    assert json.loads(event) == creation_event(role)
    assert not repaired(cluster, role, stale)

    ledger_lost()
    queues.send_message(QueueUrl=batched.outputs["EventQueueUrl"], MessageBody=event)

    assert eventually(lambda: repaired(cluster, role, stale))


def test_reports_are_sent_on_from_the_alias_that_rule_and_schedule_invoke(emulator, stack):
    emulator.client("sqs").create_queue(QueueName="reports")
    arn = "arn:aws:sqs:us-east-1:111122223333:reports"

    stack.deploy(SettleSeconds="0", Regions=REGION, ReportDestinationArn=arn)

    functions = emulator.client("lambda")
    found = functions.get_function_event_invoke_config(FunctionName="access-entry-guard", Qualifier="events")
    assert found["DestinationConfig"]["OnSuccess"] == {"Destination": arn}
    assert found["DestinationConfig"]["OnFailure"]["Destination"].endswith(":access-entry-guard-failed-invocations")
    assert (found["MaximumRetryAttempts"], found["MaximumEventAgeInSeconds"]) == (2, 3600)
    policy = emulator.client("iam").get_role_policy(RoleName="access-entry-guard", PolicyName="guard")["PolicyDocument"]
    (sending,) = [s for s in policy["Statement"] if s["Sid"] == "SendReportsOn"]
    assert sending["Resource"] == arn
