"""What the template promises beside the story: where it may be deployed, who may do what, which events it lets in."""

import json
import re

import cfnlint
import pytest
from botocore.exceptions import ClientError
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from stack import PROJECT, Stack
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
    "MAX_REPORT_KB": "5000",
    "MAX_CONCURRENCY_PER_REGION": "8",
}

@pytest.fixture(scope="module")
def stack(emulator):
    return Stack(emulator).deploy()


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


def test_a_region_where_no_iam_event_arrives_is_refused(emulator):
    with pytest.raises(ClientError, match="us-east-1 .AWS., cn-north-1 .AWS China. or us-gov-west-1"):
        Stack(emulator, region="eu-west-1").deploy()


def test_every_setting_reaches_the_function_with_the_documented_default(emulator, stack):
    function = emulator.client("lambda").get_function_configuration(FunctionName="access-entry-guard")

    variables = function["Environment"]["Variables"]

    assert variables.pop("AWS_ENDPOINT_URL") == emulator.url
    assert variables == SETTINGS


def test_an_organizations_default_log_level_does_not_drop_the_report(plain):
    logging = plain["Resources"]["GuardFunction"]["Properties"]["LoggingConfig"]

    assert (logging["LogFormat"], logging["ApplicationLogLevel"]) == ("JSON", "INFO")


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
    services = passing["Condition"]["StringEquals"]["iam:PassedToService"]
    assert services == ["ec2.amazonaws.com", "eks.amazonaws.com"]


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

    assert len(alarms) == 13
    for alarm in alarms:
        assert alarm["AlarmDescription"].startswith(("For chat. ", "For on-call. ")), alarm["AlarmName"]
        assert alarm["AlarmActions"] == [stack.outputs["AlarmTopic"]]
        # Only the lack of sweeps is told by the lack of data.
        without_data = [stack.outputs["AlarmTopic"]] if alarm["TreatMissingData"] == "missing" else []
        assert alarm["InsufficientDataActions"] == without_data


def test_the_dashboards_search_takes_every_namespace_that_the_template_takes(plain):
    """In a search expression a namespace with anything but letters and digits has to be in double quotes (CloudWatch User
    Guide, "CloudWatch search expression syntax"), which are escaped in the dashboard's JSON."""
    body, _ = plain["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    namespace = "Team A/Access: #1"
    assert re.fullmatch(plain["Parameters"]["MetricNamespace"]["AllowedPattern"], namespace)

    widgets = json.loads(body.replace("${MetricNamespace}", namespace))["widgets"]

    metrics = [m for widget in widgets for m in widget["properties"].get("metrics", [])]
    searches = [m[0]["expression"] for m in metrics if isinstance(m[0], dict)]
    assert searches and all(f'{{"{namespace}",ClusterName,Region}}' in search for search in searches)


def test_the_dashboard_is_well_formed(emulator, stack):
    body = emulator.client("cloudwatch").get_dashboard(DashboardName="access-entry-guard")["DashboardBody"]

    titles = [w["properties"]["markdown"] for w in json.loads(body)["widgets"] if w["type"] == "text"]

    assert titles == ["## Is anything waiting for me?", "## Is the function working?", "## What happened"]


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

    # Room for the event and Lambda's own words in the 256 KB that a topic and an event bus take.
    function = emulator.client("lambda").get_function_configuration(FunctionName="access-entry-guard")
    assert function["Environment"]["Variables"]["MAX_REPORT_KB"] == "200"
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
