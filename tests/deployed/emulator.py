"""A local AWS: one MiniStack server on a free loopback port, for as long as a `with` block lasts.

The server, and with it the functions that it runs, ends with the process that started it, also where that one is killed.
Nothing listens on anything but 127.0.0.1, no Docker daemon is asked for anything, and no credentials or profile of the
caller are seen: the server gets an environment of its own.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

ACCOUNT = "111122223333"
HOME_REGION = "us-east-1"


class Emulator:
    """A running emulator. `enforce_iam` makes it refuse what IAM policies do not allow."""

    def __init__(self, enforce_iam: bool = False):
        self.enforce_iam = enforce_iam
        self.url = ""
        self._server: subprocess.Popen | None = None
        self._directory = ""
        self._clients: dict[tuple[str, str], object] = {}

    def __enter__(self) -> "Emulator":
        self._directory = tempfile.mkdtemp(prefix="access-entry-guard-")
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_exception):
        self._stop()

    @property
    def log(self) -> Path:
        """What the server wrote, the functions' output included."""
        return Path(self._directory, "server.log")

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to reach the emulator with the account's root credentials."""
        return {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "unused"}

    def client(self, service: str, region: str = HOME_REGION):
        """A client with the account's root credentials."""
        key = (service, region)
        if key not in self._clients:
            # MiniStack reads the account from a key ID of twelve digits.
            self._clients[key] = self._connect(service, region, aws_access_key_id=ACCOUNT, aws_secret_access_key="unused")
        return self._clients[key]

    def client_of(self, credentials: dict, service: str, region: str = HOME_REGION):
        """A client with the credentials of a session, as STS returns them."""
        return self._connect(
            service,
            region,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    def _connect(self, service: str, region: str, **credentials: str):
        # A synchronous invocation is never sent twice.
        config = Config(read_timeout=900, retries={"total_max_attempts": 1})
        return boto3.client(service, region_name=region, endpoint_url=self.url, config=config, **credentials)

    def _start(self):
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("wb") as log:
            self._server = subprocess.Popen(
                [Path(sys.executable).parent / "ministack"],
                cwd=self._directory,
                env=self._environment(port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the emulator did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def _environment(self, port: int) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": self._directory,
            "TMPDIR": self._directory,
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AUTH": "true" if self.enforce_iam else "false",
            "LOG_LEVEL": "INFO",
            # Listeners that would not keep to loopback, and a daemon that may belong to somebody else.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{self._directory}/no-docker",
            # AWS waits one and two minutes before it repeats an asynchronous invocation.
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2",
        }

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=1) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _stop(self):
        if self._server is not None:
            # The group: the server and the functions' processes.
            for step in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(self._server.pid, step)
                    self._server.wait(timeout=5)
                except ProcessLookupError:
                    break
                except subprocess.TimeoutExpired:
                    continue
        shutil.rmtree(self._directory, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _end_with_parent():
    """In the server's process: ask Linux to end it when its parent is gone, however that happened."""
    if sys.platform == "linux":
        parent_death_signal = 1
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGTERM)
