"""The service models that botocore ships, and which of their operations the in-process AWS serves."""

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

# By the name that requests are signed for, as botocore calls the model.
MODELS = {
    "eks": "eks",
    "iam": "iam",
    "account": "account",
    "dynamodb": "dynamodb",
    "monitoring": "cloudwatch",
    "cloudtrail": "cloudtrail",
}

# What the in-process AWS answers. `test_requests.py` holds it to that: these, and no other.
SERVED = {
    "eks": [
        "AssociateAccessPolicy",
        "CreateAccessEntry",
        "DeleteAccessEntry",
        "DescribeAccessEntry",
        "DescribeCapability",
        "DescribeCluster",
        "DescribeFargateProfile",
        "DescribeNodegroup",
        "DisassociateAccessPolicy",
        "ListAccessEntries",
        "ListAssociatedAccessPolicies",
        "ListCapabilities",
        "ListClusters",
        "ListFargateProfiles",
        "ListNodegroups",
        "TagResource",
        "UpdateAccessEntry",
    ],
    "iam": ["GetRole", "GetUser", "ListRoles"],
    "account": ["ListRegions"],
    "dynamodb": ["DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"],
    "monitoring": ["GetMetricStatistics", "PutMetricData"],
    "cloudtrail": ["LookupEvents"],
}

# Served for `make live-test` alone, and held by its tests (`tests/live/test_local_aws.py`).
SERVED_BESIDE = {"iam": {"CreateRole", "DeleteRole", "PutRolePolicy", "DeleteRolePolicy"}}

_LOADER = Loader()
SERVICES = {name: ServiceModel(_LOADER.load_service_model(model, "service-2"), model) for name, model in MODELS.items()}


def operation(service: str, name: str) -> OperationModel:
    """The model of an operation, by the service's signing name."""
    return SERVICES[service].operation_model(name)


def served() -> list[tuple[str, str]]:
    """Every service and operation that the in-process AWS serves."""
    return [(service, name) for service, names in SERVED.items() for name in names]


def protocol(service: str) -> str:
    """The protocol that the product's SDK speaks with a service, which is the first that its model names."""
    return SERVICES[service].metadata["protocols"][0]


def wire_name(member_name: str, member) -> str:
    """What a member is called in a message."""
    return member.serialization.get("name", member_name)
