"""What `make package` makes: deployed as it is, and held to what StackSets, Terraform and CloudFormation take."""

import hashlib
import os
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import cfnlint
import pytest
import yaml
from cfnlint.decode import decode_str

from emulator import ACCOUNT, HOME_REGION
from package import architecture_of, zip_of
from stack import PROJECT, TEMPLATE, Stack, bootstrap_path
from world import Cluster, create_role, creation_event, recreate_role

BUCKET = "releases"
S3_LIMIT = 1_000_000


class Package:
    """What was written, and what was said."""

    def __init__(self, directory: Path, said: str):
        self.zip = directory / "access-entry-guard.zip"
        self.checksum = directory / "access-entry-guard.zip.sha256"
        self.template = directory / "access-entry-guard.template.yaml"
        self.said = said
        (self.url,) = set(re.findall(r"https?://[^\s']+", said))

    @property
    def resources(self) -> dict:
        return yaml.safe_load(self.template.read_text())["Resources"]


def pack(emulator, directory: Path, *options: str) -> subprocess.CompletedProcess:
    env = os.environ | {
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "unused",
        "AWS_REGION": HOME_REGION,
    }
    script = PROJECT / "tests" / "tools" / "package.py"
    return subprocess.run(
        [sys.executable, script, bootstrap_path(), directory, *options], env=env, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def package(emulator, tmp_path_factory) -> Package:
    emulator.client("s3").create_bucket(Bucket=BUCKET)
    directory = tmp_path_factory.mktemp("package")
    done = pack(emulator, directory, "--bucket", BUCKET, "--prefix", "/team/guard/")
    assert done.returncode == 0, done.stderr
    return Package(directory, done.stdout)


@pytest.fixture(scope="module")
def stack(emulator, package):
    return Stack(emulator, packaged=package.url).deploy(SettleSeconds="0", Regions=HOME_REGION)


def test_the_packaged_stack_repairs(emulator, stack):
    cluster = Cluster(emulator, "prod", HOME_REGION)
    role = create_role(emulator, "node")
    before = cluster.allow(role, type="EC2_LINUX")

    report = stack.invoke(creation_event(recreate_role(emulator, role)), alias="events")

    assert [entry["outcome"] for entry in report["entries"]] == ["repaired"]
    assert cluster.entry(role)["accessEntryArn"] != before["accessEntryArn"]


def test_the_packaged_stack_has_the_resources_of_the_template(emulator, package, stack):
    packaged = {name: kind["Type"] for name, kind in package.resources.items()}
    source, _ = decode_str(TEMPLATE.read_text())

    assert packaged == {name: kind["Type"] for name, kind in source["Resources"].items()}
    assert {"RoleEvents", "RuleMayInvoke", "EventsAlias", "ApproveAlias", "Sweep"} <= set(stack.resources())


def test_the_package_has_no_local_path(package):
    text = package.template.read_text()
    template = yaml.safe_load(text)

    assert re.findall(r"Transform|Serverless|BuildMethod|cfn-lint", text) == []
    assert str(PROJECT) not in text
    assert template["Resources"]["GuardFunction"]["Properties"]["Code"] == {
        "S3Bucket": BUCKET,
        "S3Key": f"team/guard/access-entry-guard-{sha256(package.zip)}.zip",
    }


def test_the_packaged_template_is_clean_and_small_enough_for_a_bucket(package):
    assert [str(match) for match in cfnlint.lint(package.template.read_text())] == []
    assert package.template.stat().st_size < S3_LIMIT


def test_what_is_in_the_bucket_is_what_was_written(emulator, package):
    def stored(key: str) -> bytes:
        return emulator.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()

    listed = emulator.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]

    assert [o["Key"] for o in listed if o["Key"].endswith(".zip")] == [code_key(package)]
    assert stored(code_key(package)) == package.zip.read_bytes()
    assert stored(package.url.split(f"/{BUCKET}/")[1]) == package.template.read_bytes()
    assert f"-{sha256(package.template)}.template.yaml" in package.url
    assert package.checksum.read_text() == f"{sha256(package.zip)}  access-entry-guard.zip\n"


def test_the_zip_has_the_executable_and_nothing_that_changes_from_build_to_build(package):
    with zipfile.ZipFile(package.zip) as archive:
        (member,) = archive.infolist()
        assert archive.read(member) == bootstrap_path().read_bytes()

    assert member.filename == "bootstrap"
    assert stat.S_IMODE(member.external_attr >> 16) == 0o755
    assert member.date_time == (1980, 1, 1, 0, 0, 0)
    assert zip_of(bootstrap_path()) == package.zip.read_bytes()


def test_the_package_is_for_the_instruction_set_of_its_code(package):
    parameter = yaml.safe_load(package.template.read_text())["Parameters"]["Architecture"]

    assert parameter["AllowedValues"] == [parameter["Default"]]
    assert f"for {parameter['Default']}" in package.said


@pytest.mark.parametrize(("machine", "architecture"), [(b"\x3e\0", "x86_64"), (b"\xb7\0", "arm64")])
def test_the_instruction_set_is_read_from_the_executable(tmp_path, machine, architecture):
    (tmp_path / "bootstrap").write_bytes(b"\x7fELF" + 14 * b"\0" + machine)

    assert architecture_of(tmp_path / "bootstrap") == architecture


def test_a_bucket_from_which_lambda_would_take_no_code_is_refused(emulator, tmp_path):
    emulator.client("s3", "eu-west-1").create_bucket(
        Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )

    done = pack(emulator, tmp_path, "--bucket", "elsewhere")

    assert done.returncode == 1
    assert "eu-west-1" in done.stderr and "us-east-1, cn-north-1, us-gov-west-1" in done.stderr
    assert "Contents" not in emulator.client("s3").list_objects_v2(Bucket="elsewhere")


def code_key(package: Package) -> str:
    return package.resources["GuardFunction"]["Properties"]["Code"]["S3Key"]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
