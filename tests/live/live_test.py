"""Proves in a sandbox account that the deployed function lets a recreated role in again, and removes all it made.

It makes throw-away roles and access entries in one cluster, enters the cluster as they do (200), deletes and recreates
the roles (401), waits for the function or invokes it, enters again (200), and compares the entries with what they were.
On the way it asks AWS what AWS does not document.

Exit status: 0 proven; 1 not proven, or something could not be removed; 2 refused, and nothing made; 130 interrupted.
"""

import argparse
import signal
import sys

from botocore.exceptions import BotoCoreError, ClientError

from account import Refused
from door import Unreachable
from patience import NotInTime
from story import NotProven, Story
from subject import TAG

PROVEN, NOT_PROVEN, REFUSED, INTERRUPTED = 0, 1, 2, 130

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody wants it to end."""


def main() -> int:
    story = Story(parse())
    for number in SIGNALS:
        signal.signal(number, interrupt)
    status = NOT_PROVEN
    try:
        status = prove(story)
    finally:
        # From here on nothing keeps it from removing what it made.
        for number in SIGNALS:
            signal.signal(number, lambda *_: story.say("Still removing what was made; it does not take long."))
        story.tell_what_was_seen()
        if not story.remove() and status == PROVEN:
            status = NOT_PROVEN
    return status


def prove(story: Story) -> int:
    try:
        story.tell_all()
        return PROVEN
    except (Refused, NotProven, NotInTime, Unreachable, ClientError, BotoCoreError) as why:
        # Without credentials, say, or without a way to the cluster, it ends before there is anything to prove.
        if not story.has_made():
            print(f"Refused, and nothing was made. {why}", file=sys.stderr)
            return REFUSED
        story.say(f"NOT PROVEN. {why}")
    except Interrupted:
        story.say("Interrupted.")
        return INTERRUPTED
    return NOT_PROVEN


def interrupt(*_):
    raise Interrupted


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    option = parser.add_argument
    option("--cluster", required=True, metavar="NAME", help="a cluster to try things on")
    option("--region", required=True, help="its Region")
    option("--sandbox", default="", metavar="ACCOUNT", help=f"the account's ID; or tag the cluster {TAG}=allowed")
    option("--function", default="access-entry-guard", metavar="NAME", help="name or ARN (%(default)s)")
    option("--function-region", default="", metavar="REGION", help="the function's Region, if not that of IAM's events")
    option("--invoke", action="store_true", help="invoke the function, instead of waiting for the event")
    option("--alias", default="", help="the alias through which to invoke it")
    option("--approve", action="store_true", help="release the entry with a group, through the alias approve")
    option("--node", action="store_true", help="have a node's entry repaired as well; needs iam:PassRole")
    option("--timeout", type=float, default=1200, metavar="SECONDS", help="for the repair (%(default)s)")
    option("--observe", type=float, default=20, metavar="SECONDS", help="to watch what may still change (%(default)s)")
    option("--operator", default="", metavar="ARN", help="the role of OperatorRoleArn, to start a redrive with")
    option("--boundary", default="", metavar="ARN", help="permissions boundary for the roles that are made")
    arguments = parser.parse_args()
    if not arguments.cluster or not arguments.region:
        parser.error("a cluster and its Region are needed")
    if not 0 < arguments.timeout <= 3000:
        parser.error("the sessions of the roles last an hour: a timeout of 3000 s at most")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
