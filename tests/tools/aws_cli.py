"""The AWS CLI, versions 1 and 2, for the scripts beside this file: one call, one JSON answer, or `NoAnswer`."""

import json
import os
import subprocess


class NoAnswer(Exception):
    """The call failed; the text is for a person."""


def aws(*arguments: str) -> dict:
    """What `aws ARGUMENTS` prints as JSON."""
    try:
        done = subprocess.run(
            ["aws", *arguments, "--output", "json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            # A synchronous invocation is never sent twice; a pager would wait for a key.
            env=os.environ | {"AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""},
        )
    except FileNotFoundError:
        raise NoAnswer("the AWS CLI (aws) is not on the PATH") from None
    if done.returncode != 0:
        raise NoAnswer(done.stderr.strip() or f"aws ended with status {done.returncode}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise NoAnswer(f"aws printed no JSON: {done.stdout[:200]!r}") from None


def region_of(function: str) -> str:
    """The Region in a function's ARN; nothing for a name, so that the CLI's own Region counts."""
    parts = function.split(":")
    return parts[3] if parts[0] == "arn" and len(parts) > 6 else ""
