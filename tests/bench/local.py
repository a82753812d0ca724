"""A function behind the Runtime API of the strict AWS on loopback (`local-aws`), and what the machine can tell of it: the
CPU time it used, the memory it held; and the events that it is given."""

import http.client
import json
import os
import re
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).resolve().parents[1] / "local_aws"))
from running import ACCOUNT, LocalAws  # noqa: E402 - found where its program is

SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


class Function:
    """A function's process, from `exec` on."""

    def __init__(self, command: list[str], environment: dict[str, str]):
        devnull = os.open(os.devnull, os.O_RDWR)
        self.started_ns = time.time_ns()
        # As little as possible between looking at the clock and exec.
        self.pid = os.posix_spawn(
            command[0], command, environment, file_actions=[(os.POSIX_SPAWN_DUP2, devnull, fd) for fd in (0, 1)]
        )
        os.close(devnull)

    def cpu_seconds(self) -> float:
        """Used so far by all its threads."""
        return time.clock_gettime(cpu_clock_of(self.pid))

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6

    def is_gone(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def cpu_clock_of(pid: int) -> int:
    """The clock of a process's CPU time (clock_getcpuclockid(3), as Linux numbers it)."""
    return (~pid << 3) | 2


@contextmanager
def function(command: list[str], local: LocalAws, https: Path | None = None, **settings: str):
    """A function at work on `local`; `https` is a file with the certificate authorities to trust."""
    environment = {
        "AWS_LAMBDA_RUNTIME_API": local.runtime_api, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": local.https if https else local.http,
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_LAMBDA_FUNCTION_NAME": "access-entry-guard", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_LOG_GROUP_NAME": "g", "AWS_LAMBDA_LOG_STREAM_NAME": "s",
        "LEDGER_TABLE": "ledger", "SETTLE_SECONDS": "0", "PATH": os.environ["PATH"], **settings,
    }  # fmt: skip
    if https:
        environment |= {"SSL_CERT_FILE": str(https), "AWS_CA_BUNDLE": str(https)}
    elif SYSTEM_AUTHORITIES.exists():
        # One file, as Lambda's Linux has them; Debian's folder of links would be read file by file, for nothing.
        environment.setdefault("SSL_CERT_FILE", str(SYSTEM_AUTHORITIES))
    environment = {name: value for name, value in environment.items() if value}
    running = Function(command, environment)
    local.is_worth_waiting = lambda: not running.is_gone()
    try:
        yield running
    finally:
        local.is_worth_waiting = lambda: True
        running.close()


@contextmanager
def eks_connection(local: LocalAws, region: str = "us-east-1"):
    """A connection to EKS in a Region without an SDK: a function of a path that gives the body of the answer."""
    connection = http.client.HTTPConnection(local.http.removeprefix("http://"))
    scope = f"AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260101/{region}/eks/aws4_request"

    def get(path: str) -> bytes:
        connection.request("GET", path, headers={"Authorization": scope})
        return connection.getresponse().read()

    try:
        yield get
    finally:
        connection.close()


def delay_ms(local: LocalAws, calls: int = 15) -> float:
    """What one AWS call takes here, as a plain HTTP client sees it: the delay, and the little that timers and loopback add."""
    took = []
    with eks_connection(local) as get:
        for _ in range(calls):
            started = time.perf_counter_ns()
            get("/clusters")
            took.append((time.perf_counter_ns() - started) / 1e6)
    local.do("calls")
    return median(took)


def created(role: dict) -> dict:
    """The event of a role's creation."""
    return {
        "source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "account": ACCOUNT,
        "detail": {
            "eventSource": "iam.amazonaws.com", "eventName": "CreateRole", "recipientAccountId": ACCOUNT,
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "eventID": "1",
            "responseElements": {
                "role": {"arn": role["arn"], "roleId": role["roleId"], "roleName": role["roleName"]}
            },
        },
    }  # fmt: skip


def batch(events: list[dict]) -> dict:
    """A batch of events as SQS delivers it."""
    return {
        "Records": [
            {
                "messageId": f"m-{n}", "receiptHandle": "r", "body": json.dumps(event), "eventSource": "aws:sqs",
                "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "md5OfBody": "",
                "eventSourceARN": f"arn:aws:sqs:us-east-1:{ACCOUNT}:events", "awsRegion": "us-east-1",
            }
            for n, event in enumerate(events)
        ]
    }  # fmt: skip
