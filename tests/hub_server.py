"""A small hub on the loopback interface, which answers as the Hugging Face hub does.

Paths, statuses and headers are those that huggingface_hub expects (its `utils/_http.py` and `file_download.py`).
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_COMMIT = "0123456789abcdef0123456789abcdef01234567"
_REPOSITORY = "(?P<repository>[^/]+/[^/]+)"
_FILE = re.compile(f"/(?P<kind>datasets/)?{_REPOSITORY}/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
_TREE = re.compile(f"/api/(?P<kind>models|datasets)/{_REPOSITORY}/tree/(?P<revision>[^/]+)(?P<folder>/.*)?")
_ABOUT = re.compile(f"/api/(?P<kind>models|datasets)/{_REPOSITORY}(/revision/(?P<revision>[^/]+))?")

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


@dataclass
class HubServer:
    """A hub with one commit of each repository.

    Attributes:
        repositories: a folder of files for each `owner/name`, or `datasets/owner/name`.
        gated: those that need the token.
        token: the only valid one.
    """

    repositories: Mapping[str, Path]
    gated: frozenset[str] = frozenset()
    token: str = "hf_right"
    _server: ThreadingHTTPServer | None = field(default=None, init=False)

    def start(self) -> str:
        """Begins to serve; its address."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """Ends; nobody listens at the address then."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, token: str) -> Answer:
        """To a request for a path."""
        asked = _FILE.fullmatch(path) or _TREE.fullmatch(path) or _ABOUT.fullmatch(path)
        if asked is None:
            return 404, {}, b""
        name = f"datasets/{asked['repository']}" if (asked["kind"] or "").startswith("data") else asked["repository"]
        if refused := self._refused(name, asked["revision"], token):
            status, code = refused
            return status, {"X-Error-Code": code}, b""
        if token not in ("", self.token):
            return 401, {"X-Error-Message": "Invalid credentials in Authorization header"}, b""
        folder = self.repositories[name]
        if asked.re is _FILE:
            return _file(folder / asked["file"])
        files = sorted(folder.iterdir())
        if asked.re is _TREE:
            entries = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": _COMMIT} for file in files
            ]
            return (404, {"X-Error-Code": "EntryNotFound"}, b"") if asked["folder"] else _json(entries)
        return _json({"id": asked["repository"], "sha": _COMMIT, "siblings": [{"rfilename": f.name} for f in files]})

    def _refused(self, name: str, revision: str | None, token: str) -> tuple[int, str] | None:
        """Status and code of a refusal."""
        if name not in self.repositories:
            return (404 if token else 401), "RepoNotFound"
        if name in self.gated and not token:
            return 401, "GatedRepo"
        if revision not in (None, "main", _COMMIT):
            return 404, "RevisionNotFound"
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                status, headers, body = hub.answer(self.path.partition("?")[0], token)
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Nothing."""

        return Handler


def _file(file: Path) -> Answer:
    commit = {"X-Repo-Commit": _COMMIT}
    if not file.is_file():
        return 404, commit | {"X-Error-Code": "EntryNotFound"}, b""
    body = file.read_bytes()
    return 200, commit | {"ETag": f'"{hashlib.sha256(body).hexdigest()}"'}, body


def _json(content: object) -> Answer:
    return 200, {}, json.dumps(content).encode()
