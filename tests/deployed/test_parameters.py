"""What the template's parameters admit: what the function and AWS accept, and nothing else."""

import re
import subprocess

import pytest

from stack import bootstrap_path

# Values that the function accepts, and values that stop it at its start.
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
    ("MaxReportKb", "50"),
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
    ("MaxReportKb", "49"),
    ("MaxReportKb", "5001"),
]


@pytest.mark.parametrize(("parameter", "value"), ACCEPTED + REFUSED)
def test_a_parameter_admits_what_the_function_accepts_and_nothing_else(plain, parameter, value):
    admitted = re.fullmatch(plain["Parameters"][parameter]["AllowedPattern"], value) is not None

    accepted = not names_the_setting(start_with(parameter, value), parameter)

    assert (admitted, accepted) == (((parameter, value) in ACCEPTED),) * 2


REPORTS = [
    ("arn:aws:events:us-east-1:111122223333:event-bus/reports", True),
    ("arn:aws:sqs:us-east-1:111122223333:reports", True),
    ("arn:aws:sqs:us-east-1:111122223333:reports.fifo-not", True),
    ("arn:aws-cn:sns:cn-north-1:111122223333:reports", True),
    ("arn:aws:lambda:us-east-1:111122223333:function:reports:live", True),
    ("arn:aws:sqs:us-east-1:111122223333:reports.fifo", False),
    ("arn:aws:sns:us-east-1:111122223333:reports.fifo", False),
    ("arn:aws:s3:::reports", False),
]


@pytest.mark.parametrize(("arn", "taken"), REPORTS)
def test_a_destination_to_which_lambda_cannot_deliver_is_refused(plain, arn, taken):
    assert (re.fullmatch(plain["Parameters"]["ReportDestinationArn"]["AllowedPattern"], arn) is not None) == taken


def test_the_largest_report_is_within_the_settings_bounds(plain):
    pattern = plain["Parameters"]["MaxReportKb"]["AllowedPattern"]

    taken = [number for number in range(12000) if re.fullmatch(pattern, str(number))]

    assert taken == list(range(50, 5001)) and re.fullmatch(pattern, "")


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
