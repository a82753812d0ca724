"""The job as it is usually written: a boto3 handler that looks for the role's entry in every cluster of every Region and
re-creates it where the role is younger; the metric is a line in the log. Without ledger, guardrails, rehearsal or sweep:
what it saves, it does not do.

`boto3_handler.py serial` makes one call after another, `boto3_handler.py threads` looks through clusters in a pool. It
polls the Runtime API by itself, as Lambda's own runtime for Python does.
"""

import http.client
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

THREADS = 32

session = boto3.session.Session()
config = Config(max_pool_connections=THREADS, retries={"mode": "standard", "max_attempts": 10})
iam = session.client("iam", config=config)
account = session.client("account", config=config)
clients = {}


def eks(region):
    if region not in clients:
        clients[region] = session.client("eks", region_name=region, config=config)
    return clients[region]


def clusters_of(region):
    pages = eks(region).get_paginator("list_clusters").paginate()
    return [(region, name) for page in pages for name in page["clusters"]]


def heal(place, role):
    region, cluster = place
    client, names = eks(region), {"clusterName": cluster, "principalArn": role["Arn"]}
    try:
        entry = client.describe_access_entry(**names)["accessEntry"]
    except client.exceptions.ResourceNotFoundException:
        return 0
    if role["CreateDate"] <= entry["createdAt"]:
        return 0
    is_standard = entry["type"] == "STANDARD"
    policies = client.list_associated_access_policies(**names)["associatedAccessPolicies"] if is_standard else []
    client.delete_access_entry(**names)
    own = ("username", "kubernetesGroups", "tags") if is_standard else ("tags",)
    client.create_access_entry(**names, type=entry["type"], **{name: entry[name] for name in own if entry.get(name)})
    for policy in policies:
        client.associate_access_policy(**names, policyArn=policy["policyArn"], accessScope=policy["accessScope"])
    return 1


def handle(event, each):
    role = iam.get_role(RoleName=event["detail"]["responseElements"]["role"]["roleName"])["Role"]
    statuses = ["ENABLED", "ENABLED_BY_DEFAULT"]
    pages = account.get_paginator("list_regions").paginate(RegionOptStatusContains=statuses)
    regions = [region["RegionName"] for page in pages for region in page["Regions"]]
    for region in regions:
        eks(region)
    places = [place for found in each(clusters_of, regions) for place in found]
    healed = sum(each(lambda place: heal(place, role), places))
    metric = {"Name": "AccessEntryValidationErrors", "Unit": "Count"}
    directive = {"Namespace": "Bench", "Dimensions": [[]], "Metrics": [metric]}
    print(json.dumps({"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}, metric["Name"]: healed}))
    return {"clusters": len(places), "repaired": healed}


def main(mode):
    pool = ThreadPoolExecutor(THREADS)
    each = (lambda act, items: list(pool.map(act, items))) if mode == "threads" else (lambda act, items: list(map(act, items)))
    runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        runtime.request("GET", "/2018-06-01/runtime/invocation/next")
        invocation = runtime.getresponse()
        event, request = json.loads(invocation.read()), invocation.headers["Lambda-Runtime-Aws-Request-Id"]
        runtime.request("POST", f"/2018-06-01/runtime/invocation/{request}/response", json.dumps(handle(event, each)))
        runtime.getresponse().read()


if __name__ == "__main__":
    main(sys.argv[1])
