"""What the function finds and what happens to it: clusters, roles, access entries, and the events that tell of them."""

import json
import time
from urllib.parse import quote

from emulator import ACCOUNT, Emulator
from stack import PROJECT

VIEW_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"

NODES = {"Service": "ec2.amazonaws.com"}
PEOPLE = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


class Cluster:
    """An EKS cluster whose entries can be made and looked at."""

    def __init__(self, emulator: Emulator, name: str, region: str):
        self.name, self.region = name, region
        self._eks = emulator.client("eks", region)
        self._eks.create_cluster(
            name=name,
            roleArn=create_role(emulator, f"cluster-{region}-{name}", {"Service": "eks.amazonaws.com"})["Arn"],
            resourcesVpcConfig={"subnetIds": []},
            accessConfig={"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
        )
        while self._eks.describe_cluster(name=name)["cluster"]["status"] == "CREATING":
            time.sleep(0.05)

    def allow(self, role: dict, policies: dict[str, dict] | None = None, **properties) -> dict:
        """Makes an access entry for a role; `policies` are scopes by policy ARN."""
        if properties["type"] == "STANDARD":
            # What EKS generates where none is given, and the emulator does not.
            properties.setdefault("username", f"arn:aws:sts::{ACCOUNT}:assumed-role/{role['RoleName']}/{{{{SessionName}}}}")
        made = self._eks.create_access_entry(clusterName=self.name, principalArn=role["Arn"], **properties)
        for policy, scope in (policies or {}).items():
            self._eks.associate_access_policy(
                clusterName=self.name, principalArn=role["Arn"], policyArn=policy, accessScope=scope
            )
        return made["accessEntry"]

    def entry(self, role: dict) -> dict:
        return self._eks.describe_access_entry(clusterName=self.name, principalArn=role["Arn"])["accessEntry"]

    def policies(self, role: dict) -> dict[str, dict]:
        """Scopes by policy ARN, without the empty namespace list that the emulator adds to a cluster's scope."""
        listed = self._eks.list_associated_access_policies(clusterName=self.name, principalArn=role["Arn"])
        return {
            policy["policyArn"]: {key: value for key, value in policy["accessScope"].items() if value}
            for policy in listed["associatedAccessPolicies"]
        }


def create_role(emulator: Emulator, name: str, trusts: dict = NODES) -> dict:
    trust_policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": trusts, "Action": "sts:AssumeRole"}],
    }
    return emulator.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust_policy))["Role"]


def recreate_role(emulator: Emulator, role: dict, trusts: dict = NODES) -> dict:
    """Deletes a role and creates another of its name, as a rebuilt stack does: same ARN, new ID."""
    delete_role(emulator, role)
    # IAM shows whole seconds. An entry made in the second of a role's creation counts as made for that role.
    time.sleep(1.1)
    return create_role(emulator, role["RoleName"], trusts)


def delete_role(emulator: Emulator, role: dict):
    emulator.client("iam").delete_role(RoleName=role["RoleName"])


def sample(name: str) -> dict:
    """One of the project's sample payloads."""
    return json.loads((PROJECT / "events" / f"{name}.json").read_text())


def creation_event(role: dict, of: str = "create-role-repairs-stale-entries") -> dict:
    """The sample of a role's creation, filled in for a role."""
    event = sample(of)
    trust_policy = json.dumps(role["AssumeRolePolicyDocument"])
    event["detail"]["requestParameters"] |= {
        "roleName": role["RoleName"],
        "assumeRolePolicyDocument": trust_policy,
    }
    event["detail"]["responseElements"]["role"] |= {
        "path": role["Path"],
        "roleName": role["RoleName"],
        "roleId": role["RoleId"],
        "arn": role["Arn"],
        "createDate": role["CreateDate"].strftime("%b %-d, %Y %-I:%M:%S %p"),
        "assumeRolePolicyDocument": quote(trust_policy),
    }
    return event


def deletion_event(role: dict) -> dict:
    """The sample of a role's deletion, which names the role and nothing more."""
    event = sample("delete-role-reports-orphans")
    event["detail"]["requestParameters"] = {"roleName": role["RoleName"]}
    return event
