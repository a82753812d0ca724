"""The events that CloudTrail would deliver for a role of the run, made from the samples in events/."""

import datetime
import json
import uuid
from pathlib import Path
from urllib.parse import quote

EVENTS = Path(__file__).resolve().parents[2] / "events"
SAMPLES = {"CreateRole": "create-role-repairs-stale-entries", "DeleteRole": "delete-role-reports-orphans"}

# Where IAM's events arrive.
HOME_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}


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
