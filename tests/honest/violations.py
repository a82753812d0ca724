"""Requests that break the model in one place each, derived from one that keeps it."""

from collections.abc import Iterator

from conformity import matches, member_form

UNKNOWN = "notInTheModel"

# Longer texts and lists than this are not sent.
LARGEST = 70_000

Violation = tuple[str, object]


def required_only(shape, value):
    """A value of a shape without the members that the model does not require."""
    if shape is None:
        return value
    if shape.type_name == "structure":
        # Of a union one member is required, whichever.
        kept = value if is_union(shape) else [name for name in shape.required_members if name in value]
        return {name: required_only(shape.members[name], value[name]) for name in kept}
    if shape.type_name == "list":
        return [required_only(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {key: required_only(shape.value, item) for key, item in value.items()}
    return value


def is_union(shape) -> bool:
    """Whether of a structure's members exactly one is to be there. DynamoDB's model does not call its union so."""
    return shape.is_tagged_union or shape.name == "AttributeValue"


def of_request(model, parameters: dict) -> Iterator[Violation]:
    """Every violation of a request: what it breaks, and its members."""
    shape = model.input_shape
    yield from _missing(shape, parameters)
    yield f"unknown member {UNKNOWN}", {**parameters, UNKNOWN: "x"}
    for name, value in parameters.items():
        form = member_form(model, shape.members[name])
        for what, wrong in _of_value(shape.members[name], value, form):
            yield f"{name}: {what}", {**parameters, name: wrong}


def _of_value(shape, value, form: str) -> Iterator[Violation]:
    yield from _wrong_type(shape, form)
    kind = shape.type_name
    if kind == "structure":
        yield from _missing(shape, value)
        yield f"unknown member {UNKNOWN}", {**value, UNKNOWN: "x"}
        if is_union(shape):
            yield f"{UNKNOWN} as its only member", {UNKNOWN: "x"}
            yield "no member", {}
        for name, item in value.items():
            for what, wrong in _of_value(shape.members[name], item, form):
                yield f"{name}: {what}", {**value, name: wrong}
    elif kind == "list":
        yield from _wrong_size(shape, value, lambda n: [(value or ["x"])[0]] * n)
        for what, wrong in _of_value(shape.member, value[0], form) if value else ():
            yield f"[]: {what}", [wrong, *value[1:]]
    elif kind == "map":
        yield from _of_map(shape, value, form)
    elif kind == "string":
        yield from _wrong_size(shape, value, lambda n: (value + value[-1:] * n)[:n] if value else "x" * n)
        if getattr(shape, "enum", None):
            yield "not in the enumeration", "NOT_IN_THE_MODEL"
        if pattern := shape.metadata.get("pattern"):
            yield from ((f"pattern {pattern}", wrong) for wrong in _mismatch(shape, pattern))
    elif kind in ("integer", "long", "float", "double"):
        for limit, step in (("min", -1), ("max", 1)):
            if limit in shape.metadata:
                yield f"beyond {limit} {shape.metadata[limit]}", shape.metadata[limit] + step


def _of_map(shape, value, form) -> Iterator[Violation]:
    key, item = next(iter(value.items()))
    yield from _wrong_size(shape, value, lambda n: {f"{key}{i}": item for i in range(n)})
    for what, wrong in _of_value(shape.key, key, "text"):
        yield f"key: {what}", {wrong: item}
    for key, item in value.items():
        for what, wrong in _of_value(shape.value, item, form):
            yield f"[{key}]: {what}", {**value, key: wrong}


def _missing(shape, value) -> Iterator[Violation]:
    for name in shape.required_members if shape else ():
        yield f"without {name}", {other: item for other, item in value.items() if other != name}


def _wrong_size(shape, value, of_size) -> Iterator[Violation]:
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", LARGEST)
    if low > 0:
        yield f"shorter than {low}", of_size(low - 1)
    if high < LARGEST:
        yield f"longer than {high}", of_size(high + 1)


def _mismatch(shape, pattern: str) -> Iterator[str]:
    """A text that breaks a pattern and nothing else."""
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", LARGEST)
    for candidate in ("{}", "ü", "\u0001", "a b"):
        text = (candidate * (low + 1))[: max(low, min(len(candidate), high))]
        if not matches(pattern, text):
            yield text
            return


def _wrong_type(shape, form: str) -> Iterator[Violation]:
    """A value of another type, where the form can say so: a text is a text whatever the model wanted."""
    kind = shape.type_name
    if form == "text":
        if kind in ("integer", "long", "float", "double", "boolean", "timestamp"):
            yield f"no {kind}", "many"
    elif kind in ("string", "blob"):
        yield f"no {kind}", 7
        yield f"no {kind} but a list", ["x"]
    else:
        yield f"no {kind}", "x"
        if kind in ("structure", "map"):
            yield f"no {kind} but a list", ["x"]


def members_left_out(model, samples: list[dict]) -> Iterator[Violation]:
    """The samples of a request, each with one more member that the model has and no sample uses, however deep."""
    shape = model.input_shape
    used = {path for sample in samples for path in _paths(shape, sample)}
    for sample in samples:
        yield from _with_one_more(shape, sample, used)


def _paths(shape, value, at: str = "") -> Iterator[str]:
    """Where members are used."""
    for name, member, item in _parts(shape, value):
        yield f"{at}.{name}"
        yield from _paths(member, item, f"{at}.{name}")


def _with_one_more(shape, value, used: set[str], at: str = "") -> Iterator[Violation]:
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if f"{at}.{name}" not in used:
                yield f"with {at}.{name}", {**value, name: example(member)}
    for name, member, item in _parts(shape, value):
        for what, more in _with_one_more(member, item, used, f"{at}.{name}"):
            yield what, [more, *value[1:]] if shape.type_name == "list" else {**value, _key(value, item, name): more}


def _parts(shape, value):
    """What a value holds: names, shapes and values. All items of a list and of a map have one name."""
    kind = shape.type_name
    if kind == "structure":
        return [(name, shape.members[name], item) for name, item in value.items()]
    if kind == "list":
        return [("[]", shape.member, item) for item in value[:1]]
    if kind == "map":
        return [("*", shape.value, item) for item in value.values()]
    return []


def _key(value: dict, item, name: str) -> str:
    return name if name in value else next(key for key, other in value.items() if other is item)


def example(shape, depth: int = 0):
    """Some value of a shape."""
    kind, limits = shape.type_name, shape.metadata
    if kind == "structure":
        names = list(shape.members)[:1] if is_union(shape) else shape.required_members
        return {name: example(shape.members[name], depth + 1) for name in names}
    if kind == "list":
        return [example(shape.member, depth + 1)] if depth < 6 else []
    if kind == "map":
        return {example(shape.key): example(shape.value, depth + 1)} if depth < 6 else {}
    if kind == "boolean":
        return True
    if kind in ("integer", "long", "float", "double"):
        return limits.get("min", 1)
    if kind == "timestamp":
        return 1_700_000_000
    enum = getattr(shape, "enum", None)
    return enum[0] if enum else "x" * max(1, limits.get("min", 1))
