"""A cluster's front door: a token for a session of a role, and one HTTPS request to the cluster's API server.

The path that is asked for is `/api`. Kubernetes' default role `system:discovery` opens it to everybody who is
authenticated, whatever else he may do, and to nobody who is not: so it is answered 200 to a role with a good access
entry even where the entry gives nothing, and 401 to a token that is not good. Health and version, which are open to the
anonymous as well, would prove nothing.
"""

import base64
import functools
import json
import ssl
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

PATH = "/api"
SELF_REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

# What the signature covers, so that a token is good for one cluster only.
CLUSTER_HEADER = "x-k8s-aws-id"


class Unreachable(Exception):
    """The API server gave no answer at all."""


class Door:
    """The API server of a cluster, trusted by the cluster's own authority and by no other."""

    def __init__(self, cluster: dict, region: str):
        self._name, self._region, self._endpoint = cluster["name"], region, cluster["endpoint"]
        authority = base64.b64decode(cluster["certificateAuthority"]["data"]).decode()
        tls = urllib.request.HTTPSHandler(context=ssl.create_default_context(cadata=authority))
        self._opener = urllib.request.build_opener(tls)

    def status(self, credentials: dict | None) -> int:
        """How the session is answered, or a caller without any token."""
        return self._ask(credentials, "GET", PATH)[0]

    def who_am_i(self, credentials: dict) -> dict | None:
        """User name and groups as the API server sees the session; None where it does not say."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        status, answer = self._ask(credentials, "POST", SELF_REVIEW, review)
        return answer["status"]["userInfo"] if status == 201 else None

    def _ask(
        self, credentials: dict | None, method: str, path: str, body: dict | None = None, attempts: int = 3
    ) -> tuple[int, dict]:
        """Status and answer; asks again where there was none."""
        request = urllib.request.Request(self._endpoint + path, method=method)
        if credentials:
            request.add_header("Authorization", f"Bearer {token(credentials, self._name, self._region)}")
        if body:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with self._opener.open(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, {}
        except OSError as problem:
            if attempts > 1:
                time.sleep(1)
                return self._ask(credentials, method, path, body, attempts - 1)
            raise Unreachable(f"{self._endpoint} does not answer from here: {problem}") from None


def token(credentials: dict, cluster: str, region: str) -> str:
    """What `aws eks get-token` prints: a GetCallerIdentity, signed for this cluster and never sent to STS from here."""
    secrets = [credentials[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    sts = _signer(*secrets, cluster, region)
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


@functools.cache
def _signer(key: str, secret: str, session_token: str, cluster: str, region: str):
    """A client of STS whose requests are for one cluster."""
    sts = boto3.client(
        "sts",
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=session_token,
        # The API server takes a URL of STS itself, not of an endpoint that somebody configured.
        config=Config(ignore_configured_endpoint_urls=True, use_fips_endpoint=False),
    )
    sts.meta.events.register(
        "before-sign.sts.GetCallerIdentity", lambda request, **_: request.headers.add_header(CLUSTER_HEADER, cluster)
    )
    return sts
