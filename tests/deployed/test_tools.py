"""The scripts for people and pipelines: what they make of an answer.

An executable named `aws` stands in for the AWS CLI: it answers as it is told, and writes down what it was asked.
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
FAILURE = {"errorType": "RepairIncomplete", "errorMessage": "1 blind spots (eu-west-1 throttled)"}
UNDECIDED = entry("undecided", reason="serviceLinkedRole")

# Name, the function's answer, the CLI's FunctionError, and the status that it means.
ANSWERS = [
    ("every entry fresh", report(entry("fresh"), entry("fresh")), "", 0),
    ("one stale", report(entry("stale"), entry("fresh")), "", 1),
    ("one orphaned", report(entry("orphaned"), entry("fresh")), "", 1),
    ("one missing", report(entry("missing")), "", 1),
    ("one stale beside a blind spot", report(entry("stale"), blindSpots=BLIND), "", 1),
    ("one undecided", report(entry("fresh"), UNDECIDED), "", 2),
    ("a blind spot", report(entry("fresh"), blindSpots=BLIND), "", 2),
    ("entries cut off by the deadline", report(entry("fresh"), entriesNotReached=3), "", 2),
    ("entries left out of the report", report(entry("fresh"), entriesOmitted=1), "", 2),
    ("nothing to look at", report(), "", 2),
    ("the function failed", FAILURE, "Unhandled", 2),
    ("the function failed with what looks like a report", report(entry("fresh")), "Unhandled", 2),
    ("no report", {"hello": "world"}, "", 2),
    ("no JSON", "<html>", "", 2),
    ("another thing than an object", [], "", 2),
    ("entries of another form", report(None), "", 2),
]
EACH_ANSWER = pytest.mark.parametrize(("answer", "error", "status"), [a[1:] for a in ANSWERS], ids=[a[0] for a in ANSWERS])


@EACH_ANSWER
def test_the_status_of_check_entry_says_whether_the_entries_are_good(aws, answer, error, status):
    aws.function_answers(answer, error=error)

    done = aws.tool("check_entry", "--principal", ROLE, "--cluster", "prod", "--region", "eu-west-1")

    assert done.returncode == status, done.stdout + done.stderr


def test_check_entry_asks_for_what_it_was_given(aws):
    aws.function_answers(report(entry("fresh")))
    function = "arn:aws:lambda:us-east-1:111122223333:function:guard"

    aws.tool("check_entry", "--principal", ROLE, "--cluster", "prod", "--region", "eu-west-1", "--function", function)

    (call,) = aws.calls
    assert call["payload"] == {"command": "check", "principalArn": ROLE, "clusterName": "prod", "region": "eu-west-1"}
    assert call["arguments"][call["arguments"].index("--function-name") + 1] == function
    # The function's Region, not the cluster's.
    assert call["arguments"][call["arguments"].index("--region") + 1] == "us-east-1"


def test_what_was_not_given_is_not_sent(aws):
    aws.function_answers(report(entry("fresh")))

    aws.tool("check_entry", "--cluster", "prod", "--principal", "", "--region", "", "--function-region", "")

    (call,) = aws.calls
    assert call["payload"] == {"command": "check", "clusterName": "prod"}
    assert "--region" not in call["arguments"]


def test_without_principal_and_cluster_nothing_is_asked(aws):
    assert aws.tool("check_entry").returncode == 2
    assert not (aws.home / "calls.jsonl").exists()


def test_where_the_cli_fails_it_could_not_be_told(aws):
    done = aws.tool("check_entry", "--cluster", "prod")

    assert done.returncode == 2
    assert "AccessDenied" in done.stderr


def test_undecided_entries_can_be_accepted_by_their_reason(aws):
    aws.function_answers(report(entry("fresh"), UNDECIDED))
    assert aws.tool("check_entry", "--cluster", "prod", "--accept", "serviceLinkedRole,iamUser").returncode == 0

    aws.function_answers(report(UNDECIDED))
    assert aws.tool("check_entry", "--cluster", "prod", "--accept", "serviceLinkedRole").returncode == 2


def test_make_passes_its_variables_on(aws):
    aws.function_answers(report(entry("fresh")))
    variables = [f"PRINCIPAL={ROLE}", "CLUSTER=prod", "REGION=eu-west-1", "FUNCTION=guard", "FUNCTION_REGION=us-east-1"]

    done = aws.run("make", "-C", str(PROJECT), "check-entry", f"PYTHON={sys.executable}", *variables)

    assert done.returncode == 0, done.stderr
    (call,) = aws.calls
    assert call["payload"] == {"command": "check", "principalArn": ROLE, "clusterName": "prod", "region": "eu-west-1"}
    assert ["guard", "us-east-1"] == [
        call["arguments"][call["arguments"].index(name) + 1] for name in ("--function-name", "--region")
    ]


@pytest.fixture
def own_account(aws):
    """A caller in another partition and account than the samples', and a role with a path."""
    arn = "arn:aws-cn:iam::444455556666:role/team/db"
    aws.answers("sts get-caller-identity", {"Account": "444455556666", "Arn": "arn:aws-cn:iam::444455556666:user/ana"})
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com.cn"}}]}
    role = {"Path": "/team/", "RoleName": "db", "RoleId": "AROAOWN", "Arn": arn, "AssumeRolePolicyDocument": policy}
    aws.answers("iam get-role", {"Role": role | {"CreateDate": "2026-07-04T00:05:09+00:00"}})
    return aws


def test_an_event_is_filled_in_for_the_callers_account_and_role(own_account):
    done = own_account.tool("event", "db")

    assert done.returncode == 0, done.stderr
    event = json.loads(done.stdout)
    detail = event["detail"]
    assert (event["account"], event["region"], event["time"]) == ("444455556666", "cn-north-1", "2026-07-04T00:05:09Z")
    assert (detail["eventName"], detail["recipientAccountId"]) == ("CreateRole", "444455556666")
    assert detail["requestParameters"]["path"] == "/team/"
    role = detail["responseElements"]["role"]
    assert (role["arn"], role["roleId"]) == ("arn:aws-cn:iam::444455556666:role/team/db", "AROAOWN")
    assert role["createDate"] == "Jul 4, 2026 12:05:09 AM"


@pytest.mark.parametrize("name", ["CreateRole", "DeleteRole"])
def test_a_filled_in_event_keeps_nothing_of_the_sample_that_could_mislead(own_account, name):
    event = json.loads(own_account.tool("event", "db", name).stdout)

    assert "111122223333" not in json.dumps(event)
    assert event["detail"]["userIdentity"] == {"type": "Unknown", "accountId": "444455556666"}


def test_an_event_of_a_deletion_needs_no_role_that_still_exists(own_account):
    own_account.answers("iam get-role", None)

    event = json.loads(own_account.tool("event", "db", "DeleteRole").stdout)

    assert event["detail"]["requestParameters"] == {"roleName": "db"}
    assert event["detail"]["responseElements"] is None


def test_an_event_of_a_role_that_cannot_be_read_is_not_made_up(own_account):
    own_account.answers("iam get-role", None)

    done = own_account.tool("event", "db")

    assert (done.returncode, done.stdout) == (1, "")
    assert "AccessDenied" in done.stderr


@pytest.mark.parametrize("name", ["", "team/db", "a b", "arn:aws:iam::111122223333:role/db", "x" * 65])
def test_what_is_no_roles_name_is_asked_of_nobody(own_account, name):
    assert own_account.tool("event", name).returncode == 2
    assert not (own_account.home / "calls.jsonl").exists()


INVENTORY = [
    {
        "region": "eu-west-1",
        "clusterName": "prod",
        "principalArn": ROLE,
        "state": "recorded",
        "type": "STANDARD",
        "username": None,
        "kubernetesGroups": ["ops"],
        "accessPolicies": [
            {
                "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
                "accessScope": {"type": "namespace", "namespaces": ["a", "b"]},
            }
        ],
        "createdAt": "2026-06-01T08:00:00Z",
        "roleId": "AROANODE",
        "verifiedAt": "2026-06-24T04:30:00Z",
    },
    {"region": "eu-west-1", "clusterName": "dev", "principalArn": ROLE, "state": "invalid", "detail": "no form"},
]


def test_the_inventory_has_all_pages(aws):
    pages = [{"command": "inventory", "inventory": [INVENTORY[0]], "nextToken": "next"}, {"inventory": [INVENTORY[1]]}]
    aws.function_answers(*pages)

    done = aws.tool("inventory", "--cluster", "prod")

    assert done.stdout.splitlines() == [
        "principalArn,region,clusterName,type,grants,state,createdAt,roleId,verifiedAt",
        f'{ROLE},eu-west-1,prod,STANDARD,"group ops; AmazonEKSViewPolicy (a,b)",recorded,2026-06-01T08:00:00Z,AROANODE,'
        "2026-06-24T04:30:00Z",
        f"{ROLE},eu-west-1,dev,,,invalid,,,",
    ]
    assert [call["payload"].get("nextToken") for call in aws.calls] == [None, "next"]


def test_the_inventory_is_a_table_in_markdown(aws):
    aws.function_answers({"inventory": [INVENTORY[1]]})

    lines = aws.tool("inventory", "--format", "markdown").stdout.splitlines()

    assert lines[1].count("---") == 9
    assert lines[2].startswith(f"| {ROLE} | eu-west-1 | dev |")
