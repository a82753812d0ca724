"""A throw-away role with its access entry: made, recreated, assumed, and compared with what it was."""

import json

import boto3
from botocore.exceptions import ClientError

from made import Made, code_of
from patience import Stopwatch, until

# What every thing that a run makes is tagged with; the value is the run's own name.
TAG = "access-entry-guard-live-test"

# IAM's replicas catch up within seconds, rarely minutes.
IAM_LIMIT = 180


class Subject:
    """One role, one entry. The role has no permissions, and trusts the caller of this run alone, or EC2 alone."""

    def __init__(self, account, made: Made, run: str, kind: str, entry: dict | None = None):
        self.account, self._made, self._run = account, made, run
        self.role_name = f"{run}-{kind}"
        self.wanted = {"type": "STANDARD", "groups": [], "tags": {TAG: run}, "policies": []} | (entry or {})
        self.role: dict = {}
        self.entry: dict = {}
        # For how long EKS did not know the role, and did not find the entry that it had just made.
        self.invalid_principal_for = 0.0
        self.association_refused_for = 0.0

    @property
    def arn(self) -> str:
        return self.role["Arn"]

    def create_role(self):
        self._made.will_have_role(self.role_name)
        request = {
            "RoleName": self.role_name,
            "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [self._trust()]}),
            "Description": "Throw-away role of Access Entry Guard's live test; may be deleted",
            "Tags": [{"Key": TAG, "Value": self._run}],
        }
        if self.account.boundary:
            request["PermissionsBoundary"] = self.account.boundary

        def attempt():
            try:
                return self.account.iam.create_role(**request)["Role"]
            except ClientError as problem:
                # A replica of IAM that has not heard of the deletion.
                if code_of(problem) in ("EntityAlreadyExists", "ConcurrentModification") and self.role:
                    return None
                raise

        self.role = until(f"the creation of {self.role_name}", IAM_LIMIT, attempt)

    def _trust(self) -> dict:
        allow = {"Effect": "Allow", "Action": "sts:AssumeRole"}
        if self.wanted["type"] != "STANDARD":
            return allow | {"Principal": {"Service": f"ec2.{self.account.suffix}"}}
        # By the ID that the caller's session has: an ARN of a role with a path cannot be told from its sessions'.
        return allow | {
            "Principal": {"AWS": f"arn:{self.account.partition}:iam::{self.account.id}:root"},
            "Condition": {"StringEquals": {"aws:userid": self.account.user_id}},
        }

    def create_entry(self):
        """Makes the entry with all that is wanted, as patiently as a new role needs it."""
        self._made.will_have_entry(self.arn)
        watch = Stopwatch()

        def create():
            try:
                return self.account.eks.create_access_entry(**self.creation())["accessEntry"]
            except ClientError as problem:
                if code_of(problem) == "InvalidParameterException" and "invalid principal" in str(problem):
                    self.invalid_principal_for = watch.seconds
                    return None
                raise

        self.entry = until(f"EKS's knowledge of {self.role_name}", IAM_LIMIT, create)
        watch = Stopwatch()

        def associate():
            try:
                for policy in self.wanted["policies"]:
                    self.account.eks.associate_access_policy(**self.key(), **policy)
                return True
            except ClientError as problem:
                if code_of(problem) == "ResourceNotFoundException":
                    self.association_refused_for = watch.seconds
                    return None
                raise

        until(f"EKS's knowledge of the entry of {self.role_name}", IAM_LIMIT, associate)

    def recreate_role(self):
        """Deletes the role and creates it again, until IAM's date for it is later than the entry's.

        IAM shows whole seconds: a role that comes back within the second in which its entry was made cannot be told
        from one that was there before.
        """

        def attempt():
            self.account.iam.delete_role(RoleName=self.role_name)
            self.create_role()
            return True if self.role["CreateDate"] > self.entry["createdAt"] else None

        until("a role that is younger than its entry", IAM_LIMIT, attempt)

    def assume(self) -> dict:
        """Credentials of the role as it is now. STS knows a new role, and its trust policy, after a while only."""

        def attempt():
            try:
                answer = self.account.sts.assume_role(RoleArn=self.arn, RoleSessionName=self._run)
            except ClientError as problem:
                if code_of(problem) == "AccessDenied":
                    return None
                raise
            # A replica of STS may still make sessions of the role that was deleted.
            fits = answer["AssumedRoleUser"]["AssumedRoleId"].startswith(self.role["RoleId"] + ":")
            return answer["Credentials"] if fits else None

        return until(f"the assumption of {self.role_name} (may the caller call sts:AssumeRole?)", IAM_LIMIT, attempt)

    def put_policy(self, document: dict):
        name = self._run
        self._made.will_have_policy(self.role_name, name)
        self.account.iam.put_role_policy(
            RoleName=self.role_name, PolicyName=name, PolicyDocument=json.dumps(document)
        )

    def key(self) -> dict:
        return {"clusterName": self.account.cluster, "principalArn": self.arn}

    def creation(self) -> dict:
        """The parameters of the entry's creation."""
        optional = {"kubernetesGroups": self.wanted["groups"]} if self.wanted["groups"] else {}
        return self.key() | {"type": self.wanted["type"], "tags": self.wanted["tags"]} | optional

    def read_entry(self) -> dict | None:
        """The entry as EKS shows it now."""
        try:
            return self.account.eks.describe_access_entry(**self.key())["accessEntry"]
        except ClientError as problem:
            if code_of(problem) == "ResourceNotFoundException":
                return None
            raise

    def has_new_entry(self) -> bool:
        """Whether there is another entry than the one that this run made."""
        entry = self.read_entry()
        return entry is not None and entry["accessEntryArn"] != self.entry["accessEntryArn"]

    def read_policies(self) -> dict:
        """Scopes by policy."""
        pages = self.account.eks.get_paginator("list_associated_access_policies").paginate(**self.key())
        policies = [policy for page in pages for policy in page["associatedAccessPolicies"]]
        return {policy["policyArn"]: scope_of(policy["accessScope"]) for policy in policies}

    def differences(self) -> list[str]:
        """What of the present entry is not as it was made; in words."""
        entry = self.read_entry()
        if entry is None:
            return ["the entry is gone"]
        pairs = [
            ("type", self.entry["type"], entry["type"]),
            ("user name", self.entry["username"], entry["username"]),
            ("groups", sorted(self.entry["kubernetesGroups"]), sorted(entry["kubernetesGroups"])),
            ("tags", self.wanted["tags"], entry["tags"]),
        ]
        if entry["type"] == "STANDARD":
            made = {policy["policyArn"]: scope_of(policy["accessScope"]) for policy in self.wanted["policies"]}
            pairs.append(("access policies and scopes", made, self.read_policies()))
        found = [f"{name}: made with {was}, now {now}" for name, was, now in pairs if was != now]
        if entry["createdAt"] <= self.role["CreateDate"]:
            found.append(f"the entry is of {entry['createdAt']}, older than its role")
        return found


def scope_of(scope: dict) -> tuple:
    return scope["type"], *sorted(scope.get("namespaces") or [])


def session_client(service: str, credentials: dict, region: str):
    """A client that acts as a session of a role."""
    return boto3.client(
        service,
        region_name=region,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
