"""The local web server of a study: one page, its pictures, its answers. Standard library only.

It listens on this machine alone. Names of systems, and of files, never reach the browser.
"""

from __future__ import annotations

import functools
import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from imgedit_modelkit.human_evaluation.results import Results
from imgedit_modelkit.human_evaluation.study import Item, Study
from imgedit_modelkit.readers.stored import suffix_of
from imgedit_plugins.errors import DataError, ImgeditError

_PAGE = Path(__file__).with_name("page.html.in")
_KINDS = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
_LONGEST = 10_000  # bytes of an answer


class EvaluationServer:
    """Shows a study to one person.

    Args:
        study: what is asked.
        results: JSON file for the answers; one that is there is gone on with.
        rater: who answers; decides, with the study's seed, about the order.
        port: 0 takes a free one.

    Raises:
        DataError: the results are another study's or another person's, or a picture is missing.
        OSError: the port is taken.
    """

    def __init__(
        self, study: Study, results: Path, rater: str = "anonymous", port: int = 0
    ) -> None:
        missing = next((path for path in study.pictures() if not path.is_file()), None)
        if missing:
            raise DataError(f"There is no picture {missing}.", path=missing)
        self._study = study
        self._items = study.shuffled(rater)
        self._results = Results(results, study, rater)
        self._pictures = tuple(dict.fromkeys(study.pictures()))
        self._lock = threading.Lock()
        handler = functools.partial(_Handler, self)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.hosts = {f"{name}:{self._server.server_port}" for name in ("127.0.0.1", "localhost")}

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def serve(self) -> None:
        """Serve until `close`, or an interruption."""
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """End `serve`, from another thread, and free the port."""
        self._server.shutdown()
        self._server.server_close()

    # --- what the page asks for ---------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that is shown, in the order of this person, with the answers so far."""
        return {
            "title": self._study.title,
            "asks": self._study.asks,
            "criteria": [vars(criterion) for criterion in self._study.criteria],
            "items": [self._shown(item) for item in self._items],
        }

    def picture(self, number: int) -> tuple[bytes, str]:
        """A picture's bytes and type.

        Raises:
            IndexError: there is no such number.
        """
        data = self._pictures[number].read_bytes()
        suffix = suffix_of(data)
        return data, _KINDS.get(suffix, "application/octet-stream")

    def answer(self, body: Any) -> None:
        """Keep an answer of the page: numbers of item and criterion, and places from best to worst.

        Raises:
            DataError: it is none.
            OSError: the file cannot be written.
        """
        try:
            item = self._items[_index(body["item"])]
            criterion = self._study.criteria[_index(body["criterion"])]
            shown = [candidate.system for candidate in item.candidates]
            ranking = [shown[_index(place)] for place in body["ranking"]]
            seconds = float(body["seconds"])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DataError(f"This is no answer: {error!r}.") from error
        with self._lock:
            self._results.put(item.id, criterion.name, ranking, shown, seconds)

    def _shown(self, item: Item) -> dict[str, Any]:
        systems = [candidate.system for candidate in item.candidates]
        with self._lock:
            rankings = [
                [systems.index(system) for system in self._results.ranking(item.id, c.name)]
                for c in self._study.criteria
            ]
        return {
            "instruction": item.instruction,
            "source": self._number(item.source),
            "reference": self._number(item.reference),
            "candidates": [
                {"text": candidate.text, "picture": self._number(candidate.picture)}
                for candidate in item.candidates
            ],
            "rankings": rankings,
        }

    def _number(self, path: Path | None) -> int | None:
        return None if path is None else self._pictures.index(path)


def _index(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no place")
    return value


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    def __init__(self, evaluation: EvaluationServer, *arguments: Any) -> None:
        self._evaluation = evaluation
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """The page, its data, a picture."""
        if not self._is_ours():
            return
        if self.path == "/":
            self._send(HTTPStatus.OK, _PAGE.read_bytes(), "text/html; charset=utf-8")
        elif self.path == "/study.json":
            self._send_json(HTTPStatus.OK, self._evaluation.state())
        elif self.path.startswith("/picture/") and self.path[9:].isascii():
            self._send_picture(self.path[9:])
        else:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "There is nothing here."})

    def do_POST(self) -> None:
        """An answer."""
        if not self._is_ours():
            return
        length = self.headers.get("Content-Length", "")
        kind = self.headers.get("Content-Type", "")
        if self.path != "/answer" or kind != "application/json":
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "There is nothing here."})
        elif not length.isdecimal() or int(length) > _LONGEST:
            self._send_json(HTTPStatus.BAD_REQUEST, {"error": "The answer is too long."})
        else:
            self._keep(self.rfile.read(int(length)))

    def _keep(self, body: bytes) -> None:
        try:
            self._evaluation.answer(json.loads(body))
        except (ImgeditError, ValueError) as error:
            self._send_json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except OSError as error:
            told = f"The answer could not be saved: {error.strerror}."
            self._send_json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": told})
        else:
            self._send_json(HTTPStatus.OK, {"saved": True})

    def _send_picture(self, number: str) -> None:
        try:
            data, kind = self._evaluation.picture(_index(int(number)))
        except (ValueError, IndexError, OSError):
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "There is no such picture."})
        else:
            self._send(HTTPStatus.OK, data, kind)

    def _is_ours(self) -> bool:
        """Pages of other sites must not reach the answers by a name of theirs for this machine."""
        if self.headers.get("Host") in self._evaluation.hosts:
            return True
        self._send_json(HTTPStatus.FORBIDDEN, {"error": "Open the address that was printed."})
        return False

    def _send_json(self, status: HTTPStatus, content: Any) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: HTTPStatus, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the library's name)
        """Nothing: the terminal is for the person."""
