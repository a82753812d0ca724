"""The policies of the template as CloudFormation would make them, for any parameters, Region and partition.

The emulator deploys into one partition only, and takes seconds for each set of parameters. A test compares what is
rendered here with what the emulator deployed.
"""

import functools
import re

from emulator import ACCOUNT
from package import decoded, with_code_in
from stack import TEMPLATE

SUFFIXES = {"aws-cn": "amazonaws.com.cn"}
OMITTED = object()

# Every parameter that adds a statement to a policy, at a value that adds it.
KEY = "arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d"
OPERATOR = "arn:aws:iam::111122223333:role/operator"
EVERYTHING = {
    "AllowPrivilegedGrants": "false",
    "BatchWindowSeconds": "60",
    "KmsKeyArn": KEY,
    "OperatorRoleArn": OPERATOR,
    "ReportDestinationArn": "arn:aws:sqs:us-east-1:111122223333:reports",
    "Tracing": "Active",
}


@functools.cache
def plain() -> dict:
    """The template as CloudFormation gets it."""
    return decoded(with_code_in(TEMPLATE.read_text(), "bucket", "bootstrap.zip"))


class Rendered:
    """The template's resources with every intrinsic function carried out."""

    def __init__(self, parameters: dict[str, str] | None = None, region: str = "us-east-1", partition: str = "aws"):
        template = plain()
        defaults = {name: str(parameter.get("Default", "")) for name, parameter in template["Parameters"].items()}
        assert set(parameters or {}) <= set(defaults), "parameters of the template"
        self._template = template
        self._values = defaults | (parameters or {})
        self._values |= {
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": partition,
            "AWS::Region": region,
            "AWS::URLSuffix": SUFFIXES.get(partition, "amazonaws.com"),
        }

    def role_policy(self, role: str = "GuardRole") -> dict:
        """The one inline policy of a role."""
        (policy,) = self._properties(role)["Policies"]
        return policy["PolicyDocument"]

    def resource_policy(self, resource: str) -> dict:
        """The policy of a queue, of a topic or of the ledger; of a role, its trust policy."""
        properties = self._properties(resource)
        for name in ("PolicyDocument", "AssumeRolePolicyDocument"):
            if name in properties:
                return properties[name]
        return properties["ResourcePolicy"]["PolicyDocument"]

    def policies(self) -> dict[str, dict]:
        """Every policy document of the stack, by where it stands."""
        found = {}

        def visit(path: str, value):
            if isinstance(value, dict):
                if "Statement" in value:
                    found[path] = value
                for key, member in value.items():
                    visit(f"{path}.{key}", member)
            elif isinstance(value, list):
                for n, member in enumerate(value):
                    visit(f"{path}[{n}]", member)

        for name, resource in self._template["Resources"].items():
            if "Condition" not in resource or self._holds(resource["Condition"]):
                visit(name, self._properties(name))
        return found

    def arn(self, resource: str) -> str:
        """The ARN that a resource gets. What needs an ID of AWS's own making has a made-up one."""
        kind, properties = self._template["Resources"][resource]["Type"], self._properties(resource)
        partition, region = self._values["AWS::Partition"], self._values["AWS::Region"]
        regional = f"{region}:{ACCOUNT}"
        rest = {
            "AWS::DynamoDB::Table": lambda: f"dynamodb:{regional}:table/{properties['TableName']}",
            "AWS::Events::Rule": lambda: f"events:{regional}:rule/{properties['Name']}",
            "AWS::IAM::Role": lambda: f"iam::{ACCOUNT}:role/{properties['RoleName']}",
            "AWS::Lambda::Function": lambda: f"lambda:{regional}:function:{properties['FunctionName']}",
            "AWS::Lambda::Alias": lambda: (
                f"lambda:{regional}:function:{self._values['FunctionName']}:{properties['Name']}"
            ),
            "AWS::Logs::LogGroup": lambda: f"logs:{regional}:log-group:{properties['LogGroupName']}:*",
            "AWS::SNS::Topic": lambda: f"sns:{regional}:{properties['TopicName']}",
            "AWS::SQS::Queue": lambda: f"sqs:{regional}:{properties['QueueName']}",
            "AWS::Scheduler::ScheduleGroup": lambda: f"scheduler:{regional}:schedule-group/{properties['Name']}",
        }[kind]
        return f"arn:{partition}:{rest()}"

    def _properties(self, resource: str) -> dict:
        properties = self._template["Resources"][resource]["Properties"]
        # What a policy stands beside is not needed, and may name resources that would name this one.
        wanted = {
            "PolicyDocument", "AssumeRolePolicyDocument", "Policies", "ResourcePolicy", "TableName", "Name", "RoleName",
            "FunctionName", "LogGroupName", "TopicName", "QueueName",
        }  # fmt: skip
        return {name: self._render(value) for name, value in properties.items() if name in wanted}

    def _render(self, value):
        if isinstance(value, list):
            return [member for member in map(self._render, value) if member is not OMITTED]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref":
                return self._ref(argument)
            if function == "Fn::GetAtt":
                resource, attribute = argument
                return self.arn(resource) if attribute == "Arn" else self.arn(resource).split(":")[-1]
            if function == "Fn::If":
                condition, yes, no = argument
                return self._render(yes if self._holds(condition) else no)
            if function == "Fn::Sub":
                return self._substitute(argument)
        rendered = {key: self._render(member) for key, member in value.items()}
        return {key: member for key, member in rendered.items() if member is not OMITTED}

    def _ref(self, name: str):
        if name == "AWS::NoValue":
            return OMITTED
        if name in self._values:
            return self._values[name]
        # A Ref gives the ARN of an alias and of a topic, and the name of all else that is named in a policy.
        kind = self._template["Resources"][name]["Type"]
        return self.arn(name) if kind in ("AWS::Lambda::Alias", "AWS::SNS::Topic") else self.arn(name).split(":")[-1]

    def _substitute(self, argument) -> str:
        text, given = argument if isinstance(argument, list) else (argument, {})
        given = {name: self._render(value) for name, value in given.items()}

        def replaced(match: re.Match) -> str:
            name, _, attribute = match[1].partition(".")
            if name in given:
                return given[name]
            return self.arn(name) if attribute == "Arn" else self._ref(name)

        return re.sub(r"\$\{([^}]+)\}", replaced, text)

    def _holds(self, condition) -> bool:
        if isinstance(condition, str):
            return self._holds(self._template["Conditions"][condition])
        ((function, argument),) = condition.items()
        if function == "Condition":
            return self._holds(argument)
        if function == "Fn::Equals":
            one, other = map(self._render, argument)
            return str(one) == str(other)
        parts = [self._holds(part) for part in argument]
        return {"Fn::Not": lambda: not parts[0], "Fn::And": lambda: all(parts), "Fn::Or": lambda: any(parts)}[
            function
        ]()
