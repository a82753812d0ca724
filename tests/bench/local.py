"""The strict AWS on loopback (`local-aws`) with one function behind its Runtime API, and what the machine can tell of that
function: when it polled, the CPU time it used, the memory it held."""

import json
import os
import re
import select
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

ACCOUNT = "111122223333"
PATIENCE_SECONDS = 600


class Local:
    """A running `local-aws`; it ends with this process, whatever happens to it."""

    def __init__(self, program: Path, *arguments: str):
        self.process = subprocess.Popen(
            [str(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        addresses = json.loads(self.process.stdout.readline())
        self.http, self.https = addresses["http"], addresses["https"]
        self.runtime_api, self.authority = addresses["runtimeApi"], addresses["authority"]

    def do(self, command: str, **members):
        """One command of the control channel (tests/local_aws/src/control.rs)."""
        self.process.stdin.write(json.dumps({"do": command, **members}) + "\n")
        self.process.stdin.flush()
        # Whatever is asked, it is answered in a few minutes, or the function is gone that should have.
        if not select.select([self.process.stdout], [], [], PATIENCE_SECONDS)[0]:
            raise RuntimeError(f"no answer to {command}")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"local-aws ended at {command}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def local_aws(program: Path, *arguments: str):
    local = Local(program, *arguments)
    try:
        yield local
    finally:
        local.close()


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

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def cpu_clock_of(pid: int) -> int:
    """The clock of a process's CPU time (clock_getcpuclockid(3), as Linux numbers it)."""
    return (~pid << 3) | 2


@contextmanager
def function(command: list[str], local: Local, https: Path | None = None, **settings: str):
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
    running = Function(command, environment)
    try:
        yield running
    finally:
        running.close()


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
