"""One job as the worker keeps it: what happened to it so far, and waiting for more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from imgedit_bridges.protocol import BEAT_SECONDS, FINAL, JobRequest

_REPLACEABLE = frozenset({"queued", "progress", "preview"})


class WorkerJob:
    """A job and its events, each numbered from 1.

    Of several reports of progress in a row only the last is kept, and of previews the last one, so
    that the story of a job stays short however long it runs.

    Attributes:
        id: 32 hexadecimal digits.
        client: who asked for it.
        request: what is to be done.
        state: 'queued', 'running', or one of `protocol.FINAL`.
        made: ids of pixel files that the executor has announced.
        ended: when it came to its end, by `clock`; None before.
        cancelling: whether somebody cancelled it.
        listeners: how many follow it right now.
        attended: when somebody last did, or asked for it.
        followed: whether anybody ever did.
    """

    def __init__(
        self, job_id: str, client: str, request: JobRequest, clock: Callable[[], float]
    ) -> None:
        self.id = job_id
        self.client = client
        self.request = request
        self.state = "queued"
        self.made: list[str] = []
        self.ended: float | None = None
        self.cancelling = False
        self.listeners = 0
        self.attended = clock()
        self.followed = False
        self._clock = clock
        self._events: list[dict[str, Any]] = []
        self._number = 0
        self._more = asyncio.Event()

    @property
    def finished(self) -> bool:
        """Whether nothing happens any more."""
        return self.state in FINAL

    @property
    def inputs(self) -> list[str]:
        """Ids of the pixel files that it reads."""
        return [ref.pixels for ref in self.request.inputs.values()]

    def tell(self, event: str, **data: Any) -> None:
        """Note an event and wake whoever follows the job; nothing after the last."""
        if self.finished:
            return
        self._number += 1
        told = {"number": self._number, "event": event, **data}
        if event in _REPLACEABLE:
            self._forget_last(event)
        elif event in FINAL:
            self._forget_last("preview")  # of no use any more, and the largest of all
        self._events.append(told)
        if event == "started":
            self.state = "running"
        elif event in FINAL:
            self.state = event
            self.ended = self._clock()
        self._more.set()
        self._more = asyncio.Event()

    def _forget_last(self, event: str) -> None:
        """Drop the last event of a kind, unless something else than reports came after it."""
        for number in range(len(self._events) - 1, -1, -1):
            found = self._events[number]["event"]
            if found == event:
                del self._events[number]
            if found == event or found not in _REPLACEABLE:
                return

    def summary(self) -> dict[str, Any]:
        """What the list of jobs says about it."""
        shown = [event for event in self._events if event["event"] != "preview"]
        last = shown[-1] if shown else None
        return {"job": self.id, "hook": self.request.hook, "state": self.state, "last": last}

    async def follow(self, after: int) -> AsyncGenerator[dict[str, Any], None]:
        """Its events with higher numbers, and a 'beat' whenever nothing else was to tell."""
        self.listeners += 1
        self.followed = True
        try:
            while True:
                more = self._more
                for event in [e for e in self._events if e["number"] > after]:
                    after = event["number"]
                    yield event
                if self.finished and after >= self._number:
                    return
                try:
                    await asyncio.wait_for(more.wait(), BEAT_SECONDS)
                except TimeoutError:
                    yield {"number": after, "event": "beat"}
        finally:
            self.listeners -= 1
            self.attended = self._clock()
