"""The bridges' client, with its calls timed; runs in the editors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from benchmarks.bridging.rounds import Times
from imgedit_bridges.client import Client
from imgedit_bridges.protocol import JobRequest


class WatchedClient(Client):
    """A client that divides one round trip into parts by when it is called for what.

    Parts: `read` until the job is submitted, `queue` until it starts, `job` until its end is told,
    `drop` what removing pixel files and the job takes, `write` all the rest.
    """

    def __init__(self, name: str, python: str, times: Times) -> None:
        super().__init__(name, python=python)
        self._parts = times.parts
        self._last = time.perf_counter()

    def _ends(self, part: str) -> None:
        now = time.perf_counter()
        self._parts[part] = self._parts.get(part, 0.0) + now - self._last
        self._last = now

    def submit(self, request: JobRequest) -> str:
        """As the client's."""
        self._ends("read")
        return super().submit(request)

    def events(self, job: str) -> Iterator[dict[str, Any]]:
        """As the client's."""
        for event in super().events(job):
            if event.get("event") == "started":
                self._ends("queue")
            elif event.get("event") == "done":
                self._ends("job")
            yield event

    def drop_pixels(self, file_id: str) -> None:
        """As the client's."""
        self._ends("write")
        super().drop_pixels(file_id)
        self._ends("drop")

    def forget(self, job: str) -> None:
        """As the client's."""
        self._ends("write")
        super().forget(job)
        self._ends("drop")

    def end(self) -> None:
        """Nothing more is measured."""
        self._ends("write")
