"""The shared scenarios on the in-process AWS and on the emulator, and a table of where the two differ. `make compare`
prints it, and fails where a difference is not among the known ones."""

import json
import sys
from dataclasses import dataclass

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from emulator import Emulator
from running import ACCOUNT, HOME_REGION, LocalAws

import shared_entries  # noqa: F401 - the scenarios add themselves
import shared_lists  # noqa: F401
from differences import KNOWN
from samples import CLUSTER, TABLE
from shared import ROLES, SCENARIOS

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)

KEYS = {"principalArn": "HASH", "cluster": "RANGE"}


@dataclass
class Difference:
    """What came of a scenario here and there, where it is not the same."""

    scenario: str
    in_process: str
    emulator: str


class Site:
    """An AWS that scenarios can be played on."""

    def __init__(self, url: str):
        self._url = url
        self._clients = {}

    def client(self, service: str):
        if service not in self._clients:
            # Sends whatever it is told to, and shows every answer as it comes.
            self._clients[service] = boto3.client(
                service,
                region_name=HOME_REGION,
                endpoint_url=self._url,
                # The emulator reads the account from a key ID of twelve digits.
                aws_access_key_id=ACCOUNT,
                aws_secret_access_key="unused",
                config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
            )
        return self._clients[service]

    def set(self):
        """A cluster without entries, four roles, an empty ledger."""
        eks, dynamodb = self.client("eks"), self.client("dynamodb")
        while entries := eks.list_access_entries(clusterName=CLUSTER)["accessEntries"]:
            for arn in entries:
                eks.delete_access_entry(clusterName=CLUSTER, principalArn=arn)
        for row in dynamodb.scan(TableName=TABLE)["Items"]:
            dynamodb.delete_item(TableName=TABLE, Key={name: row[name] for name in KEYS})


class InProcess(Site):
    """The in-process AWS."""

    def __init__(self, aws: LocalAws):
        super().__init__(aws.http)
        self._aws = aws

    def set(self):
        self._aws.do("world", regions=3, clusters=1, entries=len(ROLES))
        super().set()

    def recreate(self, role: str):
        self._aws.do("recreate", role=role)


class OnEmulator(Site):
    """The emulator."""

    def __init__(self, emulator: Emulator):
        super().__init__(emulator.url)
        for role in [*ROLES, "cluster"]:
            self._create(role)
        self.client("eks").create_cluster(
            name=CLUSTER,
            roleArn=self.client("iam").get_role(RoleName="cluster")["Role"]["Arn"],
            resourcesVpcConfig={"subnetIds": []},
            accessConfig={"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
        )
        self.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in KEYS.items()],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in KEYS],
        )

    def recreate(self, role: str):
        self.client("iam").delete_role(RoleName=role)
        self._create(role)

    def _create(self, role: str):
        self.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)


def differences(aws: LocalAws, emulator: Emulator) -> list[Difference]:
    """Plays every scenario on both."""
    here, there = InProcess(aws), OnEmulator(emulator)
    found = []
    for sentence, play in SCENARIOS.items():
        one, other = _play(here, play), _play(there, play)
        if one != other:
            found.append(Difference(sentence, one, other))
    return found


def surprises(found: list[Difference]) -> list[str]:
    """Differences that are not known, known ones that are other by now, and known ones that are gone."""
    known = {difference.scenario: difference for difference in KNOWN}
    told = []
    for difference in found:
        expected = known.pop(difference.scenario, None)
        if expected is None:
            told.append(f"new: {difference}")
        elif (expected.in_process, expected.emulator) != (difference.in_process, difference.emulator):
            told.append(f"changed: {difference}")
    return told + [f"gone: {sentence}" for sentence in known]


def table(found: list[Difference]) -> str:
    """The differences for people, as a Markdown table."""
    known = {difference.scenario: difference for difference in KNOWN}
    rows = ["| scenario | in-process AWS | emulator | as documented | why |", "|---|---|---|---|---|"]
    for it in found:
        expected = known.get(it.scenario)
        right, why = (expected.right, expected.why) if expected else ("?", "not known")
        rows.append(f"| {it.scenario} | {it.in_process} | {it.emulator} | {right} | {why} |")
    same = len(SCENARIOS) - len(found)
    return "\n".join([*rows, "", f"{len(SCENARIOS)} scenarios, {same} of them with one result, {len(found)} with two."])


def _play(site, play) -> str:
    site.set()
    try:
        return str(play(site))
    except ClientError as error:
        return f"stops at {error.operation_name}: {error.response['Error']['Code']}"


def main() -> int:
    with LocalAws() as aws, Emulator() as emulator:
        found = differences(aws, emulator)
    print(table(found))
    told = surprises(found)
    print("".join(f"\n{line}" for line in told))
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
