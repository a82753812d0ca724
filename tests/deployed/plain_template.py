"""The template without the SAM transform: plain CloudFormation with the code in a bucket, as `sam package` and the
transform together would make it."""

import json

import boto3
from cfnlint.decode import decode_str
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

LOCAL_CODE = "CodeUri: .\n"

# The transform asks for a Region and a partition; this template gives it no occasion to write them down.
ANY_REGION = "us-east-1"


def with_code_at(template: str, code_uri: str) -> str:
    """The template's text with the code's address in a bucket in place of the local path."""
    assert template.count(LOCAL_CODE) == 1, "template.yaml names its local code once"
    return template.replace(LOCAL_CODE, f"CodeUri: {code_uri}\n")


def without_transform(template: str) -> dict:
    """Plain CloudFormation of a SAM template whose code is in a bucket."""
    decoded, errors = decode_str(template)
    assert not errors, errors
    translator = Translator(None, Parser(), boto_session=boto3.Session(region_name=ANY_REGION))
    plain = translator.translate(json.loads(json.dumps(decoded)), parameter_values={})
    plain.pop("Transform", None)
    return plain
