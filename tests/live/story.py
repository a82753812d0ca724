"""The proof, step by step: let in, refused after the role was recreated, let in again by the function's doing.

Each step either holds or ends the run with a sentence; what AWS does not document is asked on the way.
"""

import json
import os
import secrets
import sys

from botocore.exceptions import BotoCoreError, ClientError

import probes
import questions
from account import VIEW_POLICY, Account, FunctionFailed, Refused
from consequences import consequence_of
from door import PATH, Door
from made import Made
from patience import NotInTime, Stopwatch, until
from questions import Rebinding, Seen
from sample_events import EVENTS, SAMPLES, fill_creation, fill_envelope
from subject import Subject

# For how long a good entry may take to have an effect, and a bad one to lose it.
EFFECT_LIMIT = 120

# So often in a row a role is to be refused before it counts as refused.
REFUSALS = 3


class NotProven(Exception):
    """The function did not do what it is for, or it could not be seen; the text is for a person."""


class Story:
    """One run, from the first look to the last comparison."""

    def __init__(self, given):
        self.given = given
        self.watch = Stopwatch()
        self.seen = Seen()
        self.made: Made | None = None
        # Whether the function may be at work on what was made.
        self.under_repair = False

    def say(self, text: str):
        """A line for the person, if he is still there."""
        tell(f"[{self.watch.seconds:6.1f} s] {text}")

    def tell_all(self):
        self.look()
        self.make()
        self.ask_while_good()
        self.recreate()
        self.heal()
        self.release()
        question = "How long after its deletion is an entry's creation refused?"
        self.seen.ask(question, lambda: questions.recreation_window(self.plain))
        self.say("PROVEN: the recreated role was refused, and the function let it in again, with all its entry had.")

    def look(self):
        """Whom it is about, and whether it may begin. Makes nothing."""
        given = self.given
        self.account = Account(given.cluster, given.region, given.function, given.function_region, given.boundary)
        cluster = self.account.sandbox_cluster(given.sandbox)
        self.door = Door(cluster, given.region)
        self.say(f"Account {self.account.id}, cluster {given.cluster} in {given.region}, as {self.account.caller_arn}.")
        anonymous = self.door.status(None)
        if anonymous not in (401, 403):
            raise Refused(f"{PATH} answers {anonymous} to a caller without a token: it would prove nothing.")
        self.check_function()
        run = f"access-entry-guard-live-test-{secrets.token_hex(4)}"
        self.made = Made(self.account.iam, self.account.eks, given.cluster, given.region)
        # What even the view gives, it gives in a namespace that there is not.
        scope = {"type": "namespace", "namespaces": [run]}
        view = {"policyArn": self.account.policy_arn(VIEW_POLICY), "accessScope": scope}

        def subject(kind: str, **entry) -> Subject:
            return Subject(self.account, self.made, run, kind, entry)

        # The function gives back a plain view, and a node's entry, unattended. What has a group waits for a person.
        self.plain = subject("plain", policies=[view])
        self.group = subject("group", policies=[view], groups=[run])
        self.node = subject("node", type="EC2_LINUX") if given.node else None
        self.probe = subject("probe")
        # Groups that no binding names, not in the order of the alphabet.
        self.scratch = subject("scratch", groups=[f"{run}-b", f"{run}-a"])
        self.people = [self.group, self.plain]
        self.subjects = self.people + ([self.node] if self.node else [])

    def check_function(self):
        """The function is there, sees the cluster and may repair. Where we may not invoke it, we shall see."""
        command = {"command": "check", "clusterName": self.account.cluster, "region": self.account.region}
        try:
            report = self.account.invoke(command)
        except (ClientError, FunctionFailed) as problem:
            if self.given.invoke or self.given.approve:
                raise Refused(f"{self.account.function} cannot be invoked: {problem}") from None
            self.say(f"The function could not be asked beforehand: {problem}")
            return
        if report.get("mode") != "repair":
            raise Refused(f"The function's mode is {report.get('mode')}: it repairs nothing. Set Mode=repair.")
        spots = [spot for spot in report.get("blindSpots", []) if spot.get("region") == self.account.region]
        if spots:
            raise Refused(f"The function cannot see the cluster: {spots[0]['reason']} ({spots[0]['detail']})")
        self.say(f"The function {self.account.function} in {self.account.function_region} sees the cluster.")

    def make(self):
        """Roles and entries, and the proof that they let in."""
        for subject in self.subjects:
            subject.create_role()
            self.made.will_have_entry(subject.arn)
        self.say("Made roles. Should this be killed, what it makes is removed with:")
        for command in self.made.commands():
            tell(f"             {command}")
        for subject in self.subjects:
            subject.create_entry()
        refusals = {
            "How long is a new role an invalid principal?": max(s.invalid_principal_for for s in self.subjects),
            "How long is a new entry not found by associations?": max(s.association_refused_for for s in self.subjects),
        }
        for question, seconds in refusals.items():
            self.seen.note(question, f"last refused after {seconds:.1f} s" if seconds else "not at all")
        for subject in self.people:
            self.enter(subject, subject.assume(), "with its new entry")

    def ask_while_good(self):
        """Open questions about entries that are as they should be."""
        ask, plain = self.seen.ask, self.plain
        ask("What is a rehearsal answered?", lambda: questions.rehearsal(plain))
        question = "And one by a caller without any permission?"
        ask(question, lambda: questions.without_permission(self.group.assume(), plain))
        try:
            questions.missing_pass_role(self.account, self.made, self.probe, plain, self.seen)
        except (ClientError, NotInTime) as problem:
            self.seen.note("What is a missing iam:PassRole answered?", f"not seen: {problem}")
        try:
            probes.ask_about_an_entry(self.scratch, self.seen)
        except (ClientError, NotInTime) as problem:
            self.seen.note(probes.TAGS_AT_ONCE, f"not seen: {problem}")
        self.ask_about_the_stack()
        if self.node:
            question = "What is ListAssociatedAccessPolicies of an EC2_LINUX entry answered?"
            ask(question, lambda: questions.policies_of_a_node_entry(self.node))

    def ask_about_the_stack(self):
        """What can only be looked at where it is deployed: a node group, a queue, a destination."""
        ask, account = self.seen.ask, self.account
        ask(probes.NODE_GROUP_TAGS, lambda: probes.node_group_tags(account))
        ask(probes.REDRIVE, lambda: probes.redrive(account, self.given.operator, account.client("sqs")))
        look = account.client("lambda"), account.client("cloudwatch")
        ask(probes.FOREIGN_BUS, lambda: probes.foreign_bus(account, *look))

    def recreate(self):
        """The fault: same names, new IDs. They are refused, with credentials that STS vouches for."""
        self.under_repair = True
        before = self.group.assume()
        for subject in self.subjects:
            old = subject.role["RoleId"]
            subject.recreate_role()
            self.say(f"Recreated {subject.role_name}: {old} is now {subject.role['RoleId']}.")
        self.since_recreation = Stopwatch()
        self.seen.ask(probes.OLD_SESSION, lambda: probes.old_session(self.account, before))
        self.credentials = {subject: subject.assume() for subject in self.people}
        for subject, credentials in self.credentials.items():
            self.be_refused(subject, credentials)
        self.rebinding = None
        try:
            self.rebinding = Rebinding(self.group)
        except ClientError as problem:
            self.seen.note("Does UpdateAccessEntry bind an entry again?", f"not seen: {problem}")

    def heal(self):
        """Waits for the function, or invokes it, until the plain role is let in and the node's entry new; compares."""
        credentials = self.credentials[self.plain]
        if not self.given.invoke:
            self.say(f"Waiting for the function, {self.given.timeout:.0f} s at most.")
        self.wait_for(self.plain, lambda: self.door.status(credentials) == 200)
        seconds = self.since_recreation.seconds
        self.say(f"{self.plain.role_name} is let in again: 200, {seconds:.0f} s after its recreation.")
        repaired = (self.plain.read_entry()["createdAt"] - self.plain.role["CreateDate"]).total_seconds()
        self.seen.note("How much younger than the role is its new entry?", f"{repaired:.0f} s, SETTLE_SECONDS included")
        if not self.given.invoke:
            question = "How long after the role's recreation did its events reach the function?"
            since = self.plain.role["CreateDate"].timestamp()
            self.seen.ask(question, lambda: questions.delay_of_events(self.plain, since))
        self.compare(self.plain)
        if self.node:
            self.wait_for(self.node, self.node.has_new_entry)
            self.say(f"{self.node.role_name} has a new entry.")
            self.compare(self.node)

    def wait_for(self, subject: Subject, healed):
        def attempt():
            if self.given.invoke:
                self.deliver(subject)
            return True if healed() else None

        try:
            until("the repair", max(self.given.timeout - self.since_recreation.seconds, 0), attempt)
        except NotInTime:
            raise NotProven(
                f"{self.since_recreation.seconds:.0f} s after the recreation of {subject.role_name} its entry is still"
                f" the stale one: the function did not repair it. {self.diagnosis(subject)}"
            ) from None

    def release(self):
        """The entry with a group: healed where its creator is trusted, else held; released if we were told to."""
        subject, credentials = self.group, self.credentials[self.group]
        if self.rebinding:
            question = "Does UpdateAccessEntry bind an entry again?"
            observe = self.given.observe
            self.seen.ask(question, lambda: self.rebinding.outcome(self.door, credentials, observe))
            if self.rebinding.rebound:
                self.say(f"{subject.role_name} is let in with its old entry, which an update had bound again.")
                return
        if self.given.invoke:
            self.deliver(subject)
        if self.door.status(credentials) == 200:
            self.say(f"{subject.role_name}, whose entry has a group, was let in again without a person.")
        elif self.given.approve:
            self.approve(subject)
        else:
            self.say(f"{subject.role_name}, whose entry has a group, waits for a person: 401. APPROVE=1 releases it.")
            return
        self.enter(subject, credentials, "again")
        self.compare(subject)

    def approve(self, subject: Subject):
        command = {"command": "approve", "principalArn": subject.arn, "roleId": subject.role["RoleId"]}
        place = {"clusterName": self.account.cluster, "region": self.account.region}
        try:
            report = self.account.invoke(command | place, "approve")
        except FunctionFailed as problem:
            raise NotProven(f"Approved, the entry of {subject.role_name} was not repaired: {problem}") from None
        self.say(f"Approved {subject.role_name}, whose entry has a group: {self.words_about(report)}.")

    def enter(self, subject: Subject, credentials: dict, how: str):
        try:
            until("200", EFFECT_LIMIT, lambda: True if self.door.status(credentials) == 200 else None)
        except NotInTime:
            status = self.door.status(credentials)
            raise NotProven(f"{subject.role_name} is answered {status} {how}, not 200.") from None
        self.say(f"{subject.role_name} is let in {how}: 200.")

    def be_refused(self, subject: Subject, credentials: dict):
        """401 several times in a row, before anything but the role changed."""
        in_a_row = 0

        def attempt():
            nonlocal in_a_row
            in_a_row = in_a_row + 1 if self.door.status(credentials) == 401 else 0
            return True if in_a_row == REFUSALS else None

        try:
            until("401", EFFECT_LIMIT, attempt)
        except NotInTime:
            entry = subject.read_entry()
            if entry and entry["accessEntryArn"] != subject.entry["accessEntryArn"]:
                why = "its entry was created again before that could be seen; a larger SETTLE_SECONDS shows it"
            else:
                why = "it is let in with the entry of the deleted role; does the aws-auth map name it?"
            raise NotProven(f"The recreated {subject.role_name} was not refused: {why}.") from None
        self.say(f"{subject.role_name} is refused: 401, although its entry looks as before.")

    def compare(self, subject: Subject):
        """The entry with what it was made with, and what the API server makes of it."""
        differences = subject.differences()
        user = self.door.who_am_i(self.credentials[subject]) if subject in self.credentials else None
        if user is not None and set(user["groups"]) - {"system:authenticated"} != set(subject.wanted["groups"]):
            differences.append(f"groups as the API server sees them: {', '.join(user['groups'])}")
        if differences:
            raise NotProven(f"The entry of {subject.role_name} is not as it was made: {'; '.join(differences)}.")
        what = "access policies and scopes, " if subject in self.people else ""
        self.say(f"Its type, user name, groups, {what}and tags are as they were made.")

    def deliver(self, subject: Subject):
        """Hands the event of the role's creation to the function."""
        event = json.loads((EVENTS / f"{SAMPLES['CreateRole']}.json").read_text())
        fill_envelope(event, self.account.id, self.account.function_region, subject.role["CreateDate"])
        fill_creation(event["detail"], subject.role, subject.role["CreateDate"])
        try:
            report = self.account.invoke(event, self.given.alias)
        except FunctionFailed as problem:
            self.say(f"The function failed, as it does where a retry helps: {problem}")
        else:
            self.say(f"The function reports of {subject.role_name}: {self.words_about(report)}.")

    def diagnosis(self, subject: Subject) -> str:
        """What the function itself says of the entry."""
        command = {"command": "repair", "principalArn": subject.arn}
        place = {"clusterName": self.account.cluster, "region": self.account.region}
        try:
            words = self.words_about(self.account.invoke(command | place))
        except (ClientError, BotoCoreError, FunctionFailed) as problem:
            words = str(problem)
        return (
            f"Asked to repair it, the function reports: {words}. If it was able to, no event had arrived: look at the"
            " trail, at the rule, and at the Region of the stack."
        )

    def words_about(self, report: dict) -> str:
        """Verdict, outcome and reason of the entry in this run's cluster."""
        place = (self.account.region, self.account.cluster)
        entries = [e for e in report.get("entries", []) if (e.get("region"), e.get("clusterName")) == place]
        words = [", ".join(filter(None, map(e.get, ("verdict", "outcome", "reason")))) for e in entries]
        return "; ".join(words) or "no such entry"

    def tell_what_was_seen(self):
        if self.seen.answers:
            tell("\nWhat AWS does not document, as seen here:")
            for question, answer in self.seen.answers.items():
                tell(f"  {question}\n    {answer}\n    {consequence_of(question)}")
            tell("")

    def has_made(self) -> bool:
        """Whether there is anything to remove."""
        return self.made is not None and bool(self.made.commands())

    def remove(self) -> bool:
        """Whether everything is gone."""
        if not self.has_made():
            return True
        self.say("Removing what was made.")
        # A repair that is just between deletion and creation may still bring an entry back.
        kept = self.made.remove(self.given.observe if self.under_repair else 1.0)
        if not kept:
            self.say("All that was made is removed. What the function noted in its ledger stays, and grants nothing.")
            return True
        self.say("Could not be removed; please do it by hand:")
        for command, why in kept.items():
            tell(f"  {command}\n    ({why})")
        return False


def tell(text: str):
    """A line on standard output, also from within a signal handler, and whether or not anybody reads it."""
    try:
        os.write(sys.stdout.fileno(), f"{text}\n".encode())
    except OSError:
        pass
