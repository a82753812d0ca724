"""Requests that keep the model and are accepted, in a world made for them: for every operation that the in-process AWS
serves one or more, which together use every member that it takes. What breaks the model is derived from them."""

from datetime import datetime, timedelta, timezone

from running import ACCOUNT, HOME_REGION, LocalAws
from wire import Exchange, Wire

CLUSTER = "cluster-0000"
TABLE = "ledger"
STANDARD = f"arn:aws:iam::{ACCOUNT}:role/role-0000"
WITHOUT_ENTRY = f"arn:aws:iam::{ACCOUNT}:role/role-0001"
NODE = f"arn:aws:iam::{ACCOUNT}:role/node"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
EDIT = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
TOKEN = "0f5e2d1c-0000-4000-8000-000000000001"
NAMESPACE = "AccessEntryGuard"
KEY = {"principalArn": {"S": STANDARD}, "cluster": {"S": f"{HOME_REGION}#{CLUSTER}"}}


class World:
    """One cluster with a `STANDARD` entry that has two policies, a node entry and a role without an entry, and two of each
    kind of what uses a role; two rows in the ledger; a metric with two values."""

    def __init__(self, aws: LocalAws):
        self._aws = aws
        self._wire = Wire(aws.http, HOME_REGION)
        self._samples = {}
        self.renew()

    def renew(self):
        """The world as it was at first."""
        self._aws.do("world", regions=2, clusters=2, entries=2, matches=1)
        # Whoever asks one wrong thing after the other would meet the limit.
        self._aws.do("habits", lookupsPerSecond=100_000)
        for principal in (STANDARD, WITHOUT_ENTRY):
            self.must("eks", "DeleteAccessEntry", clusterName=CLUSTER, principalArn=principal)
        entry = {"clusterName": CLUSTER, "principalArn": STANDARD}
        own = {"username": "viewer", "kubernetesGroups": ["dev"], "tags": {"a": "b"}}
        made = self.must("eks", "CreateAccessEntry", **entry, **own)
        for policy in (VIEW, EDIT):
            self.must("eks", "AssociateAccessPolicy", **entry, policyArn=policy, accessScope={"type": "cluster"})
        for kind in ("nodegroup", "fargateProfile", "capability"):
            for name, status in (("one", "CREATING"), ("two", "CREATE_FAILED")):
                user = {"kind": kind, "name": name, "role": NODE, "status": status, "issues": ["AccessDenied"]}
                self._aws.do("uses-role", region=HOME_REGION, cluster=CLUSTER, **user)
        for n in (1, 2):
            cluster = {"S": f"{HOME_REGION}#cluster-000{n}"}
            self.must("dynamodb", "PutItem", TableName=TABLE, Item={**KEY, "cluster": cluster, "version": {"N": "1"}})
        self.must("dynamodb", "PutItem", TableName=TABLE, Item={**KEY, "version": {"N": "1"}})
        for value in (1.0, 2.0):
            self.must("monitoring", "PutMetricData", Namespace=NAMESPACE, MetricData=[{**_METRIC, "Value": value}])
        if not self._samples:
            self._samples = self._make_samples(made["accessEntry"]["accessEntryArn"])
        else:
            tag = self._samples["TagResource"][0]
            tag["resourceArn"] = made["accessEntry"]["accessEntryArn"]

    def send(self, service: str, operation: str, parameters: dict) -> Exchange:
        """Sends a request; where it changed something, the world is renewed."""
        exchange = self._wire.send(service, operation, parameters)
        if exchange.accepted and not operation.startswith(("Describe", "Get", "List", "Lookup", "Query", "Scan")):
            self.renew()
        return exchange

    def samples(self, operation: str) -> list[dict]:
        """The requests of an operation that are accepted."""
        return self._samples[operation]

    def must(self, service: str, operation: str, **parameters) -> dict:
        """A request that is accepted; its reply."""
        exchange = self._wire.send(service, operation, parameters)
        assert exchange.accepted, f"{operation} {parameters}: {exchange.status} {exchange.body!r}"
        return exchange.tree()

    def close(self):
        self._wire.close()

    def _make_samples(self, entry_arn: str) -> dict[str, list[dict]]:
        entry = {"clusterName": CLUSTER, "principalArn": STANDARD}
        names = {"kubernetesGroups": ["dev", "ops"], "username": "somebody", "clientRequestToken": TOKEN}
        scope = {"type": "namespace", "namespaces": ["a", "b-*"]}
        new_entry = {"clusterName": CLUSTER, "principalArn": WITHOUT_ENTRY, **names, "tags": {"team": "infra"}}

        def paged(service, operation, size, token, shown, **parameters):
            """A request for the second page, made with the token of the first."""
            first = self.must(service, operation, **parameters, **{size: 1})
            return [{**parameters, size: 1, token: first[shown]}]

        return {
            "ListClusters": [{"maxResults": 1, "include": ["all"]}],
            "DescribeCluster": [{"name": CLUSTER}],
            "ListAccessEntries": [
                *paged("eks", "ListAccessEntries", "maxResults", "nextToken", "nextToken", clusterName=CLUSTER),
                {"clusterName": CLUSTER, "associatedPolicyArn": VIEW},
            ],
            "DescribeAccessEntry": [entry],
            "CreateAccessEntry": [{**new_entry, "type": "STANDARD"}],
            "UpdateAccessEntry": [{**entry, **names}],
            "DeleteAccessEntry": [entry],
            "ListAssociatedAccessPolicies": paged(
                "eks", "ListAssociatedAccessPolicies", "maxResults", "nextToken", "nextToken", **entry
            ),
            "AssociateAccessPolicy": [{**entry, "policyArn": VIEW, "accessScope": scope}],
            "DisassociateAccessPolicy": [{**entry, "policyArn": VIEW}],
            **{
                name: paged("eks", name, "maxResults", "nextToken", "nextToken", clusterName=CLUSTER)
                for name in ("ListNodegroups", "ListFargateProfiles", "ListCapabilities")
            },
            "DescribeNodegroup": [{"clusterName": CLUSTER, "nodegroupName": name} for name in ("one", "two")],
            "DescribeFargateProfile": [{"clusterName": CLUSTER, "fargateProfileName": "one"}],
            "DescribeCapability": [{"clusterName": CLUSTER, "capabilityName": "one"}],
            "TagResource": [{"resourceArn": entry_arn, "tags": {"team": "infra"}}],
            "GetRole": [{"RoleName": "node"}],
            "GetUser": [{"UserName": "operator"}],
            "ListRoles": [
                {"PathPrefix": "/", "MaxItems": 1},
                *paged("iam", "ListRoles", "MaxItems", "Marker", "Marker"),
            ],
            "ListRegions": [
                *paged("account", "ListRegions", "MaxResults", "NextToken", "NextToken"),
                {"RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"]},
            ],
            "LookupEvents": paged("cloudtrail", "LookupEvents", "MaxResults", "NextToken", "NextToken", **_creations()),
            **_dynamodb(),
            **_cloudwatch(),
        }


def _creations() -> dict:
    """The creations of roles of the last days."""
    now = int(datetime.now(timezone.utc).timestamp())
    by_name = [{"AttributeKey": "EventName", "AttributeValue": "CreateRole"}]
    return {"LookupAttributes": by_name, "StartTime": now - 86_400, "EndTime": now}


def _dynamodb() -> dict[str, list[dict]]:
    """The expressions that the function sends."""
    table = {"TableName": TABLE}
    version = {":v": {"N": "1"}}
    condition = {"ConditionExpression": "version = :v", "ExpressionAttributeValues": version}
    update = {"UpdateExpression": "SET #name = :text, version = :next", "ExpressionAttributeNames": {"#name": "note"}}
    text = {"M": {"list": {"L": [{"BOOL": True}, {"NULL": True}, {"SS": ["x"]}]}}}
    values = {"ExpressionAttributeValues": {**version, ":text": text, ":next": {"N": "2"}}}
    as_read = {
        "ConditionExpression": "#version = :v AND attribute_not_exists(#leaseOwner)",
        "ExpressionAttributeNames": {"#version": "version", "#leaseOwner": "leaseOwner"},
        "ExpressionAttributeValues": version,
    }
    principal = {":p": KEY["principalArn"]}
    query = {"KeyConditionExpression": "principalArn = :p", "ExpressionAttributeValues": principal}
    read = {"ConsistentRead": True, "ExclusiveStartKey": KEY}
    return {
        "GetItem": [{**table, "Key": KEY, "ConsistentRead": True}],
        "PutItem": [{**table, "Item": {**KEY, "version": {"N": "2"}}, **condition}],
        "DeleteItem": [{**table, "Key": KEY, **as_read}],
        "UpdateItem": [{**table, "Key": KEY, **condition, **update, **values}],
        "Query": [{**table, **query, **read}],
        "Scan": [{**table, **read}],
    }


_DIMENSIONS = [{"Name": "Region", "Value": "eu-west-1"}]
_METRIC = {"MetricName": "AccessEntriesHeld", "Dimensions": _DIMENSIONS, "Unit": "Count"}


def _cloudwatch() -> dict[str, list[dict]]:
    now = datetime.now(timezone.utc)
    span = {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(hours=1)}
    datum = {**_METRIC, "Timestamp": now, "StorageResolution": 60}
    metric = {"Namespace": NAMESPACE, "MetricName": "AccessEntriesHeld", "Dimensions": _DIMENSIONS}
    return {
        "PutMetricData": [
            {"Namespace": NAMESPACE, "MetricData": [{**datum, "Value": 1.0}]},
            {"Namespace": NAMESPACE, "MetricData": [{**datum, "Values": [1.0, 2.0], "Counts": [1.0, 2.0]}]},
        ],
        "GetMetricStatistics": [
            {**metric, **span, "Period": 60, "Statistics": ["Sum", "SampleCount"], "Unit": "Count"},
        ],
    }
