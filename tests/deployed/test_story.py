"""The function's job, end to end: the deployed function meets clusters, roles and events over real HTTP.

The emulator does not bind a role's ID to an entry, so what is proved here is what the function sees and does. That it
lets the new role in is proved by the scenario tests, against an AWS that does bind.
"""

import pytest

from stack import FunctionError
from world import (
    ADMIN_POLICY,
    PEOPLE,
    VIEW_POLICY,
    Cluster,
    create_role,
    creation_event,
    delete_role,
    deletion_event,
    recreate_role,
    sample,
)

REGION = "eu-west-1"
TEAM_A = {"type": "namespace", "namespaces": ["team-a", "team-a-*"]}


@pytest.fixture(scope="module")
def cluster(emulator, stack):
    return Cluster(emulator, "prod", REGION)


def only_entry(report: dict) -> dict:
    assert len(report["entries"]) == 1, report
    return report["entries"][0]


def test_a_recreated_node_role_gets_its_entry_anew(emulator, stack, cluster):
    role = create_role(emulator, "node")
    before = cluster.allow(role, type="EC2_LINUX", tags={"team": "platform"})
    recreated = recreate_role(emulator, role)

    report = stack.invoke(creation_event(recreated), alias="events")

    assert report["trigger"] == "roleCreated"
    assert report["clusters"] == 1 and report["blindSpots"] == []
    told = only_entry(report)
    after = cluster.entry(role)
    assert (told["region"], told["clusterName"], told["principalArn"]) == (REGION, "prod", role["Arn"])
    assert (told["verdict"], told["evidence"], told["outcome"]) == ("stale", "dates", "repaired")
    assert told["roleId"] == recreated["RoleId"] != role["RoleId"]
    assert told["previousAccessEntryArn"] == before["accessEntryArn"]
    assert told["accessEntryArn"] == after["accessEntryArn"] != before["accessEntryArn"]
    assert after["createdAt"] >= recreated["CreateDate"] > before["createdAt"]
    assert (after["type"], after["tags"]) == ("EC2_LINUX", {"team": "platform"})


def test_the_ledger_records_the_repaired_entry(emulator, stack, cluster):
    role = emulator.client("iam").get_role(RoleName="node")["Role"]

    row = stack.ledger_row(role["Arn"], REGION, "prod")

    assert row["state"] == "recorded"
    assert row["roleId"] == role["RoleId"]
    assert row["accessEntryArn"] == cluster.entry(role)["accessEntryArn"]


def test_the_validation_error_is_counted_and_its_alarm_goes_off(stack):
    assert stack.metric_sum("AccessEntryValidationErrors") == 1
    assert stack.metric_sum("AccessEntryValidationErrors", Region=REGION, ClusterName="prod") == 1
    assert stack.metric_sum("AccessEntriesRepaired") == 1
    assert stack.alarm_state("validation-errors") == "ALARM"
    assert stack.alarm_state("repair-failures") == "OK"


def test_the_same_event_again_changes_nothing(emulator, stack, cluster):
    role = emulator.client("iam").get_role(RoleName="node")["Role"]
    before = cluster.entry(role)

    told = only_entry(stack.invoke(creation_event(role), alias="events"))

    assert (told["verdict"], told["outcome"]) == ("fresh", "none")
    assert cluster.entry(role) == before


def test_a_viewer_gets_policies_scopes_and_tags_back(emulator, stack, cluster):
    role = create_role(emulator, "viewer", PEOPLE)
    cluster.allow(role, {VIEW_POLICY: TEAM_A}, type="STANDARD", tags={"owner": "team-a"})
    recreated = recreate_role(emulator, role, PEOPLE)

    told = only_entry(stack.invoke(creation_event(recreated), alias="events"))

    assert told["outcome"] == "repaired"
    assert cluster.policies(role) == {VIEW_POLICY: TEAM_A}
    assert cluster.entry(role)["tags"] == {"owner": "team-a"}


def test_an_administrator_waits_for_a_person(emulator, stack, cluster):
    role = create_role(emulator, "admin", PEOPLE)
    before = cluster.allow(role, {ADMIN_POLICY: {"type": "cluster"}}, type="STANDARD")
    recreated = recreate_role(emulator, role, PEOPLE)

    told = only_entry(stack.invoke(creation_event(recreated), alias="events"))

    assert (told["verdict"], told["outcome"], told["reason"]) == ("stale", "held", "privileged")
    assert told["detail"] and told["remedy"]
    assert cluster.entry(role) == before
    assert cluster.policies(role) == {ADMIN_POLICY: {"type": "cluster"}}
    assert stack.alarm_state("held") == "ALARM"


def test_an_entry_of_a_deleted_role_is_reported_and_kept(emulator, stack, cluster):
    role = create_role(emulator, "retired", PEOPLE)
    before = cluster.allow(role, {VIEW_POLICY: TEAM_A}, type="STANDARD")
    delete_role(emulator, role)

    report = stack.invoke(deletion_event(role), alias="events")

    assert report["trigger"] == "roleDeleted"
    told = only_entry(report)
    assert (told["verdict"], told["outcome"]) == ("orphaned", "reported")
    assert cluster.entry(role) == before


@pytest.mark.parametrize(
    "name",
    [
        "create-role-failed-is-ignored",
        "create-role-of-another-account-is-ignored",
        "create-service-linked-role-is-ignored",
        "delete-role-failed-is-ignored",
        "update-assume-role-policy-is-ignored",
    ],
)
def test_an_event_about_something_else_is_ignored(stack, name):
    report = stack.invoke(sample(name), alias="events")

    assert report["trigger"] == "ignored"
    assert report["reason"]


def test_a_payload_of_no_known_form_is_an_error_with_a_name(stack):
    with pytest.raises(FunctionError) as error:
        stack.invoke(sample("unrecognizable-payload-is-an-error"))

    assert error.value.type == "UnrecognizedPayload"
