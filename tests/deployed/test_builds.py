"""The ways to build the function, with the real tools: all come to the executable that the other tests deploy.

`make test` says where the tools are (BUILD_TOOLS) and has built for Lambda before, so that Cargo has nothing to compile
here. `sam local invoke` needs Docker, and is not tried.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from emulator import ACCOUNT, HOME_REGION
from stack import PROJECT, bootstrap_path
from world import Cluster, create_role, creation_event, recreate_role

# What the runtime provided.al2023 has.
GLIBC = (2, 34)

TOOLS = os.environ.get("BUILD_TOOLS", "")

pytestmark = pytest.mark.skipif(not TOOLS, reason="make test runs these, with the tools that build for Lambda")


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """The tools first in the path, the caller's compiler behind them, and nobody's AWS account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        "PATH": os.pathsep.join([TOOLS, kept.get("PATH", os.defpath)]),
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "unused",
        "AWS_REGION": HOME_REGION,
        "AWS_DEFAULT_REGION": HOME_REGION,
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(tmp_path),
    }


@pytest.fixture
def run(environment):
    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_executable_asks_for_no_later_glibc_than_lambda_has():
    with bootstrap_path().open("rb") as executable:
        needed = ELFFile(executable).get_section_by_name(".gnu.version_r")
        versions = [auxiliary.name for _, auxiliaries in needed.iter_versions() for auxiliary in auxiliaries]

    matches = [re.fullmatch(r"GLIBC_([\d.]+)", name) for name in versions]
    asked = [tuple(map(int, match[1].split("."))) for match in matches if match]
    assert asked and max(asked) <= GLIBC


def test_sam_finds_the_template_valid(run):
    assert "is a valid SAM Template" in run("sam", "validate", "--lint", "--template", "template.yaml")


def test_sam_build_makes_the_executable_that_is_tested(run, tmp_path):
    run("sam", "build", "--build-dir", str(tmp_path / "build"), "--cache-dir", str(tmp_path / "cache"))

    assert (tmp_path / "build" / "GuardFunction" / "bootstrap").read_bytes() == bootstrap_path().read_bytes()


def test_cargo_lambda_zips_the_executable_that_is_tested(run, tmp_path):
    run(
        *["cargo", "lambda", "build", "--release", "--locked", "--bin", "bootstrap"],
        *["--output-format", "zip", "--lambda-dir", str(tmp_path)],
    )

    with zipfile.ZipFile(tmp_path / "bootstrap" / "bootstrap.zip") as archive:
        assert archive.read("bootstrap") == bootstrap_path().read_bytes()


def test_cargo_lambda_deploy_brings_the_code_and_leaves_the_rest(emulator, stack, environment, tmp_path):
    functions = emulator.client("lambda")
    before = functions.get_function_configuration(FunctionName="access-entry-guard")
    (tmp_path / "bootstrap").mkdir()
    (tmp_path / "bootstrap" / "bootstrap").write_bytes(bootstrap_path().read_bytes())

    done = subprocess.run(
        ["cargo", "lambda", "deploy", "--lambda-dir", tmp_path, "--binary-name", "bootstrap", "access-entry-guard"],
        cwd=PROJECT,
        env=environment | {"AWS_ENDPOINT_URL": emulator.url},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    functions.get_waiter("function_updated_v2").wait(FunctionName="access-entry-guard")
    after = functions.get_function_configuration(FunctionName="access-entry-guard")
    # Packed by another tool.
    assert after["CodeSha256"] != before["CodeSha256"]
    kept = ["Role", "Environment", "MemorySize", "Timeout", "Architectures", "LoggingConfig", "Runtime", "Handler"]
    assert [after[name] for name in kept] == [before[name] for name in kept]
    aliases = functions.list_aliases(FunctionName="access-entry-guard")["Aliases"]
    assert {(a["Name"], a["FunctionVersion"]) for a in aliases} == {("approve", "$LATEST"), ("events", "$LATEST")}
    check = {"command": "check", "principalArn": f"arn:aws:iam::{ACCOUNT}:role/nobody"}
    assert stack.invoke(check)["command"] == "check"


@pytest.fixture
def watched(emulator, stack, environment):
    """`cargo lambda watch` on a free port, in the place of the stack's function; gives a function that invokes it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    env = environment | {
        "AWS_ENDPOINT_URL": emulator.url,
        "LEDGER_TABLE": stack.outputs["LedgerTable"],
        "REGIONS": HOME_REGION,
        "SETTLE_SECONDS": "0",
        "LOCAL_FUNCTION_ARN": stack.outputs["EventsAliasArn"],
    }
    address = ["--invoke-address", "127.0.0.1", "--invoke-port", port]
    watch = subprocess.Popen(
        ["cargo", "lambda", "watch", "--ignore-changes", *address],
        cwd=PROJECT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def invoke(file: Path) -> dict:
        command = ["cargo", "lambda", "invoke", *address, "--data-file", str(file), "bootstrap"]
        done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    deadline = time.monotonic() + 60
    while not listens(int(port)):
        assert watch.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    yield invoke
    # The function is in a group of its own, and would outlive the one that started it.
    threads = Path("/proc").glob(f"{watch.pid}/task/*/children")
    children = [int(pid) for thread in threads for pid in thread.read_text().split()]
    for pid in [watch.pid, *children]:
        os.kill(pid, signal.SIGKILL)
    watch.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_cargo_lambda_invokes_the_watched_function_with_a_file(emulator, watched, tmp_path):
    cluster = Cluster(emulator, "prod", HOME_REGION)
    role = create_role(emulator, "node")
    cluster.allow(role, type="EC2_LINUX")
    (tmp_path / "event.json").write_text(json.dumps(creation_event(recreate_role(emulator, role))))

    ignored = watched(PROJECT / "events" / "create-role-failed-is-ignored.json")
    report = watched(tmp_path / "event.json")

    assert ignored["trigger"] == "ignored"
    assert [entry["outcome"] for entry in report["entries"]] == ["repaired"]


def crates(*features: str) -> set[str]:
    """The crates that a build takes, with their versions and features."""
    command = ["cargo", "tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none", "--format", "{p} {f}"]
    ran = subprocess.run([*command, *features], cwd=PROJECT, capture_output=True, text=True, check=True)
    return {line.removesuffix(" (*)") for line in ran.stdout.splitlines() if line}


def test_the_command_adds_nothing_to_the_function():
    """Whatever the command needs is behind its feature: the function's crates are the same, with the same features."""
    function = {line.split()[0] for line in crates()}
    both = {line.split()[0] for line in crates("--features", "cli")}

    assert {"clap", "comfy-table", "indicatif", "csv", "aws-sdk-lambda", "aws-sdk-cloudtrail", "aws-sdk-sqs"} <= both - function
    assert function < both
    optional = re.findall(r"^(\S+) = \{.*optional = true", (PROJECT / "Cargo.toml").read_text(), re.MULTILINE)
    assert len(optional) > 9
    # STS and these two belong to what the SDK is made of.
    assert {name for name in optional if name in function} <= {"aws-sdk-sts", "sha2", "base64"}
