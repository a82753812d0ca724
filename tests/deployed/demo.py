"""Act 1 of `make demo`: the story of a recreated node role, told to a person, with the function deployed for real.

Ends with status 1 where the story goes another way than it should, and leaves nothing behind in any case.
"""

import os
import subprocess
import sys
import textwrap
import time

from emulator import Emulator
from stack import FunctionError, Stack
from world import Cluster, create_role, creation_event, recreate_role

REGION = "eu-west-1"
SETTLE_SECONDS = "2"

INTRODUCTION = f"""
ACT 1 of 2: the command and the deployed function (about 15 seconds)

A local AWS emulator (MiniStack) plays CloudFormation, Lambda, IAM, EKS, DynamoDB and CloudWatch. This act shows the
command, which finds the fault with nothing deployed; the template, which deploys the function; what the function sees,
does and answers; and what is left to read afterwards. The emulator does not bind an access entry to its role's ID, as
EKS does. Act 2 shows that the nodes were locked out and are let in again. The role settles for {SETTLE_SECONDS} seconds here instead
of 60 before its entry is touched.
"""


class StoryWentWrong(Exception):
    """What should have been true, and was not."""


def main():
    say(INTRODUCTION)
    with Emulator() as emulator:
        step(f"A local AWS is up at {emulator.url}")
        tell(emulator)
    say("\nAct 1 went as it should.")


def tell(emulator: Emulator):
    """Before, the fault, the answer, after."""
    cluster = Cluster(emulator, "prod", REGION)
    role = create_role(emulator, "node")
    before = cluster.allow(role, type="EC2_LINUX", tags={"team": "platform"})
    step(f"Cluster prod in {REGION} lets the nodes of role `node` in, by this access entry:")
    show_entry(before, role)

    recreated = recreate_role(emulator, role)
    step("Somebody deletes the role and creates it again. Same name, same ARN, another ID:")
    show(("role ID", f"{role['RoleId']} -> {recreated['RoleId']}"), ("created", recreated["CreateDate"]))
    show(("the entry", "looks as before; but on EKS every node gets 401 from now on"))
    expect(cluster.entry(role) == before, "the entry should look as before")

    step("Nothing is deployed yet. access-entry-guard scan looks, changes nothing, and prints the repair:")
    expect(scan(emulator) == 1, "scan should find the stale entry")

    stack = Stack(emulator).deploy(SettleSeconds=SETTLE_SECONDS)
    step(f"CloudFormation deployed template.yaml: {len(stack.resources())} resources")

    step(f"CloudTrail's event of the creation reaches the function (it waits until the role is {SETTLE_SECONDS} s old):")
    report = stack.invoke(creation_event(recreated), alias="events")
    expect(len(report["entries"]) == 1, f"the report should have one entry: {report}")
    entry = report["entries"][0]
    show(
        ("looked at", f"{report['regions']} Regions, {report['clusters']} cluster, in {report['durationMs']} ms"),
        ("verdict", f"{entry['verdict']}, by {entry.get('evidence', '-')}"),
        ("outcome", entry["outcome"]),
        ("detail", entry.get("detail", "-")),
    )
    expect(entry["verdict"] == "stale", "the verdict should be stale")
    expect(entry["outcome"] == "repaired", "the outcome should be repaired")

    after = cluster.entry(role)
    step("The entry now, bound to the role that exists:")
    show_entry(after, recreated)
    expect(after["accessEntryArn"] != before["accessEntryArn"], "the entry should be another one")
    expect(after["createdAt"] >= recreated["CreateDate"], "the entry should be younger than the role")
    expect(after["tags"] == before["tags"], "the entry's tags should be the same")

    step("What tells of it:")
    errors = stack.metric_sum("AccessEntryValidationErrors")
    alarm = wait_for_alarm(stack, "validation-errors")
    row = stack.ledger_row(role["Arn"], REGION, "prod") or {}
    show(
        ("metric", f"AccessEntryGuard/AccessEntryValidationErrors has a datapoint of {errors or 0:.0f}"),
        ("alarm", f"access-entry-guard-validation-errors is {alarm}"),
        ("ledger", f"{row.get('state')}: role ID {row.get('roleId')}"),
    )
    expect(errors == 1, "the metric should be 1")
    expect(alarm == "ALARM", "the alarm should be on")
    expect(row.get("roleId") == recreated["RoleId"], "the ledger should know the new role ID")

    again = stack.invoke(creation_event(recreated), alias="events")
    step("The same event once more, since events may come twice:")
    show(("verdict", again["entries"][0]["verdict"]), ("outcome", again["entries"][0]["outcome"]))
    expect(cluster.entry(role) == after, "the second event should change nothing")

    step("access-entry-guard scan once more:")
    expect(scan(emulator) == 0, "scan should find nothing stale")


def scan(emulator: Emulator) -> int:
    """Runs the command as a person does, shows what it prints, and gives its exit status."""
    command = [os.environ["COMMAND"], "scan", "--region", REGION, "--output", "table"]
    done = subprocess.run(command, env=os.environ | emulator.environment, capture_output=True, text=True, timeout=60)
    say(textwrap.indent(f"$ access-entry-guard scan --region {REGION}\n{done.stdout}{done.stderr}".rstrip(), "    "))
    show(("exit status", done.returncode))
    return done.returncode


def wait_for_alarm(stack: Stack, suffix: str) -> str:
    """The alarm's state, once it is known or ten seconds have passed."""
    deadline = time.monotonic() + 10
    while (state := stack.alarm_state(suffix)) != "ALARM" and time.monotonic() < deadline:
        time.sleep(0.5)
    return state


def show_entry(entry: dict, role: dict):
    show(
        ("principal", entry["principalArn"]),
        ("type, tags", f"{entry['type']}, {entry['tags']}"),
        ("created", f"{entry['createdAt']}   (its role: {role['CreateDate']})"),
        ("entry ARN", entry["accessEntryArn"]),
    )


def show(*facts: tuple[str, object]):
    for name, value in facts:
        head = f"    {name:<11} "
        say(textwrap.fill(str(value), width=118, initial_indent=head, subsequent_indent=" " * len(head)))


def step(text: str):
    say(f"\n* {text}")


def say(text: str):
    print(text, flush=True)


def expect(truth: bool, what: str):
    if not truth:
        raise StoryWentWrong(what)


if __name__ == "__main__":
    try:
        main()
    except (StoryWentWrong, FunctionError) as wrong:
        sys.exit(f"\nThe story went wrong: {wrong}")
