"""What AWS does not document and this product had to infer, asked of a live account on the side.

No answer here decides whether the proof succeeds: the function is built to be safe with either. A question that cannot
be asked is answered with the reason.
"""

from botocore.exceptions import BotoCoreError, ClientError

import probes
from account import Account
from door import Door
from made import Made, words_of
from patience import NotInTime, Stopwatch, until
from subject import IAM_LIMIT, Subject, session_client

# Log lines can be searched some seconds after they were written.
LOG_LIMIT = 60

NODE_TYPES = ("EC2_LINUX", "EC2_WINDOWS", "EC2", "FARGATE_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX")

ACCEPTED = "accepted"


class Seen:
    """Questions and what was seen, in the order of asking."""

    def __init__(self):
        self.answers: dict[str, str] = {}

    def note(self, question: str, answer: str):
        self.answers[question] = answer

    def ask(self, question: str, ask):
        """Notes what `ask` answers, or why it could not be asked."""
        try:
            self.note(question, ask())
        except (BotoCoreError, ClientError, NotInTime) as problem:
            self.note(question, f"not seen: {problem}")


def rehearsal(subject: Subject) -> str:
    """The very creation again, while the entry stands: what every repair does before it deletes."""
    return answer_to(subject.account.eks, subject.creation())


def without_permission(credentials: dict, subject: Subject) -> str:
    """The same from a caller without any permission: if it is `in use` all the same, a rehearsal proves nothing."""
    return answer_to(session_client("eks", credentials, subject.account.region), subject.creation())


def missing_pass_role(account: Account, made: Made, probe: Subject, taken: Subject, seen: Seen):
    """Node entries from a caller who may create them and not pass their role: of a role without and of one with entry."""
    cluster_arn = account.eks.describe_cluster(name=account.cluster)["cluster"]["arn"]
    only = {"StringEquals": {"eks:accessEntryType": list(NODE_TYPES)}}
    allow = {"Effect": "Allow", "Action": "eks:CreateAccessEntry", "Resource": cluster_arn, "Condition": only}
    probe.create_role()
    probe.put_policy({"Version": "2012-10-17", "Statement": [allow]})
    eks = session_client("eks", probe.assume(), account.region)
    made.will_have_entry(probe.arn)

    def created(kind: str) -> str:
        def attempt():
            answer = answer_to(eks, probe.key() | {"type": kind})
            if answer == ACCEPTED:
                account.eks.delete_access_entry(**probe.key())
            # Where the policy has not reached EKS yet, or the role has not, that is no answer to the question.
            return None if answer.endswith("eks:CreateAccessEntry") or "invalid principal" in answer else answer

        return until("a caller who may create node entries", IAM_LIMIT, attempt)

    for kind in NODE_TYPES:
        question = f"What is the creation of an entry of type {kind} answered without iam:PassRole?"
        seen.ask(question, lambda kind=kind: created(kind))
    question = "And one of type EC2_LINUX, where the role has an entry already?"
    seen.ask(question, lambda: answer_to(eks, taken.key() | {"type": "EC2_LINUX"}))
    probes.passing(account, probe, eks, seen)


def policies_of_a_node_entry(subject: Subject) -> str:
    """The list of access policies of an entry that can have none."""
    try:
        return f"a list of {len(subject.read_policies())}"
    except ClientError as problem:
        return words_of(problem)


class Rebinding:
    """UpdateAccessEntry on a stale entry, with the groups that it has, and whether its role is let in afterwards."""

    def __init__(self, subject: Subject):
        self.rebound = False
        self._subject, self._stale = subject, subject.read_entry()
        subject.account.eks.update_access_entry(**subject.key(), kubernetesGroups=self._stale["kubernetesGroups"])
        self._watch = Stopwatch()

    def outcome(self, door: Door, credentials: dict, limit: float) -> str:
        """What became of it; waits so long since the update, if need be."""

        def attempt():
            if door.status(credentials) != 200:
                return None
            now = self._subject.read_entry()
            if now is None or now["accessEntryArn"] != self._stale["accessEntryArn"]:
                return "not seen: the entry was created again meanwhile"
            self.rebound = True
            return f"yes: seen {self._watch.seconds:.0f} s after the update"

        try:
            return until("rebinding", max(limit - self._watch.seconds, 0), attempt)
        except NotInTime:
            return f"no, not within {self._watch.seconds:.0f} s"


def delay_of_events(subject: Subject, since: float) -> str:
    """When the function began to work on the events of a role that was recreated at a moment, by its own log."""

    def attempt():
        account, found = subject.account, set()
        for _, entry in account.log_lines(since, kind="entry", principalArn=subject.arn):
            for at, report in account.log_lines(since, kind="report", requestId=entry["requestId"]):
                if report["trigger"] in ("roleCreated", "roleDeleted", "batch"):
                    found.add((at - report["durationMs"] / 1000 - since, report["trigger"]))
        # The deletion's event may have healed it, with the creation's still to come.
        return found if any(trigger != "roleDeleted" for _, trigger in found) else None

    found = until("the function's report on the role's creation in its log", LOG_LIMIT, attempt)
    return ", ".join(f"{max(delay, 0):.1f} s ({trigger})" for delay, trigger in sorted(found))


def recreation_window(subject: Subject) -> str:
    """The entry deleted and created again at once."""
    subject.account.eks.delete_access_entry(**subject.key())
    watch = Stopwatch()
    refused = []

    def attempt():
        answer = answer_to(subject.account.eks, subject.creation())
        if answer == ACCEPTED:
            return True
        refused.append((watch.seconds, answer))
        return None

    until("the creation after a deletion", IAM_LIMIT, attempt)
    if not refused:
        return "not at all: accepted at once"
    seconds, answer = refused[-1]
    return f"last after {seconds:.1f} s, with {answer}"


def answer_to(eks, creation: dict) -> str:
    """What a creation is answered."""
    try:
        eks.create_access_entry(**creation)
        return ACCEPTED
    except ClientError as problem:
        return words_of(problem)
