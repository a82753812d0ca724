"""Asks the deployed function whether access entries are good, for a pipeline's health check.

Exit status: 0 every entry is fresh; 1 one is stale, orphaned or missing; 2 it could not be told: the function failed or
was not reached, an entry is undecided, a cluster or Region could not be seen, or there was no entry to look at.
"""

import argparse
import sys

from aws_cli import NoAnswer, invoke

FRESH, BAD, UNTOLD = 0, 1, 2

BAD_VERDICTS = ("stale", "orphaned", "missing")


def main() -> int:
    arguments = parse()
    command = {
        "command": "check",
        "principalArn": arguments.principal,
        "clusterName": arguments.cluster,
        "region": arguments.region,
    }
    try:
        report = invoke(arguments.function, {k: v for k, v in command.items() if v}, arguments.function_region)
    except NoAnswer as problem:
        return untold(str(problem))
    if report.get("command") != "check" or not isinstance(report.get("entries"), list):
        return untold(f"{arguments.function} did not answer with the report of a check")
    for entry in report["entries"]:
        show(entry)
    return status(report, set(arguments.accept.split(",")))


def status(report: dict, accepted: set[str]) -> int:
    """The exit status that a report means; `accepted` are reasons for which an entry may be undecided."""
    entries = report["entries"]
    bad = sum(entry.get("verdict") in BAD_VERDICTS for entry in entries)
    if bad:
        print(f"{bad} of {len(entries)} entries do not let their role in.")
        return BAD
    for spot in report.get("blindSpots", []):
        place = "/".join(filter(None, [spot.get("region"), spot.get("clusterName")]))
        return untold(f"{place} could not be seen: {spot.get('reason')} ({spot.get('detail')})")
    unseen = report.get("entriesNotReached", 0) + report.get("entriesOmitted", 0)
    if unseen:
        return untold(f"{unseen} entries were not reached or are not in the report")
    undecided = [e for e in entries if e.get("verdict") != "fresh" and e.get("reason") not in accepted]
    if undecided:
        return untold(f"{len(undecided)} of {len(entries)} entries could not be judged")
    if not any(entry.get("verdict") == "fresh" for entry in entries):
        return untold("there is no entry to look at; are principal, cluster and Region right?")
    print(f"Every entry is fresh ({len(entries)} looked at).")
    return FRESH


def show(entry: dict):
    place = f"{entry.get('region')}/{entry.get('clusterName')}"
    words = [entry.get("verdict", "-"), place, entry.get("principalArn", "-"), entry.get("reason"), entry.get("detail")]
    print("  ".join(word for word in words if word))


def untold(why: str) -> int:
    print(f"It could not be told: {why}", file=sys.stderr)
    return UNTOLD


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--principal", default="", metavar="ARN", help="the role's ARN")
    parser.add_argument("--cluster", default="", metavar="NAME", help="the cluster; without a role, all of its entries")
    parser.add_argument("--region", default="", help="the cluster's Region; without one, every Region is looked at")
    parser.add_argument("--function", default="access-entry-guard", metavar="NAME", help="name or ARN (%(default)s)")
    parser.add_argument(
        "--function-region", default="", metavar="REGION", help="the function's Region; else its ARN's, or the CLI's own"
    )
    parser.add_argument(
        "--accept", default="", metavar="REASONS", help="comma list of reasons for which an entry may be undecided"
    )
    arguments = parser.parse_args()
    if not (arguments.principal or arguments.cluster):
        # argparse ends with status 2 here: it could not be told.
        parser.error("a principal or a cluster is needed")
    return arguments


if __name__ == "__main__":
    try:
        sys.exit(main())
    # Python ends with status 1 where something goes wrong, which would say that an entry is bad.
    except Exception as problem:
        sys.exit(untold(repr(problem)))
