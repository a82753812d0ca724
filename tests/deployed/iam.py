"""The role's policy: as it was deployed, and as the emulator reads it.

The emulator enforces IAM, but differs from AWS in three points. It authorizes every EKS request on the cluster. AWS
authorizes most requests about an access entry, a node group or the like on that. It supports no condition on a metric's namespace. For these
two a second policy stands beside the template's, made out of the same statements. And it puts none of EKS's condition
keys into a request: `test_authorization.py` shows what depends on them, with another evaluator.
"""

import json

from emulator import ACCOUNT

ROLE = "access-entry-guard"


def policy_of(emulator) -> list[dict]:
    """The statements of the function's role as they were deployed."""
    return emulator.client("iam").get_role_policy(RoleName=ROLE, PolicyName="guard")["PolicyDocument"]["Statement"]


def put_policy(emulator, name: str, policy: list[dict]):
    document = {"Version": "2012-10-17", "Statement": policy}
    emulator.client("iam").put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=json.dumps(document))


def as_the_emulator_reads_it(policy: list[dict]) -> list[dict]:
    """What the statements on parts of clusters and on metrics allow, in the words that the emulator understands."""
    on_clusters = f"arn:aws:eks:*:{ACCOUNT}:cluster/*"
    parts = (":access-entry/", ":nodegroup/", ":fargateprofile/", ":capability/")
    entries = [s | {"Resource": on_clusters} for s in policy if any(part in s["Resource"] for part in parts)]
    metrics = [s | {"Condition": {}} for s in policy if "cloudwatch:namespace" in str(s.get("Condition"))]
    return entries + metrics


def actions(statement: dict) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else action
