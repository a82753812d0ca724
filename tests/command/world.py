"""What the tests of the deployed function's commands find in the account, and what they do to it."""

import json
import time
from datetime import datetime

ACCOUNT = "111122223333"
# As `world` names and places them.
CLUSTER, REGION = "cluster-0000", "us-east-1"
OTHER_CLUSTER, OTHER_REGION = "cluster-0001", "eu-west-1"
OPERATOR = f"arn:aws:iam::{ACCOUNT}:user/operator"
FUNCTION_ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:access-entry-guard"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ENTRY = ["--role", "admin", "--cluster", CLUSTER, "--region", REGION]


def create_role(aws, name: str, path: str = "/") -> dict:
    created = aws.client("iam").create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(TRUST))
    return created["Role"]


def recreate_role(aws, name: str) -> dict:
    """A role whose entries are stale from then on."""
    iam = aws.client("iam")
    path = iam.get_role(RoleName=name)["Role"]["Path"]
    iam.delete_role(RoleName=name)
    # IAM's dates have seconds only.
    time.sleep(1.1)
    return create_role(aws, name, path)


def allow(aws, role: dict, cluster: str = CLUSTER, region: str = REGION, **members) -> dict:
    eks = aws.client("eks", region)
    return eks.create_access_entry(clusterName=cluster, principalArn=role["Arn"], **members)["accessEntry"]


def entry(aws, role: dict, cluster: str = CLUSTER, region: str = REGION) -> dict:
    eks = aws.client("eks", region)
    return eks.describe_access_entry(clusterName=cluster, principalArn=role["Arn"])["accessEntry"]


def is_bound(aws, name: str) -> bool:
    """Whether the role that exists is let in with its entry, in as many clusters as have one."""
    return aws.do("admitted", role=name) > 0


def a_held_entry(aws, name: str = "admin") -> dict:
    """A role, recreated after it had got an entry with a group: nobody but a person may release that."""
    role = create_role(aws, name)
    allow(aws, role, kubernetesGroups=["ops"])
    return recreate_role(aws, name)


def creation_event(role: dict, **members) -> dict:
    """What EventBridge delivers when the role is created."""
    created: datetime = role["CreateDate"]
    detail = {
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateRole",
        "eventID": "11111111-1111-4111-8111-111111111111",
        "eventTime": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "recipientAccountId": ACCOUNT,
        "requestParameters": {"roleName": role["RoleName"], "path": role["Path"]},
        "responseElements": {"role": {"arn": role["Arn"], "roleId": role["RoleId"], "roleName": role["RoleName"]}},
    }
    return {
        "source": "aws.iam",
        "detail-type": "AWS API Call via CloudTrail",
        "account": ACCOUNT,
        "detail": detail | members,
    }
