"""That the role may do what the code does, and nothing more; and what AllowPrivilegedGrants=false takes from it."""

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest
from botocore import xform_name
from botocore.session import Session

from emulator import ACCOUNT, Emulator
from iam import actions, as_the_emulator_reads_it, policy_of, put_policy
from stack import PROJECT, Stack
from world import ADMIN_POLICY, PEOPLE, VIEW_POLICY, Cluster, create_role, creation_event, recreate_role

EDIT_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"

# The services that the code calls, by their names in the SDK and in IAM, and the files of `src/aws` that call each.
SERVICES = {
    "account": ["account.rs"],
    "cloudwatch": ["cloudwatch.rs"],
    "dynamodb": ["dynamodb.rs", "stored.rs"],
    "eks": ["eks.rs", "eks/changes.rs", "eks/users.rs"],
    "iam": ["iam.rs"],
}

# Those of the command `access-entry-guard`, which are not in the function.
OF_THE_COMMAND = {"aws/cloudtrail.rs", "aws/iam_user.rs", "aws/lambda.rs", "aws/sqs.rs", "aws/sts.rs"}

# What a call needs beside the action of its own name.
DEPENDENT = {
    # A creation with tags (EKS User Guide, "Tag your resources"), and one of a node type ("Create access entries").
    "eks:CreateAccessEntry": {"eks:TagResource", "iam:PassRole"},
}

# What Lambda does with the role: its log, and the records of failed invocations.
LAMBDAS_OWN = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}


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
    for service, files in SERVICES.items():
        operations = {xform_name(name): name for name in Session().get_service_model(service).operation_names}
        for file in files:
            methods = re.findall(r"\.\s*([a-z_]+)\(\)", (PROJECT / "src/aws" / file).read_text())
            found |= {f"{service}:{operations[method]}" for method in methods if method in operations}
    return frozenset(found)


def test_every_file_that_calls_aws_is_looked_at():
    naming_a_client = {
        source.relative_to(PROJECT / "src").as_posix()
        for source in PROJECT.glob("src/**/*.rs")
        if re.search(r"\.send\(\)", source.read_text())
    }
    assert naming_a_client - OF_THE_COMMAND == {f"aws/{file}" for files in SERVICES.values() for file in files}
    modules = (PROJECT / "src/aws.rs").read_text()
    for file in OF_THE_COMMAND:
        name = file.removeprefix("aws/").removesuffix(".rs")
        assert re.search(rf'#\[cfg\(feature = "cli"\)\]\n(pub )?mod {name};', modules), file


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
    eks = "".join((PROJECT / f"tests/scenarios/cloud/{file}.rs").read_text() for file in ("eks", "users"))
    answered = {f"eks:{name}" for name in re.findall(r'^        "(\w+)" => ', eks, re.M)}
    assert {call for call in calls_of_the_code() if call.startswith("eks:")} <= answered


def test_the_types_of_the_policy_are_those_of_the_code(policies):
    code = set(re.findall(r'Self::\w+ => "([A-Z0-9_]+)"', (PROJECT / "src/model/entry.rs").read_text()))
    for statement in policies["true"]:
        condition = statement.get("Condition", {}).get("StringEqualsIgnoreCaseIfExists")
        if condition:
            assert set(condition["eks:accessEntryType"]) == code


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
