"""That the template's policy is enough for what the function does, and that each of its statements is needed.

The emulator enforces IAM here, and gives the function the session of its role; `iam.py` says where it is not like AWS.
"""

import pytest
from botocore.exceptions import ClientError

from emulator import ACCOUNT, Emulator
from iam import as_the_emulator_reads_it, policy_of, put_policy
from stack import FunctionError, Stack
from world import ADMIN_POLICY, PEOPLE, VIEW_POLICY, Cluster, create_role, creation_event, recreate_role

REGION = "us-east-1"

# What a repair of an entry with tags and policies needs, by the name of the statement. What is not here is needed for
# something that the emulator does not check (passing and tagging, tables' and queues' deliveries) or for a sweep.
NEEDED = [
    "ListClusters",
    "ReadClusters",
    "ReadAccessEntries",
    "CreateAccessEntriesForRolesOfThisAccount",
    "ReplaceAccessEntriesOfRolesOfThisAccount",
    "ReadRoles",
    "KeepTheLedger",
]


@pytest.fixture(scope="module")
def emulator():
    with Emulator(enforce_iam=True) as running:
        yield running


@pytest.fixture(scope="module")
def stack(emulator):
    deployed = Stack(emulator).deploy(SettleSeconds="0", Regions=REGION)
    put_policy(emulator, "emulator", as_the_emulator_reads_it(policy_of(emulator)))
    return deployed


@pytest.fixture(scope="module")
def cluster(emulator, stack):
    return Cluster(emulator, "prod", REGION)


def stale_viewer(emulator, cluster, name: str) -> dict:
    """A role that was created again, with an entry made for its predecessor."""
    role = create_role(emulator, name, PEOPLE)
    cluster.allow(role, {VIEW_POLICY: {"type": "cluster"}}, type="STANDARD", tags={"owner": "team-a"})
    return recreate_role(emulator, role, PEOPLE)


def test_the_emulator_refuses_the_function_what_its_policy_does_not_allow(emulator, stack):
    session = emulator.client("sts").assume_role(RoleArn=stack.outputs["RoleArn"], RoleSessionName="test")
    eks = emulator.client_of(session["Credentials"], "eks")
    dynamodb = emulator.client_of(session["Credentials"], "dynamodb")

    eks.list_clusters()
    with pytest.raises(ClientError, match="AccessDenied"):
        eks.delete_cluster(name="prod")
    with pytest.raises(ClientError, match="AccessDenied"):
        dynamodb.put_item(TableName="another", Item={"principalArn": {"S": "x"}})


def test_the_policy_is_enough_for_a_repair(emulator, stack, cluster):
    role = stale_viewer(emulator, cluster, "viewer")

    report = stack.invoke(creation_event(role), alias="events")

    assert report["blindSpots"] == []
    assert [entry["outcome"] for entry in report["entries"]] == ["repaired"]
    assert cluster.policies(role) == {VIEW_POLICY: {"type": "cluster"}}
    assert stack.metric_sum("AccessEntriesRepaired") == 1


def test_the_policy_is_enough_to_take_an_association_back(emulator, stack, cluster):
    """What a repair does where its association met an entry that another party had put in the old one's place."""
    role = create_role(emulator, "replaced", PEOPLE)
    cluster.allow(role, {VIEW_POLICY: {"type": "cluster"}}, type="STANDARD")
    session = emulator.client("sts").assume_role(RoleArn=stack.outputs["RoleArn"], RoleSessionName="test")
    eks = emulator.client_of(session["Credentials"], "eks", REGION)
    which = {"clusterName": cluster.name, "principalArn": role["Arn"], "policyArn": ADMIN_POLICY}

    eks.associate_access_policy(**which, accessScope={"type": "cluster"})
    eks.disassociate_access_policy(**which)

    assert cluster.policies(role) == {VIEW_POLICY: {"type": "cluster"}}


def test_the_policy_is_enough_to_list_the_regions(emulator, stack, cluster):
    stack.deploy(SettleSeconds="0", Regions="all")

    report = stack.invoke({"command": "check", "principalArn": f"arn:aws:iam::{ACCOUNT}:role/viewer"})

    assert report["regions"] > 10
    assert report["blindSpots"] == []


@pytest.mark.parametrize("sid", NEEDED)
def test_a_repair_needs_the_statement(emulator, stack, cluster, sid):
    role = stale_viewer(emulator, cluster, f"without-{sid}")
    before = cluster.entry(role)
    whole = policy_of(emulator)
    left = [statement for statement in whole if statement["Sid"] != sid]
    assert len(left) == len(whole) - 1
    put_policy(emulator, "guard", left)
    put_policy(emulator, "emulator", as_the_emulator_reads_it(left))
    try:
        outcomes = [entry["outcome"] for entry in stack.invoke(creation_event(role), alias="events")["entries"]]
    except FunctionError as error:
        assert error.type == "RepairIncomplete", error
        outcomes = ["failed"]
    finally:
        put_policy(emulator, "guard", whole)
        put_policy(emulator, "emulator", as_the_emulator_reads_it(whole))

    assert "repaired" not in outcomes
    assert cluster.entry(role) == before
