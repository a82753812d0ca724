"""An executable named `aws` that stands in for the AWS CLI: it answers as it is told, and writes down what it was asked.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from stack import PROJECT

TOOLS = PROJECT / "tests" / "tools"

ROLE = "arn:aws:iam::111122223333:role/team/node"

# Replies by command; of an invocation, page by page: what the function answers, and what the CLI prints.
STUB = '''#!{python}
import json, pathlib, sys
home = pathlib.Path({home!r})
arguments = sys.argv[1:]
with (home / "calls.jsonl").open("a") as calls:
    payload = arguments[arguments.index("--payload") + 1] if "--payload" in arguments else "null"
    if payload.startswith("fileb://"):
        payload = pathlib.Path(payload[len("fileb://"):]).read_text()
    print(json.dumps({{"arguments": arguments, "payload": json.loads(payload)}}), file=calls)
replies = json.loads((home / "replies.json").read_text())
reply = replies.get(" ".join(arguments[:2]))
if reply is None:
    sys.exit("An error occurred (AccessDenied): not this time")
if arguments[:2] == ["lambda", "invoke"]:
    answer, reply = reply.pop(0)
    (home / "replies.json").write_text(json.dumps(replies))
    out = next(a for a in arguments[2:] if a.startswith("/"))
    with open(out, "w") as file:
        file.write(answer if isinstance(answer, str) else json.dumps(answer))
print(json.dumps(reply))
'''


class Aws:
    """The stand-in's replies, and what it was asked."""

    def __init__(self, home):
        self.home = home
        (home / "aws").write_text(STUB.format(python=sys.executable, home=str(home)))
        (home / "aws").chmod(0o755)
        self.replies = {}
        self.save()

    def save(self):
        (self.home / "replies.json").write_text(json.dumps(self.replies))

    def answers(self, command: str, reply):
        self.replies[command] = reply
        self.save()

    def function_answers(self, *pages, error: str = ""):
        call = {"StatusCode": 200, "ExecutedVersion": "$LATEST"} | ({"FunctionError": error} if error else {})
        self.answers("lambda invoke", [[page, call] for page in pages])

    @property
    def calls(self) -> list[dict]:
        return [json.loads(line) for line in (self.home / "calls.jsonl").read_text().splitlines()]

    def run(self, *command: str) -> subprocess.CompletedProcess:
        path = os.pathsep.join([str(self.home), os.environ.get("PATH", os.defpath)])
        env = os.environ | {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, env=env, cwd=self.home, capture_output=True, text=True, timeout=60)

    def tool(self, name: str, *arguments: str) -> subprocess.CompletedProcess:
        return self.run(sys.executable, str(TOOLS / f"{name}.py"), *arguments)


@pytest.fixture
def aws(tmp_path):
    return Aws(tmp_path)


def needs(program: str):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not on this machine")


def entry(verdict: str, **members) -> dict:
    return {
        "region": "eu-west-1",
        "clusterName": "prod",
        "principalArn": ROLE,
        "verdict": verdict,
        "outcome": "none",
        "kubernetesGroups": [],
        "accessPolicies": [],
    } | members


def report(*entries: dict, **members) -> dict:
    return {
        "version": "1",
        "trigger": "command",
        "command": "check",
        "entriesNotReached": 0,
        "entries": list(entries),
        "entriesOmitted": 0,
        "blindSpots": [],
    } | members


BLIND = [{"region": "eu-west-1", "reason": "accessDenied", "detail": "ListClusters: AccessDeniedException"}]
UNDECIDED = entry("undecided", reason="serviceLinkedRole")
