"""The in-process AWS of the scenarios over HTTP: one `local-aws` process on a free loopback port, for as long as a
`with` block lasts. It ends when its standard input does, so it never outlives the tests."""

import json
import os
import subprocess
from pathlib import Path

import boto3
from botocore.config import Config

PROJECT = Path(__file__).resolve().parents[2]
HOME_REGION = "us-east-1"
ACCOUNT = "111122223333"


class LocalAws:
    """A running `local-aws`; the environment variable LOCAL_AWS says where the program is."""

    def __enter__(self) -> "LocalAws":
        program = os.environ.get("LOCAL_AWS") or PROJECT / "target/debug/local-aws"
        # The recording is the scenarios': what is sent here does not belong in it.
        environment = {name: value for name, value in os.environ.items() if name != "CLOUD_RECORDING"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen([program], env=environment, text=True, **pipes)
        self.url = json.loads(self._process.stdout.readline())["http"]
        return self

    def __exit__(self, *_exception):
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def tell(self, command: str, **members):
        """Sends a command of the control channel and returns its answer."""
        self._process.stdin.write(json.dumps({"do": command, **members}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def connect(url: str, service: str):
    """A boto3 client that sends whatever it is told to and shows every answer as it comes."""
    return boto3.client(
        service,
        region_name=HOME_REGION,
        endpoint_url=url,
        # The emulator reads the account from a key ID of twelve digits.
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="unused",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )
