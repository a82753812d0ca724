"""What the function's role asks of IAM: each request with its resource and the condition keys that AWS puts into it.

The Service Authorization Reference lists the keys that a request may carry, and the evaluator refuses others. What no
data set holds stands in FACTS, with the title of AWS's document that says so.
"""

from dataclasses import dataclass, replace

from emulator import ACCOUNT
from evaluator import Request
from rendered import KEY, Rendered

ROLE = f"arn:aws:iam::{ACCOUNT}:role/team/deployer"
CLUSTER = f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/prod"
ENTRY = f"arn:aws:eks:eu-west-1:{ACCOUNT}:access-entry/prod/role/{ACCOUNT}/deployer/7ac6ff1f"
POLICIES = "arn:aws:eks::aws:cluster-access-policy"


@dataclass(frozen=True)
class Fact:
    """A value that AWS puts into a request, or an action that a service takes with the caller's role."""

    values: tuple[str, ...]
    document: str


EKS_REFERENCE = (
    'Service Authorization Reference, "Actions, resources, and condition keys for Amazon Elastic Kubernetes Service",'
    ' table "API operations", CreateAccessEntry (page list_eks)'
)

FACTS = {
    # The same table gives eks.amazonaws.com for CreateNodegroup, CreateFargateProfile and CreateAddon.
    "iam:PassedToService of CreateAccessEntry": Fact(("ec2.amazonaws.com",), EKS_REFERENCE),
    "iam:PassedToService of CreateAccessEntry in China": Fact(
        ("ec2.amazonaws.com", "ec2.amazonaws.com.cn"),
        "terraform-aws-modules/terraform-aws-eks pull request 3422: the two spellings that AWS China uses",
    ),
    "KMS through DynamoDB": Fact(
        (
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:DescribeKey",
        ),
        'Amazon DynamoDB Developer Guide, "DynamoDB encryption at rest: usage notes", authorizing use of your customer'
        " managed key: kms:ReEncrypt* and kms:GenerateDataKey* among others",
    ),
    "KMS through SQS": Fact(
        ("kms:GenerateDataKey", "kms:Decrypt"),
        'Amazon SQS Developer Guide, "Key management", permissions of a producer and of a consumer',
    ),
    "KMS through Lambda": Fact(
        ("kms:Decrypt",),
        'AWS Lambda Developer Guide, "Securing Lambda environment variables", permissions of the execution role',
    ),
    "KMS through SNS": Fact(
        ("kms:GenerateDataKey", "kms:Decrypt"),
        'Amazon SNS Developer Guide, "Managing Amazon SNS encryption keys and costs", permissions of a publisher',
    ),
    "kms:ViaService in China": Fact(
        ("amazonaws.com", "amazonaws.com.cn"),
        'AWS KMS Developer Guide, "AWS KMS condition keys", kms:ViaService. It does not say which suffix the name of a'
        " service has in AWS China, so the role may use the key under both.",
    ),
    "polling a queue": Fact(
        ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
        'AWS Lambda Developer Guide, "Using Lambda with Amazon SQS", execution role permissions',
    ),
    "writing a log": Fact(
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        'AWS Lambda Developer Guide, "Sending Lambda function logs to CloudWatch Logs"',
    ),
    "tracing": Fact(
        ("xray:PutTraceSegments", "xray:PutTelemetryRecords"),
        'AWS Lambda Developer Guide, "Visualize Lambda function invocations using AWS X-Ray"',
    ),
}

# A destination of reports, and the action that Lambda takes there with the role (AWS Lambda Developer Guide, "Capturing
# records of Lambda asynchronous invocations").
DESTINATIONS = {
    f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/reports": "events:PutEvents",
    f"arn:aws:sqs:us-east-1:{ACCOUNT}:reports": "sqs:SendMessage",
    f"arn:aws:sns:us-east-1:{ACCOUNT}:reports": "sns:Publish",
    f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:reports": "lambda:InvokeFunction",
}

NODE_TYPES = ("EC2_LINUX", "EC2_WINDOWS", "EC2", "FARGATE_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX")


# What of a cluster uses a role, as its actions name it: in lower case it is the type in its ARN.
USERS_OF_ROLES = ("Nodegroup", "FargateProfile", "Capability")


def user_of_a_role(kind: str, account: str = ACCOUNT) -> str:
    """The ARN of a node group, a Fargate profile or a capability, which has its type in it."""
    name = "argocd/it" if kind == "capability" else "it"
    return f"arn:aws:eks:eu-west-1:{account}:{kind}/prod/{name}/0ac8f0c1-0000-4000-8000-000000000001"


def entry(**keys) -> dict:
    """The condition keys of an access entry that is there, or that is being made."""
    return {"eks:principalArn": ROLE, "eks:accessEntryType": "STANDARD"} | {f"eks:{key}": v for key, v in keys.items()}


def in_every_stack() -> list[Request]:
    """What the code asks for, whatever the stack's parameters are."""
    table = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/access-entry-guard-ledger"
    log = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/lambda/access-entry-guard:log-stream:2026/01/31/x"
    view = entry(policyArn=f"{POLICIES}/AmazonEKSViewPolicy", accessScope="cluster")
    tags = {"aws:TagKeys": ["team"], "aws:RequestTag/team": "platform"}
    requests = [
        Request("account:ListRegions", f"arn:aws:account::{ACCOUNT}:account"),
        Request("eks:ListClusters", "*"),
        Request("eks:DescribeCluster", CLUSTER),
        Request("eks:ListAccessEntries", CLUSTER),
        Request("eks:DescribeAccessEntry", ENTRY, entry()),
        *(Request(f"eks:{action}", CLUSTER) for action in ("ListNodegroups", "ListFargateProfiles", "ListCapabilities")),
        *(Request(f"eks:Describe{kind}", user_of_a_role(kind.lower())) for kind in USERS_OF_ROLES),
        Request("eks:ListAssociatedAccessPolicies", ENTRY, entry()),
        Request("eks:CreateAccessEntry", CLUSTER, entry() | tags),
        # Empty groups and an empty name give nothing: no parameter of the stack refuses them.
        Request("eks:CreateAccessEntry", CLUSTER, entry(kubernetesGroups=[], username="")),
        Request("eks:TagResource", ENTRY, entry() | tags),
        Request("eks:AssociateAccessPolicy", ENTRY, view),
        Request(
            "eks:AssociateAccessPolicy", ENTRY, view | {"eks:accessScope": "namespace", "eks:namespaces": ["a", "b-*"]}
        ),
        Request("eks:DisassociateAccessPolicy", ENTRY, entry(policyArn=f"{POLICIES}/AmazonEKSClusterAdminPolicy")),
        Request("eks:DeleteAccessEntry", ENTRY, entry()),
        # An entry that is gone has no keys. The answer that the code needs is 404, not a denial.
        *(Request(f"eks:{action}", ENTRY) for action in ("DeleteAccessEntry", "DisassociateAccessPolicy")),
        Request("eks:AssociateAccessPolicy", ENTRY, {"eks:policyArn": f"{POLICIES}/AmazonEKSViewPolicy"}),
        # The policy admits a type in whatever case it is written.
        Request("eks:DeleteAccessEntry", ENTRY, entry(accessEntryType="EC2_Windows")),
        Request("iam:GetRole", ROLE),
        Request("iam:ListRoles", "*"),
        Request("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "AccessEntryGuard"}),
        Request("cloudwatch:GetMetricStatistics", "*"),
    ]
    requests += [Request("eks:CreateAccessEntry", CLUSTER, entry(accessEntryType=kind)) for kind in NODE_TYPES]
    requests += passing_a_node_role(FACTS["iam:PassedToService of CreateAccessEntry"])
    requests += [
        Request(f"dynamodb:{action}", table, {"dynamodb:LeadingKeys": [ROLE]})
        for action in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")
    ]
    requests.append(Request("dynamodb:Scan", table))
    requests += [Request(action, log) for action in FACTS["writing a log"].values]
    requests.append(
        Request("sqs:SendMessage", f"arn:aws:sqs:us-east-1:{ACCOUNT}:access-entry-guard-failed-invocations")
    )
    return requests


def passing_a_node_role(fact: Fact, role: str = ROLE) -> list[Request]:
    return [Request("iam:PassRole", role, {"iam:PassedToService": service}) for service in fact.values]


def with_privileged_grants() -> list[Request]:
    """What a repair asks for only if AllowPrivilegedGrants is true."""
    admin = f"{POLICIES}/AmazonEKSClusterAdminPolicy"
    return [
        Request("eks:AssociateAccessPolicy", ENTRY, entry(policyArn=admin, accessScope="cluster")),
        Request("eks:AssociateAccessPolicy", ENTRY, entry(policyArn=f"{POLICIES}/AmazonEKSEditPolicy")),
        Request("eks:AssociateAccessPolicy", ENTRY, entry(policyArn=f"{POLICIES}/AmazonEKSAutoNodePolicy")),
        Request("eks:AssociateAccessPolicy", ENTRY, entry(policyArn=f"{POLICIES}/AmazonEKSViewPolicy2")),
        Request("eks:CreateAccessEntry", CLUSTER, entry(kubernetesGroups=["deployers"])),
        Request(
            "eks:CreateAccessEntry", CLUSTER, entry(kubernetesGroups=["a", "b"], username="pipelines:{{SessionName}}")
        ),
        Request("eks:CreateAccessEntry", CLUSTER, entry(username="ci")),
        Request("eks:CreateAccessEntry", CLUSTER, entry(accessEntryType="EC2_LINUX", kubernetesGroups=["deployers"])),
    ]


def with_options() -> list[Request]:
    """What Lambda asks for with the role if there is a key, a queue in front of the function, or tracing."""
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:access-entry-guard-events"
    requests = [Request(action, queue) for action in FACTS["polling a queue"].values]
    requests += [Request(action, "*") for action in FACTS["tracing"].values]
    return requests + using_the_key(KEY, "us-east-1.amazonaws.com")


def using_the_key(key: str, endpoint: str) -> list[Request]:
    """What each service asks KMS for with the role. `endpoint` is the rest of kms:ViaService after the service's name."""
    return [
        Request(action, key, {"kms:ViaService": f"{name.lower()}.{endpoint}"})
        for name in ("DynamoDB", "SQS", "Lambda", "SNS")
        for action in FACTS[f"KMS through {name}"].values
    ]



def never() -> list[Request]:
    """What the role must not be allowed, whatever the stack's parameters are."""
    other = "444455556666"
    everything = Rendered()
    foreign_cluster, foreign_entry = (
        CLUSTER.replace(f":{ACCOUNT}:", f":{other}:"),
        ENTRY.replace(f":{ACCOUNT}:", f":{other}:"),
    )
    stranger = f"arn:aws:iam::{other}:role/x"
    guard = everything.arn("GuardRole")
    requests = [
        Request("eks:CreateAccessEntry", foreign_cluster, entry()),
        Request("eks:DeleteAccessEntry", foreign_entry, entry()),
        Request("eks:AssociateAccessPolicy", foreign_entry, entry(policyArn=f"{POLICIES}/AmazonEKSViewPolicy")),
        Request("eks:DescribeCluster", foreign_cluster),
        *(Request(f"eks:Describe{kind}", user_of_a_role(kind.lower(), other)) for kind in USERS_OF_ROLES),
        Request("iam:GetRole", stranger),
        Request("iam:PassRole", stranger, {"iam:PassedToService": "ec2.amazonaws.com"}),
        Request("iam:PassRole", ROLE),
        Request("eks:TagResource", CLUSTER, {"aws:TagKeys": ["access-entry-guard"]}),
        Request("dynamodb:PutItem", f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/another"),
        Request("dynamodb:PutItem", f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/access-entry-guard-ledger"),
        Request("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "AWS/Lambda"}),
        Request("sqs:SendMessage", everything.arn("EventQueue")),
        Request("kms:Decrypt", KEY),
        Request("kms:Decrypt", KEY, {"kms:ViaService": "s3.us-east-1.amazonaws.com"}),
        Request("kms:CreateGrant", KEY, {"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}),
        Request("logs:DeleteLogGroup", everything.arn("GuardLog").removesuffix(":*")),
    ]
    for service in ("lambda", "codebuild", "ecs-tasks", "cloudformation", "glue", "pods.eks", "sagemaker", "ssm"):
        requests.append(Request("iam:PassRole", ROLE, {"iam:PassedToService": f"{service}.amazonaws.com"}))
    for principal in (stranger, f"arn:aws:iam::{ACCOUNT}:user/bob", f"arn:aws:iam::{ACCOUNT}:root"):
        keys = entry(principalArn=principal)
        requests.append(Request("eks:CreateAccessEntry", CLUSTER, keys))
        requests += [
            Request(f"eks:{action}", ENTRY, keys)
            for action in ("DeleteAccessEntry", "AssociateAccessPolicy", "DisassociateAccessPolicy")
        ]
    requests.append(Request("eks:CreateAccessEntry", CLUSTER, entry(accessEntryType="NEW")))
    requests.append(Request("eks:DeleteAccessEntry", ENTRY, entry(accessEntryType="NEW")))
    # What would change a cluster, or make use of a role that may be passed.
    for action, resource in {
        "eks:DeleteCluster": CLUSTER,
        "eks:UpdateClusterConfig": CLUSTER,
        "eks:UpdateAccessEntry": ENTRY,
        "eks:CreateNodegroup": CLUSTER,
        "eks:CreateFargateProfile": CLUSTER,
        "eks:CreateAddon": CLUSTER,
        "eks:CreatePodIdentityAssociation": CLUSTER,
        "ec2:RunInstances": f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/*",
        "ec2:AssociateIamInstanceProfile": f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/i-0123456789abcdef0",
        "iam:AddRoleToInstanceProfile": f"arn:aws:iam::{ACCOUNT}:instance-profile/node",
        "iam:UpdateAssumeRolePolicy": ROLE,
        "iam:PutRolePolicy": guard,
        "iam:CreateRole": ROLE,
        "iam:DeleteRole": ROLE,
        "sts:AssumeRole": ROLE,
        "lambda:UpdateFunctionCode": everything.arn("GuardFunction"),
        "lambda:InvokeFunction": everything.arn("ApproveAlias"),
        "dynamodb:PutResourcePolicy": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/access-entry-guard-ledger",
        "dynamodb:DeleteTable": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/access-entry-guard-ledger",
    }.items():
        requests.append(Request(action, resource.replace("/*", "/i-0")))
    return requests


def by(principal: str, request: Request) -> Request:
    """The same request by a session of another role, whose ARN is then in it too."""
    session = principal.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/session"
    return replace(request, principal=session, keys=request.keys | {"aws:PrincipalArn": principal})
