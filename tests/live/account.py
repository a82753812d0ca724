"""The caller's account, the cluster and the function: who we are, and whether we are welcome here."""

import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from sample_events import HOME_REGIONS
from subject import TAG

VIEW_POLICY = "AmazonEKSViewPolicy"


class Refused(Exception):
    """Nothing was made; the text says what is missing."""


class FunctionFailed(Exception):
    """The function answered with an error."""


class Account:
    """Clients of the account, and what the run has to know of it."""

    def __init__(self, cluster: str, region: str, function: str, function_region: str, boundary: str):
        self.cluster, self.region, self.function, self.boundary = cluster, region, function, boundary
        retries = {"mode": "standard", "total_max_attempts": 6}
        config = Config(retries=retries)
        self.eks = boto3.client("eks", region_name=region, config=config)
        self.iam = boto3.client("iam", region_name=region, config=config)
        self.sts = boto3.client("sts", region_name=region, config=config)
        caller = self.sts.get_caller_identity()
        self.id, self.user_id, self.caller_arn = caller["Account"], caller["UserId"], caller["Arn"]
        self.partition = caller["Arn"].split(":")[1]
        self.suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        parts = function.split(":")
        in_arn = parts[3] if parts[0] == "arn" and len(parts) > 6 else ""
        self.function_region = function_region or in_arn or HOME_REGIONS.get(self.partition, region)
        # Where IAM's events arrive, the function is.
        self._logs = boto3.client("logs", region_name=self.function_region, config=config)
        # An invocation lasts fifteen minutes at most, and is never sent twice.
        once = Config(read_timeout=910, retries={"total_max_attempts": 1})
        self._lambda = boto3.client("lambda", region_name=self.function_region, config=once)

    @property
    def function_name(self) -> str:
        """The function's name without what an ARN has before and behind it."""
        return self.function.split(":")[6 if self.function.startswith("arn:") else 0]

    def client(self, service: str):
        """A client of the caller's in the function's Region."""
        return boto3.client(service, region_name=self.function_region, config=Config(retries={"mode": "standard"}))

    def policy_arn(self, name: str) -> str:
        return f"arn:{self.partition}:eks::aws:cluster-access-policy/{name}"

    def sandbox_cluster(self, confirmed: str) -> dict:
        """The cluster, if somebody has said that it is one to try things on, and if it can have access entries."""
        if confirmed and confirmed != self.id:
            raise Refused(f"SANDBOX={confirmed} is another account than the one these credentials are for, {self.id}.")
        try:
            cluster = self.eks.describe_cluster(name=self.cluster)["cluster"]
        except ClientError as problem:
            raise Refused(f"The cluster {self.cluster} in {self.region} cannot be read: {problem}") from None
        tags = cluster.get("tags", {})
        if tags.get(TAG) != "allowed" and not confirmed:
            raise Refused(
                f"Nobody has said that {self.cluster} in {self.region} of account {self.id} is a sandbox. The live test"
                " makes roles and access entries there. Tag the cluster:\n"
                f"  aws eks tag-resource --region {self.region} --resource-arn {cluster['arn']} --tags {TAG}=allowed\n"
                f"or name the account on the command line: SANDBOX={self.id}"
            )
        if tags.get("access-entry-guard") == "ignore":
            raise Refused(f"{self.cluster} is tagged access-entry-guard=ignore: the function leaves it alone.")
        mode = cluster.get("accessConfig", {}).get("authenticationMode", "CONFIG_MAP")
        if cluster["status"] != "ACTIVE" or mode == "CONFIG_MAP":
            raise Refused(f"{self.cluster} is {cluster['status']}, its authentication mode {mode}: no access entries.")
        return cluster

    def invoke(self, payload: dict, alias: str = "") -> dict:
        """The function's answer."""
        qualifier = {"Qualifier": alias} if alias else {}
        answer = self._lambda.invoke(FunctionName=self.function, Payload=json.dumps(payload), **qualifier)
        body = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise FunctionFailed(f"{body.get('errorType')}: {body.get('errorMessage')}")
        return body

    def log_lines(self, since: float, **members: str) -> list[tuple[float, dict]]:
        """What the function wrote since a moment with these members, oldest first: when, and the line."""
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{self.function_name}",
            startTime=int(since * 1000),
            filterPattern="{ " + " && ".join(f'$.{key} = "{value}"' for key, value in members.items()) + " }",
        )
        events = [event for page in pages for event in page["events"]]
        lines = [(event["timestamp"] / 1000, json.loads(event["message"])) for event in events]
        return sorted(lines, key=lambda line: line[0])
