"""That the role may do what the code does, and nothing more; and what AllowPrivilegedGrants=false takes from it."""

import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import cfnlint
import pytest
from botocore import xform_name
from botocore.session import Session

from emulator import ACCOUNT, Emulator
from iam import ANY_CLUSTER, ANY_ENTRY, actions, as_the_emulator_reads_it, decide, policy_of, put_policy
from stack import PROJECT, Stack
from world import ADMIN_POLICY, PEOPLE, VIEW_POLICY, Cluster, create_role, creation_event, recreate_role

ROLE = f"arn:aws:iam::{ACCOUNT}:role/team/deployer"
EDIT_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
AUTO_NODE_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy"

# The services that the code calls: the SDK's module, and how IAM calls it.
SERVICES = {"eks": "eks", "iam": "iam", "account": "account", "dynamodb": "dynamodb", "cloudwatch": "cloudwatch"}

# What a call needs beside the action of its own name.
DEPENDENT = {
    # A creation with tags (EKS User Guide, "Tag your resources"), and one of a node type ("Create access entries").
    "eks:CreateAccessEntry": {"eks:TagResource", "iam:PassRole"},
}

# What Lambda does with the role: its log, and the records of failed invocations.
LAMBDAS_OWN = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}

# The keys that EKS puts into a request of its own accord, beside those of the resource (Service Authorization
# Reference, "Actions defined by Amazon EKS"). IAM ignores a key that it does not know, and with it the limit.
REQUEST_KEYS = {
    "eks:CreateAccessEntry": {"eks:principalArn", "eks:kubernetesGroups", "eks:username", "eks:accessEntryType"},
    "eks:AssociateAccessPolicy": {"eks:policyArn", "eks:namespaces", "eks:accessScope"},
    "eks:DisassociateAccessPolicy": {"eks:policyArn", "eks:namespaces", "eks:accessScope"},
    "eks:DeleteAccessEntry": set(),
    "eks:TagResource": {"aws:TagKeys"},
}


@pytest.fixture(scope="module")
def emulator():
    with Emulator(enforce_iam=True) as running:
        yield running


@pytest.fixture(scope="module")
def policies(emulator) -> dict[str, list[dict]]:
    """The role's statements as deployed, by the value of AllowPrivilegedGrants. The stack is left with `false`."""
    stack = Stack(emulator)
    found = {}
    for value in ("true", "false"):
        stack.deploy(SettleSeconds="0", Regions="us-east-1", AllowPrivilegedGrants=value)
        found[value] = policy_of(emulator)
    put_policy(emulator, "emulator", as_the_emulator_reads_it(found["false"]))
    found["stack"] = stack
    return found


@functools.cache
def calls_of_the_code() -> frozenset[str]:
    """Every AWS call in src/, as an IAM action. The SDK names an operation's method after the operation."""
    found = set()
    for source in PROJECT.glob("src/**/*.rs"):
        text = source.read_text()
        for module, prefix in SERVICES.items():
            # In aws/, a file is about one service; nothing else may name the SDK.
            if source.parent.name != "aws" or source.stem != module:
                continue
            operations = {xform_name(name): name for name in Session().get_service_model(module).operation_names}
            methods = re.findall(r"\.\s*([a-z_]+)\(\)", text)
            found |= {f"{prefix}:{operations[method]}" for method in methods if method in operations}
    return frozenset(found)


def test_every_file_that_calls_aws_is_looked_at():
    naming_a_client = {
        source.relative_to(PROJECT / "src").as_posix()
        for source in PROJECT.glob("src/**/*.rs")
        if re.search(r"\.send\(\)", source.read_text())
    }
    assert naming_a_client == {f"aws/{module}.rs" for module in SERVICES}


def test_each_call_of_the_code_is_allowed_and_nothing_else_is(policies):
    needed = set(calls_of_the_code())
    for call in calls_of_the_code():
        needed |= DEPENDENT.get(call, set())
    assert len(calls_of_the_code()) > 12, "the calls were found"

    allowed = [a for s in policies["true"] if s["Effect"] == "Allow" for a in actions(s)]

    assert sorted(set(allowed)) == sorted(needed | LAMBDAS_OWN)
    assert not [action for action in allowed if "*" in action or "?" in action]


def test_the_calls_that_were_found_are_those_that_the_scenarios_saw():
    """The same list by another way: the operations that the AWS in the test process answers are those of the code."""
    eks = (PROJECT / "tests/scenarios/cloud/eks.rs").read_text()
    answered = {f"eks:{name}" for name in re.findall(r'^        "(\w+)" => ', eks, re.M)}
    assert {call for call in calls_of_the_code() if call.startswith("eks:")} <= answered


def test_each_condition_key_is_one_that_aws_knows_for_the_action(policies):
    known = json.loads(
        Path(cfnlint.__file__).with_name("data").joinpath("AdditionalSpecs", "Policies.json").read_text()
    )["eks"]
    seen = 0
    for statement in policies["false"]:
        keys = {key for operands in statement.get("Condition", {}).values() for key in operands}
        for action in actions(statement):
            if action not in REQUEST_KEYS:
                assert not action.startswith("eks:") or not keys, f"{action} has conditions that nobody looked up"
                continue
            resources = known["Actions"][action.split(":")[1].lower()]["Resources"]
            of_resources = {k for r in resources for k in known["Resources"][r].get("ConditionKeys", [])}
            assert keys <= REQUEST_KEYS[action] | of_resources, f"{statement['Sid']}: {action}"
            seen += len(keys)
    assert seen > 5


def test_only_roles_of_this_account_and_known_types_are_touched(policies):
    policy = policies["true"]
    for action, resource in [
        ("eks:CreateAccessEntry", ANY_CLUSTER),
        ("eks:DeleteAccessEntry", ANY_ENTRY),
        ("eks:AssociateAccessPolicy", ANY_ENTRY),
        ("eks:DisassociateAccessPolicy", ANY_ENTRY),
    ]:
        ask = functools.partial(decide, policy, action)
        assert ask(resource, eks__principalArn=ROLE, eks__accessEntryType="EC2_LINUX") == "Allow"
        assert ask(resource, eks__principalArn=ROLE, eks__accessEntryType="EC2_Windows") == "Allow"
        assert ask(resource) == "Allow", "an entry that is gone has no keys, and is to be answered 404"
        assert ask(resource, eks__principalArn=ROLE, eks__accessEntryType="NEW") == "ImplicitDeny"
        assert ask(resource, eks__principalArn=f"arn:aws:iam::{ACCOUNT}:user/bob") == "ImplicitDeny"
        assert ask(resource, eks__principalArn="arn:aws:iam::444455556666:role/x") == "ImplicitDeny"
        assert ask(resource.replace(ACCOUNT, "444455556666"), eks__principalArn=ROLE) == "ImplicitDeny"


def test_the_types_of_the_policy_are_those_of_the_code(policies):
    code = set(re.findall(r'Self::\w+ => "([A-Z0-9_]+)"', (PROJECT / "src/model/entry.rs").read_text()))
    for statement in policies["true"]:
        condition = statement.get("Condition", {}).get("StringEqualsIgnoreCaseIfExists")
        if condition:
            assert set(condition["eks:accessEntryType"]) == code


def test_roles_are_passed_to_eks_and_ec2_only(policies):
    ask = functools.partial(decide, policies["true"], "iam:PassRole")
    assert ask(ROLE, iam__PassedToService="eks.amazonaws.com") == "Allow"
    assert ask(ROLE, iam__PassedToService="ec2.amazonaws.com") == "Allow"
    assert ask(ROLE, iam__PassedToService="lambda.amazonaws.com") == "ImplicitDeny"
    assert ask(ROLE) == "ImplicitDeny"


def test_with_privileged_grants_any_policy_group_and_user_name_may_be_given(policies):
    ask = functools.partial(decide, policies["true"], eks__principalArn=ROLE)
    assert ask("eks:AssociateAccessPolicy", ANY_ENTRY, eks__policyArn=ADMIN_POLICY) == "Allow"
    assert ask("eks:CreateAccessEntry", ANY_CLUSTER, eks__kubernetesGroups=["a"], eks__username="b") == "Allow"


@pytest.mark.parametrize(
    "policy_arn",
    [ADMIN_POLICY, EDIT_POLICY, AUTO_NODE_POLICY, VIEW_POLICY + "2", VIEW_POLICY.replace("aws:eks", "aws-cn:eks")],
)
def test_without_privileged_grants_iam_refuses_every_policy_but_view(policies, policy_arn):
    ask = functools.partial(decide, policies["false"], "eks:AssociateAccessPolicy", ANY_ENTRY, eks__principalArn=ROLE)
    assert ask(eks__policyArn=policy_arn) == "Deny"
    assert ask(eks__policyArn=VIEW_POLICY) == "Allow"
    # Taking back is no grant.
    assert decide(policies["false"], "eks:DisassociateAccessPolicy", ANY_ENTRY, eks__policyArn=policy_arn) == "Allow"


@pytest.mark.parametrize(
    ("keys", "decision"),
    [
        ({}, "Allow"),
        ({"eks__kubernetesGroups": []}, "Allow"),
        ({"eks__kubernetesGroups": ["viewers"]}, "Deny"),
        ({"eks__kubernetesGroups": ["a", "b"]}, "Deny"),
        ({"eks__username": ""}, "Allow"),
        ({"eks__username": "pipelines:{{SessionName}}"}, "Deny"),
    ],
)
def test_without_privileged_grants_iam_refuses_creation_with_groups_or_a_user_name(policies, keys, decision):
    for kind in ("STANDARD", "EC2_LINUX"):
        ask = functools.partial(decide, policies["false"], "eks:CreateAccessEntry", ANY_CLUSTER)
        assert ask(eks__principalArn=ROLE, eks__accessEntryType=kind, **keys) == decision


def test_the_parameter_changes_nothing_else(policies):
    denials = [s for s in policies["false"] if s["Effect"] == "Deny"]
    assert len(denials) == 3
    assert [s for s in policies["false"] if s not in denials] == policies["true"]


# What an owner can set, and IAM may then refuse: names that a shell or a CLI could trip over among them.
HELD = {
    "admin": ({"type": "STANDARD"}, {ADMIN_POLICY: {"type": "cluster"}}),
    "groups": ({"type": "STANDARD", "kubernetesGroups": ["deployers", "it's"]}, {VIEW_POLICY: {"type": "cluster"}}),
    "everything": (
        {
            "type": "STANDARD",
            "username": "file://etc:{{SessionName}}",
            "kubernetesGroups": ["a,b", "$(id)"],
            "tags": {"team": "plat'form", "file://x": "a=b,c"},
        },
        {EDIT_POLICY: {"type": "namespace", "namespaces": ["team-*", "default"]}, VIEW_POLICY: {"type": "cluster"}},
    ),
}


@pytest.fixture(scope="module")
def cluster(emulator, policies):
    return Cluster(emulator, "grants", "us-east-1")


@pytest.mark.parametrize("name", HELD)
def test_what_is_held_is_released_by_the_printed_commands(emulator, policies, cluster, name):
    properties, scopes = HELD[name]
    role = create_role(emulator, f"held-{name}", PEOPLE)
    cluster.allow(role, scopes, **properties)
    role = recreate_role(emulator, role, PEOPLE)
    before = cluster.entry(role)
    stack: Stack = policies["stack"]

    approval = {"command": "approve", "clusterName": cluster.name, "region": cluster.region}
    approval |= {"principalArn": role["Arn"], "roleId": role["RoleId"]}
    reports = [stack.invoke(creation_event(role), alias="events"), stack.invoke(approval, alias="approve")]

    for report in reports:
        (entry,) = report["entries"]
        assert (entry["outcome"], entry["reason"]) == ("held", "privileged"), entry
        assert cluster.entry(role) == before

    # A person, with the AWS CLI in a shell, and rights of his own.
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "unused",
        "AWS_CONFIG_FILE": "/dev/null",
    }
    ran = subprocess.run(["/bin/sh", "-c", entry["remedy"]], env=env, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr

    after = cluster.entry(role)
    assert after["createdAt"] >= role["CreateDate"] and after["accessEntryArn"] != before["accessEntryArn"]
    for member in ("type", "kubernetesGroups", "tags"):
        assert after.get(member) == before.get(member), member
    if "username" in properties:
        assert after["username"] == properties["username"]
    assert cluster.policies(role) == scopes
