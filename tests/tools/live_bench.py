"""Prints what invocations of the deployed function took, as Lambda measured them, beside the figures of `make bench`.

Read from the function's log: Lambda writes one record per invocation, a JSON object of the type `platform.report` if the
log format is JSON (the template's), otherwise a line that begins with REPORT. The function's own report, in the log too,
says what the invocation was about. Needs `lambda:GetFunctionConfiguration` and `logs:FilterLogEvents`; nothing is invoked.

Exit status: 0; 1 if AWS could not be asked; 2 if the log has no invocation of these days.
"""

import argparse
import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from aws_cli import NoAnswer, aws, region_of

# The table of cold starts whose connections are those of AWS, and a common size of the table of warm invocations.
COLD_HERE = "access-entry-guard, HTTPS"
WARM_HERE = {"function": "access-entry-guard", "clusters": 100, "regions": 10, "matches": 0}

# Lambda Developer Guide, "Understanding log format" and "Lambda Telemetry API Event schema reference".
REPORT_FIELD = re.compile(r"(RequestId|Init Duration|Duration|Max Memory Used): (\S+)")
PATTERNS = {"JSON": '{ $.type = "platform.report" || $.kind = "report" }', "Text": '?"REPORT RequestId" ?entriesExamined'}

COLUMNS = ["", "invocations", "clusters", "init ms", "worst", "duration ms", "worst", "memory MB", "worst"]


@dataclass(frozen=True)
class Record:
    """What Lambda says of one invocation; times in ms."""

    request_id: str
    init: float | None
    duration: float
    memory_mb: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--function", default="access-entry-guard", metavar="NAME", help="name or ARN (%(default)s)")
    parser.add_argument("--function-region", default="", metavar="REGION", help="the function's Region")
    parser.add_argument("--days", type=float, default=7, help="how far to look back (%(default)g)")
    parser.add_argument("--bench", type=Path, default=Path("target/bench/bench.json"), help="of `make bench` (%(default)s)")
    arguments = parser.parse_args()
    try:
        function = configuration(arguments.function, arguments.function_region)
        messages = log(function, arguments)
    except NoAnswer as problem:
        print(problem, file=sys.stderr)
        return 1
    records, abouts = parse(messages)
    print(f"{function['FunctionName']}: {function['MemorySize']} MB, {'/'.join(function.get('Architectures', []))}, ", end="")
    print(f"{len(records)} invocations in {arguments.days:g} days, log group {log_group(function)}")
    if not records:
        print("Start a sweep, wait a minute for its log, and run this again. If there were invocations, look at the function's")
        print("system log level: below INFO Lambda writes no such record.")
        return 2
    show([COLUMNS, *on_aws(records, abouts), *here(arguments.bench)])
    if not arguments.bench.exists():
        print(f"No figures of this machine: {arguments.bench} is not there. `make bench SECTION='cold warm'` writes it.")
    return 0


def configuration(name: str, region: str) -> dict:
    region = region or region_of(name)
    return aws("lambda", "get-function-configuration", "--function-name", name, *(("--region", region) if region else ()))


def log_group(function: dict) -> str:
    return function.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function['FunctionName']}"


def log(function: dict, arguments: argparse.Namespace) -> list[str]:
    """The messages that matter. The CLI turns the pages."""
    found = aws(
        *("logs", "filter-log-events", "--log-group-name", log_group(function)),
        *("--start-time", str(int((time.time() - arguments.days * 86400) * 1000))),
        *("--filter-pattern", PATTERNS[function.get("LoggingConfig", {}).get("LogFormat", "Text")]),
        *("--region", arguments.function_region or region_of(function["FunctionArn"])),
    )
    return [event["message"] for event in found.get("events", [])]


def parse(messages: list[str]) -> tuple[list[Record], dict[str, dict]]:
    """Lambda's records, and by request ID what the function said that it did. Every other message is skipped."""
    records, abouts = [], {}
    for message in messages:
        line = of_json(message)
        if line.get("type") == "platform.report":
            records += of_platform(line.get("record", {}))
        elif line.get("kind") == "report":
            abouts[line.get("requestId")] = line
        elif message.startswith("REPORT RequestId: "):
            records += of_text(message)
    return records, abouts


def of_json(message: str) -> dict:
    try:
        line = json.loads(message)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def of_platform(record: dict) -> list[Record]:
    metrics = record.get("metrics", {})
    if not {"durationMs", "maxMemoryUsedMB"} <= metrics.keys():
        return []
    init = metrics.get("initDurationMs")
    return [Record(record.get("requestId", ""), init, metrics["durationMs"], metrics["maxMemoryUsedMB"])]


def of_text(message: str) -> list[Record]:
    # "Billed Duration" ends with "Duration", too, and comes second.
    fields = dict(reversed(REPORT_FIELD.findall(message.replace("Billed Duration", "Billed"))))
    try:
        init = float(fields["Init Duration"]) if "Init Duration" in fields else None
        return [Record(fields["RequestId"], init, float(fields["Duration"]), float(fields["Max Memory Used"]))]
    except (KeyError, ValueError):
        return []


def on_aws(records: list[Record], abouts: dict[str, dict]) -> list[list[str]]:
    """Rows of cold starts and warm invocations, by what set them off."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        about = abouts.get(record.request_id, {})
        what = about.get("command") or about.get("trigger") or "without a report"
        groups.setdefault(("warm" if record.init is None else "cold", what), []).append(record)
    rows = []
    for (state, what), group in sorted(groups.items()):
        clusters = [abouts[it.request_id].get("clusters", 0) for it in group if it.request_id in abouts]
        rows.append([
            f"on AWS, {state}: {what}", str(len(group)), f"{median(clusters):.0f}" if clusters else "",
            *pair([it.init for it in group if it.init is not None]),
            *pair([it.duration for it in group]),
            *pair([it.memory_mb for it in group]),
        ])  # fmt: skip
    return rows


def here(bench: Path) -> list[list[str]]:
    """Rows of the same kind out of the bench's figures: what Lambda calls init is there the time to the first poll."""
    if not bench.exists():
        return []
    tables = json.loads(bench.read_text())["tables"]
    rows = []
    for row in tables.get("cold", []):
        if row["function"] == COLD_HERE:
            duration = row["to answer"] - row["to poll"]
            rows.append(["here, cold, HTTPS: roleCreated", "", "30", *single(row["to poll"]), *single(duration), *single(row["peak MB"])])
    for row in tables.get("warm", []):
        if WARM_HERE.items() <= row.items():
            rows.append(["here, warm, HTTP: roleCreated", "", str(row["clusters"]), "", "", *single(row["wall"]), *single(row["peak MB"])])
    return rows


def pair(figures: list[float]) -> list[str]:
    return [f"{median(figures):.1f}", f"{max(figures):.1f}"] if figures else ["", ""]


def single(figure: float) -> list[str]:
    return [f"{figure:.1f}", ""]


def show(rows: list[list[str]]):
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())


if __name__ == "__main__":
    sys.exit(main())
