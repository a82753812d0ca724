"""Why the function's right to pass roles is harmless: nothing else that it may do uses a passed role.

`iam:PassRole` for ec2.amazonaws.com is what EKS asks for when an entry of a node type is created. With `ec2:RunInstances`
beside it, the same right would start an instance as any role of the account. So every action that the role is allowed, with
every option of the template, is looked up here: which operations it admits, and whether their requests name a role.
"""

import fnmatch
import re
from collections.abc import Iterator

import pytest
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.session import Session

SESSION = Session()

# The operations that an action admits, where they have not its name (Service Authorization Reference).
OTHERWISE_NAMED = {
    "lambda:InvokeFunction": ["Invoke", "InvokeAsync", "InvokeWithResponseStream"],
    # A permission that other operations ask for; no operation.
    "iam:PassRole": [],
}

# A member of a request that names a role, or what carries one.
NAMES_A_ROLE = re.compile(r"role(arn|name|s)?$|instanceprofile|^principalArn$", re.IGNORECASE)

# Every such member of what the function may ask for. Only the first uses the right to pass the role: it binds a cluster's
# access to it and starts nothing. The others name an entry that is there, or read.
ROLES_IN_REQUESTS = {
    ("eks:CreateAccessEntry", "principalArn"),
    ("eks:DescribeAccessEntry", "principalArn"),
    ("eks:DeleteAccessEntry", "principalArn"),
    ("eks:AssociateAccessPolicy", "principalArn"),
    ("eks:DisassociateAccessPolicy", "principalArn"),
    ("eks:ListAssociatedAccessPolicies", "principalArn"),
    ("iam:GetRole", "RoleName"),
}

# What could use a role that may be passed to EC2 or to EKS.
COULD_USE_IT = [
    "ec2:RunInstances",
    "ec2:AssociateIamInstanceProfile",
    "iam:AddRoleToInstanceProfile",
    "autoscaling:CreateLaunchConfiguration",
    "eks:CreateCluster",
    "eks:CreateNodegroup",
    "eks:CreateFargateProfile",
    "eks:CreateAddon",
    "lambda:CreateFunction",
    "scheduler:CreateSchedule",
]


@pytest.fixture(scope="module")
def statements(plain) -> list[dict]:
    """The statements of the function's role with every option of the template, its conditions not decided."""
    (policy,) = plain["Resources"]["GuardRole"]["Properties"]["Policies"]
    return [found for statement in policy["PolicyDocument"]["Statement"] for found in either(statement)]


def either(value: dict) -> list[dict]:
    """What a statement may come to: itself, or each branch of a condition."""
    if "Fn::If" in value:
        return [found for branch in value["Fn::If"][1:] for found in either(branch)]
    return [] if value == {"Ref": "AWS::NoValue"} else [value]


def allowed(statements: list[dict]) -> set[str]:
    granting = [s for s in statements if s["Effect"] == "Allow"]
    return {a for s in granting for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])}


def operations_of(action: str) -> list[OperationModel]:
    service, name = action.split(":")
    model = SESSION.get_service_model(service)
    names = OTHERWISE_NAMED.get(action) or fnmatch.filter(model.operation_names, name)
    known = [model.operation_model(found) for found in names if found in model.operation_names]
    assert known or action in OTHERWISE_NAMED, f"{action} is no operation of {service}: say which ones it admits"
    return known


def members(shape: Shape | None, seen: tuple[str, ...] = ()) -> Iterator[str]:
    """The names of all members of a request, at any depth."""
    if shape is None or shape.name in seen:
        return
    deeper = (*seen, shape.name)
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            yield name
            yield from members(member, deeper)
    elif isinstance(shape, ListShape):
        yield from members(shape.member, deeper)
    elif isinstance(shape, MapShape):
        yield from members(shape.value, deeper)


def roles_in_requests_of(action: str) -> set[tuple[str, str]]:
    return {
        (action, name)
        for operation in operations_of(action)
        for name in members(operation.input_shape)
        if NAMES_A_ROLE.search(name)
    }


def test_of_all_that_the_role_may_ask_for_only_the_creation_of_an_entry_takes_a_role(statements):
    actions = allowed(statements)
    assert {"sqs:ReceiveMessage", "xray:PutTraceSegments", "events:PutEvents", "kms:Decrypt"} <= actions, "every option"

    found = set().union(*(roles_in_requests_of(action) for action in actions))

    assert found == ROLES_IN_REQUESTS


@pytest.mark.parametrize("action", COULD_USE_IT)
def test_what_could_use_a_passed_role_is_found_by_its_request_and_is_not_allowed(statements, action):
    assert roles_in_requests_of(action), "the test above would not see it"
    assert not [pattern for pattern in allowed(statements) if fnmatch.fnmatch(action, pattern)]


def test_no_statement_allows_what_it_does_not_name(statements):
    for statement in statements:
        assert statement["Effect"] == "Deny" or "NotAction" not in statement
    # Of KMS, as AWS's own documents write it for a table, a queue and a function with a key.
    with_wildcard = {action for action in allowed(statements) if "*" in action or "?" in action}
    assert with_wildcard <= {"kms:ReEncrypt*", "kms:GenerateDataKey*"}


def test_roles_may_be_passed_to_the_service_that_eks_names_in_every_partition(statements):
    (passing,) = [s for s in statements if s["Action"] == "iam:PassRole"]

    assert passing["Resource"] == {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/*"}
    # In China the service has both names; elsewhere the second would repeat the first.
    assert passing["Condition"] == {
        "StringEquals": {
            "iam:PassedToService": [
                "ec2.amazonaws.com",
                "eks.amazonaws.com",
                {"Fn::If": ["InChina", "ec2.amazonaws.com.cn", {"Ref": "AWS::NoValue"}]},
            ]
        }
    }
