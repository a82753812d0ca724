"""The AWS CLI, versions 1 and 2, for the scripts beside this file: one call, one JSON answer, or `NoAnswer`."""

import json
import os
import subprocess
import tempfile
from pathlib import Path


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


def invoke(function: str, payload: dict, region: str = "") -> dict:
    """The function's answer to a payload. `aws lambda invoke` ends with status 0 where the function failed; this does not."""
    region = region or region_of(function)
    with tempfile.TemporaryDirectory() as directory:
        # fileb:// is read alike by both versions of the CLI, and keeps the payload out of the process list.
        sent, received = Path(directory, "payload.json"), Path(directory, "answer.json")
        sent.write_text(json.dumps(payload))
        call = aws(
            *("lambda", "invoke", "--function-name", function, "--payload", f"fileb://{sent}"),
            # Fifteen minutes at most; the CLI would hang up after one.
            *("--cli-read-timeout", "0"),
            *(("--region", region) if region else ()),
            str(received),
        )
        try:
            answer = json.loads(received.read_text())
        except (OSError, ValueError):
            raise NoAnswer("the function answered no JSON") from None
    if not isinstance(answer, dict):
        raise NoAnswer("the function answered no JSON object")
    if "FunctionError" in call:
        raise NoAnswer(f"{answer.get('errorType', call['FunctionError'])}: {answer.get('errorMessage', 'no message')}")
    return answer


def region_of(function: str) -> str:
    """The Region in a function's ARN; nothing for a name, so that the CLI's own Region counts."""
    parts = function.split(":")
    return parts[3] if parts[0] == "arn" and len(parts) > 6 else ""
