"""A Lambda that answers as it is told, for what no function answers on demand: certain bytes, pages, a broken connection,
and no answer at all. Everything else of AWS stays where it is."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LambdaStandIn:
    """Answers invocations on a loopback port, one prepared answer after another; `None` breaks the connection."""

    def __init__(self, *answers: bytes | None):
        self.answers = list(answers)
        #: The payloads that came.
        self.payloads: list[dict] = []
        #: The port of the last connection on the caller's side.
        self.callers_port = 0
        #: Set when an invocation is there.
        self.is_invoked = threading.Event()
        #: Answers wait for it.
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __enter__(self):
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                payload = self.rfile.read(int(self.headers["content-length"]))
                stand_in.payloads.append(json.loads(payload))
                stand_in.callers_port = self.client_address[1]
                stand_in.is_invoked.set()
                stand_in.may_answer.wait(60)
                answer = stand_in.answers.pop(0)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_exception):
        self.may_answer.set()
        with contextlib.suppress(OSError):
            self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """Sends the SDK's Lambda client here, and nothing else."""
        return {"AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{self.port}"}
