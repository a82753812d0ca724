"""The runbook's commands, as the documents print them, with the real AWS CLI against the deployed stack."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from documents import TEXTS, block_with, blocks, chapter
from emulator import ACCOUNT
from package import with_code_at
from stack import BUCKET, TEMPLATE
from test_tools import needs
from world import Cluster, create_role, creation_event, recreate_role

pytestmark = needs("jq")


@pytest.fixture
def run(emulator, tmp_path):
    """Runs a block in a shell, in a directory of its own, as a person with the AWS CLI and rights would."""
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "unused",
        "AWS_CONFIG_FILE": "/dev/null",
    }

    # Version 1 of the CLI, which is what can be installed by pip, has SQS's old name and takes the emulator's as an
    # option only.
    to_the_emulator = f'aws() {{ command aws --endpoint-url "{emulator.url}" "$@"; }}\n'

    def run(block: str) -> str:
        command = ["bash", "-euo", "pipefail", "-c", to_the_emulator + block]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def block_of(heading: str) -> str:
    """The first shell block of a chapter."""
    return blocks("sh", chapter(heading))[0]


def test_rule_and_schedule_can_be_turned_off_and_on_and_are_then_as_before(emulator, stack, run):
    def schedule() -> dict:
        found = emulator.client("scheduler").get_schedule(GroupName="access-entry-guard", Name="access-entry-guard-sweep")
        return {k: v for k, v in found.items() if k not in ("ResponseMetadata", "CreationDate", "LastModificationDate")}

    def rule() -> str:
        return emulator.client("events").describe_rule(Name="access-entry-guard-role-events")["State"]

    before = schedule()
    assert (before["State"], rule()) == ("ENABLED", "ENABLED")
    off = block_of("Pause and stop")

    run(off)
    paused = (schedule()["State"], rule())
    run(off.replace("disable-rule", "enable-rule").replace("DISABLED", "ENABLED"))

    assert paused == ("DISABLED", "DISABLED")
    assert (schedule(), rule()) == (before, "ENABLED")


def test_a_later_version_by_cloudformation_keeps_every_parameter(emulator, stack, run):
    """CloudFormation takes the template's default for a parameter that an update does not name, here Mode=repair
    (CloudFormation API Reference, "Parameter")."""
    functions = emulator.client("lambda")
    stack.deploy(SettleSeconds="7", Mode="observe")
    before = functions.get_function_configuration(FunctionName="access-entry-guard")["Environment"]
    later = block_with("update-stack --")
    template = TEMPLATE.read_text().replace("Execution role of Access Entry Guard", "Another version")
    emulator.client("s3").put_object(Bucket=BUCKET, Key="later.yaml", Body=with_code_at(template, f"s3://{BUCKET}/bootstrap.zip"))

    run(f"URL={emulator.url}/{BUCKET}/later.yaml\n{later}")
    emulator.client("cloudformation").get_waiter("stack_update_complete").wait(StackName="access-entry-guard")

    assert emulator.client("iam").get_role(RoleName="access-entry-guard")["Role"]["Description"] == "Another version"
    assert functions.get_function_configuration(FunctionName="access-entry-guard")["Environment"] == before
    assert before["Variables"]["MODE"] == "observe"
    stack.deploy(SettleSeconds="0")


def failed(event: dict, **members) -> dict:
    """What Lambda leaves of an event that it gave up on (Lambda Developer Guide, "Capturing records of Lambda asynchronous
    invocations")."""
    return {
        "version": "1.0",
        "timestamp": "2026-06-24T08:00:00.000Z",
        "requestContext": {
            "requestId": "e4b46cbf-b738-4880-8a18-cdf61200d199",
            "functionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:access-entry-guard:events",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": event,
    } | members


STOPPED = {"requestContext": {"condition": "ZeroReservedConcurrency", "approximateInvokeCount": 0}}
TOO_OLD = {"requestContext": {"condition": "EventAgeExceeded", "approximateInvokeCount": 1}}
GIVEN_UP = {"responsePayload": {"errorType": "RepairIncomplete", "errorMessage": "one entry is not repaired"}}


@pytest.mark.parametrize("members", [STOPPED, TOO_OLD, GIVEN_UP], ids=["stopped", "too old", "given up"])
def test_a_record_of_a_failed_invocation_is_handed_in_whatever_its_cause(emulator, stack, run, members, request):
    cluster = Cluster(emulator, f"failed-{request.node.callspec.id.replace(' ', '-')}", "us-east-1")
    role = create_role(emulator, cluster.name)
    cluster.allow(role, type="EC2_LINUX")
    role = recreate_role(emulator, role)
    queue = stack.outputs["FailedInvocationsQueueUrl"]
    emulator.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(failed(creation_event(role), **members)))

    said = run(block_of("failed-invocations"))

    condition = members.get("requestContext", {}).get("condition", "RetriesExhausted")
    assert f'"{condition}"' in said.splitlines()[0]
    assert f"| `{condition}` |" in chapter("failed-invocations")
    assert cluster.entry(role)["createdAt"] >= role["CreateDate"], "it was repaired"
    counted = emulator.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert counted["ApproximateNumberOfMessages"] == counted["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_the_cli_keeps_a_connection_alive_if_it_is_told_to(tmp_path):
    """The setting that the documents name does what it says: the kernel's keep-alive timer runs while the CLI waits."""

    def timer_with(config: str) -> str:
        (tmp_path / "config").write_text(f"[default]\n{config}\n")
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            env = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "unused", "AWS_CONFIG_FILE": tmp_path / "config"}
            command = [Path(sys.executable).with_name("aws"), "--endpoint-url", f"http://127.0.0.1:{port}"]
            command += ["lambda", "invoke", "--region", "us-east-1", "--function-name", "f", "--cli-read-timeout", "0", "out"]
            waiting = subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
            server.settimeout(60)
            connection, (_, its_port) = server.accept()
            with connection:
                connection.recv(1)
                rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
                (timer,) = [row[5] for row in rows if row[1].endswith(f":{its_port:04X}") and row[2].endswith(f":{port:04X}")]
                waiting.kill()
                waiting.wait()
            return timer.split(":")[0]

    assert any("`aws configure set tcp_keepalive true`" in text for text in TEXTS.values())
    assert (timer_with(""), timer_with("tcp_keepalive = true")) == ("00", "02")


def test_no_printed_command_takes_the_ledgers_policy_away_or_writes_a_row():
    for command in ["delete-resource-policy", "put-resource-policy", "delete-item", "put-item", "update-item"]:
        assert not [path for path, text in TEXTS.items() if f"aws dynamodb {command}" in text]
