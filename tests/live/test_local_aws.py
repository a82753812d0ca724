"""The AWS on loopback ports holds callers to what STS, IAM and a cluster's API server hold them to."""

import base64
import json

import pytest
from botocore.exceptions import ClientError

import door
from running import ACCOUNT
from sandbox import REGION
from made import code_of

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"},
    ],
}


class Place:
    """Two clusters and a role with an entry in the first of them."""

    def __init__(self, aws):
        self.aws = aws
        self.iam, self.sts, self.eks = aws.client("iam"), aws.client("sts", REGION), aws.client("eks", REGION)
        self.doors = {}
        for name in ("one", "two"):
            aws.do("cluster", region=REGION, name=name, tags={})
            self.doors[name] = door.Door(self.eks.describe_cluster(name=name)["cluster"], REGION)
        self.create_role()
        self.eks.create_access_entry(clusterName="one", principalArn=self.arn, kubernetesGroups=["readers"])

    def create_role(self, trust: dict = TRUST):
        self.arn = self.iam.create_role(RoleName="person", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]

    def credentials(self) -> dict:
        return self.sts.assume_role(RoleArn=self.arn, RoleSessionName="ana@example.com")["Credentials"]

    def status(self, token: str, cluster: str = "one") -> int:
        """How a token is answered, whoever made it."""
        made, door.token = door.token, lambda *_: token
        try:
            return self.doors[cluster].status({"any": "credentials"})
        finally:
            door.token = made


@pytest.fixture
def place(empty):
    return Place(empty)


def refused(call, **parameters) -> str:
    with pytest.raises(ClientError) as problem:
        call(**parameters)
    return code_of(problem.value)


def test_a_role_is_let_in_where_it_has_an_entry_and_as_what_the_entry_says(place):
    credentials = place.credentials()

    assert (place.doors["one"].status(credentials), place.doors["two"].status(credentials)) == (200, 401)
    user = place.doors["one"].who_am_i(credentials)
    assert user["username"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/person/ana-example.com"
    assert user["groups"] == ["readers", "system:authenticated"]


def test_the_anonymous_see_the_version_and_nothing_else(place):
    paths = ("/version", "/api", "/api/v1/pods")

    assert {path: place.doors["one"]._ask(None, "GET", path)[0] for path in paths} == {"/version": 200, "/api": 403, "/api/v1/pods": 403}


def test_an_entry_without_permissions_opens_the_discovery_and_no_resource(place):
    credentials = place.credentials()

    assert place.doors["one"]._ask(credentials, "GET", "/api/v1/pods")[0] == 403


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [
        ("a host that is not of STS", "sts.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com.example.com"),
        ("another Region than was signed for", "https://sts.eu-west-1", "https://sts.us-east-1"),
        ("a longer life", "X-Amz-Expires=60", "X-Amz-Expires=900"),
        ("a life beyond all bounds", "X-Amz-Expires=60", "X-Amz-Expires=90000"),
        ("another action", "Action=GetCallerIdentity", "Action=GetSessionToken"),
        ("a parameter twice", "Version=2011-06-15", "Version=2011-06-15&Version=2011-06-15"),
        ("an unsigned cluster", "host%3Bx-k8s-aws-id", "host"),
        ("plain HTTP", "https://", "http://"),
    ],
)
def test_a_token_that_was_changed_is_refused(place, what, old, new):
    token = door.token(place.credentials(), "one", REGION)
    assert place.status(token) == 200
    encoded = token.removeprefix("k8s-aws-v1.")
    url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    assert old in url, url

    changed = base64.urlsafe_b64encode(url.replace(old, new).encode()).decode().rstrip("=")

    assert place.status(f"k8s-aws-v1.{changed}") == 401, what


def test_a_token_is_good_for_the_cluster_that_it_was_signed_for(place):
    place.eks.create_access_entry(clusterName="two", principalArn=place.arn)
    token = door.token(place.credentials(), "one", REGION)

    assert (place.status(token, "one"), place.status(token, "two")) == (200, 401)


def test_a_session_ends_with_its_role_whatever_takes_the_name(place):
    old = place.credentials()
    place.iam.delete_role(RoleName="person")
    place.create_role()

    assert place.doors["one"].status(old) == 401
    assert refused(place.aws.client("sts", REGION, old).get_caller_identity) == "InvalidClientTokenId"


def test_a_recreated_role_is_refused_until_its_entry_is_created_again(place):
    place.iam.delete_role(RoleName="person")
    place.create_role()
    new = place.credentials()
    caller = place.aws.client("sts", REGION, new).get_caller_identity()
    assert caller["Arn"].endswith("assumed-role/person/ana@example.com")
    assert place.doors["one"].status(new) == 401

    place.eks.delete_access_entry(clusterName="one", principalArn=place.arn)
    place.eks.create_access_entry(clusterName="one", principalArn=place.arn)

    assert place.doors["one"].status(new) == 200


def test_a_role_is_assumed_only_by_whom_it_trusts(place):
    allow = TRUST["Statement"][0] | {"Condition": {"StringEquals": {"aws:userid": "AIDASOMEBODYELSE"}}}
    place.iam.delete_role(RoleName="person")
    place.create_role(TRUST | {"Statement": [allow]})

    assert refused(place.sts.assume_role, RoleArn=place.arn, RoleSessionName="ana") == "AccessDenied"
    assert refused(place.sts.assume_role, RoleArn=f"{place.arn}-not-there", RoleSessionName="ana") == "AccessDenied"


def test_a_session_may_do_what_its_roles_policies_allow_and_nothing_else(place):
    eks = place.aws.client("eks", REGION, place.credentials())
    other = place.iam.create_role(RoleName="other", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    new = {"clusterName": "one", "principalArn": other}
    assert refused(eks.create_access_entry, **new) == "AccessDeniedException"
    cluster = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/one"
    allow = {"Effect": "Allow", "Action": "eks:CreateAccessEntry", "Resource": cluster}
    policy = {"Version": "2012-10-17", "Statement": [allow]}
    place.iam.put_role_policy(RoleName="person", PolicyName="create", PolicyDocument=json.dumps(policy))

    assert refused(eks.create_access_entry, **new, type="EC2_LINUX") == "AccessDeniedException"
    assert refused(eks.create_access_entry, **new | {"clusterName": "two"}) == "AccessDeniedException"
    assert refused(eks.describe_access_entry, **new) == "AccessDeniedException"
    assert eks.create_access_entry(**new)["accessEntry"]["principalArn"] == other


def test_a_role_goes_after_its_policies_and_comes_once(place):
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    place.iam.put_role_policy(RoleName="person", PolicyName="it", PolicyDocument=json.dumps(policy))
    again = {"RoleName": "Person", "AssumeRolePolicyDocument": json.dumps(TRUST)}

    assert refused(place.iam.create_role, **again) == "EntityAlreadyExists"
    assert refused(place.iam.create_role, **again | {"AssumeRolePolicyDocument": "{"}) == "MalformedPolicyDocument"
    assert refused(place.iam.delete_role, RoleName="person") == "DeleteConflict"
    place.iam.delete_role_policy(RoleName="person", PolicyName="it")
    place.iam.delete_role(RoleName="person")
    assert refused(place.iam.delete_role, RoleName="person") == "NoSuchEntity"


def test_lambda_knows_the_aliases_of_the_function_and_no_other(place):
    client = place.aws.client("lambda")

    assert refused(client.invoke, FunctionName="access-entry-guard", Qualifier="prod") == "ResourceNotFoundException"
