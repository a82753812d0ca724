"""`scan` against the AWS of the scenarios: what it prints repairs the entry when the AWS CLI runs it, and nothing else."""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from world import CLUSTER, REGION, allow, create_role, entry, is_bound, recreate_role

ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
EDIT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
SCOPES = {ADMIN: {"type": "cluster"}, EDIT: {"type": "namespace", "namespaces": ["team-a", "team-b"]}}
# Everything that an owner can set, with names that a shell, a terminal or a spreadsheet would take for something else.
HOSTILE = ["ops'; touch canary; '", "$(touch canary)", "`touch canary`", '"quoted" \\ back', "=cmd()", "<script>", "Größe \u202e"]
FULL = {
    "kubernetesGroups": HOSTILE,
    "username": "people:{{SessionName}}'$(touch canary)",
    "tags": {"team": "o'brien $(touch canary)", "note": "a | b"},
}


@pytest.fixture(autouse=True)
def two_clusters(aws):
    aws.do("world", regions=2, clusters=2)


def a_stale_entry(aws, **members) -> dict:
    """A role with an entry that has everything, recreated since."""
    role = create_role(aws, "admin")
    allow(aws, role, **(members or FULL))
    for policy, scope in SCOPES.items():
        aws.client("eks", REGION).associate_access_policy(
            clusterName=CLUSTER, principalArn=role["Arn"], policyArn=policy, accessScope=scope
        )
    return recreate_role(aws, "admin")


def scan(command, *arguments: str, status: int = 1) -> dict:
    said = command("scan", "--output", "json", *arguments)
    assert said.status == status, said
    return json.loads(said.out)


def commands_of(report: dict) -> list[str]:
    (found,) = [entry for entry in report["entries"] if entry["principalArn"].endswith("/admin")]
    return found["commands"]


def policies(aws, role: dict) -> dict:
    eks = aws.client("eks", REGION)
    listed = eks.list_associated_access_policies(clusterName=CLUSTER, principalArn=role["Arn"])
    scopes = {policy["policyArn"]: policy["accessScope"] for policy in listed["associatedAccessPolicies"]}
    return {arn: {name: value for name, value in scope.items() if value} for arn, scope in scopes.items()}


def is_as_its_owner_had_it(aws, role: dict):
    now = entry(aws, role)
    assert sorted(now["kubernetesGroups"]) == sorted(FULL["kubernetesGroups"])
    assert (now["username"], now["tags"]) == (FULL["username"], FULL["tags"])
    assert policies(aws, role) == SCOPES
    assert is_bound(aws, "admin")


class Shell:
    """A person's bash, with the AWS CLI on its path, in a directory of its own."""

    def __init__(self, aws, home: Path):
        self.home = home
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.env = aws.environment() | {"PATH": path, "HOME": str(home), "AWS_PAGER": ""}
        # Nobody waits for an AWS that answers at once.
        (home / "sleep").write_text("#!/bin/sh\n")
        (home / "sleep").chmod(0o755)
        self.env["PATH"] = f"{home}{os.pathsep}{self.env['PATH']}"

    def run(self, command: str) -> subprocess.CompletedProcess:
        return subprocess.run(["bash", "-c", command], env=self.env, cwd=self.home, capture_output=True, text=True, timeout=120)

    def is_clean(self) -> bool:
        return not (self.home / "canary").exists()


@pytest.fixture
def shell(aws, tmp_path):
    return Shell(aws, tmp_path)


def test_the_printed_commands_cure_the_entry_and_lose_nothing(aws, command, shell):
    role = a_stale_entry(aws)
    printed = commands_of(scan(command))

    for line in printed:
        done = shell.run(line)
        assert done.returncode == 0, (line, done.stderr)

    is_as_its_owner_had_it(aws, role)
    assert shell.is_clean()
    assert scan(command, status=0)["entries"] == []


@pytest.mark.parametrize("stop", range(5))
def test_stopped_after_any_of_them_they_finish_when_all_are_run_again(aws, command, shell, stop):
    role = a_stale_entry(aws)
    printed = commands_of(scan(command))
    assert len(printed) == 4, "a deletion, a creation and two associations"

    for line in printed[:stop] + printed:
        shell.run(line)

    is_as_its_owner_had_it(aws, role)


def test_what_terraform_has_made_meanwhile_is_not_deleted(aws, command, shell):
    role = a_stale_entry(aws)
    printed = commands_of(scan(command))
    aws.client("eks", REGION).delete_access_entry(clusterName=CLUSTER, principalArn=role["Arn"])
    theirs = allow(aws, role, kubernetesGroups=["terraform"])

    for line in printed:
        shell.run(line)

    now = entry(aws, role)
    assert (now["accessEntryArn"], now["kubernetesGroups"]) == (theirs["accessEntryArn"], ["terraform"])


def test_a_role_that_was_recreated_once_more_is_let_in_by_nothing(aws, command, shell):
    a_stale_entry(aws)
    printed = commands_of(scan(command))
    recreate_role(aws, "admin")

    for line in printed:
        done = shell.run(line)
        assert done.returncode != 0 and "the role has a different ID now" in done.stderr

    assert not is_bound(aws, "admin"), "nobody looked at this role"


def test_a_role_that_was_recreated_once_more_is_given_no_policy_on_an_entry_of_its_own(aws, command, shell):
    role = a_stale_entry(aws)
    printed = commands_of(scan(command))
    aws.client("eks", REGION).delete_access_entry(clusterName=CLUSTER, principalArn=role["Arn"])
    allow(aws, recreate_role(aws, "admin"))

    for line in printed:
        shell.run(line)

    assert policies(aws, role) == {}


def test_scan_sends_nothing_but_reads(aws, command):
    a_stale_entry(aws)
    aws.do("calls")

    scan(command)

    sent = aws.do("calls")["byOperation"]
    assert sent and all(name.startswith(("Describe", "Get", "List")) for name in sent), sent


MEASURED = "import os, sys; _, _, used = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0); print(used.ru_maxrss, file=sys.stderr)"


def test_a_scan_of_5000_entries_costs_a_call_for_each_and_stays_small(aws, command):
    aws.do("world", regions=5, clusters=100, entries=50, matches=2)
    time.sleep(1.1)
    aws.do("recreate", role="node")
    aws.do("calls")
    # Started by a small process: the memory of a process counts from the fork of the one that started it.
    command_line = [sys.executable, "-c", MEASURED, os.environ["COMMAND"], "scan", "--output", "json"]
    scanned = subprocess.run(command_line, env=aws.environment(), capture_output=True, text=True, timeout=120)
    report, kilobytes = json.loads(scanned.stdout), int(scanned.stderr)
    calls = aws.do("calls")["byOperation"]

    stale = [entry for entry in report["entries"] if entry["verdict"] == "stale"]
    assert (report["clusters"], len(stale)) == (100, 2)
    impact = sum(calls.get(f"List{kind}", 0) for kind in ("Nodegroups", "FargateProfiles", "Capabilities"))
    # Who one is, the Regions, and a page of the roles.
    most = 3 + report["regions"] + report["clusters"] + report["entriesExamined"] + 4 * len(stale)
    assert sum(calls.values()) - impact <= most, calls
    assert kilobytes < 64 * 1024


def test_the_table_says_what_is_broken_first_and_shows_no_command_that_a_person_has_to_think_about_first(aws, command):
    a_stale_entry(aws)

    plain = command("scan", "--output", "table").out
    asked = command("scan", "--output", "table", "--repair-commands").out

    assert "delete-access-entry" not in plain and "--repair-commands" in plain
    assert "delete-access-entry" in asked
    for text in (plain, asked):
        assert "AmazonEKSClusterAdminPolicy for cluster" in text and "lookup-events" in text and "AROA" in text
        assert "\u202e" not in text and "\\u{202e}" in text, "what cannot be seen is written out"


def test_a_spreadsheet_takes_no_name_for_a_formula_and_markdown_none_for_its_own(aws, command):
    a_stale_entry(aws)

    rows = command("scan", "--output", "csv").out.splitlines()
    table = command("scan", "--output", "markdown").out

    assert rows[0].startswith("entry,principal,cluster,region,type")
    assert all(line.startswith("| ") for line in table.splitlines())


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["--region", "eu-wst-1"], {}, "eu-wst-1 is not enabled for account"),
        (["--region", "Ireland"], {}, "is not the name of a Region"),
        (["--cluster", "nowhere"], {}, "there is no EKS cluster nowhere"),
        (["--role", "arn:aws:sts::111122223333:assumed-role/admin/ana"], {}, "give the role itself: --role admin"),
        (["--role", "arn:aws:iam::999999999999:role/admin"], {}, "of another account"),
        (["--role", "a b"], {}, "neither the name nor the ARN"),
        (["--role", "nobody"], {}, "there is neither a role nobody"),
        ([], {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}, "no AWS credentials"),
        ([], {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "AWS did not say"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_one_line_that_says_what_to_do(command, arguments, environment, says):
    said = command("scan", *arguments, **environment)

    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("access-entry-guard: ") and said.err.count("\n") == 1 and says in said.err, said.err


def test_a_region_that_is_denied_is_listed_and_the_others_are_shown(aws, command):
    a_stale_entry(aws)
    aws.do("deny", operation="ListAccessEntries")
    said = command("scan", "--output", "json")

    assert said.status == 2
    assert {spot["reason"] for spot in json.loads(said.out)["blindSpots"]} == {"accessDenied"}


def test_the_completions_and_the_manual_name_every_subcommand(command):
    help_text = command("--help").out
    words = [line.split()[0] for line in help_text.split("Commands:")[1].split("Options:")[0].splitlines() if line[2:3].strip()]
    completions, manual = command("completions", "bash").out, command("man").out

    assert len(words) > 14
    for word in words:
        assert word in completions
        assert word == "help" or f"access\\-entry\\-guard\\-{word}" in manual, word


def test_each_printed_command_is_words_that_a_shell_reads(aws, command):
    a_stale_entry(aws)

    for line in commands_of(scan(command)):
        assert shlex.split(line)
        assert line.isprintable() and line.isascii(), "nothing in it that a terminal would hide"
