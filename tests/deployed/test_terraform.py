"""The Terraform examples, with the real `terraform`. The AWS provider cannot be fetched without a network: what it would
answer is a variable here, and what it would be given is held against the template.
"""

import json
import os
import re
import subprocess

import pytest
from cfnlint.decode import decode_str

from documents import TEXTS
from evaluator import ALLOWED, NOT_ALLOWED, Request, decide
from stack import PROJECT, TEMPLATE
from stand_in_cli import BLIND, ROLE, UNDECIDED, entry, needs, report

EXAMPLES = PROJECT / "tests" / "deployed" / "terraform"
CHECK_TF = EXAMPLES / "check.tf"
STACK_TF = EXAMPLES / "stack" / "main.tf"

pytestmark = needs("terraform")


def run(directory, *arguments: str) -> str:
    """What terraform says, where it succeeds."""
    env = os.environ | {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull, "TF_IN_AUTOMATION": "1"}
    done = subprocess.run(["terraform", *arguments], cwd=directory, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout + done.stderr


@pytest.fixture
def check(tmp_path):
    """The example's checks in a directory of their own, with the function's answer as a variable in place of the data
    source: the AWS provider cannot be fetched without a network."""
    text = CHECK_TF.read_text()
    for head in ("required_providers", 'provider "aws"', 'data "aws_lambda_invocation" "check"'):
        text = without_block(text, head)
    assert text.count("data.aws_lambda_invocation.check.result") == 4
    text = text.replace("data.aws_lambda_invocation.check.result", "var.result")
    (tmp_path / "check.tf").write_text(text + '\nvariable "result" {\n  type = string\n}\n')

    def warnings(answer: dict) -> list[str]:
        variables = {"principal_arn": ROLE, "cluster_name": "prod", "cluster_region": "eu-west-1", "result": json.dumps(answer)}
        (tmp_path / "terraform.tfvars.json").write_text(json.dumps(variables))
        run(tmp_path, "init", "-input=false")
        # The warnings come in a box, with lines as wide as the terminal.
        said = " ".join(re.sub("[│╷╵]", " ", run(tmp_path, "plan", "-input=false", "-no-color")).split())
        return re.findall(r"does not let its role in|could not be told", said)

    return warnings


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (report(entry("fresh")), []),
        (report(entry("stale")), ["does not let its role in"]),
        (report(entry("missing")), ["does not let its role in"]),
        (report(UNDECIDED), ["could not be told"]),
        (report(entry("fresh"), blindSpots=BLIND), ["could not be told"]),
        (report(), ["could not be told"]),
    ],
)
def test_the_terraform_check_warns_of_what_is_not_fresh(check, answer, expected):
    assert check(answer) == expected


@pytest.fixture
def stack_arguments(tmp_path):
    """Gives a function that plans the example, and returns what the stack's resource would be given."""
    text = STACK_TF.read_text()
    for head in ("required_providers", 'provider "aws"', 'output "next_steps"'):
        text = without_block(text, head)
    # A resource of Terraform's own, which takes anything.
    resource = block(text, 'resource "aws_cloudformation_stack" "guard"')
    inside = resource[resource.index("{") :]
    text = text.replace(resource, f'resource "terraform_data" "guard" {{\n  input = {inside}\n}}')
    (tmp_path / "main.tf").write_text(text)

    def plan(**variables) -> dict:
        (tmp_path / "terraform.tfvars.json").write_text(json.dumps(variables))
        run(tmp_path, "init", "-input=false")
        run(tmp_path, "plan", "-input=false", "-no-color", "-out=plan")
        planned = json.loads(run(tmp_path, "show", "-json", "plan"))
        (resource,) = planned["planned_values"]["root_module"]["resources"]
        return resource["values"]["input"]

    return plan


def test_terraform_deploys_the_packaged_template_and_only_looks_at_first(stack_arguments):
    url = "https://releases.s3.us-east-1.amazonaws.com/access-entry-guard-0.template.yaml"

    given = stack_arguments(template_url=url, tags={"team": "platform"})

    assert given == {
        "name": "access-entry-guard",
        "template_url": url,
        "capabilities": ["CAPABILITY_NAMED_IAM"],
        "parameters": {"Mode": "observe"},
        "tags": {"team": "platform"},
    }


def test_terraform_names_only_what_the_template_has(stack_arguments):
    template, _ = decode_str(TEMPLATE.read_text())

    given = stack_arguments(template_url="https://example.com/template.yaml")

    assert given["parameters"].keys() <= template["Parameters"].keys()
    used = re.findall(r"aws_cloudformation_stack\.guard\.outputs\[\"(\w+)\"\]", STACK_TF.read_text())
    assert used and set(used) <= template["Outputs"].keys()


def test_terraform_refuses_a_region_where_no_iam_event_arrives(stack_arguments):
    with pytest.raises(AssertionError, match="us-gov-west-1"):
        stack_arguments(template_url="https://example.com/template.yaml", region="eu-west-1")


def test_the_readmes_policy_lets_the_check_in():
    """The data source sends the qualifier $LATEST unless it is told another, and Lambda asks IAM for the qualified ARN
    (hashicorp/terraform-provider-aws#23778, aws/aws-cdk#19273)."""
    data_source = block(CHECK_TF.read_text(), 'data "aws_lambda_invocation" "check"')
    assert "qualifier" not in data_source
    every = "\n".join(TEXTS.values())
    policy = json.loads(re.search(r"For a pipeline or an on-call team:\n\n```json\n(.*?)```", every, re.DOTALL)[1])
    function = "arn:aws:lambda:us-east-1:111122223333:function:access-entry-guard"

    resources = [f"{function}:$LATEST", function, f"{function}:approve", f"{function}:events"]
    decisions = decide([Request("lambda:InvokeFunction", it) for it in resources], {"Version": "2012-10-17", "Statement": [policy]})

    assert decisions == [ALLOWED, ALLOWED, NOT_ALLOWED, NOT_ALLOWED]


def test_the_terraform_examples_are_well_formatted():
    run(EXAMPLES, "fmt", "-check", "-diff", "-recursive")


def without_block(text: str, head: str) -> str:
    """The text without the one block that begins with the head."""
    return text.replace(block(text, head), "")


def block(text: str, head: str) -> str:
    """The one block that begins with the head."""
    assert text.count(head) == 1, head
    start = text.index(head)
    end, depth = text.index("{", start), 0
    while True:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
        if depth == 0:
            return text[start:end]
