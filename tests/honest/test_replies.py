"""The in-process AWS answers as the service models say, with successes and with errors, and botocore can read it."""

import pytest
from botocore.parsers import create_parser
from running import HOME_REGION

from conformity import problems_of_reply
from model import SERVED, protocol, served
from samples import CLUSTER, EDIT, KEY, NODE, STANDARD, TABLE, VIEW, World
from wire import Wire

IN_CLUSTER = {"clusterName": CLUSTER}
CONDITION = {"ConditionExpression": "attribute_not_exists(principalArn)"}
RESERVED_NAME = {**IN_CLUSTER, "principalArn": STANDARD, "username": "system:x"}
RESERVED_NAMESPACE = {"Namespace": "AWS/EKS", "MetricData": [{"MetricName": "x", "Value": 1.0}]}

# Requests that keep the model and are refused: service, operation, members, error code.
REFUSED = [
    ("eks", "DescribeCluster", {"name": "gone"}, "ResourceNotFoundException"),
    ("eks", "DescribeAccessEntry", {**IN_CLUSTER, "principalArn": f"{NODE}-gone"}, "ResourceNotFoundException"),
    ("eks", "CreateAccessEntry", {**IN_CLUSTER, "principalArn": NODE}, "ResourceInUseException"),
    ("eks", "CreateAccessEntry", {**IN_CLUSTER, "principalArn": f"{NODE}-gone"}, "InvalidParameterException"),
    ("eks", "UpdateAccessEntry", RESERVED_NAME, "InvalidParameterException"),
    ("eks", "DeleteAccessEntry", {"clusterName": "gone", "principalArn": NODE}, "ResourceNotFoundException"),
    ("eks", "ListAccessEntries", {"clusterName": "gone"}, "ResourceNotFoundException"),
    ("eks", "ListAccessEntries", {**IN_CLUSTER, "nextToken": "0"}, "InvalidParameterException"),
    ("eks", "ListAssociatedAccessPolicies", {**IN_CLUSTER, "principalArn": NODE}, "InvalidParameterException"),
    (
        "eks",
        "AssociateAccessPolicy",
        {**IN_CLUSTER, "principalArn": NODE, "policyArn": VIEW, "accessScope": {"type": "cluster"}},
        "InvalidParameterException",
    ),
    (
        "eks",
        "DisassociateAccessPolicy",
        {**IN_CLUSTER, "principalArn": STANDARD, "policyArn": EDIT.replace("Edit", "Admin")},
        "ResourceNotFoundException",
    ),
    ("eks", "TagResource", {"resourceArn": f"arn:aws:eks:{HOME_REGION}:1:x", "tags": {"a": "b"}}, "NotFoundException"),
    ("iam", "GetRole", {"RoleName": "gone"}, "NoSuchEntity"),
    ("iam", "GetUser", {"UserName": "gone"}, "NoSuchEntity"),
    ("cloudtrail", "LookupEvents", {"StartTime": 2, "EndTime": 1}, "InvalidTimeRangeException"),
    ("cloudtrail", "LookupEvents", {"NextToken": "0"}, "InvalidNextTokenException"),
    ("account", "ListRegions", {"AccountId": "444455556666"}, "AccessDeniedException"),
    ("dynamodb", "GetItem", {"TableName": "gone", "Key": KEY}, "ResourceNotFoundException"),
    ("dynamodb", "PutItem", {"TableName": TABLE, "Item": KEY, **CONDITION}, "ConditionalCheckFailedException"),
    ("dynamodb", "Query", {"TableName": TABLE}, "ValidationException"),
    ("monitoring", "PutMetricData", RESERVED_NAMESPACE, "InvalidParameterValue"),
]


@pytest.mark.parametrize("service, name", served())
def test_a_success_is_what_the_model_says(world: World, service: str, name: str):
    for sample in world.samples(name):
        exchange = world.send(service, name, sample)
        assert exchange.accepted
        assert problems_of_reply(exchange) == []


@pytest.mark.parametrize("service, name", served())
def test_botocore_reads_every_member_of_a_success(world: World, service: str, name: str):
    for sample in world.samples(name):
        exchange = world.send(service, name, sample)
        read = _read_by_botocore(exchange)
        assert {name for name, value in exchange.tree().items() if value is not None} == set(read)


@pytest.mark.parametrize("service, name, parameters, code", REFUSED)
def test_an_error_is_what_the_model_says(world: World, service: str, name: str, parameters: dict, code: str):
    exchange = world.send(service, name, parameters)
    assert problems_of_reply(exchange) == []
    assert exchange.code() == code
    read = create_parser(protocol(service)).parse(_of(exchange), exchange.model.output_shape)
    assert read["Error"]["Code"] == code
    assert read["Error"]["Message"]


@pytest.mark.parametrize("service", ["eks", "dynamodb", "monitoring", "cloudtrail"])
def test_a_region_that_is_not_enabled_answers_as_the_services_do(aws, world: World, service: str):
    name = SERVED[service][0]
    exchange = Wire(aws.http, "ap-southeast-7").send(service, name, world.samples(name)[0])
    assert problems_of_reply(exchange) == []
    assert exchange.code() in ("UnrecognizedClientException", "InvalidClientTokenId")


def _of(exchange) -> dict:
    return {"status_code": exchange.status, "headers": exchange.headers, "body": exchange.body}


def _read_by_botocore(exchange) -> dict:
    read = create_parser(protocol(exchange.service)).parse(_of(exchange), exchange.model.output_shape)
    return {name: value for name, value in read.items() if name != "ResponseMetadata"}
