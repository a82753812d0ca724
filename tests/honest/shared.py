"""Scenarios that any AWS can play: each begins with a cluster without entries and four roles, calls what the function
relies on, and tells what came of it in a form that can be compared. The scenarios are in `shared_entries.py` and
`shared_lists.py`, which `compare.py` plays."""

from collections.abc import Callable

from botocore.exceptions import ClientError

from running import ACCOUNT
from samples import CLUSTER, VIEW

ROLES = [f"role-000{n}" for n in range(4)]
ONE, TWO, THREE, FOUR = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ROLES)
CLUSTER_WIDE = {"type": "cluster"}

SCENARIOS: dict[str, Callable] = {}


def scenario(sentence: str):
    """Adds a scenario under the sentence that the table shows."""

    def add(play: Callable) -> Callable:
        SCENARIOS[sentence] = play
        return play

    return add


def outcome(call: Callable, **parameters) -> str:
    """`accepted`, or the error code."""
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "accepted"


class Entries:
    """Access entries of the cluster, in few words."""

    def __init__(self, site):
        self.eks = site.client("eks")

    def create(self, arn: str = ONE, **members) -> str:
        return outcome(self.eks.create_access_entry, clusterName=CLUSTER, principalArn=arn, **members)

    def made(self, arn: str = ONE, **members) -> dict:
        return self.eks.create_access_entry(clusterName=CLUSTER, principalArn=arn, **members)["accessEntry"]

    def associate(self, arn: str = ONE, policy: str = VIEW, scope: dict | None = None) -> str:
        scope = CLUSTER_WIDE if scope is None else scope
        call = self.eks.associate_access_policy
        return outcome(call, clusterName=CLUSTER, principalArn=arn, policyArn=policy, accessScope=scope)

    def policies(self, arn: str = ONE) -> str:
        listed = self.eks.list_associated_access_policies(clusterName=CLUSTER, principalArn=arn)
        scopes = {it["policyArn"].rsplit("/", 1)[1]: it["accessScope"] for it in listed["associatedAccessPolicies"]}
        return str(dict(sorted(scopes.items())))

    def shown(self, arn: str = ONE) -> dict:
        return self.eks.describe_access_entry(clusterName=CLUSTER, principalArn=arn)["accessEntry"]
