"""The documents' `sam deploy`, with the real SAM CLI against the emulator: what a person set stays over an upgrade."""

import os
import subprocess

import pytest

from documents import commands
from emulator import ACCOUNT
from stack import TEMPLATE, bootstrap_path

TOOLS = os.environ.get("BUILD_TOOLS", "")

pytestmark = pytest.mark.skipif(not TOOLS, reason="make test runs these, with the SAM CLI")


@pytest.fixture
def deploy(emulator, tmp_path):
    """Runs a `sam deploy` of the documents in a directory where `sam build` has been."""
    built = tmp_path / ".aws-sam" / "build"
    (built / "GuardFunction").mkdir(parents=True)
    code = built / "GuardFunction" / "bootstrap"
    # Without its symbols: the upload of a development build takes minutes otherwise.
    subprocess.run(["strip", "-o", code, bootstrap_path()], check=True)
    (built / "template.yaml").write_text(TEMPLATE.read_text().replace("Code: .\n", "Code: GuardFunction\n"))
    env = {
        "PATH": os.pathsep.join([TOOLS, os.defpath]),
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "unused",
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(tmp_path / "app"),
    }

    def deploy(words: list[str], *more: str) -> dict[str, str]:
        # An upgrade: the code is another.
        with code.open("ab") as file:
            file.write(b"\0")
        done = subprocess.run([*words, *more], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        function = emulator.client("lambda").get_function_configuration(FunctionName="access-entry-guard")
        return function["Environment"]["Variables"]

    deploy.directory = tmp_path
    return deploy


def test_an_upgrade_keeps_what_was_set_and_does_not_go_back_to_observe(emulator, deploy):
    first, to_repair, _to_remove, upgrade, _again = [c for c in commands("sam") if c[1:2] == ["deploy"] and "--stack-name" in c]
    assert "--parameter-overrides" not in upgrade

    # Beside what is printed, what an emulator needs. It is a parameter that is not named again, too.
    looking = deploy(first, f"EndpointUrl={emulator.url}", "CreateSavedQueries=false", "MaxRepairs=7")
    repairing = deploy(to_repair)
    upgraded = deploy(upgrade)

    assert (looking["MODE"], repairing["MODE"], upgraded["MODE"]) == ("observe", "repair", "repair")
    assert {v["AWS_ENDPOINT_URL"] for v in (looking, repairing, upgraded)} == {emulator.url}
    assert {v["MAX_REPAIRS"] for v in (looking, repairing, upgraded)} == {"7"}
    assert not (deploy.directory / "samconfig.toml").exists()
