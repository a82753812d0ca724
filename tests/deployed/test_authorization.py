"""What the policies let through and what they refuse, as an evaluator that this project did not write decides it.

Each request is one that AWS authorizes when the function, Lambda on its behalf, an operator or a stranger acts.
`test_grants.py` holds the list of allowed actions to the calls of the code.
"""

import pytest

from emulator import ACCOUNT
from evaluator import ALLOWED, DENIED, NOT_ALLOWED, Request, decide
from rendered import EVERYTHING, KEY, OPERATOR, Rendered
from role_requests import (
    DESTINATIONS,
    ENTRY,
    FACTS,
    POLICIES,
    ROLE,
    by,
    entry,
    in_every_stack,
    never,
    passing_a_node_role,
    using_the_key,
    with_options,
    with_privileged_grants,
)
from stack import Stack
from test_grants import DEPENDENT, LAMBDAS_OWN, calls_of_the_code


def otherwise(requests: list[Request], decisions: list[str], wanted: str | tuple[str, ...]) -> list[str]:
    """The requests that were not decided as they should be."""
    wanted = (wanted,) if isinstance(wanted, str) else wanted
    return [f"{request}: {it}" for request, it in zip(requests, decisions, strict=True) if it not in wanted]


def test_every_request_of_the_function_is_allowed():
    requests = in_every_stack() + with_privileged_grants()

    assert otherwise(requests, decide(requests, Rendered().role_policy()), ALLOWED) == []


def test_every_call_of_the_code_is_among_the_requests():
    needed = calls_of_the_code().union(*(DEPENDENT.get(call, ()) for call in calls_of_the_code()), LAMBDAS_OWN)

    assert {request.action for request in in_every_stack()} == needed


def test_node_roles_are_passed_to_the_service_that_eks_asks_for():
    """The value is in no data set; if the policy lacks it, every node entry is held."""
    requests = passing_a_node_role(FACTS["iam:PassedToService of CreateAccessEntry"])

    assert otherwise(requests, decide(requests, Rendered().role_policy()), ALLOWED) == []


def test_in_china_node_roles_are_passed_to_both_spellings_of_the_service():
    fact = FACTS["iam:PassedToService of CreateAccessEntry in China"]
    requests = passing_a_node_role(fact, ROLE.replace("arn:aws:", "arn:aws-cn:"))
    policy = Rendered(region="cn-north-1", partition="aws-cn").role_policy()

    assert otherwise(requests, decide(requests, policy), ALLOWED) == []


def test_every_fact_names_the_document_that_says_so():
    assert [name for name, fact in FACTS.items() if not fact.values or len(fact.document) < 30] == []


@pytest.mark.parametrize("parameters", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_what_the_function_must_not_do_is_refused(parameters):
    requests = never()

    decisions = decide(requests, Rendered(parameters).role_policy())

    assert otherwise(requests, decisions, (NOT_ALLOWED, DENIED)) == []


def test_without_privileged_grants_iam_refuses_all_that_gives_more_than_a_view():
    policy = Rendered({"AllowPrivilegedGrants": "false"}).role_policy()
    plain, privileged = in_every_stack(), with_privileged_grants()

    assert otherwise(plain, decide(plain, policy), ALLOWED) == []
    assert otherwise(privileged, decide(privileged, policy), DENIED) == []


def test_without_privileged_grants_another_policy_of_the_role_does_not_bring_them_back():
    policy = Rendered({"AllowPrivilegedGrants": "false"}).role_policy()
    policy["Statement"].append({"Effect": "Allow", "Action": "eks:*", "Resource": "*"})
    requests = with_privileged_grants()

    assert otherwise(requests, decide(requests, policy), DENIED) == []


def test_the_policy_of_the_view_is_that_of_the_stacks_own_partition():
    policy = Rendered({"AllowPrivilegedGrants": "false"}, region="cn-north-1", partition="aws-cn").role_policy()
    in_china = {"eks:principalArn": ROLE.replace("arn:aws:", "arn:aws-cn:")}
    associate = [
        Request("eks:AssociateAccessPolicy", ENTRY.replace("arn:aws:", "arn:aws-cn:"), entry(policyArn=arn) | in_china)
        for arn in (
            f"{POLICIES.replace('arn:aws:', 'arn:aws-cn:')}/AmazonEKSViewPolicy",
            f"{POLICIES}/AmazonEKSViewPolicy",
        )
    ]

    assert decide(associate, policy) == [ALLOWED, DENIED]


def test_with_a_key_a_queue_and_tracing_lambda_may_do_its_part():
    requests = with_options()

    assert otherwise(requests, decide(requests, Rendered(EVERYTHING).role_policy()), ALLOWED) == []
    assert otherwise(requests, decide(requests, Rendered().role_policy()), NOT_ALLOWED) == []


@pytest.mark.parametrize("suffix", FACTS["kms:ViaService in China"].values)
def test_in_china_the_key_may_be_used_under_both_names_of_a_service(suffix):
    key = KEY.replace("arn:aws:kms:us-east-1:", "arn:aws-cn:kms:cn-north-1:")
    policy = Rendered({"KmsKeyArn": key}, region="cn-north-1", partition="aws-cn").role_policy()
    requests = using_the_key(key, f"cn-north-1.{suffix}")

    assert otherwise(requests, decide(requests, policy), ALLOWED) == []


@pytest.mark.parametrize(("destination", "action"), DESTINATIONS.items())
def test_reports_may_be_sent_to_each_kind_of_destination_and_to_no_other(destination, action):
    policy = Rendered({"ReportDestinationArn": destination}).role_policy()

    assert decide([Request(action, destination), Request(action, destination + "-2")], policy) == [ALLOWED, NOT_ALLOWED]


def test_the_ledger_is_written_by_the_function_alone():
    """An administrator's own rights do not suffice: the table's policy denies."""
    stack = Rendered()
    write = Request("dynamodb:PutItem", stack.arn("Ledger"))
    read = Request("dynamodb:GetItem", stack.arn("Ledger"))
    administrator = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    table = stack.resource_policy("Ledger")
    person = f"arn:aws:iam::{ACCOUNT}:role/administrator"

    assert decide([by(stack.arn("GuardRole"), write)], stack.role_policy(), table) == [ALLOWED]
    assert decide([by(person, write), by(person, read)], administrator, table) == [DENIED, ALLOWED]


def test_the_queue_of_events_takes_them_from_the_rule_and_the_operator_alone():
    stack = Rendered(EVERYTHING)
    queue = stack.resource_policy("EventQueuePolicy")
    send = Request("sqs:SendMessage", stack.arn("EventQueue"), {"aws:SecureTransport": "true"})
    anything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    rule = Request(
        send.action, send.resource, send.keys | {"aws:SourceArn": stack.arn("RoleEvents")}, "events.amazonaws.com"
    )
    other_rule = Request(
        send.action,
        send.resource,
        send.keys | {"aws:SourceArn": f"{stack.arn('RoleEvents')}-2"},
        "events.amazonaws.com",
    )

    assert decide([rule, other_rule], None, queue) == [ALLOWED, DENIED]
    assert decide([by(OPERATOR, send)], anything, queue) == [ALLOWED]
    assert decide([by(f"{OPERATOR}-2", send), by(stack.arn("GuardRole"), send)], anything, queue) == [DENIED, DENIED]


def test_what_is_evaluated_here_is_what_is_deployed(emulator):
    Stack(emulator).deploy(SettleSeconds="0")
    iam = emulator.client("iam")

    deployed = iam.get_role_policy(RoleName="access-entry-guard", PolicyName="guard")["PolicyDocument"]

    assert deployed == Rendered().role_policy()
