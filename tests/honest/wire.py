"""Requests written by the model, however wrong their members are, and replies read without the leniency of a client.

botocore's own serializers refuse or drop what no model knows, so that the wrong requests are written here: `encode`
takes a tree of members and puts each where the model says. `test_requests.py` holds it to botocore's serializers with
requests that are right."""

import http.client
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from datetime import timezone
from urllib.parse import quote, urlencode, urlsplit

import cbor2
from botocore.model import OperationModel

from model import operation as modelled
from model import protocol, wire_name


@dataclass
class Exchange:
    """A request that was answered, the reply still in its bytes."""

    service: str
    operation: str
    parameters: dict
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def model(self) -> OperationModel:
        return modelled(self.service, self.operation)

    @property
    def accepted(self) -> bool:
        return self.status < 300

    def tree(self) -> dict:
        """The reply's members by their names on the wire; of XML those of the result or the error."""
        kind = protocol(self.service)
        if kind == "query":
            return self._xml()
        if kind == "smithy-rpc-v2-cbor":
            return cbor2.loads(self.body) if self.body else {}
        return json.loads(self.body) if self.body else {}

    def code(self) -> str:
        """The error code, as clients read it from their protocol."""
        tree = self.tree()
        query_code = self.headers.get("x-amzn-query-error", "").split(";")[0]
        named = query_code or self.headers.get("x-amzn-errortype") or tree.get("__type") or tree.get("Code") or ""
        return named.split("#")[-1].split(":")[0]

    def _xml(self) -> dict:
        root = ElementTree.fromstring(self.body)
        if self.accepted:
            (result,) = [child for child in root if _tag(child) == f"{self.operation}Result"]
            return _tree(result, self.model.output_shape)
        (error,) = [child for child in root if _tag(child) == "Error"]
        return {_tag(child): child.text or "" for child in error}


class Wire:
    """Connections to the in-process AWS."""

    def __init__(self, url: str, region: str):
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._region = region

    def send(self, service: str, operation: str, parameters: dict) -> Exchange:
        """Sends an operation with these members, right or wrong."""
        method, path, headers, body = encode(service, modelled(service, operation), parameters)
        return self.send_encoded(service, operation, parameters, method, path, headers, body)

    def send_encoded(self, service, operation, parameters, method, path, headers, body) -> Exchange:
        """Sends a request that is written already."""
        scope = f"AKIAIOSFODNN7EXAMPLE/20260101/{self._region}/{service}/aws4_request"
        signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
        self._connection.request(method, path, body, {**headers, **signed})
        reply = self._connection.getresponse()
        lower = {name.lower(): value for name, value in reply.getheaders()}
        return Exchange(service, operation, parameters, reply.status, lower, reply.read())

    def close(self):
        self._connection.close()


def encode(service: str, model: OperationModel, tree: dict) -> tuple[str, str, dict, bytes]:
    """Method, path, headers and body of a request."""
    kind, metadata = protocol(service), model.service_model.metadata
    if kind == "query":
        form = {"Action": model.name, "Version": metadata["apiVersion"], **tree}
        return "POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode()
    if kind == "json":
        target = f"{metadata['targetPrefix']}.{model.name}"
        headers = {"X-Amz-Target": target, "Content-Type": f"application/x-amz-json-{metadata['jsonVersion']}"}
        return "POST", "/", headers, json.dumps(tree).encode()
    if kind == "smithy-rpc-v2-cbor":
        path = f"/service/{metadata['targetPrefix']}/operation/{model.name}"
        headers = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor", "x-amzn-query-mode": "true"}
        return "POST", path, headers, cbor2.dumps(tree, datetime_as_timestamp=True, timezone=timezone.utc)
    return _encode_rest(model, tree)


def _encode_rest(model: OperationModel, tree: dict) -> tuple[str, str, dict, bytes]:
    method, path = model.http["method"], model.http["requestUri"]
    query, body = [], {}
    members = model.input_shape.members if model.input_shape else {}
    bodiless = method in ("GET", "DELETE")
    for label in [name for name, member in members.items() if member.serialization.get("location") == "uri"]:
        name = wire_name(label, members[label])
        path = path.replace("{" + name + "}", quote(str(tree.get(label, "")), safe=""))
    for name, value in tree.items():
        serialization = members[name].serialization if name in members else {}
        wire = serialization.get("name", name)
        location = serialization.get("location", "querystring" if bodiless else "body")
        if location == "querystring":
            query += [(wire, item) for item in (value if isinstance(value, list) else [value])]
        elif location == "body":
            body[wire] = value
    if query:
        path += "?" + urlencode(query)
    return method, path, {"Content-Type": "application/json"}, b"" if bodiless else json.dumps(body).encode()


def _tag(element) -> str:
    return element.tag.split("}")[-1]


def _tree(element, shape):
    """An element as a tree; what the model does not know is a text."""
    if shape is not None and shape.type_name == "structure":
        known = {wire_name(name, member): member for name, member in shape.members.items()}
        return {_tag(child): _tree(child, known.get(_tag(child))) for child in element}
    if shape is not None and shape.type_name == "list":
        assert {_tag(child) for child in element} <= {"member"}, f"{_tag(element)} holds other elements than <member>"
        return [_tree(child, shape.member) for child in element]
    return element.text or ""
