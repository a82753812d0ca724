"""The in-process AWS takes what the service models allow, and refuses whatever breaks them: it cannot drift into
accepting what the services would not.

It is stricter than the services in one thing: a member that the model does not know is refused, where most services
pass over it. A program that sends one has a mistake in it."""

import json
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

import cbor2
import pytest
from botocore.serialize import create_serializer

import violations
from conformity import member_form, problems_of_reply, problems_of_request
from model import SERVED, SERVED_BESIDE, SERVICES, protocol, served
from samples import World
from wire import encode

# What the models demand and the services do not: broken like this, a request is accepted. With the reason.
LOOSER_THAN_THE_MODEL = {
    # An empty label in the path makes it the path of the list.
    ("DescribeCluster", "without name"): "it is a ListClusters",
    ("DescribeAccessEntry", "without principalArn"): "it is a ListAccessEntries",
    ("DescribeNodegroup", "without nodegroupName"): "it is a ListNodegroups",
    ("DescribeFargateProfile", "without fargateProfileName"): "it is a ListFargateProfiles",
    ("DescribeCapability", "without capabilityName"): "it is a ListCapabilities",
}


@pytest.mark.parametrize("service, name", served())
def test_what_keeps_the_model_is_accepted(world: World, service: str, name: str):
    for sample in world.samples(name):
        exchange = world.send(service, name, sample)
        assert exchange.accepted, f"{sample}: {exchange.status} {exchange.body!r}"
        assert problems_of_request(exchange.model, _as_decoded(exchange)) == []


@pytest.mark.parametrize("service, name", served())
def test_what_has_the_required_members_alone_is_accepted_or_refused_as_the_model_says(world, service, name):
    for sample in world.samples(name):
        shape = SERVICES[service].operation_model(name).input_shape
        exchange = world.send(service, name, violations.required_only(shape, sample))
        assert problems_of_reply(exchange) == []


@pytest.mark.parametrize("service, name", served())
def test_what_breaks_the_model_is_refused_and_changes_nothing(world: World, service: str, name: str):
    accepted, wrong_replies = set(), []
    for what, exchange in _broken(world, service, name):
        if exchange.accepted:
            accepted.add(what)
            continue
        wrong_replies += [f"{what}: {problem}" for problem in problems_of_reply(exchange, broken_request=True)]
    assert accepted == {what for operation, what in LOOSER_THAN_THE_MODEL if operation == name}
    assert wrong_replies == []
    for sample in world.samples(name):
        assert world.send(service, name, sample).accepted, "what was refused before had an effect"


@pytest.mark.parametrize("service, name", served())
def test_no_member_is_taken_that_no_sample_has(world: World, service: str, name: str):
    """Whatever is accepted has been tried: the samples use all that the in-process AWS takes."""
    model, samples = SERVICES[service].operation_model(name), world.samples(name)
    tried = violations.members_left_out(model, samples)
    assert [what for what, broken in tried if world.send(service, name, broken).accepted] == []


@pytest.mark.parametrize("service", SERVED)
def test_no_other_operation_is_served(world: World, service: str):
    unknown = ("UnknownOperationException", "InvalidAction")
    answered = {}
    for name in set(SERVICES[service].operation_names) - set(SERVED[service]) - SERVED_BESIDE.get(service, set()):
        shape = SERVICES[service].operation_model(name).input_shape
        members = shape.members.items() if shape else ()
        labels = {label: "x" for label, member in members if member.serialization.get("location") == "uri"}
        answered[name] = world.send(service, name, labels).code()
    assert {name: code for name, code in answered.items() if code not in unknown} == {}


@pytest.mark.parametrize("service, name", served())
def test_the_requests_sent_here_are_those_that_botocore_writes(world: World, service: str, name: str):
    model = SERVICES[service].operation_model(name)
    for sample in world.samples(name):
        written = create_serializer(protocol(service), include_validation=False).serialize_to_request(sample, model)
        method, path, _, body = encode(service, model, sample)
        path, _, query = path.partition("?")
        assert (method, path) == (written["method"], written["url_path"])
        assert parse_qsl(query) == parse_qsl(urlencode(written["query_string"], doseq=True))
        assert _read(service, body) == _read(service, written["body"])


def _broken(world: World, service: str, name: str):
    """Every violation of an operation's samples, and what was answered to it."""
    model = SERVICES[service].operation_model(name)
    for sample in world.samples(name):
        for what, broken in violations.of_request(model, sample):
            yield what, world.send(service, name, broken)


def _as_decoded(exchange) -> dict:
    """A request's members as a service reads them: texts out of paths, query strings and forms, moments as numbers."""

    def decoded(value, form):
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, dict):
            return {name: decoded(item, form) for name, item in value.items()}
        if isinstance(value, list):
            return [decoded(item, form) for item in value]
        return json.dumps(value) if form == "text" and not isinstance(value, str) else value

    members = exchange.model.input_shape.members
    return {
        name: decoded(value, member_form(exchange.model, members[name])) for name, value in exchange.parameters.items()
    }


def _read(service: str, body):
    """The members in a request's body."""
    if protocol(service) == "query":
        form = body if isinstance(body, dict) else dict(parse_qsl(body.decode()))
        return {name: str(value) for name, value in form.items()}
    if protocol(service) == "smithy-rpc-v2-cbor":
        return cbor2.loads(body)
    return json.loads(body) if body else {}
