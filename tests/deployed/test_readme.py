"""The README's promises are held to the tests that it names for them, and its links to its chapters."""

import re

from stack import PROJECT

README = (PROJECT / "README.md").read_text()
TESTS = PROJECT / "tests"


def chapter(heading: str) -> str:
    _, text = README.split(f"\n### {heading}\n")
    return text


def test_every_test_that_a_promise_names_is_there():
    rows = re.findall(r"^\| .+ \| (`.+`) \|$", chapter("What is promised, and which test shows it"), re.MULTILINE)
    named = [
        (file, test)
        for row in rows
        for file, tests in re.findall(r"`(\w+)`: ((?:`\w+`(?:, )?)+)", row)
        for test in re.findall(r"`(\w+)`", tests)
    ]

    assert len(rows) > 10 and len(named) >= 2 * len(rows)
    missing = [(file, test) for file, test in named if not re.search(rf"\b(fn|def) {test}\(", text_of(file))]
    assert missing == []


def text_of(file: str) -> str:
    """A test file of the scenarios, or of those in Python that hold them honest."""
    path = TESTS / "honest" / f"{file}.py" if file.startswith("test_") else TESTS / "scenarios" / f"{file}.rs"
    return path.read_text()


def test_every_link_within_the_readme_leads_to_a_chapter():
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", README, flags=re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors


def test_every_path_in_the_map_of_the_code_is_there():
    _, rest = README.split("\n## For developers\n")
    table = rest[: rest.index("| target |")]
    paths = [path for path in re.findall(r"`((?:src|tests|events)/[\w./]*)`", table)]

    assert len(paths) > 10
    assert [path for path in paths if not (PROJECT / path).exists()] == []
