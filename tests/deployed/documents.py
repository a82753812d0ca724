"""The documents of the project, and what is found in them by its heading, wherever that stands."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from stack import PROJECT

# README.md is the first page; the others stand beside what they describe.
DOCUMENTS = [
    PROJECT / "README.md",
    *sorted(path for path in (PROJECT / "src" / "docs").glob("*.md") if path.name != "links.md"),
    PROJECT / "tests" / "README.md",
    PROJECT / "tests" / "live" / "README.md",
    PROJECT / "tests" / "bench" / "README.md",
]
TEXTS = {path: path.read_text() for path in DOCUMENTS}

HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


def without_blocks(text: str) -> str:
    """The text with its code blocks blanked, at the same length, so that a comment in a block is no heading."""
    return re.sub(r"^[ ]*```.*?^[ ]*```", lambda block: re.sub(r"[^\n]", " ", block[0]), text, flags=re.DOTALL | re.MULTILINE)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    return {anchor(heading) for _, heading in HEADING.findall(without_blocks(path.read_text()))}


def chapter(heading: str) -> str:
    """The one chapter of this name, its sub-chapters included."""
    found = []
    for text in TEXTS.values():
        heads = list(HEADING.finditer(without_blocks(text)))
        for head in heads:
            if head[2] == heading:
                ends = [other.start() for other in heads if other.start() > head.start() and len(other[1]) <= len(head[1])]
                found.append(text[head.end() : min(ends, default=len(text))])
    assert len(found) == 1, f"{len(found)} chapters are named {heading!r}"
    return found[0]


def blocks(language: str, text: str | None = None) -> list[str]:
    """The code blocks of a language, of all documents or of one text."""
    texts = TEXTS.values() if text is None else [text]
    return [block for it in texts for block in re.findall(rf"^```{language}\n(.*?)^```", it, re.DOTALL | re.MULTILINE)]


def block_with(mark: str) -> str:
    """The one shell block that contains the mark."""
    (block,) = [block for block in blocks("sh") if mark in block]
    return block


def document(heading: str) -> dict:
    """The one JSON document of a chapter."""
    (text,) = blocks("json", chapter(heading))
    return json.loads(text)


def commands(program: str) -> list[list[str]]:
    """The words of each command of a program in the documents, in blocks and in lines."""
    inline = [found for text in TEXTS.values() for found in re.findall(rf"(?<!`)`({program} [^`]+)`(?!`)", text)]
    found = []
    for text in blocks("sh") + inline:
        text = re.sub(r"(^|\s)# .*", "", text.replace("\\\n", " ")).replace("\n", " ; ")
        lexer = shlex.shlex(text, posix=True, punctuation_chars="();|&<>")
        lexer.commenters = ""
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if re.fullmatch(r"[();|&<>]+", word):
                # Behind nothing but variables: the program's name may also be another one's argument.
                while words and re.match(r"^$|\w+=", words[0]):
                    words.pop(0)
                found += [words] if words[:1] == [program] else []
                words = []
            else:
                words.append(re.sub(r"^\w+=\$$", "", word))
    return found


# The command of this project, for the blocks that print it.
COMMAND = Path(os.environ.get("COMMAND") or PROJECT / "target" / "debug" / "access-entry-guard")
NOT_RUN = f"NOT RUN: {COMMAND} is not built, or too old. Build it with: cargo build --locked --features cli --bin access-entry-guard"


def need_command(name: str):
    """Skips the test if the command is not built or has no such subcommand; fails it in CI."""
    if COMMAND.is_file() and subprocess.run([COMMAND, name, "--help"], capture_output=True).returncode == 0:
        return
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{NOT_RUN} (CI requires it.)")
    pytest.skip(NOT_RUN)
