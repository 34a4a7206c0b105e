"""The worker as the extension uses it: jobs with progress, its operations, and who starts it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from imgedit_bridges import plan_files
from imgedit_bridges.client import BridgeError, Client, Result
from imgedit_bridges.edits import Plan, progress
from imgedit_bridges.krita.background import Steps, Told, Work
from imgedit_bridges.locations import read_record
from imgedit_bridges.protocol import JobRequest, PictureRef
from imgedit_bridges.step_previews import seen

RECORD = Path(__file__).resolve().parents[2] / "bridge.json"
"""The installation record: it lies in the extension's folder."""


class Session:
    """One line to the worker, for as long as Krita runs. Blocks unless told otherwise."""

    def __init__(self, record: Path = RECORD) -> None:
        self._record = record
        self._client: Client | None = None
        self._operations: list[dict[str, Any]] = []

    @property
    def python(self) -> str:
        """The Python that runs the worker.

        Raises:
            BridgeError: the extension was not installed by `imgedit-plugins install krita`.
        """
        return read_record(self._record).python

    @property
    def client(self) -> Client:
        """The line itself; the worker is started when it is first needed."""
        if self._client is None:
            self._client = Client("krita", python=self.python)
        return self._client

    def operations(self, plan: Plan | None = None) -> Steps:
        """What plans are made of; asked again where a plan has something else. Does not block."""
        named = {str(step["name"]) for step in plan["operations"]} if plan else set()
        if not self._operations or not named <= {str(one["name"]) for one in self._operations}:
            self._operations = yield Work(lambda _: self.client.operations())
        return self._operations

    def run(self, request: JobRequest, told: Told) -> tuple[str, Result]:
        """Run a job and tell how it goes; returns its id and result.

        Where `told` has a method `preview`, that is told what an edit looks like meanwhile.

        Raises:
            JobCancelledError: `told` said so.
            BridgeError: it failed, or the worker did.
        """
        stage: list[tuple[str, float]] = [("", -1.0)]
        show = getattr(told, "preview", None)
        if request.hook == "apply_edit":
            request = replace(request, previews=show is not None)

        def on_event(event: dict[str, Any]) -> None:
            picture = seen(event)
            if picture is not None and show is not None:
                show(picture)
            stage[0] = progress(event) or stage[0]
            told(*stage[0])

        return self.client.run(request, on_event=on_event, cancelled=lambda: not told(*stage[0]))

    def drop(self, *refs: PictureRef) -> None:
        """Remove pictures of ours."""
        for ref in refs:
            with contextlib.suppress(BridgeError):  # a worker that is gone has removed it
                self.client.drop_pixels(ref.pixels)

    def read_plan(self, path: Path) -> dict[str, Any]:
        """The plan in a JSON file, or in a picture's metadata; see `plan_files`."""
        return plan_files.read_plan(path, self.python, editor="krita")
