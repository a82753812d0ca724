"""Does a message conform to the model? Every member known and of its type, what is required there, lengths, ranges,
patterns and values of enumerations kept, moments in the protocol's form; error codes, statuses and headers too."""

import re
from datetime import datetime

from model import SERVICES, protocol, wire_name
from wire import Exchange

# How scalars are written: in JSON, in CBOR, or as text (XML, forms, paths and query strings).
FORMS = {"rest-json": "json", "json": "json", "smithy-rpc-v2-cbor": "cbor", "query": "text"}

# Those of the services that answer every client's mistake with status 400.
OF_JSON_SERVICES = {
    "AccessDeniedException": 400,
    "SerializationException": 400,
    "ThrottlingException": 400,
    "UnknownOperationException": 400,
    "UnrecognizedClientException": 400,
    "ValidationException": 400,
}

# Errors that services answer on every operation, whatever its model lists, and their status where the service's model
# has no such shape. See each API Reference, "Common Errors" (DynamoDB: Developer Guide, "Error handling").
COMMON_ERRORS = {
    "eks": {
        "AccessDeniedException": 403,
        "ThrottlingException": 429,
        "UnrecognizedClientException": 403,
        "SerializationException": 400,
        "UnknownOperationException": 400,
    },
    "iam": {
        "AccessDenied": 403,
        "InvalidAction": 400,
        "InvalidClientTokenId": 403,
        "Throttling": 400,
        "ValidationError": 400,
    },
    "account": {
        "UnrecognizedClientException": 403,
        "SerializationException": 400,
        "UnknownOperationException": 400,
    },
    "dynamodb": OF_JSON_SERVICES,
    "monitoring": {
        "AccessDenied": 403,
        "InvalidClientTokenId": 403,
        "SerializationException": 400,
        "Throttling": 400,
        "UnknownOperationException": 400,
        "ValidationError": 400,
    },
    "cloudtrail": OF_JSON_SERVICES,
}

# Errors that an operation was seen to answer although its model does not list them.
SEEN_ERRORS = {
    # "This operation can only be performed on Access Entries with a type of "STANDARD"."
    ("ListAssociatedAccessPolicies", "InvalidParameterException"),
    # "This operation is not supported for local EKS clusters" (turbot/steampipe-plugin-aws#2771).
    ("DescribeAccessEntry", "ClientException"),
    ("ListAccessEntries", "ClientException"),
    ("ListAssociatedAccessPolicies", "ClientException"),
}

# What services show although their models have other limits: without tags EKS shows an empty map.
LOOSER_REPLIES = ("accessEntry.tags: length 0 ", "cluster.tags: length 0 ")

# What EKS answers to a request that breaks the model, which no SDK sends: its operations that only read list no error
# for it.
BROKEN_REQUEST = {"eks": {"InvalidParameterException"}}


def problems(shape, value, form: str, at: str = "") -> list[str]:
    """What is wrong with a value of a shape; `at` says where it is."""
    if value is None:
        return []
    check = _CHECKS.get(shape.type_name, _scalar)
    return [f"{at or 'top'}: {what}" for what in _own(shape, value, form)] or check(shape, value, form, at)


def problems_of_request(model, parameters: dict) -> list[str]:
    """What is wrong with a request's members, as the in-process AWS read them."""
    found = []
    shape = model.input_shape
    known = shape.members if shape else {}
    found += [f"unknown member {name}" for name in parameters if name not in known]
    found += [f"without {name}" for name in (shape.required_members if shape else []) if parameters.get(name) is None]
    for name, value in parameters.items():
        if name in known:
            found += problems(known[name], value, member_form(model, known[name], decoded=True), name)
    return found


def problems_of_reply(exchange: Exchange, broken_request: bool = False) -> list[str]:
    """What is wrong with a reply, be it a success or an error."""
    form = FORMS[protocol(exchange.service)]
    if not exchange.accepted:
        return _problems_of_error(exchange, form, broken_request)
    shape, tree = exchange.model.output_shape, exchange.tree()
    if shape is None:
        return [f"members where the model has none: {sorted(tree)}"] if tree else []
    return [problem for problem in problems(shape, tree, form) if not problem.startswith(LOOSER_REPLIES)]


def member_form(model, member, decoded: bool = False) -> str:
    """How a request's member is written. Once decoded, CBOR is like JSON."""
    form = FORMS[protocol(model.service_model.signing_name)]
    if member.serialization.get("location") in ("uri", "querystring"):
        return "text"
    return "json" if decoded and form == "cbor" else form


def _problems_of_error(exchange: Exchange, form: str, broken_request: bool) -> list[str]:
    code, tree, service = exchange.code(), exchange.tree(), exchange.service
    listed = {shape.error_code: shape for shape in exchange.model.error_shapes}
    anywhere = {shape.error_code: shape for shape in SERVICES[service].error_shapes}
    common = COMMON_ERRORS[service]
    found = []
    also = (exchange.operation, code) in SEEN_ERRORS or (broken_request and code in BROKEN_REQUEST.get(service, ()))
    if code not in listed and code not in common and not also:
        found.append(f"error {code!r} is neither the operation's nor a common one")
    shape = listed.get(code) or anywhere.get(code)
    status = (shape.metadata.get("error", {}).get("httpStatusCode") if shape else None) or common.get(code)
    if status not in (None, exchange.status):
        found.append(f"error {code} has status {exchange.status} instead of {status}")
    found += _headers_of_error(exchange, code, tree, shape)
    members = {name: value for name, value in tree.items() if name != "__type"}
    if protocol(service) == "query":
        # The same elements for every error, whatever members its shape has.
        found += [f"error {code} has no {name}" for name in ("Type", "Code", "Message") if not members.pop(name, None)]
    elif not (members.get("message") or members.get("Message")):
        found.append(f"error {code} has no message")
    if shape is not None and shape.members:
        found += problems(shape, members, form, code)
    elif unknown := set(members) - {"message"}:
        found.append(f"error {code} has unknown members {sorted(unknown)}")
    return found


def _headers_of_error(exchange: Exchange, code: str, tree: dict, shape) -> list[str]:
    """What a protocol says beside the body."""
    kind = protocol(exchange.service)
    if kind == "rest-json" and "x-amzn-errortype" not in exchange.headers:
        return [f"error {code} without x-amzn-errortype"]
    if kind == "query" and tree.get("Type") != ("Sender" if exchange.status < 500 else "Receiver"):
        return [f"error {code} is of type {tree.get('Type')!r}"]
    if kind != "smithy-rpc-v2-cbor":
        return []
    # awsQueryCompatible: the header has the query protocol's code and whose fault it is, the body the shape's name.
    fault = "Sender" if exchange.status < 500 else "Receiver"
    found = []
    if exchange.headers.get("x-amzn-query-error") != f"{code};{fault}":
        found.append(f"error {code} with x-amzn-query-error {exchange.headers.get('x-amzn-query-error')!r}")
    if shape is not None and tree.get("__type", "").split("#")[-1] != shape.name:
        found.append(f"error {code} has __type {tree.get('__type')!r} instead of {shape.name}")
    return found


def _structure(shape, value, form, at):
    known = {wire_name(name, member): member for name, member in shape.members.items()}
    found = [f"{at or 'top'}: unknown member {name}" for name in value if name not in known]
    required = [wire_name(name, shape.members[name]) for name in shape.required_members]
    found += [f"{at or 'top'}: without {name}" for name in required if value.get(name) is None]
    for name, member in known.items():
        found += problems(member, value.get(name), form, f"{at}.{name}" if at else name)
    return found


def _list(shape, value, form, at):
    return [what for item in value for what in problems(shape.member, item, form, f"{at}[]")]


def _map(shape, value, form, at):
    found = []
    for key, item in value.items():
        found += problems(shape.key, key, form, f"{at} key") + problems(shape.value, item, form, f"{at}[{key}]")
    return found


def _scalar(_shape, _value, _form, _at):
    return []


_CHECKS = {"structure": _structure, "list": _list, "map": _map}


def _own(shape, value, form) -> list[str]:
    """What is wrong with a value itself, not with what it holds."""
    kind, limits = shape.type_name, shape.metadata
    if not _is_of_type(shape, value, form):
        return [f"{value!r:.80} is no {kind}"]
    if kind in ("integer", "long", "float", "double"):
        size, what = float(value), "value"
    elif kind in ("string", "list", "map"):
        size, what = len(value), "length"
    else:
        return []
    found = []
    if not limits.get("min", size) <= size <= limits.get("max", size):
        found.append(f"{what} {size:g} is not within {limits.get('min', '')}..{limits.get('max', '')}")
    if kind == "string" and getattr(shape, "enum", None) and value not in shape.enum:
        found.append(f"{value!r} is not one of {shape.enum}")
    if kind == "string" and "pattern" in limits and not matches(limits["pattern"], value):
        found.append(f"{value!r:.80} does not match {limits['pattern']}")
    return found


def matches(pattern: str, value: str) -> bool:
    """Whether a text is what a pattern means; a pattern that is anchored nowhere means the whole text."""
    return re.fullmatch(pattern, value, re.DOTALL) is not None


def _is_of_type(shape, value, form) -> bool:
    kind = shape.type_name
    if kind in ("structure", "map"):
        return isinstance(value, dict)
    if kind == "list":
        return isinstance(value, list)
    if kind == "timestamp":
        return _is_moment(value, form)
    if form == "text" and kind in ("integer", "long", "float", "double"):
        return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) is not None
    if form == "text" and kind == "boolean":
        return value in ("true", "false")
    if kind in ("integer", "long"):
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in ("float", "double"):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "blob" and form == "cbor":
        return isinstance(value, bytes)
    return isinstance(value, str)


def _is_moment(value, form) -> bool:
    """JSON writes seconds since 1970, CBOR tags them, XML has ISO 8601."""
    if form == "cbor":
        return isinstance(value, datetime)
    if form == "text":
        return isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool)
