"""What an editor's plug-in uses: it starts the worker, sends jobs, follows them and gets results.

Standard library only, Python 3.10 and newer. Every fault is a `BridgeError`: one sentence that can
be shown as it is, and what to do next. A worker that died is noticed within five seconds.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from imgedit_bridges import pixels, starting, transport
from imgedit_bridges.errors import BridgeError, MessageError
from imgedit_bridges.locations import (
    Places,
    Record,
    WorkerState,
    find_places,
    lock_holder,
    read_record,
)
from imgedit_bridges.pixels import PixelFile
from imgedit_bridges.protocol import FINAL, JobRequest, PictureRef, is_id, parse_picture
from imgedit_bridges.results import Result, ResultPicture, read_result
from imgedit_bridges.transport import ANSWER_SECONDS, RefusedError, WorkerGoneError

__all__ = [
    "BridgeError",
    "Client",
    "JobCancelledError",
    "JobFailedError",
    "Result",
    "ResultPicture",
]

_RECONNECTS = 3
_LOAD_SECONDS = 60.0


class JobFailedError(BridgeError):
    """The job ran and failed. `exit_code` is what the command line would have ended with."""

    def __init__(self, message: str, *, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class JobCancelledError(BridgeError):
    """The user cancelled the job."""

    def __init__(self) -> None:
        super().__init__("The job was cancelled.")


class Client:
    """One editor's line to the worker; may be used from several threads.

    Args:
        name: of the editor, such as 'gimp'.
        python: the interpreter that starts the worker; by default the one of the installation
            record.
        prefix: words before it, which lead out of a sandbox; see `Record`.
        environ: where to look for the worker's folder, and what a new worker gets, but for what
            the editor's bundle put there.
    """

    def __init__(
        self,
        name: str,
        *,
        python: str | None = None,
        prefix: tuple[str, ...] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._name = f"{name}-{os.getpid()}-{secrets.token_hex(4)}"
        self._python = python
        self._prefix = prefix
        self._environ = environ
        self._places: Places | None = None
        self._state: WorkerState | None = None
        self._features: frozenset[str] = frozenset()

    @property
    def places(self) -> Places:
        """Where the worker's files are."""
        if self._places is None:
            self._places = find_places(self._environ)
        return self._places

    # --- the worker ---------------------------------------------------------------------------

    @property
    def worker(self) -> int | None:
        """The process id of the worker that was used last; None before the first one."""
        return None if self._state is None else self._state.pid

    def connect(self) -> dict[str, Any]:
        """Find the worker or start one; returns its greeting.

        Raises:
            BridgeError: it cannot be started, does not answer, or is of another version.
        """
        if found := starting.find_worker(self.places):
            return self._met(*found)
        record = Record(self._python, "", self._prefix) if self._python else read_record()
        self._prefix = record.prefix
        environ = starting.clean_environment(self._environ)
        return self._met(
            *starting.ensure_worker(
                self.places, record.python, prefix=record.prefix, environ=environ
            )
        )

    def _met(self, state: WorkerState, hello: dict[str, Any]) -> dict[str, Any]:
        told = hello.get("features")
        self._state, self._features = state, frozenset(told if isinstance(told, list) else ())
        return hello

    def actions(self) -> list[dict[str, Any]]:
        """All menu actions of all plugins, and the core's own."""
        found = self._ask("GET", "/v1/actions").get("actions")
        return found if isinstance(found, list) else []

    def operations(self) -> list[dict[str, Any]]:
        """What plans are made of, as `imgedit_plugins.operations.described` gives it.

        Plugins are loaded for that, which may take some seconds.

        Raises:
            BridgeError: there is no worker, or it cannot load plugins.
        """
        found = self._ask("GET", "/v1/operations", seconds=_LOAD_SECONDS).get("operations")
        return found if isinstance(found, list) else []

    def _ask(
        self, method: str, path: str, body: object = None, seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any]:
        """One request; a worker that is gone is started once more."""
        if self._state is None:
            self.connect()
        elif (state := self._state) is not None:
            try:
                return transport.request(
                    state, method, path, body, client=self._name, seconds=seconds
                )
            except WorkerGoneError:
                self._replace()
            except RefusedError as error:
                if error.status != 401:
                    raise
                self.connect()  # another worker has taken its place
        return transport.request(
            self._now(), method, path, body, client=self._name, seconds=seconds
        )

    def _replace(self) -> None:
        """Find or start another worker than the one that did not answer."""
        if self._is_gone():
            self.connect()

    def _now(self) -> WorkerState:
        if self._state is None:
            raise WorkerGoneError("There is no worker.")
        return self._state

    # --- pixels -------------------------------------------------------------------------------

    def new_pixels(self, size: int) -> PixelFile:
        """A new pixel file, mapped for writing; starts the worker if need be.

        Args:
            size: in bytes: `PictureRef.file_bytes`.

        Raises:
            BridgeError: there is no room, or no worker.
        """
        made = self._ask("POST", "/v1/pixels", {"bytes": size})
        file_id = made.get("id")
        if not is_id(file_id):
            raise WorkerGoneError("The worker answered something else than a pixel file.")
        return pixels.open_file(self._folder(), str(file_id), size, writable=True)

    def put_picture(
        self,
        data: bytes | bytearray | memoryview,
        width: int,
        height: int,
        channels: int,
        dtype: str = "uint8",
        icc: bytes = b"",
        order: str = "rgb",
    ) -> PictureRef:
        """Copy a picture into a new pixel file; see `PictureRef` for how its bytes are laid out.

        Raises:
            BridgeError: the data have another size, there is no room, or no worker.
        """
        ref = PictureRef("0" * 32, width, height, channels, dtype, len(icc), order)
        parse_picture(ref.to_json(), "picture")
        view = memoryview(data).cast("B")
        if len(view) != ref.pixel_bytes:
            raise MessageError("picture", f"it has {len(view)} bytes, not {ref.pixel_bytes}")
        with self.new_pixels(ref.file_bytes) as file:
            file.write(0, view)
            file.write(ref.pixel_bytes, icc)
            return replace(ref, pixels=file.id)

    def open_picture(self, ref: PictureRef) -> PixelFile:
        """Map a result's picture for reading.

        Raises:
            BridgeError: the result has expired, or the file is not what it should be.
        """
        return pixels.open_file(self._folder(), ref.pixels, ref.file_bytes)

    def drop_pixels(self, file_id: str) -> None:
        """Remove a pixel file of ours before it expires; no fault where it is gone already."""
        self._drop(f"/v1/pixels/{file_id}")

    def _folder(self) -> Path:
        return Path(self._now().pixels)

    # --- jobs ---------------------------------------------------------------------------------

    def submit(self, request: JobRequest) -> str:
        """Queue a job; returns its id. An older worker is not asked for what it does not know.

        Raises:
            BridgeError: the worker refuses it, or there is none.
        """
        if self._state is None:
            self.connect()
        layers, previews = (name in self._features for name in ("layers", "previews"))
        request = replace(
            request, layers=request.layers and layers, previews=request.previews and previews
        )
        made = self._ask("POST", "/v1/jobs", request.to_json()).get("job")
        if not is_id(made):
            raise WorkerGoneError("The worker answered something else than a job.")
        return str(made)

    def events(self, job: str) -> Iterator[dict[str, Any]]:
        """What happens to a job until its end, beats included so that callers can do other things.

        A connection that breaks is made again, and nothing is told twice.

        Raises:
            WorkerGoneError: the worker died; noticed within five seconds.
            BridgeError: the job is not known (any more).
        """
        number, broken = 0, 0
        while True:
            try:
                path = f"/v1/jobs/{job}/events?after={number}"
                for event in transport.stream(self._now(), path, client=self._name):
                    broken = 0
                    told = event.get("number")
                    number = max(number, told if isinstance(told, int) else 0)
                    yield event
                    if event.get("event") in FINAL:
                        return
            except WorkerGoneError:
                pass  # as where it closed the connection: see whether it is still there
            broken += 1
            if broken > _RECONNECTS or self._is_gone():
                raise WorkerGoneError(
                    "The worker ended in the middle of the job.",
                    hint="Nothing was changed. Run the action again: a new worker is started.",
                )

    def cancel(self, job: str) -> None:
        """Ask for a job's end, which its events then tell; a finished one is forgotten."""
        self._drop(f"/v1/jobs/{job}")

    forget = cancel
    """Forget a finished job and remove its results, which is also what `cancel` does to it."""

    def run(
        self,
        request: JobRequest,
        *,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> tuple[str, Result]:
        """Submit a job and wait for it; returns its id and result.

        Args:
            request: the job.
            on_event: told each event, at least once every `protocol.BEAT_SECONDS`.
            cancelled: asked after each event; True cancels the job.

        Raises:
            JobFailedError: it failed.
            JobCancelledError: it was cancelled.
            BridgeError: see `submit` and `events`.
        """
        job = self.submit(request)
        asked = False
        for event in self.events(job):
            if on_event is not None:
                on_event(event)
            if cancelled is not None and not asked and cancelled():
                asked = True
                self.cancel(job)
            match event.get("event"):
                case "done":
                    return job, read_result(event.get("result"))
                case "cancelled":
                    raise JobCancelledError
                case "failed":
                    raise _failure(event)
        raise WorkerGoneError("The worker told no end of the job.")

    def _is_gone(self) -> bool:
        """Whether the worker answers no more; one that hangs is ended, since it is of no use."""
        state = self._now()
        try:
            transport.request(state, "GET", "/v1/hello", seconds=1.0)
        except RefusedError:
            return True
        except WorkerGoneError:
            if lock_holder(self.places) == state.pid:
                starting.end_process(self.places, state.pid, hangs=True, prefix=self._prefix)
            return True
        return False

    def _drop(self, path: str) -> None:
        try:
            transport.request(self._now(), "DELETE", path, client=self._name)
        except RefusedError as error:
            if error.status != 404:
                raise


def _failure(event: Mapping[str, Any]) -> JobFailedError:
    code = event.get("exit_code")
    return JobFailedError(
        str(event.get("message") or "The job failed."),
        hint=str(event.get("hint") or ""),
        exit_code=code if isinstance(code, int) else 1,
    )
