"""The bridges' client, with the time of each event noted; runs in the editors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from imgedit_bridges.client import Client

from benchmarks.bridging.rounds import Times


class WatchedClient(Client):
    """A client that knows when the job's first event of each kind came."""

    def __init__(self, name: str, python: str) -> None:
        super().__init__(name, python=python)
        self._came: dict[str, float] = {}

    def events(self, job: str) -> Iterator[dict[str, Any]]:
        """As the client's."""
        for event in super().events(job):
            self._came.setdefault(str(event.get("event")), time.perf_counter())
            yield event

    def add_parts(self, times: Times, began: float, ended: float) -> None:
        """Divide the time of one job: until it started, its own, until its end was known."""
        times.parts["queue"] = self._came["started"] - began
        times.parts["job"] = self._came["done"] - self._came["started"]
        times.parts["told"] = ended - self._came["done"]
