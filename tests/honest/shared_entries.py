"""Shared scenarios of access entries and their policies: creation, change, deletion, and what EKS refuses."""

from running import ACCOUNT
from samples import CLUSTER, EDIT, VIEW
from shared import ONE, ROLES, Entries, outcome, scenario

# --- creation ---------------------------------------------------------------------------------------------------------


@scenario("an entry with nothing set gets type, user name and groups")
def _(site):
    made = Entries(site).made()
    return f"{made['type']} {made['username']} {made['kubernetesGroups']}"


@scenario("a node entry gets a user name and groups")
def _(site):
    made = Entries(site).made(type="EC2_LINUX")
    return f"{made['username']} {made['kubernetesGroups']}"


@scenario("an entry shows these members")
def _(site):
    return " ".join(sorted(Entries(site).made(tags={"a": "b"})))


@scenario("an entry's ARN is made of these parts")
def _(site):
    parts = Entries(site).made()["accessEntryArn"].split(":", 5)
    return ":".join(parts[:5]) + ":" + "/".join(parts[5].split("/")[:-1]) + "/*"


@scenario("a second entry for a principal")
def _(site):
    entries = Entries(site)
    return f"{entries.create()}, {entries.create()}"


@scenario("an entry in a cluster that does not exist")
def _(site):
    return outcome(site.client("eks").create_access_entry, clusterName="gone", principalArn=ONE)


for _sentence, _arn in {
    "a principal that does not exist": f"arn:aws:iam::{ACCOUNT}:role/gone",
    "a principal of another path": f"arn:aws:iam::{ACCOUNT}:role/team/{ROLES[0]}",
    "a principal that is no ARN": "role-0000",
    "a principal that is a session": f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLES[0]}/me",
    "a principal that is a service-linked role": f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/eks.amazonaws.com/x",
}.items():
    scenario(_sentence)(lambda site, arn=_arn: Entries(site).create(arn))

for _sentence, _members in {
    "type EC2": {"type": "EC2"},
    "type HYBRID_LINUX": {"type": "HYBRID_LINUX"},
    "type HYPERPOD_LINUX": {"type": "HYPERPOD_LINUX"},
    "type FARGATE_LINUX": {"type": "FARGATE_LINUX"},
    "type EC2_WINDOWS": {"type": "EC2_WINDOWS"},
    "a type that does not exist": {"type": "EC2_BSD"},
    "groups for a node entry": {"type": "EC2_LINUX", "kubernetesGroups": ["dev"]},
    "a user name for a node entry": {"type": "EC2_LINUX", "username": "node"},
    "a user name of one's own": {"username": "viewer"},
    "a user name that begins with system:": {"username": "system:viewer"},
    "a user name that begins with eks:": {"username": "eks:viewer"},
    "a user name with a session's name and a colon before": {"username": "me:{{SessionName}}"},
    "a user name with a session's name and no colon before": {"username": "{{SessionName}}"},
    "a group that begins with system:": {"kubernetesGroups": ["system:masters"]},
    "a group of one's own": {"kubernetesGroups": ["dev"]},
    "tags": {"tags": {"team": "infra"}},
    "an empty map of tags": {"tags": {}},
    "51 tags": {"tags": {f"k{n}": "v" for n in range(51)}},
    "a tag with AWS's prefix": {"tags": {"aws:team": "infra"}},
    "a tag with an empty key": {"tags": {"": "infra"}},
}.items():
    scenario("creation: " + _sentence)(lambda site, members=_members: Entries(site).create(**members))


# --- reading, changing, deleting --------------------------------------------------------------------------------------


@scenario("an entry that does not exist, described, changed and deleted")
def _(site):
    eks, entry = site.client("eks"), {"clusterName": CLUSTER, "principalArn": ONE}
    calls = (eks.describe_access_entry, eks.update_access_entry, eks.delete_access_entry)
    return ", ".join(outcome(call, **entry) for call in calls)


@scenario("a cluster that does not exist, described, and its entries listed")
def _(site):
    eks = site.client("eks")
    return f"{outcome(eks.describe_cluster, name='gone')}, {outcome(eks.list_access_entries, clusterName='gone')}"


@scenario("an update replaces groups and leaves the user name")
def _(site):
    entries = Entries(site)
    entries.made(username="viewer", kubernetesGroups=["a", "b"])
    entries.eks.update_access_entry(clusterName=CLUSTER, principalArn=ONE, kubernetesGroups=["c"])
    shown = entries.shown()
    return f"{shown['username']} {shown['kubernetesGroups']}"


@scenario("an update to a user name that begins with system:")
def _(site):
    entries = Entries(site)
    entries.made()
    return outcome(entries.eks.update_access_entry, clusterName=CLUSTER, principalArn=ONE, username="system:x")


@scenario("an update keeps the moment of creation")
def _(site):
    entries = Entries(site)
    made = entries.made()
    entries.eks.update_access_entry(clusterName=CLUSTER, principalArn=ONE, username="viewer")
    return str(entries.shown()["createdAt"] == made["createdAt"])


@scenario("a deletion, and another")
def _(site):
    entries = Entries(site)
    entries.made()
    call = entries.eks.delete_access_entry
    return ", ".join(outcome(call, clusterName=CLUSTER, principalArn=ONE) for _ in range(2))


@scenario("an entry created again has another ARN and no policies")
def _(site):
    entries = Entries(site)
    first = entries.made()
    entries.associate()
    entries.eks.delete_access_entry(clusterName=CLUSTER, principalArn=ONE)
    second = entries.made()
    return f"another ARN: {first['accessEntryArn'] != second['accessEntryArn']}, policies: {entries.policies()}"


@scenario("a tag on an entry is shown by it")
def _(site):
    entries = Entries(site)
    arn = entries.made(tags={"a": "b"})["accessEntryArn"]
    tagged = outcome(entries.eks.tag_resource, resourceArn=arn, tags={"c": "d"})
    return f"{tagged}, {dict(sorted(entries.shown()['tags'].items()))}"


@scenario("a tag on a resource that does not exist")
def _(site):
    arn = f"arn:aws:eks:us-east-1:{ACCOUNT}:access-entry/{CLUSTER}/role/{ACCOUNT}/gone/0"
    return outcome(site.client("eks").tag_resource, resourceArn=arn, tags={"c": "d"})


# --- access policies --------------------------------------------------------------------------------------------------


@scenario("policies in both scopes are listed")
def _(site):
    entries = Entries(site)
    entries.made()
    entries.associate()
    entries.associate(policy=EDIT, scope={"type": "namespace", "namespaces": ["a", "b-*"]})
    return entries.policies()


@scenario("a second association replaces the scope")
def _(site):
    entries = Entries(site)
    entries.made()
    entries.associate()
    entries.associate(scope={"type": "namespace", "namespaces": ["a"]})
    return entries.policies()


@scenario("an association with an entry that does not exist")
def _(site):
    return Entries(site).associate()


for _sentence, _what in {
    "a policy that does not exist": {"policy": VIEW.replace("View", "Nothing")},
    "a policy of IAM": {"policy": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
    "a policy that only AWS associates": {"policy": VIEW.replace("View", "Compute")},
    "scope namespace without namespaces": {"scope": {"type": "namespace"}},
    "scope cluster with namespaces": {"scope": {"type": "cluster", "namespaces": ["a"]}},
    "a scope that does not exist": {"scope": {"type": "pod"}},
}.items():

    @scenario("association: " + _sentence)
    def _(site, what=_what):
        entries = Entries(site)
        entries.made()
        return entries.associate(**what)


@scenario("a node entry's policies, associated and listed")
def _(site):
    entries = Entries(site)
    entries.made(type="EC2_LINUX")
    listing = entries.eks.list_associated_access_policies
    return f"{entries.associate()}, {outcome(listing, clusterName=CLUSTER, principalArn=ONE)}"


@scenario("a policy taken away, and once more")
def _(site):
    entries = Entries(site)
    entries.made()
    entries.associate()
    call = entries.eks.disassociate_access_policy
    return ", ".join(outcome(call, clusterName=CLUSTER, principalArn=ONE, policyArn=VIEW) for _ in range(2))
