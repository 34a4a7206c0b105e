"""A local server that speaks the hub's protocol for files, and breaks connections on demand."""

from __future__ import annotations

import hashlib
import http.server
import threading
from dataclasses import dataclass, field


@dataclass
class Hub:
    """What the server has, how it behaves, and what it was asked.

    Attributes:
        files: content by path in the repository.
        breaks: connections that are cut in the middle of a body, before it behaves.
        accepts_range: whether it honours Range.
        lies: paths whose content is served changed, under the right ETag.
        gated: whether the licence was not accepted.
        asked: (method, path, Range) of each request.
    """

    files: dict[str, bytes]
    repository: str = "somebody/model"
    commit: str = "c" * 40
    breaks: int = 0
    accepts_range: bool = True
    lies: set[str] = field(default_factory=set)
    gated: bool = False
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def etag(self, path: str) -> str:
        content = self.files[path]
        if path.endswith(".json"):
            return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return hashlib.sha256(content).hexdigest()

    def gets(self) -> list[tuple[str, str]]:
        """(path, Range) of each GET."""
        return [(path, range_) for method, path, range_ in self.asked if method == "GET"]


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        hub = self.hub
        path = self._path()
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        if hub.gated:
            self._refuse(403, "GatedRepo")
        elif path not in hub.files:
            self._refuse(404, "EntryNotFound")
        else:
            self._serve(path, with_body=with_body)

    def _path(self) -> str:
        for revision in ("main", self.hub.commit):
            prefix = f"/{self.hub.repository}/resolve/{revision}/"
            if self.path.startswith(prefix):
                return self.path.removeprefix(prefix)
        return self.path

    def _refuse(self, code: int, reason: str) -> None:
        self.send_response(code)
        self.send_header("X-Error-Code", reason)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _serve(self, path: str, *, with_body: bool) -> None:
        hub = self.hub
        content = hub.files[path]
        if path in hub.lies:
            content = bytes([content[0] ^ 1]) + content[1:]
        start = self._start() if hub.accepts_range else 0
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hub.etag(path)}"')
        self.send_header("X-Repo-Commit", hub.commit)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if not with_body:
            return
        body = content[start:]
        if hub.breaks and len(body) > 10:
            hub.breaks -= 1
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.connection.close()
            self.close_connection = True
            return
        self.wfile.write(body)

    def _start(self) -> int:
        wanted = self.headers.get("Range", "")
        return int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
