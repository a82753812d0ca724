"""The policies that the documents print for those who deploy and for the key: that they parse, fit and suffice.

What the deployment of a resource needs is what its type's schema lists ("handlers", CloudFormation registry), as cfn-lint
ships it. What of it this template does not need is named below.
"""

import json
import re

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from documents import chapter, document
from evaluator import ALLOWED, DENIED, NOT_ALLOWED, Request, decide

OURS = "us-east-1:111122223333"

# A resource of each type as the template names it with its defaults.
ARNS = {
    "AWS::CloudWatch::Alarm": f"arn:aws:cloudwatch:{OURS}:alarm:access-entry-guard-held",
    "AWS::CloudWatch::Dashboard": "arn:aws:cloudwatch::111122223333:dashboard/access-entry-guard",
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{OURS}:table/access-entry-guard-ledger",
    "AWS::Events::Rule": f"arn:aws:events:{OURS}:rule/access-entry-guard-role-events",
    "AWS::IAM::Role": "arn:aws:iam::111122223333:role/access-entry-guard-sweep",
    "AWS::Lambda::Alias": f"arn:aws:lambda:{OURS}:function:access-entry-guard:events",
    "AWS::Lambda::EventInvokeConfig": f"arn:aws:lambda:{OURS}:function:access-entry-guard:events",
    "AWS::Lambda::EventSourceMapping": f"arn:aws:lambda:{OURS}:event-source-mapping:14e0db71-5d35-4eb5-b481-8945cf9d10c2",
    "AWS::Lambda::Function": f"arn:aws:lambda:{OURS}:function:access-entry-guard",
    "AWS::Lambda::Permission": f"arn:aws:lambda:{OURS}:function:access-entry-guard:events",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{OURS}:log-group:/aws/lambda/access-entry-guard",
    "AWS::Logs::QueryDefinition": f"arn:aws:logs:{OURS}:query-definition:1",
    "AWS::Scheduler::Schedule": f"arn:aws:scheduler:{OURS}:schedule/access-entry-guard/access-entry-guard-sweep",
    "AWS::Scheduler::ScheduleGroup": f"arn:aws:scheduler:{OURS}:schedule-group/access-entry-guard",
    "AWS::SNS::Subscription": f"arn:aws:sns:{OURS}:access-entry-guard-alarms",
    "AWS::SNS::Topic": f"arn:aws:sns:{OURS}:access-entry-guard-alarms",
    "AWS::SNS::TopicPolicy": f"arn:aws:sns:{OURS}:access-entry-guard-alarms",
    "AWS::SQS::Queue": f"arn:aws:sqs:{OURS}:access-entry-guard-events",
    "AWS::SQS::QueuePolicy": f"arn:aws:sqs:{OURS}:access-entry-guard-events",
}

# What the types' schemas list for features that this template does not use.
NOT_USED = re.compile(
    r"""codedeploy:.*                                       # aliases that move from version to version
    | (ec2|elasticfilesystem|s3files):.*                    # functions in a VPC, with a file system
    | (firehose|kinesis):.* | dynamodb:.*Kinesis.*          # streams
    | dynamodb:(Associate|Create)TableReplica | dynamodb:(ImportTable|DescribeImport|UpdateContributorInsights)
    | dynamodb:(BatchWriteItem|DeleteItem|GetItem|PutItem|Query|Scan|UpdateItem)  # the copies of a global table
    | iam:(Attach|Detach)RolePolicy | iam:CreateServiceLinkedRole
    | lambda:(PassCapacityProvider|AssociateRuntimeAlias|GetCodeSigningConfig|GetLayerVersion)
    | lambda:(Get|Put|Delete)ProvisionedConcurrencyConfig
    | logs:(CreateLogDelivery|CreateLogStream|PutLogEvents|(Put|Delete)ResourcePolicy)  # vended logs
    | logs:DeleteIndexPolicy
    | logs:Put(BearerTokenAuthentication|DataProtectionPolicy|IndexPolicy|LogGroupDeletionProtection)
    | sns:PutDataProtectionPolicy
    | s3:(GetObjectMetadata|ListBucket|REST.PUT.OBJECT)     # templates of state machines and the like; no IAM actions
    | kms:(CreateGrant|Decrypt|DescribeKey|Encrypt|GenerateDataKey|RevokeGrant)   # with KmsKeyArn; see below""",
    re.VERBOSE,
)

# The same for one type only: imports write a log, delivery status and Firehose subscriptions have roles.
NOT_USED_BY = {
    ("AWS::DynamoDB::Table", "logs:CreateLogGroup"),
    ("AWS::DynamoDB::Table", "logs:PutRetentionPolicy"),
    ("AWS::SNS::Subscription", "iam:GetRole"),
    ("AWS::SNS::Topic", "iam:GetRole"),
}

# What IAM is asked about where that is not the resource itself (Service Authorization Reference, "Resource types").
ASKED_ABOUT = {
    "kms:ListAliases": "*",
    "lambda:CreateEventSourceMapping": "*",
    "logs:DeleteQueryDefinition": "*",
    "logs:DescribeIndexPolicies": "*",
    "logs:DescribeLogGroups": "*",
    "logs:DescribeLogStreams": ARNS["AWS::Logs::LogGroup"],
    "logs:DescribeQueryDefinitions": "*",
    "logs:DescribeResourcePolicies": "*",
    "logs:PutQueryDefinition": "*",
    "s3:GetObject": "arn:aws:s3:::my-releases/access-entry-guard/a.zip",
    "s3:GetObjectVersion": "arn:aws:s3:::my-releases/access-entry-guard/a.zip",
    "scheduler:DeleteSchedule": ARNS["AWS::Scheduler::Schedule"],
}

WITH_A_KEY = {"kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:RevokeGrant"}


@pytest.fixture(scope="module")
def resources(plain) -> dict[str, dict]:
    return plain["Resources"]


def needed_for(kind: str) -> set[str]:
    """What CloudFormation's registry says that creating, reading, changing and deleting a resource takes."""
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
    steps = ("create", "read", "update", "delete")
    return {permission for step in steps for permission in handlers.get(step, {}).get("permissions", [])}


def test_whoever_deploys_may_do_what_each_resource_takes(resources):
    kinds = {resource["Type"] for resource in resources.values()}
    assert kinds == set(ARNS)

    requests = []
    for kind in sorted(kinds):
        for action in needed_for(kind):
            if NOT_USED.fullmatch(action) or (kind, action) in NOT_USED_BY or action == "iam:PassRole":
                continue
            requests.append(Request(action, ASKED_ABOUT.get(action, ARNS[kind])))
    decisions = decide(requests, document("The deployer's policy"))

    refused = [str(request) for request, it in zip(requests, decisions, strict=True) if it != ALLOWED]
    assert requests and refused == []


def test_whoever_deploys_passes_the_stacks_roles_to_their_services_and_no_others():
    def passing(role: str, service: str) -> Request:
        return Request("iam:PassRole", f"arn:aws:iam::111122223333:role/{role}", {"iam:PassedToService": service})

    ours = [
        passing("access-entry-guard", "lambda.amazonaws.com"),
        passing("access-entry-guard-sweep", "scheduler.amazonaws.com"),
    ]
    others = [passing("admin", "lambda.amazonaws.com"), passing("access-entry-guard", "ec2.amazonaws.com")]

    decisions = decide(ours + others, document("The deployer's policy"))

    assert decisions == [ALLOWED, ALLOWED, NOT_ALLOWED, NOT_ALLOWED]


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("lambda:InvokeFunction", "AWS::Lambda::Alias"),
        ("lambda:InvokeFunction", "AWS::Lambda::Function"),
        ("dynamodb:PutItem", "AWS::DynamoDB::Table"),
        ("dynamodb:Scan", "AWS::DynamoDB::Table"),
        ("sqs:SendMessage", "AWS::SQS::Queue"),
        ("iam:AttachRolePolicy", "AWS::IAM::Role"),
    ],
)
def test_whoever_deploys_has_no_right_beside_that(action, kind):
    assert decide([Request(action, ARNS[kind])], document("The deployer's policy")) == [NOT_ALLOWED]


def test_the_policy_to_copy_fits_into_a_managed_policy():
    # Without white space (IAM User Guide, "IAM and AWS STS quotas").
    assert len(json.dumps(document("The deployer's policy"), separators=(",", ":"))) <= 6144


def test_what_a_key_takes_beside_that_is_named(resources):
    with_a_key = {action for r in resources.values() for action in needed_for(r["Type"]) if action.startswith("kms:")}

    assert with_a_key - {"kms:ListAliases"} == WITH_A_KEY
    text = chapter("The deployer's policy").split("With `KmsKeyArn` add")[1]
    assert set(re.findall(r"`(kms:\w+)`", text)) == WITH_A_KEY


def test_the_key_policy_lets_in_every_service_that_uses_the_key_by_itself(resources):
    """Services that write into what is encrypted, by the policies of queues and topic, and CloudWatch Logs."""
    senders = {
        statement["Principal"]["Service"]
        for resource in resources.values()
        if resource["Type"] in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
        if statement.get("Effect") == "Allow"
    }
    assert senders == {"events.amazonaws.com", "cloudwatch.amazonaws.com"}
    assert "KmsKeyId" in resources["GuardLog"]["Properties"]
    statements = document("A key of your own")["Statement"]
    by_service = {s["Principal"]["Service"]: s for s in statements if "Service" in s["Principal"]}

    assert set(by_service) == senders | {"logs.us-east-1.amazonaws.com"}
    for service in senders:
        assert by_service[service]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
        assert "Condition" not in by_service[service], "EventBridge gives KMS no key of the source, and would be refused"
    log = by_service["logs.us-east-1.amazonaws.com"]
    (group,) = log["Condition"]["ArnEquals"].values()
    assert group == ARNS["AWS::Logs::LogGroup"]
    assert log["Action"] == ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]


def test_nobody_is_locked_out_of_the_key():
    (account,) = [s for s in document("A key of your own")["Statement"] if "AWS" in s["Principal"]]

    assert (account["Principal"]["AWS"], account["Action"]) == ("arn:aws:iam::111122223333:root", "kms:*")


def test_the_role_uses_the_key_through_the_services_of_the_stack_in_every_partition(resources):
    (policy,) = resources["GuardRole"]["Properties"]["Policies"]
    branches = [s["Fn::If"] for s in policy["PolicyDocument"]["Statement"] if "Fn::If" in s]
    (statement,) = [yes for condition, yes, _ in branches if condition == "HasKey"]

    assert statement["Action"] == ["kms:Decrypt", "kms:Encrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    assert statement["Resource"] == {"Ref": "KmsKeyArn"}
    named = [name.get("Fn::If", [None, name])[1]["Fn::Sub"] for name in statement["Condition"]["StringEquals"]["kms:ViaService"]]
    services = ["dynamodb", "lambda", "sns", "sqs"]
    suffixes = ["amazonaws.com", "amazonaws.com.cn"]
    assert named == [f"{service}.${{AWS::Region}}.{suffix}" for suffix in suffixes for service in services]


def allowed_to(role: dict) -> set[str]:
    """The actions that a role's policies allow under any parameter."""
    statements = [statement for policy in role["Properties"]["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
    flat = [it for s in statements for it in (s["Fn::If"][1:] if "Fn::If" in s else [s]) if it.get("Effect") == "Allow"]
    return {action for s in flat for action in (s["Action"] if isinstance(s["Action"], list) else [s["Action"]])}


def test_the_table_of_rights_has_each_action_of_the_functions_role_and_no_other(resources):
    rows = re.findall(r"^\| (`[a-z]+:.+?) \|", chapter("What the function's role may do"), re.MULTILINE)

    assert {action for row in rows for action in re.findall(r"`([^`]+)`", row)} == allowed_to(resources["GuardRole"])


def test_the_permissions_boundary_to_copy_allows_what_the_stacks_roles_may_and_no_more(resources):
    (statement,) = document("Which permissions boundary suffices?")["Statement"]

    assert set(statement["Action"]) == allowed_to(resources["GuardRole"]) | allowed_to(resources["SweepRole"])


def test_an_exception_in_a_service_control_policy_is_for_the_function_alone(resources):
    (statement,) = document("What does an exception in a service control policy look like?")["Statement"]
    # The policy alone decides nothing else: it is asked beside one that allows everything.
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}, statement]}

    def deletion(role: str) -> Request:
        principal = {"aws:PrincipalArn": f"arn:aws:iam::111122223333:role/{role}"}
        return Request("eks:DeleteAccessEntry", "arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/node/1", principal)

    decisions = decide([deletion("access-entry-guard"), deletion("someone")], policy)

    assert decisions == [ALLOWED, DENIED]
