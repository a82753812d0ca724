"""The bill of materials: well formed, and exactly what is compiled in."""

import hashlib
import json
import re
import subprocess
import sys

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing
from packageurl import PackageURL

from stack import PROJECT, bootstrap_path, zip_of

TOOL = PROJECT / "tests" / "tools" / "sbom.py"


def make(zipped):
    return subprocess.run([sys.executable, TOOL, zipped], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def zipped(tmp_path_factory):
    path = tmp_path_factory.mktemp("release") / "access-entry-guard.zip"
    path.write_bytes(zip_of(bootstrap_path()))
    made = make(path)
    assert made.returncode == 0, made.stderr
    return path


@pytest.fixture(scope="module")
def text(zipped) -> str:
    return zipped.with_name("access-entry-guard.zip.cdx.json").read_text()


@pytest.fixture(scope="module")
def bill(text) -> dict:
    return json.loads(text)


def test_it_is_cyclonedx_1_5(text):
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(text) is None


def test_a_bill_that_is_not_well_formed_would_be_told(text):
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(text.replace('"library"', '"crate"')) is not None


def test_it_lists_exactly_the_crates_that_are_compiled_in(bill):
    target = next(p["value"] for p in bill["metadata"]["properties"] if p["name"] == "target")
    tree = subprocess.run(
        ["cargo", "tree", "--locked", "-e", "normal", "--target", target, "--charset", "ascii"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    crates = set(re.findall(r"([A-Za-z0-9_-]+) v([0-9][^\s]*)", tree))

    listed = [(c["name"], c["version"]) for c in bill["components"]]

    assert len(listed) == len(set(listed)) > 100
    assert set(listed) == crates - {("access-entry-guard", bill["metadata"]["component"]["version"])}
    # What only the tests need, directly or through a feature of theirs.
    assert not {"proptest", "ciborium", "libfuzzer-sys", "ring", "chrono"} & {name for name, _ in listed}


def test_each_crate_has_its_licence_its_address_and_the_checksum_of_the_lock_file(bill):
    lock = [
        dict(line.split(" = ", 1) for line in package.splitlines() if " = " in line)
        for package in (PROJECT / "Cargo.lock").read_text().replace('"', "").split("[[package]]")[1:]
    ]
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in lock}
    spdx = get_spdx_licensing()
    for component in bill["components"]:
        crate = (component["name"], component["version"])
        assert component["hashes"] == [{"alg": "SHA-256", "content": checksums[crate]}]
        address = PackageURL.from_string(component["purl"])
        assert (address.type, address.name, address.version) == ("cargo", *crate)
        (license,) = component["licenses"]
        assert not spdx.validate(license["expression"]).errors, component


def test_it_is_about_this_very_zip(zipped, bill):
    checksum = hashlib.sha256(zipped.read_bytes()).hexdigest()
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": checksum}]
    checked = subprocess.run(["sha256sum", "--check", zipped.name + ".sha256"], cwd=zipped.parent, capture_output=True)
    assert checked.returncode == 0, checked.stderr


def test_every_crate_is_reached_from_the_function(bill):
    needs = {d["ref"]: d["dependsOn"] for d in bill["dependencies"]}
    reached, todo = set(), [bill["metadata"]["component"]["bom-ref"]]
    while todo:
        crate = todo.pop()
        if crate not in reached:
            reached.add(crate)
            todo += needs[crate]
    assert reached == set(needs)


def test_the_same_zip_has_the_same_bill(zipped, text):
    assert make(zipped).returncode == 0
    assert zipped.with_name("access-entry-guard.zip.cdx.json").read_text() == text


def test_a_zip_without_the_function_has_none(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(b"PK\x05\x06" + bytes(18))
    made = make(path)
    assert made.returncode == 1 and "no bootstrap" in made.stderr
    assert list(tmp_path.iterdir()) == [path]
