"""Peak memory of the release bootstrap on one event over 500 clusters in 10 Regions, none of which knows the role.

The bootstrap runs as Lambda runs it: against a Runtime API, here a few lines on a loopback port, and against AWS answers
served from the same port. What is exact is budgeted; how long it takes is not looked at.
"""

import http.server
import json
import os
import re
import subprocess
import sys
import threading

BUDGET_MB = 32
REGIONS, CLUSTERS = 10, 50
ROLE_ARN, ROLE_ID = "arn:aws:iam::111122223333:role/node", "AROAEXAMPLE1234567890"
EVENT = {
    "source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "account": "111122223333",
    "detail": {
        "eventSource": "iam.amazonaws.com", "eventName": "CreateRole", "recipientAccountId": "111122223333",
        "eventTime": "2026-01-15T12:00:00Z", "eventID": "1",
        "responseElements": {"role": {"arn": ROLE_ARN, "roleId": ROLE_ID, "roleName": "node"}},
    },
}
ROLE = f"""<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetRoleResult><Role><Path>/</Path>
<Arn>{ROLE_ARN}</Arn><RoleName>node</RoleName><RoleId>{ROLE_ID}</RoleId><CreateDate>2026-01-15T12:00:00Z</CreateDate>
</Role></GetRoleResult></GetRoleResponse>"""


class Answers(http.server.BaseHTTPRequestHandler):
    """The Runtime API and AWS in one."""

    protocol_version = "HTTP/1.1"
    invocations = [EVENT]
    answer = None
    answered = threading.Event()
    asked = 0

    def log_message(self, *_):
        pass

    def reply(self, body: bytes | str, status: int = 200, **headers):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.endswith("/invocation/next"):
            if not self.invocations:
                threading.Event().wait()
            self.reply(
                json.dumps(self.invocations.pop()),
                Lambda_Runtime_Aws_Request_Id="request",
                Lambda_Runtime_Deadline_Ms="99999999999999",
                Lambda_Runtime_Invoked_Function_Arn="arn:aws:lambda:us-east-1:111122223333:function:guard:events",
            )
            return
        type(self).asked += 1
        if re.fullmatch(r"/clusters/?(\?.*)?", self.path):
            self.reply(json.dumps({"clusters": [f"cluster-{n}" for n in range(CLUSTERS)]}))
        else:
            self.reply('{"message":"none"}', 404, x_amzn_errortype="ResourceNotFoundException")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/response") or self.path.endswith("/error"):
            type(self).answer = json.loads(body)
            self.reply("{}", 202)
            self.answered.set()
        elif "DynamoDB" in self.headers.get("X-Amz-Target", ""):
            self.reply('{"Items":[],"Count":0,"ScannedCount":0}')
        elif "rpc-v2-cbor" in self.headers.get("smithy-protocol", ""):
            self.reply(b"\xa0", smithy_protocol="rpc-v2-cbor", Content_Type="application/cbor")
        elif b"Action=GetRole" in body:
            self.reply(ROLE, Content_Type="text/xml")
        else:
            regions = [{"RegionName": f"xx-test-{n}", "RegionOptStatus": "ENABLED"} for n in range(REGIONS)]
            self.reply(json.dumps({"Regions": regions}))


def main(bootstrap: str) -> int:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"127.0.0.1:{server.server_port}"
    environment = {
        "AWS_LAMBDA_RUNTIME_API": here, "AWS_ENDPOINT_URL": f"http://{here}", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example", "AWS_LAMBDA_FUNCTION_NAME": "guard",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "LEDGER_TABLE": "ledger",
        "AWS_LAMBDA_LOG_GROUP_NAME": "g", "AWS_LAMBDA_LOG_STREAM_NAME": "s",
    }
    with subprocess.Popen([bootstrap], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            if not Answers.answered.wait(120):
                print("no answer from the bootstrap")
                return 1
            with open(f"/proc/{process.pid}/status") as status:
                peak = int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) / 1024
        finally:
            process.kill()
    clusters = Answers.answer.get("clusters")
    if clusters != REGIONS * CLUSTERS:
        print(f"the bootstrap answered {Answers.answer}")
        return 1
    verdict = "ok" if peak < BUDGET_MB else "TOO LARGE"
    print(f"memory     {peak:.1f} MB at its peak, {clusters} clusters in {REGIONS} Regions, budget {BUDGET_MB} MB: {verdict}")
    return 0 if peak < BUDGET_MB else 1


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
