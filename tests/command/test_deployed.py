"""The deployed function by hand: what it is asked, what is printed, and what the exit status says."""

import csv
import io
import json
import os
import shlex
import pty
import subprocess
from pathlib import Path

import pytest
from lambda_stand_in import LambdaStandIn
from world import (
    CLUSTER,
    ENTRY,
    OPERATOR,
    OTHER_CLUSTER,
    OTHER_REGION,
    REGION,
    a_held_entry,
    allow,
    create_role,
    creation_event,
    entry,
    is_bound,
    recreate_role,
)

NODE = "arn:aws:iam::111122223333:role/node"


@pytest.fixture
def function(aws):
    """A deployed function, and two clusters with an entry for the role `node` in each."""
    aws.do("world", regions=2, clusters=2, matches=2)
    aws.start_function()
    return aws


def is_one_line(said) -> bool:
    return said.err.count("\n") == 1 and said.err.startswith("access-entry-guard: ") and not said.out


def test_a_check_ends_with_0_if_every_entry_is_fresh(function, command):
    said = command("check", "--role", "node", "--output", "json")

    assert said.status == 0, said
    report = json.loads(said.out)
    assert [entry["verdict"] for entry in report["entries"]] == ["fresh", "fresh"]
    (call,) = function.do("invoked")
    assert call["payload"] == {"command": "check", "principalArn": NODE}
    assert call["alias"] is None


def test_a_check_ends_with_1_if_an_entry_is_stale_and_repairs_nothing(function, command):
    recreate_role(function, "node")

    said = command("check", "--cluster", CLUSTER, "--region", REGION, "--output", "table")

    assert said.status == 1, said
    assert "stale" in said.out
    assert "The entry does not let its role in. A sweep repairs stale ones" in said.out
    assert not is_bound(function, "node")


def test_what_cannot_be_told_ends_with_2(function, command):
    for asked in [["--cluster", "nowhere"], ["--role", NODE.replace("node", "nobody")]]:
        assert command("check", *asked).status == 2, asked
    function.do("deny", operation="ListAccessEntries")
    said = command("check", "--cluster", CLUSTER, "--region", REGION, "--output", "table")
    assert said.status == 2 and "Not seen:" in said.out, said


def test_an_entry_that_cannot_be_judged_passes_by_its_reason_only(function, command):
    partner = {"Arn": "arn:aws:iam::444455556666:role/partner"}
    function.do("principal", arn=partner["Arn"])
    allow(function, partner)

    assert command("check", "--cluster", CLUSTER).status == 2
    assert command("check", "--cluster", CLUSTER, "--accept", "iamUser").status == 2
    assert command("check", "--cluster", CLUSTER, "--accept", "iamUser", "--accept", "otherAccount").status == 0
    assert command("check", "--cluster", CLUSTER, "--accept", "iamUser,otherAccount").status == 0
    recreate_role(function, "node")
    assert command("check", "--cluster", CLUSTER, "--accept", "otherAccount").status == 1


@pytest.mark.parametrize(
    "asked",
    [
        ["check"],
        ["check", "--cluster", CLUSTER, "--accept", "anything"],
        ["check", "--cluster", CLUSTER, "--region", "Ireland"],
        ["check", "--cluster", CLUSTER, "--region", "ap-south-1"],
        ["check", "--role", "nobody"],
        ["check", "--role", "arn:aws:sts::111122223333:assumed-role/node/i-1"],
        ["check", "--role", "arn:aws:iam::444455556666:role/node"],
        ["check", "--role", "node", "--function", "access-entry-guard:approve"],
        ["approve", *ENTRY],
        ["approve", *ENTRY, "--yes"],
        ["restore", *ENTRY],
        ["forget", "--role", "node"],
        ["forget", "--role", "node", "--cluster", CLUSTER],
        ["forget", "--principal", "#breaker", "--cluster", CLUSTER, "--region", REGION],
        ["invoke", "/nowhere/event.json"],
        ["sweep", "--output", "html"],
    ],
    ids=lambda asked: " ".join(asked[:1] + asked[-2:]),
)
def test_what_cannot_be_asked_is_asked_of_nobody(function, command, asked):
    said = command(*asked)

    assert said.status == 2 and said.err and not said.out, said
    assert function.do("invoked") == []


def test_a_role_is_named_with_its_path(function, command):
    role = create_role(function, "app", path="/team/")

    command("check", "--role", "app")

    (call,) = function.do("invoked")
    assert call["payload"]["principalArn"] == role["Arn"] == "arn:aws:iam::111122223333:role/team/app"


def test_a_repair_is_done_and_what_is_held_is_no_failure(function, command):
    recreate_role(function, "node")
    a_held_entry(function)

    assert command("repair", "--role", "node").status == 0
    said = command("repair", "--role", "admin", "--output", "table")

    assert function.do("admitted", role="node") == 2
    assert said.status == 0 and "held: privileged" in said.out, said
    assert not is_bound(function, "admin")


def test_for_a_held_entry_the_command_that_asks_is_printed_first_and_approves_it(function, command):
    role = a_held_entry(function)

    said = command("repair", "--role", "admin", "--output", "table")

    (line,) = [line for line in said.out.splitlines() if line.startswith("access-entry-guard approve ")]
    assert said.out.index(line) < said.out.index("aws lambda invoke")
    assert command(*shlex.split(line)[1:], "--role-id", role["RoleId"]).status == 0
    assert is_bound(function, "admin")


def test_a_repair_that_is_not_done_ends_with_1_and_says_where_its_report_is(function, command):
    recreate_role(function, "node")
    function.do("deny", operation="PutItem")

    said = command("repair", "--role", "node")

    assert said.status == 1 and is_one_line(said), said
    assert "RepairIncomplete: " in said.err and "ledgerUnavailable" in said.err
    assert "aws logs tail /aws/lambda/access-entry-guard --region us-east-1" in said.err


def test_a_sweep_repairs_everywhere(function, command):
    recreate_role(function, "node")

    said = command("sweep", "--output", "table")

    assert said.status == 0, said
    assert said.out.rstrip().endswith("2 entries examined in 2 clusters of 2 Regions; 2 repaired.")
    assert function.do("admitted", role="node") == 2


def test_an_approval_names_the_role_and_who_asks_and_goes_through_its_alias(function, command):
    role = a_held_entry(function)

    said = command("approve", *ENTRY, "--role-id", role["RoleId"], "--yes")

    assert said.status == 0, said
    assert is_bound(function, "admin")
    assert entry(function, role)["kubernetesGroups"] == ["ops"]
    (call,) = function.do("invoked")
    assert call["alias"] == "approve"
    assert call["payload"] == {
        "command": "approve",
        "principalArn": role["Arn"],
        "clusterName": CLUSTER,
        "region": REGION,
        "roleId": role["RoleId"],
        "claimedBy": OPERATOR,
    }
    assert json.loads(said.out)["entries"][0]["claimedBy"] == OPERATOR


def test_a_role_that_nobody_looked_at_is_not_approved(function, command):
    seen = a_held_entry(function)
    recreate_role(function, "admin")

    said = command("approve", *ENTRY, "--role-id", seen["RoleId"], "--yes")

    assert said.status == 2 and is_one_line(said), said
    assert function.do("invoked") == []
    assert not is_bound(function, "admin")


def test_a_role_that_cannot_be_read_is_not_approved(function, command):
    role = a_held_entry(function)
    function.do("deny", operation="GetRole")

    asked = ["--role", role["Arn"], "--cluster", CLUSTER, "--region", REGION]
    said = command("approve", *asked, "--role-id", role["RoleId"], "--yes")

    assert said.status == 2 and is_one_line(said), said
    assert function.do("invoked") == []


def test_an_approval_that_only_would_be_done_ends_with_1(aws, command):
    aws.do("world", regions=1, clusters=1)
    aws.start_function(MODE="observe")
    role = a_held_entry(aws)

    said = command("approve", *ENTRY, "--role-id", role["RoleId"], "--yes")

    assert said.status == 1, said
    assert not is_bound(aws, "admin")


class Terminal:
    """The command with a person before it."""

    def __init__(self, aws, *arguments: str):
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [os.environ["COMMAND"], *arguments],
            env=aws.environment() | {"TERM": "xterm"},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        self.shown = ""

    def answer(self, line: str) -> tuple[int, str]:
        """Waits for the question, answers it, and gives the exit status and what was on standard output."""
        while "[y/N]" not in self.shown:
            self.shown += os.read(self._ours, 4096).decode()
        os.write(self._ours, f"{line}\n".encode())
        out, _ = self._process.communicate(timeout=60)
        os.close(self._ours)
        return self._process.returncode, out.decode()


@pytest.mark.parametrize("line", ["", "n", "no", "yes please"])
def test_on_a_terminal_anything_but_yes_is_no(function, line):
    a_held_entry(function)

    terminal = Terminal(function, "approve", *ENTRY)
    status, out = terminal.answer(line)

    assert (status, out) == (1, "")
    assert function.do("invoked") == []


def test_on_a_terminal_a_creator_that_cannot_be_looked_up_is_left_to_the_person(function):
    a_held_entry(function)
    function.do("deny", operation="LookupEvents")
    terminal = Terminal(function, "approve", *ENTRY)
    terminal.answer("n")

    assert "aws cloudtrail lookup-events" in terminal.shown, terminal.shown


def test_on_a_terminal_the_role_and_what_it_would_get_are_shown_before_the_question(function):
    role = a_held_entry(function)

    terminal = Terminal(function, "approve", *ENTRY)
    status, out = terminal.answer("y")

    for words in [role["Arn"], role["RoleId"], "ec2.amazonaws.com", "type STANDARD", "group ops", OPERATOR]:
        assert words in terminal.shown, terminal.shown
    assert status == 0, terminal.shown
    assert json.loads(out)["entries"][0]["outcome"] == "repaired"
    (call,) = function.do("invoked")
    assert call["payload"]["roleId"] == role["RoleId"]
    assert is_bound(function, "admin")


def test_an_entry_that_is_not_there_is_looked_up_in_the_ledger(function, command):
    role = create_role(function, "admin")
    allow(function, role, kubernetesGroups=["ops"])
    command("sweep")
    function.client("eks", REGION).delete_access_entry(clusterName=CLUSTER, principalArn=role["Arn"])

    terminal = Terminal(function, "approve", *ENTRY)
    terminal.answer("n")

    for words in ["the cluster has none", "recorded in the ledger", "group ops"]:
        assert words in terminal.shown, terminal.shown


def archived(aws, command) -> dict:
    """A role that exists again, and whose entry the function had removed with it."""
    role = create_role(aws, "admin")
    allow(aws, role, kubernetesGroups=["ops"])
    aws.client("iam").delete_role(RoleName="admin")
    said = command("repair", "--role", role["Arn"])
    assert json.loads(said.out)["entries"][0]["outcome"] == "removed", said
    return create_role(aws, "admin")


def test_an_archived_entry_is_restored_after_the_ledger_was_shown(aws, command):
    aws.do("world", regions=1, clusters=1)
    aws.start_function(ON_ROLE_DELETED="remove")
    role = archived(aws, command)
    aws.do("invoked")

    terminal = Terminal(aws, "restore", *ENTRY)
    status, _ = terminal.answer("y")

    assert status == 0, terminal.shown
    assert "archived in the ledger" in terminal.shown and "group ops" in terminal.shown, terminal.shown
    assert is_bound(aws, "admin")
    shown, restored = aws.do("invoked")
    assert (shown["payload"]["command"], shown["alias"]) == ("inventory", None)
    assert (restored["payload"]["command"], restored["alias"]) == ("restore", "approve")


def test_for_an_archived_entry_the_command_that_asks_is_printed_first_and_restores_it(aws, command):
    aws.do("world", regions=1, clusters=1)
    aws.start_function(ON_ROLE_DELETED="remove")
    role = archived(aws, command)

    said = command("repair", "--role", "admin", "--output", "table")

    (line,) = [line for line in said.out.splitlines() if line.startswith("access-entry-guard restore ")]
    assert said.out.index(line) < said.out.index("aws lambda invoke")
    assert command(*shlex.split(line)[1:], "--role-id", role["RoleId"]).status == 0
    assert is_bound(aws, "admin")


def test_a_row_is_forgotten_once_and_printed_whole(function, command):
    command("sweep")
    row = ["--role", "node", "--cluster", CLUSTER, "--region", REGION]

    first, second = command("forget", *row), command("forget", *row)

    assert first.status == 0, first
    assert json.loads(first.out)["forgotten"]["principalArn"], first.out
    assert second.status == 1, second
    assert function.do("invoked")[1]["alias"] == "approve"
    assert len(json.loads(command("inventory").out)["inventory"]) == 1


def test_the_breakers_row_is_named_alone(function, command):
    said = command("forget", "--principal", "#breaker")

    assert said.status == 1, said
    (call,) = function.do("invoked")
    assert call["payload"] == {"command": "forget", "principalArn": "#breaker", "claimedBy": OPERATOR}


def test_an_event_is_handed_in_from_a_file_or_from_standard_input(function, command, tmp_path):
    event = json.dumps(creation_event(recreate_role(function, "node")))
    (tmp_path / "event.json").write_text(event)

    assert command("invoke", str(tmp_path / "event.json")).status == 0
    assert function.do("admitted", role="node") == 2
    said = command("invoke", "-", stdin=event)
    assert (said.status, json.loads(said.out)["trigger"]) == (0, "roleCreated")
    assert [call["alias"] for call in function.do("invoked")] == [None, None]


def test_an_event_of_another_account_is_ignored_and_that_is_no_failure(function, command):
    event = creation_event(create_role(function, "app"), recipientAccountId="444455556666")

    said = command("invoke", "-", "--output", "table", stdin=json.dumps(event))

    assert said.status == 0 and said.out.startswith("Ignored: "), said


@pytest.mark.parametrize("payload", ["{}", "<html>", '{"command": "approve"}'])
def test_what_the_function_does_not_take_ends_with_2(function, command, payload):
    said = command("invoke", "-", stdin=payload)

    assert said.status == 2 and is_one_line(said), said


def test_nobody_approves_by_an_event(function, command):
    role = a_held_entry(function)
    approval = {"command": "approve", "principalArn": role["Arn"], "clusterName": CLUSTER, "region": REGION}

    said = command("invoke", "-", stdin=json.dumps(approval | {"roleId": role["RoleId"]}))

    assert said.status == 2 and "NotPermitted" in said.err, said
    assert not is_bound(function, "admin")


def test_the_inventory_as_csv_has_the_columns_that_others_read(function, command):
    command("sweep")

    said = command("inventory", "--role", "node", "--output", "csv")

    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert said.status == 0, said
    assert sorted((row["clusterName"], row["region"]) for row in rows) == [
        (CLUSTER, REGION),
        (OTHER_CLUSTER, OTHER_REGION),
    ]
    assert all(row["principalArn"] == NODE and row["type"] == "EC2_LINUX" and row["verifiedAt"] for row in rows)
    assert command("inventory", "--output", "markdown").out.startswith("| principalArn | region | clusterName |")


def test_whoever_misspells_a_cluster_does_not_read_that_nobody_has_access(function, command):
    command("sweep")

    said = command("inventory", "--cluster", "misspelled", "--output", "csv")

    assert said.err.startswith("access-entry-guard: the ledger has no row of cluster misspelled. "), said
    assert command("inventory", "--output", "csv").err == ""


PAGES = [
    b'{"command":"inventory","inventory":[{"principalArn":"a"}],"nextToken":"1"}',
    b'{"command":"inventory","inventory":[{"principalArn":"b"}],"nextToken":"2"}',
    b'{"command":"inventory","inventory":[{"principalArn":"c"}]}',
]


def test_the_inventory_has_every_page(aws, command):
    with LambdaStandIn(*PAGES) as stand_in:
        said = command("inventory", "--cluster", "prod", **stand_in.environment)

    assert json.loads(said.out) == {"command": "inventory", "inventory": [{"principalArn": name} for name in "abc"]}
    assert [payload.get("nextToken") for payload in stand_in.payloads] == [None, "1", "2"]
    assert all(payload["clusterName"] == "prod" for payload in stand_in.payloads)


def test_the_inventory_ends_where_it_is_told_and_goes_on_from_there(aws, command):
    with LambdaStandIn(*PAGES) as stand_in:
        first = command("inventory", "--limit", "2", **stand_in.environment)
        second = command("inventory", "--next-token", "2", **stand_in.environment)

    assert json.loads(first.out)["nextToken"] == "2"
    assert json.loads(second.out)["inventory"] == [{"principalArn": "c"}]
    assert stand_in.payloads[2]["nextToken"] == "2"


def test_json_is_the_functions_answer_byte_for_byte(aws, command):
    answer = b'{"command":"check",  "entries":[{"verdict":"fresh"}],"blindSpots":[],"later":1.0,"z":"\\u00e9","a":null}'
    with LambdaStandIn(answer) as stand_in:
        said = command("check", "--cluster", "prod", "--output", "json", **stand_in.environment)

    assert (said.status, said.out) == (0, answer.decode() + "\n")


def test_an_invocation_is_sent_once_even_if_its_answer_is_lost(aws, command):
    with LambdaStandIn(None, None, None) as stand_in:
        said = command("sweep", **stand_in.environment)

    assert said.status == 2 and is_one_line(said), said
    assert "aws logs tail /aws/lambda/access-entry-guard --region us-east-1" in said.err
    assert len(stand_in.payloads) == 1


def test_the_connection_is_kept_alive_while_nothing_is_sent(aws):
    """The kernel's own timer of the connection is the keep-alive's, and it is due before a NAT gateway's 350 seconds."""
    with LambdaStandIn(b"{}") as stand_in:
        stand_in.may_answer.clear()
        environment = aws.environment() | stand_in.environment
        with subprocess.Popen([os.environ["COMMAND"], "sweep"], env=environment, stderr=subprocess.DEVNULL) as waiting:
            assert stand_in.is_invoked.wait(60)
            ends = f":{stand_in.callers_port:04X}", f":{stand_in.port:04X}"
            rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            (timer,) = [row[5] for row in rows if (row[1][-5:], row[2][-5:]) == ends]
            waiting.kill()

    kind, due = timer.split(":")
    assert kind == "02"
    assert int(due, 16) / os.sysconf("SC_CLK_TCK") <= 60


REFUSALS = {
    "absent": (404, "ResourceNotFoundException", {"Message": "Function not found: …"}, "there is no function"),
    "denied": (403, "AccessDeniedException", {"Message": "not authorized"}, "allow lambda:InvokeFunction on arn:aws:lambda"),
    "stopped": (
        429,
        "TooManyRequestsException",
        {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."},
        "aws lambda delete-function-concurrency --region us-east-1 --function-name access-entry-guard",
    ),
    "throttled": (429, "TooManyRequestsException", {"Reason": "CallerRateLimitExceeded"}, "later"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_function_that_is_not_reached_is_one_line_that_says_what_to_do(aws, command, name):
    status, code, body, words = REFUSALS[name]
    aws.do("lambda", refuses={"status": status, "code": code, "body": body})

    for asked in (["check", "--cluster", CLUSTER], ["sweep"], ["inventory"]):
        said = command(*asked)
        assert said.status == 2 and is_one_line(said), said
        assert words in said.err


def test_foreign_text_moves_no_cursor(aws, command):
    evil = "\\u001b[2J\\u202e"
    answer = f'{{"command":"check","entries":[{{"verdict":"stale","detail":"{evil}","remedy":"{evil}"}}],"blindSpots":[]}}'
    with LambdaStandIn(answer.encode()) as stand_in:
        said = command("check", "--cluster", "prod", "--output", "table", **stand_in.environment)

    assert said.status == 1
    assert "\x1b" not in said.out and "\u202e" not in said.out and "\\u{1b}" in said.out
