"""Prints the event that CloudTrail would deliver for a role of the caller's own account, made from the samples in events/.

For an invocation by hand. The event names no creator, since nobody recorded one: handed in without the alias `events`, a
creator would count for nothing anyway.
"""

import argparse
import datetime
import json
import re
import sys
import uuid
from pathlib import Path
from urllib.parse import quote

from aws_cli import NoAnswer, aws

EVENTS = Path(__file__).resolve().parents[2] / "events"
SAMPLES = {"CreateRole": "create-role-repairs-stale-entries", "DeleteRole": "delete-role-reports-orphans"}

# Where IAM's events arrive.
HOME_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role_name", help="the role's name, without path")
    parser.add_argument("event", nargs="?", default="CreateRole", choices=SAMPLES, help="(%(default)s)")
    arguments = parser.parse_args()
    if not re.fullmatch(r"[\w+=,.@-]{1,64}", arguments.role_name, re.ASCII):
        parser.error(f"{arguments.role_name!r} is not a role's name")
    try:
        event = event_of(arguments.event, arguments.role_name)
    except NoAnswer as problem:
        print(problem, file=sys.stderr)
        return 1
    print(json.dumps(event, indent=2))
    return 0


def event_of(name: str, role_name: str) -> dict:
    """The sample, filled in for this role as IAM shows it now."""
    caller = aws("sts", "get-caller-identity")
    partition = caller["Arn"].split(":")[1]
    event = json.loads((EVENTS / f"{SAMPLES[name]}.json").read_text())
    # A deletion names the role and nothing more, and the role is gone.
    role = aws("iam", "get-role", f"--role-name={role_name}")["Role"] if name == "CreateRole" else None
    at = moment(role["CreateDate"]) if role else datetime.datetime.now(datetime.timezone.utc)
    fill_envelope(event, caller["Account"], HOME_REGIONS.get(partition, HOME_REGIONS["aws"]), at)
    if role:
        fill_creation(event["detail"], role, at)
    else:
        event["detail"]["requestParameters"] = {"roleName": role_name}
    return event


def fill_envelope(event: dict, account: str, region: str, at: datetime.datetime):
    time = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    event.update(id=str(uuid.uuid4()), account=account, region=region, time=time)
    event["detail"].update(
        eventID=str(uuid.uuid4()),
        requestID=str(uuid.uuid4()),
        eventTime=time,
        awsRegion=region,
        recipientAccountId=account,
        userIdentity={"type": "Unknown", "accountId": account},
    )


def fill_creation(detail: dict, role: dict, at: datetime.datetime):
    trust_policy = json.dumps(role["AssumeRolePolicyDocument"], separators=(",", ":"))
    detail["requestParameters"] = {"roleName": role["RoleName"], "assumeRolePolicyDocument": trust_policy}
    if role["Path"] != "/":
        detail["requestParameters"]["path"] = role["Path"]
    detail["responseElements"] = {
        "role": {
            "path": role["Path"],
            "roleName": role["RoleName"],
            "roleId": role["RoleId"],
            "arn": role["Arn"],
            "createDate": f"{at:%b} {at.day}, {at.year} {at.hour % 12 or 12}:{at:%M:%S %p}",
            "assumeRolePolicyDocument": quote(trust_policy, safe=""),
        }
    }


def moment(text: str) -> datetime.datetime:
    """A date as either version of the CLI prints it."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(datetime.timezone.utc)


if __name__ == "__main__":
    sys.exit(main())
