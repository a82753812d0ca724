"""`local-aws`, the AWS of the scenarios as a program on free loopback ports, from Python: started, told what to do over
its control channel (`src/control.rs`), and ended.

It ends when its standard input does, so it never outlives the process that started it."""

import contextlib
import json
import os
import select
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

ACCOUNT = "111122223333"
HOME_REGION = "us-east-1"


class LocalAws:
    """A running `local-aws`, while a `with` block lasts; without a path, the one that LOCAL_AWS names."""

    def __init__(self, program: str | Path | None = None, *arguments: str):
        self._command = [str(program or os.environ["LOCAL_AWS"]), *arguments]
        self._turn = threading.Lock()
        #: Asked every second while an answer is waited for: whether one can still come.
        self.is_worth_waiting: Callable[[], bool] = lambda: True

    def __enter__(self):
        # The recording is the scenarios': what is sent here does not belong in it.
        environment = {name: value for name, value in os.environ.items() if name != "CLOUD_RECORDING"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(self._command, env=environment, text=True, **pipes)
        addresses = json.loads(self._process.stdout.readline())
        self.http, self.https = addresses["http"], addresses["https"]
        self.runtime_api, self.authority = addresses["runtimeApi"], addresses["authority"]
        return self

    def __exit__(self, *_exception):
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def do(self, command: str, **members):
        """One command of the control channel, and its answer."""
        with self._turn:
            print(json.dumps({"do": command, **members}), file=self._process.stdin, flush=True)
            while not select.select([self._process.stdout], [], [], 1)[0]:
                if not self.is_worth_waiting():
                    raise RuntimeError(f"the function ended during {command}")
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"local-aws ended at {command}")
        return json.loads(line)
