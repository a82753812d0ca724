"""Whom the function trusts over HTTPS: the real process (BOOTSTRAP) against the AWS on loopback (LOCAL_AWS), whose
certificate is of an authority that nobody else knows."""

import os
import subprocess
from pathlib import Path

import pytest

from local import LocalAws, created, function
from sections import answered

# Amazon Root CA 3: an authority, and not that of the AWS on loopback.
ANOTHER = (Path(__file__).resolve().parents[2] / "src/aws/authorities/amazon_root_ca_3.pem").read_text()


@pytest.fixture
def local():
    with LocalAws() as running:
        running.do("world", regions=2, clusters=4, entries=2, delayMs=0)
        yield running


@pytest.fixture
def bundles(local, tmp_path):
    """Files by name: the authority that is needed, another one, both, and such as cannot be used."""
    contents = {
        "needed": local.authority, "another": ANOTHER, "both": ANOTHER + local.authority,
        "cut": ANOTHER + local.authority[:200], "other-content": '{"this": "is no bundle"}', "empty": "",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    return {name: str(tmp_path / name) for name in [*contents, "missing"]}


@pytest.mark.parametrize(
    "chosen",
    [
        {"AWS_CA_BUNDLE": "needed"},
        {"AWS_CA_BUNDLE": "needed", "SSL_CERT_FILE": "another"},
        {"AWS_CA_BUNDLE": "both", "SSL_CERT_FILE": "missing"},
        {"SSL_CERT_FILE": "needed"},
    ],
    ids=str,
)
def test_the_bundle_that_counts_is_trusted_and_the_other_is_not_read(local, bundles, chosen):
    environment = {variable: bundles[name] for variable, name in chosen.items()}
    role = local.do("recreate", role="node")

    with function([os.environ["BOOTSTRAP"]], local, AWS_ENDPOINT_URL=local.https, **environment):
        answer = answered(local.do("invoke", alias="events", payload=created(role)))

    assert answer["clusters"] == 4 and answer["blindSpots"] == []
    assert local.do("connections")["handshakes"] > 0


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("name", ["cut", "other-content", "empty", "missing"])
def test_a_bundle_that_cannot_be_used_stops_the_function_with_one_line(local, bundles, variable, name):
    environment = {
        "AWS_LAMBDA_RUNTIME_API": local.runtime_api, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": local.https,
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example", "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", variable: bundles[name],
    }  # fmt: skip

    done = subprocess.run([os.environ["BOOTSTRAP"]], env=environment, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f'access-entry-guard stops: {variable}="{bundles[name]}": ')
    assert line.endswith("accepted: the path of a file with certificates in PEM format")
    assert local.do("calls")["calls"] == 0
