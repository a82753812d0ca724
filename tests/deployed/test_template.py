"""What the template promises beside the story: where it may be deployed, who may do what, which events it lets in."""

import json
import re
import subprocess

import cfnlint
import pytest
from botocore.exceptions import ClientError
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from package import with_code_at, without_transform
from stack import PROJECT, TEMPLATE, Stack, bootstrap_path
from world import sample

SAMPLES = sorted(path.stem for path in (PROJECT / "events").glob("*.json"))
RULE = "arn:aws:events:us-east-1:111122223333:rule/access-entry-guard-role-events"
EVENTS = [name for name in SAMPLES if sample(name).get("source") == "aws.iam"]

SETTINGS = {
    "REGIONS": "all",
    "MODE": "repair",
    "HOLD": "privileged",
    "TRUSTED_CREATORS": "",
    "ALLOW_PRIVILEGED_GRANTS": "true",
    "ON_ROLE_DELETED": "report",
    "ROLE_PATTERNS": "*",
    "CLUSTER_PATTERNS": "*",
    "MAX_REPAIRS": "20",
    "SETTLE_SECONDS": "60",
    "LEDGER_TABLE": "access-entry-guard-ledger",
    "METRIC_NAMESPACE": "AccessEntryGuard",
    "MAX_CONCURRENCY_PER_REGION": "8",
}

# Values of parameters that are lists: those that the function accepts, and those that stop it at its start.
ACCEPTED = [
    ("Regions", "all"),
    ("Regions", "all,!ap-*"),
    ("Regions", " !ap-*, all , !us-gov-west-1,"),
    ("Regions", "eu-west-1"),
    ("Regions", "us-gov-east-1, us-gov-west-1,,us-isob-east-1"),
    ("TrustedCreators", ""),
    ("TrustedCreators", "AROA2ORMWQ4XTERRAFRM1, AIDAEXAMPLEUSER"),
    ("TrustedCreators", "arn:aws*:iam::111122223333:role/ci/*/deploy-?,AROAX,"),
    ("TrustedCreators", "arn:aws-cn:iam::111122223333:user/bob"),
    ("RolePatterns", "*"),
    ("RolePatterns", " node-?,! *-admin,, !arn:aws:iam::*:role/team/x+y@z"),
    ("ClusterPatterns", "!prod"),
]
REFUSED = [
    ("Regions", "eu-*"),
    ("Regions", "all,eu-west-1"),
    ("Regions", "eu-west-1,!ap-*"),
    ("Regions", "!ap-*"),
    ("Regions", "all,!"),
    ("Regions", "ALL"),
    ("Regions", ","),
    ("Regions", "eu-west-1 us-east-1"),
    ("Regions", "eu-west"),
    ("Regions", "eu-west-1a"),
    ("Regions", "evil.example/eu-west-1"),
    ("TrustedCreators", "ci-deploy"),
    ("TrustedCreators", "AROA"),
    ("TrustedCreators", "AROA*"),
    ("TrustedCreators", "ASIAEXAMPLE"),
    ("TrustedCreators", "aroaexample"),
    ("TrustedCreators", "!arn:aws:iam::111122223333:role/ci"),
    ("TrustedCreators", "arn:aws:sts::111122223333:assumed-role/ci/anyone"),
    ("TrustedCreators", "AROAX,arn:aws:iam::*:role/ci"),
    ("TrustedCreators", "arn:aws:iam::11112222333?:role/ci"),
    ("TrustedCreators", "arn:aws:iam::111122223333:*"),
    ("TrustedCreators", "arn:aws:iam::111122223333:root"),
    ("TrustedCreators", "arn:aws:iam::111122223333:role/team/"),
    ("TrustedCreators", "arn:aws:iam:us-east-1:111122223333:role/ci"),
    ("TrustedCreators", "arn:aws:iam::111122223333:role/c i"),
    ("RolePatterns", "!"),
    ("RolePatterns", "!!x"),
    ("RolePatterns", "prod,!team/prod-*"),
    ("RolePatterns", "prod node"),
    ("ClusterPatterns", "[ab]*"),
]


@pytest.fixture(scope="module")
def stack(emulator):
    return Stack(emulator).deploy()


@pytest.fixture(scope="module")
def plain() -> dict:
    """The template as CloudFormation sees it after the SAM transform."""
    return without_transform(with_code_at(TEMPLATE.read_text(), "s3://bucket/bootstrap.zip"))


# What has had tags for a short time only: CloudFormation in other partitions may not know them yet.
LATELY_TAGGED = {"AWS::CloudWatch::Dashboard", "AWS::Events::Rule", "AWS::Lambda::EventSourceMapping"}


def test_whatever_can_be_tagged_says_what_it_belongs_to(plain):
    def can_be_tagged(kind: str) -> bool:
        return "Tags" in PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["properties"]

    taggable = {
        name: resource["Properties"].get("Tags", [])
        for name, resource in plain["Resources"].items()
        if resource["Type"] not in LATELY_TAGGED and can_be_tagged(resource["Type"])
    }

    assert len(taggable) > 15
    tag = {"Key": "application", "Value": {"Ref": "FunctionName"}}
    assert [name for name, tags in taggable.items() if tag not in tags] == []


@pytest.fixture(scope="module")
def policy(emulator, stack) -> list[dict]:
    """The statements of the function's role."""
    found = emulator.client("iam").get_role_policy(RoleName="access-entry-guard", PolicyName="guard")
    return found["PolicyDocument"]["Statement"]


def actions(statement: dict) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else action


def statements_of(emulator, stack, output: str) -> dict[str, dict]:
    """The statements of a queue's policy by name."""
    queues = emulator.client("sqs")
    found = queues.get_queue_attributes(QueueUrl=stack.outputs[output], AttributeNames=["Policy"])
    return {s["Sid"]: s for s in json.loads(found["Attributes"]["Policy"])["Statement"]}


def test_the_template_transformed_by_sam_is_clean_too(plain):
    matches = cfnlint.lint(json.dumps(plain))

    assert [str(match) for match in matches] == []


def test_a_region_where_no_iam_event_arrives_is_refused(emulator):
    with pytest.raises(ClientError, match="us-east-1 .AWS., cn-north-1 .AWS China. or us-gov-west-1"):
        Stack(emulator, region="eu-west-1").deploy()


def test_every_setting_reaches_the_function_with_the_documented_default(emulator, stack):
    function = emulator.client("lambda").get_function_configuration(FunctionName="access-entry-guard")

    variables = function["Environment"]["Variables"]

    assert variables.pop("AWS_ENDPOINT_URL") == emulator.url
    assert variables == SETTINGS


@pytest.mark.parametrize(("parameter", "value"), ACCEPTED + REFUSED)
def test_a_parameter_admits_what_the_function_accepts_and_nothing_else(plain, parameter, value):
    admitted = re.fullmatch(plain["Parameters"][parameter]["AllowedPattern"], value) is not None

    accepted = not names_the_setting(start_with(parameter, value), parameter)

    assert (admitted, accepted) == (((parameter, value) in ACCEPTED),) * 2


def start_with(parameter: str, value: str) -> str:
    """What the function says at its start with this setting; outside of Lambda, it never comes further."""
    variable = variable_of(parameter)
    env = {variable: value, "AWS_REGION": "us-east-1"}
    started = subprocess.run([bootstrap_path()], env=env, capture_output=True, text=True, timeout=60)
    assert started.returncode != 0
    return started.stdout + started.stderr


def variable_of(parameter: str) -> str:
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", parameter).upper()


def names_the_setting(text: str, parameter: str) -> bool:
    return re.search(rf"\b{variable_of(parameter)}\b", text) is not None


@pytest.mark.parametrize("name", EVENTS)
def test_the_rule_lets_in_what_is_not_to_be_ignored(emulator, stack, name):
    events = emulator.client("events")
    pattern = events.describe_rule(Name="access-entry-guard-role-events")["EventPattern"]

    let_in = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(sample(name)))["Result"]

    # Another account's events are on that account's bus: the function ignores one that was forwarded.
    ignored = name.endswith("-is-ignored") and "another-account" not in name
    assert let_in != ignored


def test_the_rule_alone_may_invoke_the_events_alias(emulator, stack):
    functions = emulator.client("lambda")
    granted = json.loads(functions.get_policy(FunctionName="access-entry-guard", Qualifier="events")["Policy"])

    (statement,) = granted["Statement"]

    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"]["ArnLike"]["AWS:SourceArn"].endswith(":rule/access-entry-guard-role-events")
    assert statement["Resource"] == stack.outputs["EventsAliasArn"]
    with pytest.raises(ClientError, match="ResourceNotFound"):
        functions.get_policy(FunctionName="access-entry-guard", Qualifier="approve")


def test_the_schedule_sweeps_through_the_events_alias(emulator, stack):
    schedule = emulator.client("scheduler").get_schedule(
        GroupName="access-entry-guard", Name="access-entry-guard-sweep"
    )

    assert schedule["Target"]["Arn"] == stack.outputs["EventsAliasArn"]
    assert json.loads(schedule["Target"]["Input"]) == sample("command-sweep")


def test_the_role_has_no_wildcard_action(policy):
    assert [action for statement in policy for action in actions(statement) if "*" in action] == []


def test_every_statement_of_the_role_has_a_name(policy):
    names = [statement.get("Sid") for statement in policy]
    assert all(names) and len(set(names)) == len(names)


def test_what_changes_access_is_limited_to_roles_of_this_account(policy):
    (creation,) = [s for s in policy if "eks:CreateAccessEntry" in actions(s)]
    (replacement,) = [s for s in policy if "eks:DeleteAccessEntry" in actions(s)]
    (passing,) = [s for s in policy if "iam:PassRole" in actions(s)]

    roles = "arn:aws:iam::111122223333:role/*"
    assert sorted(actions(creation) + actions(replacement)) == [
        "eks:AssociateAccessPolicy",
        "eks:CreateAccessEntry",
        "eks:DeleteAccessEntry",
        # Takes an association back that met an entry of another party's.
        "eks:DisassociateAccessPolicy",
    ]
    assert creation["Condition"] == replacement["Condition"]
    assert creation["Condition"]["ArnLikeIfExists"] == {"eks:principalArn": roles}
    assert passing["Resource"] == roles
    services = ["eks.amazonaws.com", "ec2.amazonaws.com"]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": services}}


def test_nobody_but_the_rule_sends_to_the_queue_of_undelivered_events(emulator, stack):
    by_name = statements_of(emulator, stack, "UndeliveredEventsQueueUrl")

    assert by_name["TheRuleSends"]["Condition"] == {"ArnEquals": {"aws:SourceArn": RULE}}
    denial = by_name["NobodyElseSends"]
    assert (denial["Effect"], denial["Principal"], denial["Action"]) == ("Deny", "*", "sqs:SendMessage")
    assert denial["Condition"] == {"ArnNotEquals": {"aws:SourceArn": [RULE]}}


# The emulator accepts a table's backups, expiry and resource policy, and forgets them: so they are read here.
def test_the_ledger_is_kept_and_can_be_wound_back(plain):
    ledger = plain["Resources"]["Ledger"]

    assert ledger["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert ledger["Properties"]["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}
    assert (ledger["DeletionPolicy"], ledger["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_nobody_but_the_function_writes_the_ledger(plain):
    (denial,) = plain["Resources"]["Ledger"]["Properties"]["ResourcePolicy"]["PolicyDocument"]["Statement"]

    assert (denial["Effect"], denial["Principal"]) == ("Deny", "*")
    assert denial["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["GuardRole", "Arn"]}}}
    assert {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"} <= set(denial["Action"])


def test_every_alarm_tells_whom_it_is_for_and_notifies_the_topic(emulator, stack):
    alarms = emulator.client("cloudwatch").describe_alarms(AlarmNamePrefix="access-entry-guard-")["MetricAlarms"]

    assert len(alarms) == 11
    for alarm in alarms:
        assert alarm["AlarmDescription"].startswith(("For chat. ", "For on-call. ")), alarm["AlarmName"]
        assert alarm["AlarmActions"] == [stack.outputs["AlarmTopic"]]


def test_what_two_sweeps_could_not_see_alarms_whatever_events_saw(emulator, stack):
    logs = emulator.client("logs")
    (found,) = logs.describe_metric_filters(logGroupName="/aws/lambda/access-entry-guard")["metricFilters"]
    (made,) = found["metricTransformations"]
    (alarm,) = emulator.client("cloudwatch").describe_alarms(AlarmNames=["access-entry-guard-blind-spots"])["MetricAlarms"]

    assert found["filterPattern"] == '{ $.kind = "report" && $.trigger = "sweep" }'
    assert made["metricValue"] == "$.metrics.BlindSpots"
    assert (alarm["Namespace"], alarm["MetricName"]) == (made["metricNamespace"], made["metricName"])
    # Two sweeps a day apart, and never three.
    assert (alarm["Statistic"], alarm["Period"]) == ("Maximum", 3600)
    assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (2, 47)
    assert "two sweeps of the last 47 hours" in alarm["AlarmDescription"]


def test_the_dashboard_is_well_formed(emulator, stack):
    body = emulator.client("cloudwatch").get_dashboard(DashboardName="access-entry-guard")["DashboardBody"]

    titles = [w["properties"]["markdown"] for w in json.loads(body)["widgets"] if w["type"] == "text"]

    assert titles == ["## Is anything waiting for me?", "## Does it live?", "## What happened"]


def test_every_option_deploys_at_once(emulator, stack):
    key = emulator.client("kms").create_key()["KeyMetadata"]["Arn"]
    emulator.client("sqs").create_queue(QueueName="reports")
    stack.deploy(
        KmsKeyArn=key,
        ReportDestinationArn="arn:aws:sqs:us-east-1:111122223333:reports",
        PermissionsBoundaryArn="arn:aws:iam::aws:policy/PowerUserAccess",
        OperatorRoleArn="arn:aws:iam::111122223333:role/operator",
        BatchWindowSeconds="300",
        ReservedConcurrency="5",
        Tracing="Active",
        AlarmEmail="oncall@example.com",
        SweepSchedule="cron(30 4 * * ? *)",
        TrustedCreators="AROA2ORMWQ4XTERRAFRM1, arn:aws:iam::111122223333:role/ci/*",
        Regions="all,!ap-*",
        # As on AWS, where requests in plain text are denied.
        EndpointUrl="",
    )

    assert {"EventQueue", "EventQueueMapping", "AlarmSubscription", "FailedInvocationsPolicy"} <= set(stack.resources())
    assert "RuleMayInvoke" not in stack.resources()
    (target,) = emulator.client("events").list_targets_by_rule(Rule="access-entry-guard-role-events")["Targets"]
    assert target["Arn"].endswith(":access-entry-guard-events")


def test_only_the_rule_and_the_operator_send_to_the_queue(emulator, stack):
    by_name = statements_of(emulator, stack, "EventQueueUrl")

    assert by_name["TheRuleSends"]["Condition"] == {"ArnEquals": {"aws:SourceArn": RULE}}
    assert by_name["NobodyElseSends"]["Condition"] == {
        "ArnNotEquals": {"aws:SourceArn": RULE, "aws:PrincipalArn": "arn:aws:iam::111122223333:role/operator"}
    }


def test_only_the_rule_and_the_event_queue_bring_undelivered_events(emulator, stack):
    denial = statements_of(emulator, stack, "UndeliveredEventsQueueUrl")["NobodyElseSends"]

    queue = "arn:aws:sqs:us-east-1:111122223333:access-entry-guard-events"
    assert denial["Condition"] == {"ArnNotEquals": {"aws:SourceArn": [RULE, queue]}}


# The emulator keeps no redrive allow policy: so it is read here.
def test_no_other_queue_may_leave_its_dead_letters_where_events_are_believed(plain):
    def allowed(queue: str):
        return plain["Resources"][queue]["Properties"]["RedriveAllowPolicy"]

    assert allowed("EventQueue") == {"redrivePermission": "denyAll"}
    condition, with_queue, without = allowed("UndeliveredEvents")["Fn::If"]
    (source,) = with_queue["sourceQueueArns"]
    assert (condition, with_queue["redrivePermission"]) == ("Batched", "byQueue")
    assert source["Fn::Sub"].endswith(":${AWS::AccountId}:${FunctionName}-events")
    assert without == {"redrivePermission": "denyAll"}


def test_nothing_but_the_function_is_left_without_alarms_and_dashboard(emulator, stack):
    stack.deploy(CreateAlarms="false", CreateDashboard="false")

    left = stack.resources()

    assert [name for name in left if name.endswith("Alarm") or name in ("AlarmTopic", "Dashboard")] == []
    assert "GuardFunction" in left


def test_the_ledger_outlives_the_stack_and_can_be_adopted(emulator, stack):
    stack.delete()
    emulator.client("dynamodb").describe_table(TableName="access-entry-guard-ledger")

    adopted = Stack(emulator).deploy(LedgerTableName="access-entry-guard-ledger")

    assert "Ledger" not in adopted.resources()
    assert adopted.outputs["LedgerTable"] == "access-entry-guard-ledger"
