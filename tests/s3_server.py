"""A server of the S3 protocol on this machine, which can be told to fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "bucket"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key-of-the-tests", "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests"}
_ERROR = "<Error><Code>{code}</Code><Message>{message}</Message></Error>"


@dataclass(frozen=True)
class Failure:
    """What the server answers instead of doing what was asked."""

    status: str
    code: str
    message: str = "as the test wants it"


SLOW_DOWN = Failure("503 Slow Down", "SlowDown")
INTERNAL = Failure("500 Internal Server Error", "InternalError")
DENIED = Failure("403 Forbidden", "AccessDenied", "Access Denied")


@dataclass
class S3Server:
    """The server.

    Attributes:
        fails: told the method and the path of each request, says whether and how it fails.
        requests: that came, as method and path.
    """

    url: str = ""
    fails: Callable[[str, str], Failure | None] = lambda _method, _path: None
    requests: list[tuple[str, str]] = field(default_factory=list)
    app: Any = field(default_factory=lambda: DomainDispatcherApplication(create_backend_app))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Any:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append((method, path))
        failure = self.fails(method, path)
        if failure is None:
            return self.app(environ, start_response)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = _ERROR.format(code=failure.code, message=failure.message).encode() if method != "HEAD" else b""
        start_response(failure.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """The server, with one bucket, while the context lasts."""
    server = S3Server()
    listening = make_server("127.0.0.1", 0, server, threaded=True, request_handler=_Quiet)
    server.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        boto3.client(
            "s3",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        ).create_bucket(Bucket=BUCKET)
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join(timeout=10)
