"""Prints the ledger's inventory, all pages of it: which role has access to which cluster, as what, and since when."""

import argparse
import csv
import sys

from aws_cli import NoAnswer, invoke

COLUMNS = ["principalArn", "region", "clusterName", "type", "grants", "state", "createdAt", "roleId", "verifiedAt"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", default="csv", choices=["csv", "markdown"])
    parser.add_argument("--principal", default="", metavar="ARN", help="only this role's entries")
    parser.add_argument("--cluster", default="", metavar="NAME", help="only in clusters of this name")
    parser.add_argument("--region", default="", help="only in this Region")
    parser.add_argument("--function", default="access-entry-guard", metavar="NAME", help="name or ARN (%(default)s)")
    parser.add_argument("--function-region", default="", metavar="REGION", help="the function's Region")
    arguments = parser.parse_args()
    command = {
        "command": "inventory",
        "principalArn": arguments.principal,
        "clusterName": arguments.cluster,
        "region": arguments.region,
    }
    command = {name: value for name, value in command.items() if value}
    try:
        rows = [row_of(item) for item in items(arguments.function, command, arguments.function_region)]
    except NoAnswer as problem:
        print(problem, file=sys.stderr)
        return 1
    if arguments.format == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows([COLUMNS, *rows])
    else:
        for cells in [COLUMNS, ["---"] * len(COLUMNS), *rows]:
            print("|", " | ".join(cell.replace("|", r"\|") for cell in cells), "|")
    return 0


def items(function: str, command: dict, region: str):
    """The items of every page."""
    token = None
    while True:
        page = invoke(function, command | ({"nextToken": token} if token else {}), region)
        if not isinstance(page.get("inventory"), list):
            raise NoAnswer(f"{function} did not answer with an inventory")
        yield from page["inventory"]
        token = page.get("nextToken")
        if not token:
            return


def row_of(item: dict) -> list[str]:
    return [grants(item) if column == "grants" else str(item.get(column) or "") for column in COLUMNS]


def grants(item: dict) -> str:
    """Groups and access policies with their scopes, in a few words."""
    groups = [f"group {name}" for name in item.get("kubernetesGroups") or []]
    policies = []
    for policy in item.get("accessPolicies") or []:
        scope = policy["accessScope"]
        where = ",".join(scope.get("namespaces") or []) or scope["type"]
        policies.append(f"{policy['policyArn'].rsplit('/', 1)[-1]} ({where})")
    return "; ".join(groups + policies)


if __name__ == "__main__":
    sys.exit(main())
