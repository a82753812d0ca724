"""The documents are held to the project: promises to the tests that they name, links to chapters, commands to the tools."""

import json
import re
import subprocess

import boto3
import botocore.session
import cfnlint
import pytest
from botocore import xform_name

from documents import COMMAND, DOCUMENTS, anchors, blocks, chapter, commands, need_command, without_blocks
from stack import PROJECT

TESTS = PROJECT / "tests"


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


def test_every_test_of_the_deployed_function_that_is_named_is_there():
    text = chapter("What is promised, and which test shows it")
    named = [
        (file, test)
        for file, tests in re.findall(r"`(tests/deployed/\w+\.py)`: ((?:`test_\w+`(?:, )?)+)", text)
        for test in re.findall(r"`(\w+)`", tests)
    ]

    assert len(named) > 5
    assert [(f, t) for f, t in named if f"def {t}(" not in (PROJECT / f).read_text()] == []


def text_of(file: str) -> str:
    """A test file of the scenarios, or of those in Python that hold them honest."""
    if file.startswith("test_"):
        return (TESTS / "honest" / f"{file}.py").read_text()
    alone = TESTS / "scenarios" / f"{file}.rs"
    return (alone if alone.exists() else TESTS / "scenarios" / file / "mod.rs").read_text()


@pytest.mark.parametrize("path", [*DOCUMENTS, TESTS / "what-aws-does.md"], ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_link_leads_to_a_file_or_a_chapter(path):
    text = re.sub(r"`[^`\n]+`", "", without_blocks(path.read_text()))
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)
    lost = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        file, _, place = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or place and place not in anchors(there):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_named_link_has_its_definition_and_every_definition_is_used(path):
    text = re.sub(r"`[^`\n]+`", "", without_blocks(path.read_text()))

    used = set(re.findall(r"\]\[([^\]]+)\]", text))

    assert used == set(re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE))


def test_cargo_doc_leads_to_the_same_chapters_as_the_files():
    """Rustdoc takes the first definition of a name, which is in links.md; a browser of the files takes the file's own."""
    pages = [path for path in DOCUMENTS if path.parent == PROJECT / "src" / "docs"]
    defined = {}
    for path in pages:
        for name, target in re.findall(r"^\[([^\]]+)\]: (\S+)$", path.read_text(), re.MULTILINE):
            file, _, place = target.partition("#")
            page = f"crate::docs::{(file or path.name).removesuffix('.md')}"
            assert defined.setdefault(name, page + (f"#{place}" if place else "")) == page + (f"#{place}" if place else ""), name

    assert dict(re.findall(r"^\[([^\]]+)\]: (\S+)$", (PROJECT / "src/docs/links.md").read_text(), re.MULTILINE)) == defined
    modules = re.findall(r'^    \w+: "docs/(\w+\.md)",$', (PROJECT / "src/docs.rs").read_text(), re.MULTILINE)
    assert sorted(modules) == sorted(path.name for path in pages)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_line_has_one_sentence(path):
    text = re.sub(r"`[^`\n]+`", "`code`", without_blocks(path.read_text()))
    prose = [line for line in text.splitlines() if not line.lstrip().startswith("|")]

    assert [line for line in prose if re.search(r"[a-z`)][.?!](?:\*\*|\))* (?:\*\*|\[|`)?[A-Z`]", line)] == []


def test_the_first_page_is_short():
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 250


def test_every_alarm_has_a_chapter_and_a_line_on_the_first_page():
    alarms = set(re.findall(r"^      AlarmName: !Sub \$\{FunctionName\}-(\S+)$", (PROJECT / "template.yaml").read_text(), re.MULTILINE))

    assert len(alarms) > 10
    assert set(re.findall(r"^\| \[`([\w-]+)`\]\(src/docs/operating\.md#\1\) \|", chapter("On call"), re.MULTILINE)) == alarms
    assert [name for name in alarms if not chapter(name)] == []


def test_every_path_in_the_map_of_the_code_is_there():
    text = chapter("For developers")
    table = text[: text.index("| target |")]
    paths = [path for path in re.findall(r"`((?:src|tests|events)/[\w./]*)`", table)]

    assert len(paths) > 10
    assert [path for path in paths if not (PROJECT / path).exists()] == []


def test_the_ledgers_table_has_every_attribute_of_a_row_and_no_other():
    form = (PROJECT / "src/row/form.rs").read_text()
    structs = [re.search(rf"^struct {name} {{\n(.*?)^}}", form, re.MULTILINE | re.DOTALL)[1] for name in ("Stored", "Body")]
    fields = set(re.findall(r"^    (\w+): ", "".join(structs), re.MULTILINE)) - {"body"}
    stored = {re.sub(r"_(\w)", lambda letter: letter[1].upper(), name) for name in fields}

    text = chapter("Ledger")
    table = re.findall(r"^\| (`.+?`) \|", text, re.MULTILINE)
    keys = set(re.findall(r"key `(\w+)`", text.split("| attribute |")[0]))

    assert {name for names in table for name in re.findall(r"`(\w+)`", names)} | keys == stored


# What the AWS CLI has beside the services' own operations and parameters.
OF_THE_CLI = {"notification-endpoint", "region", "query", "output", "cli-read-timeout", "cli-binary-format", "cli-input-json"}
TAIL = {"since", "follow", "format", "filter-pattern"}


@pytest.mark.parametrize("words", commands("aws"), ids=" ".join)
def test_every_aws_command_is_one_that_the_service_knows(words):
    service, operation = words[1:3]
    if (service, operation) == ("configure", "set"):
        return check({words[3]}, {"tcp_keepalive"})
    options = {word[2:] for word in words if word.startswith("--")}
    if (service, operation) == ("logs", "tail"):
        return check(options, TAIL)
    if operation == "wait":
        client = boto3.client(service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
        assert words[3].replace("-", "_") in client.waiter_names
        return check(options, {"stack-name"})
    model = botocore.session.get_session().get_service_model(service)
    (shape,) = [model.operation_model(name) for name in model.operation_names if xform_name(name, "-") == operation]
    check(options, {xform_name(name, "-") for name in shape.input_shape.members} if shape.input_shape else set())


def check(options: set[str], known: set[str]):
    # A Boolean may be switched off.
    assert {option for option in options if option.removeprefix("no-") not in known | OF_THE_CLI} == set()


STUB = """#!/bin/sh
echo "$(basename "$0")" "$@" | tr '\\n' ' ' >> "$CALLS"
echo >> "$CALLS"
exit 1
"""
PROGRAMS = ["aws", "access-entry-guard", "cargo", "make", "sam", "terraform"]

# What changes nothing but this machine, whatever it is asked.
LOOKS = re.compile(
    r"""aws\ (?:[\w-]+)\ (?:describe|get|list|lookup)-.* | aws\ logs\ (?:tail|filter-log-events).* | aws\ cloudformation\ wait.*
    | access-entry-guard\ (?:scan|explain|creators|check|inventory|event).*
    | cargo\ .* | sam\ (?:build|local).* | terraform\ \S+\ init""",
    re.VERBOSE,
)


@pytest.mark.parametrize("block", blocks("sh"), ids=lambda block: block.split("\n")[0])
def test_a_block_that_is_pasted_whole_changes_nothing_after_a_command_that_failed(block, tmp_path):
    for program in PROGRAMS:
        (tmp_path / program).write_text(STUB)
        (tmp_path / program).chmod(0o755)
    calls = tmp_path / "calls"
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CALLS": str(calls)}

    # Line by line and without a stop, as a terminal takes it.
    subprocess.run(["bash"], input=block, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)

    made = calls.read_text().splitlines() if calls.exists() else []
    assert [call for call in made[1:] if not LOOKS.fullmatch(call.strip())] == []


def test_a_deployment_by_sam_names_the_stack_and_leaves_no_file_that_a_later_one_applies():
    """SAM's own name for a stack would be sam-app, and what it saves brings Mode=observe back at the next upgrade."""
    mentioned = [words for words in commands("sam") if words[1:2] == ["deploy"]]
    complete = [words for words in mentioned if "--capabilities" in words]

    assert len(complete) == 5
    assert all(words[2:4] == ["--stack-name", "access-entry-guard"] for words in complete)
    assert not [words for words in mentioned if {"--guided", "-g", "--save-params"} & set(words)]


@pytest.mark.parametrize("words", commands("access-entry-guard"), ids=" ".join)
def test_every_command_of_ours_knows_what_is_printed_behind_it(words):
    if len(words) == 1 or words[1].startswith("--"):
        return
    need_command(words[1])
    known = subprocess.run([COMMAND, words[1], "--help"], capture_output=True, text=True).stdout

    assert [word for word in words if word.startswith("--") and word.split("=")[0] not in known] == []


def test_every_make_target_is_there():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))

    assert {words[1] for words in commands("make")} - targets == set()


def test_every_document_to_copy_can_be_read():
    for text in blocks("json"):
        json.loads(text)
    for text in blocks("yaml"):
        assert [str(match) for match in cfnlint.lint(text)] == []
