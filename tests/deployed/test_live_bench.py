"""`make live-bench`: what Lambda's own records in the log say, beside the bench's figures. The AWS CLI is a stand-in."""

import json
import sys

import pytest

from stack import PROJECT
from stand_in_cli import aws  # noqa: F401 - the fixture

ARN = "arn:aws:lambda:us-east-1:111122223333:function:guard"


def function(log_format: str) -> dict:
    logging = {"LogFormat": log_format, "LogGroup": "/aws/lambda/guard"}
    return {"FunctionName": "guard", "FunctionArn": ARN, "MemorySize": 256, "Architectures": ["arm64"], "LoggingConfig": logging}


def text(request: str, duration: float, memory: int, init: float | None = None) -> str:
    """As the Lambda Developer Guide shows it."""
    parts = [f"REPORT RequestId: {request}", f"Duration: {duration:.2f} ms", f"Billed Duration: {duration + 900:.0f} ms"]
    parts += ["Memory Size: 256 MB", f"Max Memory Used: {memory} MB"]
    return "\t".join(parts + ([f"Init Duration: {init:.2f} ms"] if init else [])) + "\t\n"


def platform(request: str, duration: float, memory: int, init: float | None = None) -> str:
    metrics = {"durationMs": duration, "billedDurationMs": duration + 900, "memorySizeMB": 256, "maxMemoryUsedMB": memory}
    metrics |= {"initDurationMs": init} if init else {}
    record = {"requestId": request, "metrics": metrics, "status": "success"}
    return json.dumps({"time": "2026-03-01T08:00:00.000Z", "type": "platform.report", "record": record})


def own(request: str, clusters: int, **members) -> str:
    return json.dumps({"kind": "report", "requestId": request, "clusters": clusters, "level": "INFO", **members})


def of_function(form, *noise: str) -> list[dict]:
    messages = [
        own("a", 40, trigger="roleCreated"), form("a", 180.5, 31, init=44.25),
        own("b", 40, trigger="roleCreated"), form("b", 90.0, 32),
        own("c", 42, trigger="roleCreated"), form("c", 110.0, 33), form("d", 130.0, 34),
        own("e", 42, trigger="sweep"), form("e", 9000.0, 48),
        *noise,
    ]  # fmt: skip
    return [{"message": message} for message in messages]


def rows(output: str) -> dict[str, list[str]]:
    """The figures of each row of the table, by its name."""
    lines = [line for line in output.splitlines() if line.startswith(("on AWS", "here"))]
    return {line[:34].rstrip(): line[34:].split() for line in lines}


FORMATS = {"Text": text, "JSON": platform}
NOISE = ("REPORT RequestId: f\tDuration: soon", "{not JSON", '["platform.report"]', json.dumps({"type": "platform.start"}), "")


@pytest.mark.parametrize("log_format", FORMATS)
def test_cold_and_warm_invocations_are_told_apart_and_grouped_by_what_set_them_off(aws, log_format):  # noqa: F811
    aws.answers("lambda get-function-configuration", function(log_format))
    aws.answers("logs filter-log-events", {"events": of_function(FORMATS[log_format], *NOISE)})

    done = aws.tool("live_bench", "--function", "guard")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("guard: 256 MB, arm64, 5 invocations in 7 days, log group /aws/lambda/guard\n")
    # invocations, clusters, init and the worst, duration and the worst, memory and the worst
    assert rows(done.stdout) == {
        "on AWS, cold: roleCreated": ["1", "40", "44.2", "44.2", "180.5", "180.5", "31.0", "31.0"],
        "on AWS, warm: roleCreated": ["2", "41", "100.0", "110.0", "32.5", "33.0"],
        "on AWS, warm: sweep": ["1", "42", "9000.0", "9000.0", "48.0", "48.0"],
        "on AWS, warm: without a report": ["1", "130.0", "130.0", "34.0", "34.0"],
    }
    assert "make bench" in done.stdout


def test_the_benchs_figures_stand_beside_them(aws):  # noqa: F811
    cold = {"to poll": 3.4, "to answer": 123.9, "peak MB": 11.0}
    warm = {"function": "access-entry-guard", "regions": 10, "matches": 0, "wall": 83.0, "peak MB": 12.5}
    tables = {
        "cold": [{"function": "access-entry-guard, HTTP", **cold}, {"function": "access-entry-guard, HTTPS", **cold}],
        "warm": [warm | {"clusters": clusters} for clusters in (1, 100, 1000)] + [warm | {"clusters": 100, "matches": 1}],
    }
    bench = aws.home / "bench.json"
    bench.write_text(json.dumps({"tables": tables}))
    aws.answers("lambda get-function-configuration", function("JSON"))
    aws.answers("logs filter-log-events", {"events": of_function(platform)})

    done = aws.tool("live_bench", "--function", "guard", "--bench", str(bench))

    assert done.returncode == 0, done.stderr
    assert {name: cells for name, cells in rows(done.stdout).items() if name.startswith("here")} == {
        "here, cold, HTTPS: roleCreated": ["30", "3.4", "120.5", "11.0"],
        "here, warm, HTTP: roleCreated": ["100", "83.0", "12.5"],
    }


@pytest.mark.parametrize("log_format", FORMATS)
def test_it_reads_the_log_group_that_the_function_names_and_only_the_records(aws, log_format):  # noqa: F811
    aws.answers("lambda get-function-configuration", function(log_format))
    aws.answers("logs filter-log-events", {"events": of_function(FORMATS[log_format])})

    done = aws.run("make", "-C", str(PROJECT), "live-bench", f"PYTHON={sys.executable}", "FUNCTION=guard", "FUNCTION_REGION=us-east-1")

    assert done.returncode == 0, done.stderr
    asked, read = (call["arguments"] for call in aws.calls)
    assert asked[:2] == ["lambda", "get-function-configuration"] and asked[asked.index("--function-name") + 1] == "guard"
    assert read[read.index("--log-group-name") + 1] == "/aws/lambda/guard"
    assert read[read.index("--region") + 1] == "us-east-1"
    assert ("platform.report" if log_format == "JSON" else "REPORT RequestId") in read[read.index("--filter-pattern") + 1]


def test_a_log_without_invocations_is_said_to_be_so(aws):  # noqa: F811
    aws.answers("lambda get-function-configuration", function("JSON"))
    aws.answers("logs filter-log-events", {"events": []})

    done = aws.tool("live_bench", "--function", ARN)

    assert done.returncode == 2
    assert "0 invocations" in done.stdout and "Start a sweep" in done.stdout


def test_where_aws_refuses_it_says_why(aws):  # noqa: F811
    done = aws.tool("live_bench", "--function", "guard")

    assert done.returncode == 1
    assert "AccessDenied" in done.stderr
