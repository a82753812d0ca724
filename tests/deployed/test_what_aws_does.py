"""The page `tests/what-aws-does.md` is held to the code: sources, probes, tests, and the rules that point to it."""

import re
from dataclasses import dataclass, field

import pytest

from stack import PROJECT

PAGE = PROJECT / "tests" / "what-aws-does.md"
CLOUD = PROJECT / "tests" / "scenarios" / "cloud"
MENTION = re.compile(r"\[(AWS-\d+)\]")

# Where the AWS of the scenarios has rules of EKS, whose service model says little of what is refused.
RULES = [CLOUD / "entries.rs", CLOUD / "rules.rs"]

# What names a source: a document with its title, or an issue or pull request of a public repository.
DOCUMENT = re.compile(r'\w[^"]*(Guide|Reference)\b|[\w.-]+/[\w.-]+#\d+')


@dataclass
class Item:
    """One behaviour, as the page has it."""

    heading: str
    sources: list[str] = field(default_factory=list)
    probes: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    otherwise: list[str] = field(default_factory=list)
    is_undocumented: bool = False


def items() -> dict[str, Item]:
    found = {}
    for part in re.split(r"^### ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        part = re.split(r"^## ", part, flags=re.MULTILINE)[0]
        name, heading = part.splitlines()[0].split(": ", 1)
        assert name not in found, f"{name} stands twice"
        item = found[name] = Item(heading)
        for line in part.splitlines()[1:]:
            kind, _, rest = line.removeprefix("- ").partition(": ")
            lists = {"Source": item.sources, "Probe": item.probes, "Test": item.tests}
            if kind in lists:
                lists[kind].append(rest)
            elif line == "- Not documented.":
                item.is_undocumented = True
            elif line.startswith("  "):
                item.otherwise.append(line.strip())
            else:
                assert line in ("", "- Otherwise:"), f"{name}: {line}"
    return found


ITEMS = items()


def questions_of_the_live_test() -> str:
    return "\n".join(path.read_text() for path in (PROJECT / "tests" / "live").glob("*.py") if "test_" not in path.name)


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_has_a_source_or_a_probe_a_test_and_a_consequence(name):
    item = ITEMS[name]

    assert item.sources or item.probes, "neither a document nor a probe"
    assert item.is_undocumented != bool(item.sources)
    assert [source for source in item.sources if not DOCUMENT.search(source)] == []
    assert item.tests and item.otherwise
    assert [line for line in item.otherwise if not line.endswith(".")] == []


@pytest.mark.parametrize("name", ITEMS)
def test_the_tests_and_probes_of_an_item_are_there(name):
    asked = questions_of_the_live_test()
    for test in ITEMS[name].tests:
        file, function = re.fullmatch(r"`([\w/.-]+)`: `(\w+)`", test).groups()
        assert re.search(rf"\b(fn|def) {function}\(", (PROJECT / file).read_text()), test
    for probe in ITEMS[name].probes:
        assert f'"{probe}"' in asked, f"the live test does not ask: {probe}"


def test_every_rule_that_points_to_the_page_finds_its_item():
    paths = [*CLOUD.rglob("*.rs"), *(PROJECT / "src").rglob("*.rs"), *(PROJECT / "tests" / "live").glob("*.py")]
    mentioned = {(path.name, name) for path in paths for name in MENTION.findall(path.read_text())}

    assert len(mentioned) > 50
    assert [mention for mention in mentioned if mention[1] not in ITEMS] == []


def test_every_habit_of_the_aws_of_the_scenarios_points_to_the_page():
    """A habit is what AWS leaves open: no service model has it."""
    _, struct = (CLOUD / "world.rs").read_text().split("pub struct Habits {\n")
    struct = struct[: struct.index("\n}")]
    habits = re.findall(r"((?:    /// .*\n)+)    pub (\w+):", struct)

    assert len(habits) > 15
    # How the test's own network behaves is no behaviour of AWS.
    unsourced = [name for doc, name in habits if not MENTION.search(doc) and name != "request_delay"]
    assert unsourced == []


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_every_function_that_refuses_something_points_to_the_page(path):
    functions = re.split(r"\n(?=(?:    )?(?:///|pub|fn|async)[^\n]*)", path.read_text())
    # A doc comment and its function were cut apart at each line: put them together again.
    whole, doc = [], ""
    for part in functions:
        if part.lstrip().startswith("///"):
            doc += part
            continue
        whole.append(doc + part)
        doc = ""
    refusing = [part for part in whole if re.search(r"\bfn \w+", part) and re.search(r"Refusal::\w+\(", part)]

    assert len(refusing) > 4
    assert [re.search(r"fn (\w+)", part)[1] for part in refusing if not MENTION.search(part)] == []
