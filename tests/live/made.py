"""What this run made in the account, and how it is removed again, whatever happened.

Each thing is noted before it is made, so that nothing is forgotten where an answer gets lost.
"""

import re
import shlex
import time

from botocore.exceptions import BotoCoreError, ClientError

# Codes that say of a thing that it is not there.
ABSENT = ("NoSuchEntity", "ResourceNotFoundException")


class Made:
    """Roles, their inline policies and their access entries in one cluster."""

    def __init__(self, iam, eks, cluster: str, region: str):
        self._iam, self._eks, self._cluster, self._region = iam, eks, cluster, region
        self._policies: list[tuple[str, str]] = []
        self._roles: list[str] = []
        self._entries: list[str] = []

    def will_have_role(self, name: str):
        if name not in self._roles:
            self._roles.append(name)

    def will_have_policy(self, role: str, name: str):
        self._policies.append((role, name))

    def will_have_entry(self, principal_arn: str):
        if principal_arn not in self._entries:
            self._entries.append(principal_arn)

    def commands(self) -> list[str]:
        """The commands that remove all of it by hand."""
        return [command for command, _ in self._removals()]

    def remove(self, quiet: float) -> dict[str, str]:
        """Removes everything; what could not be removed, by the command for it, with the reason.

        Roles go before their entries: a repair that may be under way creates nothing for a role that is gone. The
        entries are looked at until they have stayed away for `quiet` seconds.
        """
        kept = {}
        for command, remove in self._removals():
            try:
                remove()
            except (ClientError, BotoCoreError) as problem:
                if code_of(problem) not in ABSENT:
                    kept[command] = str(problem)
        away_since = time.monotonic()
        while self._entries and time.monotonic() - away_since < quiet:
            time.sleep(min(1.0, quiet / 3))
            for arn in self._entries:
                command = self._entry_command(arn)
                try:
                    self._eks.describe_access_entry(clusterName=self._cluster, principalArn=arn)
                    self._delete_entry(arn)
                    away_since = time.monotonic()
                except (ClientError, BotoCoreError) as problem:
                    if code_of(problem) not in ABSENT:
                        kept[command] = str(problem)
                        continue
                kept.pop(command, None)
        return kept

    def _removals(self):
        for role, name in self._policies:
            yield (
                f"aws iam delete-role-policy --role-name {shlex.quote(role)} --policy-name {shlex.quote(name)}",
                lambda role=role, name=name: self._iam.delete_role_policy(RoleName=role, PolicyName=name),
            )
        for name in self._roles:
            yield (
                f"aws iam delete-role --role-name {shlex.quote(name)}",
                lambda name=name: self._iam.delete_role(RoleName=name),
            )
        for arn in self._entries:
            yield self._entry_command(arn), lambda arn=arn: self._delete_entry(arn)

    def _delete_entry(self, arn: str):
        self._eks.delete_access_entry(clusterName=self._cluster, principalArn=arn)

    def _entry_command(self, arn: str) -> str:
        return (
            f"aws eks delete-access-entry --region {self._region} --cluster-name {shlex.quote(self._cluster)}"
            f" --principal-arn {shlex.quote(arn)}"
        )


def code_of(problem: Exception) -> str:
    """AWS's error code; empty where there was no answer."""
    return problem.response["Error"]["Code"] if isinstance(problem, ClientError) else ""


def words_of(problem: ClientError) -> str:
    """Code and message, as AWS answered; of a denial, the action that is missing."""
    message = problem.response["Error"].get("Message", "")
    denied = re.search(r"not authorized to perform: (\S+)", message)
    return f"{code_of(problem)} for {denied[1]}" if denied else f"{code_of(problem)}: {message}"
