"""Probes of what the AWS on loopback ports does not have: a node group, a queue of events, a destination."""

from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import ANY, Stubber

import probes

ACCOUNT = "111122223333"
QUEUE = "https://sqs.us-east-1.amazonaws.com/111122223333/access-entry-guard-events"
ARN = "arn:aws:sqs:us-east-1:111122223333:access-entry-guard-events"
NODE_ROLE = "arn:aws:iam::111122223333:role/node"


def stubbed(service: str):
    client = boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    stubber.activate()
    return client, stubber


@pytest.fixture
def account():
    eks, stubber = stubbed("eks")
    sts, roles = stubbed("sts")
    return SimpleNamespace(
        id=ACCOUNT, cluster="prod", function_name="access-entry-guard", function_region="us-east-1",
        eks=eks, eks_stub=stubber, sts=sts, sts_stub=roles,
    )  # fmt: skip


def test_the_tags_of_a_managed_node_groups_entry_are_told(account):
    group = {"nodegroup": {"nodeRole": NODE_ROLE}}
    tags = {"aws:eks:managed": "true"}
    account.eks_stub.add_response("list_nodegroups", {"nodegroups": ["one", "two"]}, {"clusterName": "prod"})
    account.eks_stub.add_response("describe_nodegroup", group, {"clusterName": "prod", "nodegroupName": "one"})
    account.eks_stub.add_response(
        "describe_access_entry", {"accessEntry": {"tags": tags}}, {"clusterName": "prod", "principalArn": NODE_ROLE}
    )

    assert probes.node_group_tags(account) == f"{tags} (node group one)"


def test_a_cluster_without_managed_node_groups_is_not_asked(account):
    account.eks_stub.add_response("list_nodegroups", {"nodegroups": []}, {"clusterName": "prod"})

    assert probes.node_group_tags(account).startswith("not asked")


def test_without_a_queue_there_is_nothing_to_redrive_to(account):
    sqs, stubber = stubbed("sqs")
    stubber.add_client_error("get_queue_url", "AWS.SimpleQueueService.NonExistentQueue")

    assert probes.redrive(account, "arn:aws:iam::111122223333:role/operator", sqs).startswith(
        "not asked: the stack has no"
    )


@pytest.mark.parametrize(
    ("refusal", "answer"),
    [(None, "yes: COMPLETED, 0 moved"), ("AccessDenied", "no: AccessDenied: ")],
)
def test_the_operators_role_starts_a_redrive(account, monkeypatch, refusal, answer):
    operator = "arn:aws:iam::111122223333:role/operator"
    sqs, stubber = stubbed("sqs")
    theirs, their_stub = stubbed("sqs")
    stubber.add_response("get_queue_url", {"QueueUrl": QUEUE}, {"QueueName": "access-entry-guard-events"})
    stubber.add_response(
        "get_queue_attributes", {"Attributes": {"QueueArn": ARN}}, {"QueueUrl": QUEUE, "AttributeNames": ["QueueArn"]}
    )
    keys = {"AccessKeyId": "ASIAEXAMPLEEXAMPLE", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": 0}
    account.sts_stub.add_response("assume_role", {"Credentials": keys}, {"RoleArn": operator, "RoleSessionName": ANY})
    source = "arn:aws:sqs:us-east-1:111122223333:access-entry-guard-undelivered-events"
    if refusal:
        their_stub.add_client_error("start_message_move_task", refusal)
    else:
        their_stub.add_response(
            "start_message_move_task", {"TaskHandle": "h"}, {"SourceArn": source, "DestinationArn": ARN}
        )
        done = {"Results": [{"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 0}]}
        their_stub.add_response("list_message_move_tasks", done, {"SourceArn": source, "MaxResults": 1})
    monkeypatch.setattr(probes, "session_client", lambda *_: theirs)

    assert probes.redrive(account, operator, sqs) == answer


@pytest.mark.parametrize(
    ("bus", "answer"),
    [
        (
            "arn:aws:events:us-east-1:444455556666:event-bus/reports",
            "in the last day 3 deliveries failed, with 12 invocations",
        ),
        ("arn:aws:events:us-east-1:111122223333:event-bus/reports", "not asked"),
        ("arn:aws:sqs:us-east-1:444455556666:reports", "not asked"),
    ],
)
def test_a_bus_of_another_account_is_looked_at_if_it_is_the_destination(account, bus, answer):
    functions, stubber = stubbed("lambda")
    metrics, counts = stubbed("cloudwatch")
    config = {"DestinationConfig": {"OnSuccess": {"Destination": bus}}}
    stubber.add_response(
        "get_function_event_invoke_config", config, {"FunctionName": "access-entry-guard", "Qualifier": "events"}
    )
    for total in (3.0, 12.0):
        counts.add_response("get_metric_statistics", {"Datapoints": [{"Sum": total}]})

    assert answer in probes.foreign_bus(account, functions, metrics)
