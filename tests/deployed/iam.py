"""The role's policy: as it was deployed, as the emulator reads it, and what it lets a request do.

In three points the emulator that enforces IAM is not like AWS. It authorizes every EKS request on the cluster, where AWS
has most requests about an access entry authorized on the entry, and it knows no condition on a metric's namespace: for
these, and these only, a second policy stands beside the template's, made out of the same statements. And over HTTP its
evaluator is given none of EKS's condition keys: what depends on them is asked of the evaluator itself (`decide`), with
the keys that AWS documents for the request (Service Authorization Reference, "Condition keys for Amazon EKS").
"""

import json

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from emulator import ACCOUNT

ROLE = "access-entry-guard"
GUARD = f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/{ROLE}"
ANY_ENTRY = f"arn:aws:eks:eu-west-1:{ACCOUNT}:access-entry/prod/role/{ACCOUNT}/deployer/7ac6ff1f"
ANY_CLUSTER = f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/prod"


def policy_of(emulator) -> list[dict]:
    """The statements of the function's role as they were deployed."""
    return emulator.client("iam").get_role_policy(RoleName=ROLE, PolicyName="guard")["PolicyDocument"]["Statement"]


def put_policy(emulator, name: str, policy: list[dict]):
    document = {"Version": "2012-10-17", "Statement": policy}
    emulator.client("iam").put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=json.dumps(document))


def as_the_emulator_reads_it(policy: list[dict]) -> list[dict]:
    """What the statements on access entries and on metrics allow, in the words that the emulator understands."""
    on_clusters = f"arn:aws:eks:*:{ACCOUNT}:cluster/*"
    entries = [s | {"Resource": on_clusters} for s in policy if ":access-entry/" in s["Resource"]]
    metrics = [s | {"Condition": {}} for s in policy if "cloudwatch:namespace" in str(s.get("Condition"))]
    return entries + metrics


def actions(statement: dict) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else action


def decide(policy: list[dict], action: str, resource: str, **keys) -> str:
    """Allow, Deny or ImplicitDeny; `keys` are condition keys with `__` for the colon."""
    context = EvalContext(
        principal_arn=GUARD,
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=resource,
        region="eu-west-1",
        service_context={key.replace("__", ":").lower(): value for key, value in keys.items()},
    )
    return evaluate(context, [parse_policy_document({"Version": "2012-10-17", "Statement": policy})]).decision
