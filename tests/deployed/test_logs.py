"""The log of the real process: against a Runtime API and an AWS of this test, at whatever level its environment asks for.

What the function writes line by line is in the scenarios; here it is everything that comes out of the process, the
runtime's and the SDK's own words included.
"""

import http.server
import json
import os
import subprocess
import threading

import pytest

from documents import chapter
from stack import bootstrap_path
from world import sample

SECRET = "S3CR3T"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": f"ASIA{SECRET}KEY",
    "AWS_SECRET_ACCESS_KEY": f"{SECRET}/secret",
    "AWS_SESSION_TOKEN": f"{SECRET}/token",
}
FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:access-entry-guard:events"


def laden() -> dict:
    """A creation's event whose identity, addresses and documents carry the secret."""
    event = sample("create-role-repairs-stale-entries")
    detail = event["detail"]
    around = ("sourceIPAddress", "userAgent", "requestID", "tlsDetails", "additionalEventData")
    detail |= {name: SECRET for name in around}
    detail["userIdentity"] |= {"accessKeyId": SECRET, "userName": SECRET, "principalId": SECRET, "arn": SECRET}
    detail["requestParameters"] |= {name: SECRET for name in ("assumeRolePolicyDocument", "description", "tags")}
    detail["responseElements"]["role"]["assumeRolePolicyDocument"] = SECRET
    return event


INVOCATIONS = [
    json.dumps(laden()),
    json.dumps({"requestPayload": laden(), "responsePayload": SECRET}),
    json.dumps({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": SECRET, "attributes": SECRET}]}),
    json.dumps({"command": "sweep"}),
    json.dumps({"hello": SECRET}),
    json.dumps([SECRET]),
    f'{{"not JSON": {SECRET}',
]


class Lambda(http.server.ThreadingHTTPServer):
    """The Runtime API, which hands out the invocations one by one, and an AWS that refuses everything in its own way."""

    daemon_threads = True

    def __init__(self, refusal):
        super().__init__(("127.0.0.1", 0), Answers)
        self.refusal = refusal
        self.left = list(INVOCATIONS)
        self.answers = []
        self.seen_by_aws = 0
        self.done = threading.Event()


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, body: str, status: int = 200, **headers: str):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self):
        if not self.path.endswith("/invocation/next"):
            return self.refuse()
        if not self.server.left:
            self.server.done.set()
            threading.Event().wait()
        self.reply(
            self.server.left.pop(0),
            Lambda_Runtime_Aws_Request_Id="request",
            Lambda_Runtime_Deadline_Ms="99999999999999",
            Lambda_Runtime_Invoked_Function_Arn=FUNCTION,
        )

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode(errors="replace")
        if "/runtime/" in self.path:
            self.server.answers.append(body)
            return self.reply("{}", 202)
        return self.refuse()

    def refuse(self):
        self.server.seen_by_aws += 1
        status, code, text = self.server.refusal
        # As AWS does about a bad signature: it repeats the request.
        token = self.headers.get("X-Amz-Security-Token")
        text = f"{text}\n\n{self.headers.get('Authorization')}\nx-amz-security-token:{token}"
        self.reply(json.dumps({"__type": code, "message": text}), status, x_amzn_errortype=code)


REFUSALS = {
    "signature": (403, "InvalidSignatureException", "The request signature we calculated does not match."),
    "denied": (403, "AccessDeniedException", "User is not authorized."),
}


@pytest.fixture(scope="module", params=REFUSALS)
def run(request):
    server = Lambda(REFUSALS[request.param])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"127.0.0.1:{server.server_port}"
    environment = CREDENTIALS | {
        "AWS_LAMBDA_RUNTIME_API": here, "AWS_ENDPOINT_URL": f"http://{here}", "AWS_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": "access-entry-guard", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_LOG_GROUP_NAME": "g", "AWS_LAMBDA_LOG_STREAM_NAME": "s",
        "REGIONS": "us-east-1", "LEDGER_TABLE": "ledger",
        # The loudest that anybody could ask for.
        "RUST_LOG": "trace", "AWS_LAMBDA_LOG_LEVEL": "TRACE", "AWS_LAMBDA_LOG_FORMAT": "JSON",
    }  # fmt: skip
    with subprocess.Popen([bootstrap_path()], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            done = server.done.wait(120)
        finally:
            process.kill()
            server.shutdown()
        written = process.stdout.read().decode()
    assert done, f"the bootstrap did not get through the invocations:\n{written}"
    return server, written


def test_no_credential_and_no_event_body_comes_out_of_the_process(run):
    server, written = run

    assert server.seen_by_aws > 10 and len(server.answers) == len(INVOCATIONS)
    assert written.count("\n") >= 4, "something was logged"
    assert SECRET not in written
    # What is answered is logged, too, where it is an error.
    assert not [answer for answer in server.answers if SECRET in answer]


def test_each_line_is_json_with_documented_fields(run):
    _, written = run
    (row,) = [line for line in chapter("Report and log").splitlines() if line.startswith("| none, with `level` |")]
    documented = set(row.split("|")[2].split("`")[1::2])
    seen = set()
    for line in map(json.loads, written.splitlines()):
        if "kind" in line:
            # Lambda drops what is below the function's ApplicationLogLevel, which is INFO.
            assert (line["kind"] in ("report", "entry", "blindSpot"), line["level"]) == (True, "INFO")
        elif "_aws" not in line:
            seen |= set(line)
            assert line["level"] in ("WARN", "ERROR")
    assert seen == documented
