"""The stack: this project's template.yaml and bootstrap, deployed by CloudFormation, and what a user does with it.

The template is deployed as it is, unless a packaged one is given. Two things differ from AWS:
`Code` names the uploaded zip, as `sam package` would do it, and the saved Logs Insights queries are left out, which
the emulator does not know.
"""

import json
import os
import sys
import time
from pathlib import Path

from emulator import HOME_REGION, Emulator

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATE = PROJECT / "template.yaml"

sys.path.append(str(PROJECT / "tests" / "tools"))
from package import with_code_in, zip_of  # noqa: E402

NAMESPACE = "AccessEntryGuard"
BUCKET = "deployment"


class FunctionError(Exception):
    """The function answered with an error: its type, and its message."""

    def __init__(self, answer: dict):
        self.type = answer.get("errorType", "")
        self.message = answer.get("errorMessage", "")
        super().__init__(f"{self.type}: {self.message}")


class Stack:
    """A deployed stack, with the outputs of the template by name. `packaged` is the URL of a packaged template."""

    def __init__(
        self, emulator: Emulator, region: str = HOME_REGION, name: str = "access-entry-guard", packaged: str = ""
    ):
        self.emulator = emulator
        self.region = region
        self.name = name
        self.packaged = packaged
        self.outputs: dict[str, str] = {}
        self._id = ""

    def deploy(self, **parameters: str) -> "Stack":
        """Creates the stack, or updates it with other parameters, and waits until it is complete."""
        cloudformation = self.emulator.client("cloudformation", self.region)
        exists = bool(self.outputs)
        change = cloudformation.update_stack if exists else cloudformation.create_stack
        changed = change(
            StackName=self.name,
            TemplateURL=self.packaged or self._upload(),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in (self.local_parameters() | parameters).items()
            ],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        self._id = changed["StackId"]
        self.outputs = self._wait_for("UPDATE_COMPLETE" if exists else "CREATE_COMPLETE")
        return self

    def local_parameters(self) -> dict[str, str]:
        """The parameters that an emulator needs."""
        return {"EndpointUrl": self.emulator.url, "CreateSavedQueries": "false"}

    def delete(self):
        self.emulator.client("cloudformation", self.region).delete_stack(StackName=self.name)
        self._wait_for("DELETE_COMPLETE")

    def resources(self) -> dict[str, str]:
        """Physical IDs by logical ID."""
        listed = self.emulator.client("cloudformation", self.region).describe_stack_resources(StackName=self.name)
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in listed["StackResources"]}

    def invoke(self, payload: dict, alias: str = "") -> dict:
        """Hands a payload to the function, as `aws lambda invoke` does, and returns its report."""
        reply = self.emulator.client("lambda").invoke(
            FunctionName=self.outputs["FunctionArn"] + (f":{alias}" if alias else ""),
            Payload=json.dumps(payload),
        )
        answer = json.loads(reply["Payload"].read())
        if "FunctionError" in reply:
            raise FunctionError(answer)
        return answer

    def ledger_row(self, principal_arn: str, region: str, cluster: str) -> dict | None:
        """A row of the ledger as plain strings, or None."""
        found = self.emulator.client("dynamodb").get_item(
            TableName=self.outputs["LedgerTable"],
            Key={"principalArn": {"S": principal_arn}, "cluster": {"S": f"{region}#{cluster}"}},
        )
        row = found.get("Item")
        return row and {name: next(iter(value.values())) for name, value in row.items()}

    def metric_sum(self, metric: str, **dimensions: str) -> float | None:
        """What was published with exactly these dimensions within the last hour, or None where nothing was."""
        listed = self.emulator.client("cloudwatch").list_metrics(Namespace=NAMESPACE, MetricName=metric)["Metrics"]
        published = [{d["Name"]: d["Value"] for d in series["Dimensions"]} for series in listed]
        if dimensions not in published:
            return None
        found = self._data_points_sum(metric, dimensions)
        if not dimensions:
            # Asked without dimensions, the emulator adds those with dimensions up; AWS keeps them apart.
            found -= sum(self._data_points_sum(metric, other) for other in published if other)
        return found

    def _data_points_sum(self, metric: str, dimensions: dict[str, str]) -> float:
        now = time.time()
        points = self.emulator.client("cloudwatch").get_metric_statistics(
            Namespace=NAMESPACE,
            MetricName=metric,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - 3600,
            EndTime=now + 60,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)

    def alarm_state(self, suffix: str) -> str:
        """State of the alarm whose name ends so: OK, ALARM or INSUFFICIENT_DATA."""
        (alarm,) = self.emulator.client("cloudwatch").describe_alarms(
            AlarmNames=[f"access-entry-guard-{suffix}"]
        )["MetricAlarms"]
        return alarm["StateValue"]

    def _upload(self) -> str:
        s3 = self.emulator.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        # Quickly rather than tightly: a development build is large, and goes no further than this machine.
        s3.put_object(Bucket=BUCKET, Key="bootstrap.zip", Body=zip_of(bootstrap_path(), compresslevel=1))
        template = with_code_in(TEMPLATE.read_text(), BUCKET, "bootstrap.zip")
        s3.put_object(Bucket=BUCKET, Key="template.yaml", Body=template)
        return f"{self.emulator.url}/{BUCKET}/template.yaml"

    def _wait_for(self, wanted: str, seconds: int = 120) -> dict[str, str]:
        cloudformation = self.emulator.client("cloudformation", self.region)
        deadline = time.monotonic() + seconds
        while True:
            (stack,) = cloudformation.describe_stacks(StackName=self._id)["Stacks"]
            status = stack["StackStatus"]
            if status == wanted:
                return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
            if not status.endswith("IN_PROGRESS") or time.monotonic() > deadline:
                raise RuntimeError(f"the stack is {status}, not {wanted}:\n{self._failures()}")
            time.sleep(0.2)

    def _failures(self) -> str:
        events = self.emulator.client("cloudformation", self.region).describe_stack_events(StackName=self._id)
        return "\n".join(
            f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
            for event in events["StackEvents"]
            if event.get("ResourceStatusReason")
        )


def bootstrap_path() -> Path:
    """The function's binary: BOOTSTRAP, or what a development build leaves in Cargo's target directory."""
    built = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"), "debug", "bootstrap")
    bootstrap = Path(os.environ.get("BOOTSTRAP", built))
    if not bootstrap.is_file():
        raise FileNotFoundError(f"{bootstrap}: build it first (cargo build --locked --bin bootstrap), or set BOOTSTRAP")
    return bootstrap
