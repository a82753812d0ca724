"""The commands that the documents print, as they print them, against the deployed stack: with the real AWS CLI, and with
the command `access-entry-guard` if it is built.

The documents' account, cluster, Region and role are those of the tests, so hardly anything is to be filled in.
"""

import json
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from documents import COMMAND, TEXTS, block_with, blocks, chapter, need_command
from emulator import ACCOUNT
from package import with_code_in
from stack import BUCKET, PROJECT, TEMPLATE
from world import ADMIN_POLICY, NODES, PEOPLE, VIEW_POLICY, Cluster, create_role, creation_event, delete_role, recreate_role

@pytest.fixture
def run(emulator, tmp_path):
    """Runs a block in a shell, in a directory of its own, as a person with the AWS CLI and rights would."""
    # A Region in which there is nothing: each command has to bring its own. Dates as version 2 of the CLI prints them.
    (tmp_path / "config").write_text("[default]\nregion = eu-central-1\ncli_timestamp_format = iso8601\n")
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "unused",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }

    # Version 1 of the CLI, which is what can be installed by pip, has SQS's old name and takes the emulator's as an
    # option only. It takes a payload as it is, and does not know the option by which version 2 does so.
    to_the_emulator = (
        "aws() { local words=() word\n"
        '  for word in "$@"; do case $word in --cli-binary-format | raw-in-base64-out) ;; *) words+=("$word") ;; esac; done\n'
        f'  command aws --endpoint-url "{emulator.url}" "${{words[@]}}"; }}\n'
        f'access-entry-guard() {{ AWS_ENDPOINT_URL="{emulator.url}" "{COMMAND}" "$@"; }}\n'
    )

    def run(block: str, status: int = 0) -> str:
        command = ["bash", "-euo", "pipefail", "-c", to_the_emulator + block]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    run.directory = tmp_path
    return run


@pytest.fixture(scope="module")
def prod(emulator) -> Cluster:
    return Cluster(emulator, "prod", "eu-west-1")


class World:
    """The documents' role `node` in cluster `prod` in eu-west-1, recreated, so that its entry is stale."""

    def __init__(self, emulator, cluster: Cluster):
        self.emulator, self.cluster = emulator, cluster
        self.eks = emulator.client("eks", "eu-west-1")
        self.role = None

    def stale(self, trusts: dict = NODES, policies: dict | None = None, **properties) -> dict:
        self.role = create_role(self.emulator, "node", trusts)
        self.cluster.allow(self.role, policies, **properties)
        self.role = recreate_role(self.emulator, self.role, trusts)
        return self.role

    def stale_node(self) -> dict:
        return self.stale(type="EC2_LINUX")

    def held(self) -> dict:
        """An administrator's entry, which has to wait for a person."""
        return self.stale(PEOPLE, {ADMIN_POLICY: {"type": "cluster"}}, type="STANDARD")

    def is_fresh(self) -> bool:
        return self.cluster.entry(self.role)["createdAt"] >= self.role["CreateDate"]

    def has_entry(self) -> bool:
        return self.role["Arn"] in self.eks.list_access_entries(clusterName="prod")["accessEntries"]

    def clear(self):
        if self.role and self.has_entry():
            self.eks.delete_access_entry(clusterName="prod", principalArn=self.role["Arn"])
        try:
            delete_role(self.emulator, {"RoleName": "node"})
        except ClientError:
            pass


@pytest.fixture
def world(emulator, prod):
    made = World(emulator, prod)
    yield made
    made.clear()


def block_of(heading: str) -> str:
    """The first shell block of a chapter."""
    return blocks("sh", chapter(heading))[0]


def with_present_id(block: str, role: dict) -> str:
    return block.replace("AROA2ORMWQ4XNODE00002", role["RoleId"])


# --- The first page


def test_the_first_look_shows_that_the_entry_is_older_than_its_role(run, world):
    world.stale_node()

    role, entry = run(block_with("--query Role.CreateDate")).split()

    assert entry.strip('"') < role.strip('"')


def test_a_node_entry_is_repaired_without_the_command_and_never_twice(run, world):
    world.stale_node()
    block = block_with("grep -q '\"EC2_LINUX\"'")

    run(block)

    assert world.is_fresh()
    saved = json.loads((run.directory / "entry.json").read_text())["accessEntry"]
    repaired = world.cluster.entry(world.role)
    assert saved["accessEntryArn"] != repaired["accessEntryArn"]
    run(block, status=1)
    assert world.cluster.entry(world.role)["accessEntryArn"] == repaired["accessEntryArn"]


def test_an_entry_of_another_type_is_left_alone_without_the_command(run, world):
    world.held()
    before = world.cluster.entry(world.role)

    run(block_with("grep -q '\"EC2_LINUX\"'"), status=1)

    assert world.cluster.entry(world.role) == before


def test_a_scan_finds_the_entry_and_says_so_by_its_status(run, world):
    need_command("scan")
    world.stale_node()

    said = run("cargo() { :; }\n" + block_with("--features cli\naccess-entry-guard scan"), status=1)

    assert world.role["Arn"] in said


def test_an_explanation_names_the_cause(run, world):
    need_command("explain")
    world.stale_node()

    assert "stale" in run(block_with("access-entry-guard explain"), status=1)


def test_the_alarms_that_are_on_can_be_listed(run, stack):
    run(block_of("On call"))


def test_a_tagged_entry_is_ignored_until_the_tag_is_gone(run, stack, world):
    world.held()
    row = next(line for line in chapter("Stop and pause").splitlines() if line.startswith("| one cluster |"))
    tag, _, untag = re.findall(r"`(aws eks [^`]+)`", row)
    arn = world.cluster.entry(world.role)["accessEntryArn"]

    def reason() -> str:
        command = {"command": "repair", "principalArn": world.role["Arn"]}
        return stack.invoke(command)["entries"][0]["reason"]

    run(tag.replace("CLUSTER_ARN", arn))
    try:
        assert world.eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"access-entry-guard": "ignore"}
    finally:
        run(untag.replace("CLUSTER_ARN", arn))

    assert reason() == "privileged"


# --- Operating


def test_rule_and_schedule_can_be_turned_off_and_on_and_are_then_as_before(emulator, stack, run):
    def schedule() -> dict:
        found = emulator.client("scheduler").get_schedule(GroupName="access-entry-guard", Name="access-entry-guard-sweep")
        return {k: v for k, v in found.items() if k not in ("ResponseMetadata", "CreationDate", "LastModificationDate")}

    def rule() -> str:
        return emulator.client("events").describe_rule(Name="access-entry-guard-role-events")["State"]

    before = schedule()
    assert (before["State"], rule()) == ("ENABLED", "ENABLED")

    run(block_with("aws events disable-rule"))
    paused = (schedule()["State"], rule())
    run(block_with("aws events enable-rule"))

    assert paused == ("DISABLED", "DISABLED")
    assert (schedule(), rule()) == (before, "ENABLED")


def test_the_deployed_function_says_its_version(emulator, stack, run):
    version = tomllib.loads((PROJECT / "Cargo.toml").read_text())["package"]["version"]

    said = run(block_with("aws lambda get-function-configuration"))

    assert said.startswith(f"Access Entry Guard {version}: ")


def test_an_address_is_subscribed_to_the_stacks_own_topic(emulator, stack, run):
    topic = stack.outputs["AlarmTopic"]

    run(block_with("aws sns subscribe"))

    (subscribed,) = emulator.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert subscribed["Endpoint"] == "you@example.com"


def test_a_later_version_by_cloudformation_keeps_every_parameter(emulator, stack, run):
    """CloudFormation takes the template's default for a parameter that an update does not name, here Mode=repair
    (CloudFormation API Reference, "Parameter")."""
    functions = emulator.client("lambda")
    stack.deploy(SettleSeconds="7", Mode="observe")
    before = functions.get_function_configuration(FunctionName="access-entry-guard")["Environment"]
    write_down = block_with("UsePreviousValue: `true`")
    later = block_with("--parameters file://parameters.json")
    template = TEMPLATE.read_text().replace("Execution role of Access Entry Guard", "Another version")
    emulator.client("s3").put_object(Bucket=BUCKET, Key="later.yaml", Body=with_code_in(template, BUCKET, "bootstrap.zip"))

    run(f"{write_down}\nURL={emulator.url}/{BUCKET}/later.yaml\n{later}")
    emulator.client("cloudformation").get_waiter("stack_update_complete").wait(StackName="access-entry-guard")

    assert emulator.client("iam").get_role(RoleName="access-entry-guard")["Role"]["Description"] == "Another version"
    assert functions.get_function_configuration(FunctionName="access-entry-guard")["Environment"] == before
    assert before["Variables"]["MODE"] == "observe"

    run(block_with("> repair.json"))
    emulator.client("cloudformation").get_waiter("stack_update_complete").wait(StackName="access-entry-guard")

    changed = functions.get_function_configuration(FunctionName="access-entry-guard")["Environment"]["Variables"]
    assert changed == before["Variables"] | {"MODE": "repair"}
    stack.deploy(SettleSeconds="0")


def failed(event: dict, context: dict | None = None, **members) -> dict:
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
        }
        | (context or {}),
        "requestPayload": event,
    } | members


STOPPED = {"context": {"condition": "ZeroReservedConcurrency", "approximateInvokeCount": 0}}
TOO_OLD = {"context": {"condition": "EventAgeExceeded", "approximateInvokeCount": 1}}
GIVEN_UP = {"responsePayload": {"errorType": "RepairIncomplete", "errorMessage": "one entry is not repaired"}}


def waiting(emulator, queue: str) -> int:
    counted = emulator.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    return int(counted["ApproximateNumberOfMessages"]) + int(counted["ApproximateNumberOfMessagesNotVisible"])


@pytest.mark.parametrize("members", [STOPPED, TOO_OLD, GIVEN_UP], ids=["stopped", "too old", "given up"])
def test_a_record_of_a_failed_invocation_is_handed_in_whatever_its_cause(emulator, stack, run, world, members):
    need_command("redrive")
    role = world.stale_node()
    queue = stack.outputs["FailedInvocationsQueueUrl"]
    emulator.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(failed(creation_event(role), **members)))
    look, redrive = [block for block in blocks("sh", chapter("failed-invocations")) if "guard redrive" in block]

    # Status 1: there is a record.
    assert "redrive sends it again" in run(look, status=1)
    assert waiting(emulator, queue) == 1 and not world.is_fresh()
    run(redrive)

    condition = members.get("context", {}).get("condition", "RetriesExhausted")
    assert f"| `{condition}` |" in chapter("failed-invocations")
    assert world.is_fresh() and waiting(emulator, queue) == 0


@pytest.mark.parametrize("heading", ["failed-invocations", "undelivered-events"])
def test_a_sweep_replaces_the_records_of_events(emulator, stack, run, world, heading):
    need_command("sweep")
    role = world.stale_node()
    queue = stack.outputs[f"{'FailedInvocations' if heading.startswith('failed') else 'UndeliveredEvents'}QueueUrl"]
    emulator.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(creation_event(role)))
    (block,) = [block for block in blocks("sh", chapter(heading)) if "purge-queue" in block]

    run(block)

    assert world.is_fresh() and waiting(emulator, queue) == 0


def test_a_held_entry_is_released_for_the_role_id_that_was_looked_at(stack, run, world):
    need_command("approve")
    role = world.held()
    (block,) = [block for block in blocks("sh", chapter("Release an entry")) if "--yes" in block]

    run(block, status=2)
    assert not world.is_fresh(), "another role ID"
    run(with_present_id(block, role))

    assert world.is_fresh() and world.cluster.policies(role) == {ADMIN_POLICY: {"type": "cluster"}}


def test_an_entry_is_rejected_and_the_rejection_undone(run, world):
    need_command("scan")
    world.held()
    save, delete = blocks("sh", chapter("Reject an entry"))
    saved = run.directory / "rejected-prod-node.txt"

    run(save, status=1)
    run(delete)

    assert not world.has_entry()
    assert all(part in saved.read_text() for part in ["accessEntryArn", ADMIN_POLICY])
    # Pasted again, the blocks lose nothing of what was saved.
    before = saved.read_text()
    run(f"{save.strip()} || true\n{delete.strip()} || true")
    assert saved.read_text().startswith(before)
    run("set +e\n" + "\n".join(line for line in before.splitlines() if "aws iam get-role" in line))
    assert world.is_fresh() and world.cluster.policies(world.role) == {ADMIN_POLICY: {"type": "cluster"}}


def test_an_archived_entry_is_found_and_restored(stack, run, world):
    need_command("restore")
    role = world.stale(PEOPLE, {VIEW_POLICY: {"type": "cluster"}}, type="STANDARD")
    stack.invoke({"command": "repair", "principalArn": role["Arn"]})
    stack.deploy(SettleSeconds="0", OnRoleDeleted="remove")
    delete_role(world.emulator, role)
    stack.invoke({"command": "repair", "principalArn": role["Arn"]})
    assert not world.has_entry()
    stack.deploy(SettleSeconds="0", OnRoleDeleted="report")
    world.role = create_role(world.emulator, "node", PEOPLE)
    find, ask, restore = blocks("sh", chapter("Restore an entry"))

    assert role["Arn"] in run(find)
    run(ask, status=2)
    assert not world.has_entry(), "nobody was asked"
    said = run(with_present_id(restore, world.role))

    assert world.role["RoleId"] in said and world.is_fresh()


def test_a_row_is_forgotten_and_the_breakers_too(stack, run, world):
    need_command("forget")
    role = world.stale_node()
    stack.invoke({"command": "repair", "principalArn": role["Arn"]})
    assert stack.ledger_row(role["Arn"], "eu-west-1", "prod")
    row, breaker = [block for block in blocks("sh", chapter("Delete a ledger row")) if "forget" in block]

    run(row)

    assert stack.ledger_row(role["Arn"], "eu-west-1", "prod") is None
    run(breaker, status=1)


def test_a_pipeline_sees_from_the_status_whether_an_entry_is_good(stack, run, world):
    need_command("check")
    role = world.stale_node()
    block = block_of("Check entries in a pipeline")

    run(block, status=1)
    stack.invoke({"command": "repair", "principalArn": role["Arn"]})
    run(block)
    run(block.replace("--cluster prod", "--cluster misspelled"), status=2)


def test_the_inventory_is_written_to_files(stack, run, world):
    need_command("inventory")
    role = world.stale_node()
    stack.invoke({"command": "repair", "principalArn": role["Arn"]})
    csv, html = block_of("Who has access to what").splitlines()

    run(csv)

    assert role["Arn"] in (run.directory / "inventory.csv").read_text()
    run(html)
    assert role["Arn"] in (run.directory / "inventory.html").read_text()


def test_a_lost_event_is_handed_in(stack, run, world):
    need_command("event")
    world.stale_node()

    run(block_of("Send an event"))

    assert world.is_fresh()


def test_old_orphans_are_listed_before_they_are_removed(run, world):
    need_command("scan")
    role = world.stale_node()
    delete_role(world.emulator, role)

    assert role["Arn"] in run(block_of("Entries of deleted roles"), status=1)


def test_trail_and_rule_can_be_looked_at(emulator, stack, run):
    emulator.client("s3").create_bucket(Bucket="trail")
    arn = emulator.client("cloudtrail").create_trail(Name="all", S3BucketName="trail", IsMultiRegionTrail=True)["TrailARN"]

    assert "all" in run(block_with("describe-trails --region us-east-1 --query 'trailList[].[Name,HomeRegion,IsMultiRegionTrail]'"))
    said = run(block_of("event-path-silent").replace("TRAIL_ARN", arn))

    assert said.rstrip().endswith('"ENABLED"')
    assert run(block_of("sweep-missed")).strip() == '"ENABLED"'


def test_the_snapshot_of_a_row_can_be_read(stack, run, world):
    role = world.stale_node()
    stack.invoke({"command": "repair", "principalArn": role["Arn"]})

    row = json.loads(run(block_of("repair-failures")))["Item"]

    assert row["principalArn"] == {"S": role["Arn"]} and "snapshot" in row


def test_an_uninstalled_stack_leaves_the_ledger_and_nothing_open(emulator, stack, run):
    need_command("inventory")
    (open_rows,) = [block for block in blocks("sh", chapter("Uninstall")) if "inventory" in block]
    (parameters,) = [block for block in blocks("sh", chapter("Uninstall")) if "describe-stacks" in block]

    assert run(open_rows) == "no repair is open\n"
    run(parameters)
    run(block_of("Keep the evidence"))

    present = emulator.client("cloudformation").describe_stacks(StackName="access-entry-guard")["Stacks"][0]["Parameters"]
    values = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in present}
    saved = shlex.split((run.directory / "parameters-before.txt").read_text())
    assert len(saved) > 15
    assert dict(words.split("=", 1) for words in saved) == {
        key: value for key, value in values.items() if value and key not in ("Mode", "LedgerTableName")
    }
    assert json.loads((run.directory / "evidence.json").read_text())["events"]


# --- Without the command


def raw(mark: str) -> str:
    (block,) = [block for block in blocks("sh", chapter("Without the command")) if mark in block]
    return block


def test_a_raw_check_writes_the_report_to_a_file(stack, run, world):
    world.stale_node()

    said = run(raw('"command":"check"'))

    report = json.loads((run.directory / "report.json").read_text())
    assert [entry["verdict"] for entry in report["entries"]] == ["stale"]
    assert "FunctionError" not in json.loads(said)


def test_a_raw_approval_releases_the_entry(stack, run, world):
    role = world.held()

    run(with_present_id(raw('"command":"approve"'), role))

    assert world.is_fresh()


def test_a_raw_event_repairs_and_a_failure_shows_only_in_the_answer(stack, run, world):
    role = world.stale_node()
    event = run.directory / "event.json"
    event.write_text(json.dumps(failed(creation_event(role))))

    run(raw("fileb://event.json"))

    assert world.is_fresh()
    event.write_text("{}")
    assert json.loads(run(raw("fileb://event.json")))["FunctionError"]


def test_a_raw_sweep_need_not_be_waited_for(stack, run):
    run(f"cd {PROJECT}\n" + raw("--invocation-type Event"))


# --- Claims of the documents


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


# --- The end


def test_a_deleted_stack_leaves_the_ledger_which_goes_by_hand(emulator, stack, run):
    delete = block_with("delete-stack --region us-east-1 --stack-name access-entry-guard")

    run(delete)
    emulator.client("cloudformation").get_waiter("stack_delete_complete").wait(StackName="access-entry-guard")

    tables = emulator.client("dynamodb")
    assert "access-entry-guard-ledger" in tables.list_tables()["TableNames"]
    run(block_with("delete-table"))
    assert "access-entry-guard-ledger" not in tables.list_tables()["TableNames"]
