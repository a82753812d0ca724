"""The strict AWS of the scenarios on loopback ports, and the function beside it, for the tests of the live test.

Both end with the test: `local-aws` when its standard input ends, the function because it is killed.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

import boto3
from running import HOME_REGION, LocalAws

HERE = Path(__file__).resolve().parent
# Where the tests' clusters are.
REGION = "eu-west-1"
LIVE_TEST = HERE / "live_test.py"

FUNCTION_ENVIRONMENT = {
    "AWS_REGION": HOME_REGION,
    "AWS_ACCESS_KEY_ID": "AKIAFUNCTION",
    "AWS_SECRET_ACCESS_KEY": "unused",
    "AWS_LAMBDA_FUNCTION_NAME": "access-entry-guard",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    "AWS_LAMBDA_LOG_GROUP_NAME": "group",
    "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
    "LEDGER_TABLE": "ledger",
    "SETTLE_SECONDS": "0",
}


class Sandbox(LocalAws):
    """One account with a ledger, while a `with` block lasts."""

    def __enter__(self):
        super().__enter__()
        self._function: subprocess.Popen | None = None
        self._log: threading.Thread | None = None
        self.do("world", regions=2)
        return self

    def __exit__(self, *exception):
        if self._function:
            self._function.kill()
            self._function.wait()
            self._log.join()
        super().__exit__(*exception)

    def do(self, command: str, **members):
        answer = super().do(command, **members)
        assert not isinstance(answer, dict) or "error" not in answer, answer
        return answer

    def start_function(self, **settings: str):
        """The function, polling this AWS."""
        environment = FUNCTION_ENVIRONMENT | {
            "AWS_LAMBDA_RUNTIME_API": self.runtime_api,
            "AWS_ENDPOINT_URL": self.http,
        }
        self._function = subprocess.Popen(
            [os.environ["BOOTSTRAP"]],
            env=environment | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._log = threading.Thread(target=self._keep_log)
        self._log.start()

    def _keep_log(self):
        """Lambda's part: what the function writes goes to CloudWatch Logs."""
        for line in self._function.stdout:
            self.do("log", line=line.rstrip("\n"))

    def environment(self) -> dict[str, str]:
        """The operator's, without anything of the caller's own configuration."""
        return {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.http,
            "AWS_ACCESS_KEY_ID": "AKIAOPERATOR",
            "AWS_SECRET_ACCESS_KEY": "unused",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def client(self, service: str, region: str = HOME_REGION, credentials: dict | None = None):
        """A client of the operator's, or of a session."""
        credentials = credentials or {"AccessKeyId": "AKIAOPERATOR", "SecretAccessKey": "unused"}
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.http,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials.get("SessionToken"),
        )

    def begin_live_test(self, *arguments: str) -> subprocess.Popen:
        """The live test as somebody would start it; its two outputs in one."""
        return subprocess.Popen(
            [sys.executable, str(LIVE_TEST), *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def live_test(self, *arguments: str, when: dict | None = None) -> tuple[int, str]:
        """Its exit status and what it said, once it has ended. `when` acts on it at the first line with such words."""
        ahead = dict(when or {})
        said = []
        with self.begin_live_test(*arguments) as process:
            limit = threading.Timer(300, process.kill)
            limit.start()
            try:
                for line in process.stdout:
                    said.append(line)
                    for words in [words for words in ahead if words in line]:
                        ahead.pop(words)(process)
            finally:
                limit.cancel()
                process.kill()
        assert not ahead, f"it never said {list(ahead)}: {''.join(said)}"
        return process.returncode, "".join(said)
