"""The deployment package: the function's zip, and a template that CloudFormation takes as it is.

`template.yaml` names local code. Here the code is in a bucket, under a name made of its content. The tests deploy what this
makes; `make package` uploads it. It does not deploy anything.
"""

import argparse
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import boto3
import yaml
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cfnlint.decode import decode_str

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATE = PROJECT / "template.yaml"
NAME = "access-entry-guard"

LOCAL_CODE = "Code: .\n"

# Lambda fetches code only from a bucket of its own Region, and the stack stands in one of these, by partition.
HOME_REGIONS = ["us-east-1", "cn-north-1", "us-gov-west-1"]

# e_machine of an ELF header, and what Lambda calls it.
ARCHITECTURES = {0x3E: "x86_64", 0xB7: "arm64"}


class NotPackaged(Exception):
    """Why there is no package, in a sentence for the person who asked for one."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bootstrap", type=Path, help="the function's executable, built for Lambda")
    parser.add_argument("directory", type=Path, help="where the zip, its checksum and the template are written")
    parser.add_argument("--bucket", help="a bucket in the stack's Region; without one, the zip is all")
    parser.add_argument("--prefix", default="", help="what the names in the bucket begin with")
    arguments = parser.parse_args()
    try:
        code = write_zip(arguments.bootstrap, arguments.directory)
        if arguments.bucket:
            architecture = architecture_of(arguments.bootstrap)
            publish(code, architecture, arguments.directory, arguments.bucket, arguments.prefix)
    except (NotPackaged, BotoCoreError, ClientError) as problem:
        print(f"Not packaged: {problem}", file=sys.stderr)
        return 1
    return 0


def write_zip(bootstrap: Path, directory: Path) -> bytes:
    """Writes the zip, and its checksum as `sha256sum --check` reads it."""
    if not bootstrap.is_file():
        raise NotPackaged(f"there is no {bootstrap}")
    code = zip_of(bootstrap)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{NAME}.zip").write_bytes(code)
    (directory / f"{NAME}.zip.sha256").write_text(f"{sha256(code)}  {NAME}.zip\n")
    print(f"{directory / NAME}.zip  {len(code):,} bytes, SHA-256 {sha256(code)}")
    return code


def publish(code: bytes, architecture: str, directory: Path, bucket: str, prefix: str):
    """Uploads the zip and a template for it, each under a name made of its content, and says how to deploy them."""
    region = region_of(bucket)
    s3 = boto3.client("s3", region_name=region)
    start = "/".join([*filter(None, prefix.split("/")), NAME])
    code_key = f"{start}-{sha256(code)}.zip"
    plain = packaged_template(TEMPLATE.read_text(), bucket, code_key, architecture)
    template = yaml.safe_dump(plain, sort_keys=False, width=110, allow_unicode=True)
    template_key = f"{start}-{sha256(template.encode())}.template.yaml"

    (directory / f"{NAME}.template.yaml").write_text(template)
    s3.put_object(Bucket=bucket, Key=code_key, Body=code)
    s3.put_object(Bucket=bucket, Key=template_key, Body=template.encode())
    print(f"{directory / NAME}.template.yaml  {len(template.encode()):,} bytes, for {architecture}")
    print(instructions(url_of(bucket, region, template_key), region))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def zip_of(bootstrap: Path, compresslevel: int = 9) -> bytes:
    """A zip with the executable in it: of the same executable, byte for byte the same."""
    # No date but the one that stands for none, and no trace of this machine.
    member = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    member.create_system = 3
    member.external_attr = 0o100755 << 16
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr(member, bootstrap.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=compresslevel)
    return archive.getvalue()


def architecture_of(bootstrap: Path) -> str:
    """Which of Lambda's instruction sets the executable is for."""
    with bootstrap.open("rb") as executable:
        header = executable.read(20)
    machine = int.from_bytes(header[18:20], "little")
    if header[:4] != b"\x7fELF" or machine not in ARCHITECTURES:
        raise NotPackaged(f"{bootstrap} is no Linux executable for {' or '.join(ARCHITECTURES.values())}")
    return ARCHITECTURES[machine]


def packaged_template(template: str, bucket: str, key: str, architecture: str) -> dict:
    """The template for this code and no other."""
    packaged = decoded(with_code_in(template, bucket, key))
    # How SAM builds the code is nothing to those who deploy it built.
    del packaged["Resources"]["GuardFunction"]["Metadata"]
    packaged["Parameters"]["Architecture"] |= {"Default": architecture, "AllowedValues": [architecture]}
    return packaged


def with_code_in(template: str, bucket: str, key: str) -> str:
    """The template's text with the code's place in a bucket instead of the local path."""
    assert template.count(LOCAL_CODE) == 1, "template.yaml names its local code once"
    return template.replace(LOCAL_CODE, f"Code: {{S3Bucket: {bucket}, S3Key: {key}}}\n")


def decoded(template: str) -> dict:
    """The template's text as plain data, with the long names of the intrinsic functions."""
    data, errors = decode_str(template)
    assert not errors, errors
    return json.loads(json.dumps(data))


def region_of(bucket: str) -> str:
    """The bucket's Region, if the function's code may be there."""
    # No location is what S3 says of its first Region.
    region = boto3.client("s3").get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1"
    if region not in HOME_REGIONS:
        raise NotPackaged(
            f"the bucket {bucket} is in {region}, and Lambda takes code from its own Region only: the stack's, which is "
            f"one of {', '.join(HOME_REGIONS)}"
        )
    return region


def url_of(bucket: str, region: str, key: str) -> str:
    """The object's address, as CloudFormation wants it."""
    unsigned = Config(signature_version=UNSIGNED, s3={"us_east_1_regional_endpoint": "regional"})
    anonymous = boto3.client("s3", region_name=region, config=unsigned)
    return anonymous.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})


def instructions(url: str, region: str) -> str:
    """What to do with the template."""
    return f"""
The template's URL, for a stack, a StackSet or Terraform:
{url}

As one stack, which only looks:
aws cloudformation create-stack --region {region} --stack-name {NAME} --capabilities CAPABILITY_NAMED_IAM \\
  --parameters ParameterKey=Mode,ParameterValue=observe --template-url '{url}'"""


if __name__ == "__main__":
    sys.exit(main())
