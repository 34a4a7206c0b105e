"""The worker and its Python, as the plug-in uses them: jobs with progress, and reading plans."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from imgedit_bridges import plan_files
from imgedit_bridges.client import BridgeError, Client, Result
from imgedit_bridges.edits import progress
from imgedit_bridges.gimp import catalogue
from imgedit_bridges.locations import Record, read_record
from imgedit_bridges.protocol import JobRequest
from imgedit_bridges.starting import FLATPAK, clean_environment
from imgedit_bridges.step_previews import PreviewPicture, seen

RECORD = Path(__file__).resolve().parents[2] / "bridge.json"
"""The installation record: it lies beside imgedit.py in the plug-in's folder."""

_LOOK_SECONDS = 0.1

Told = Callable[[str, float], bool]
"""Told what is being done and how much of it (0..1, below 0 where that is not known); returns
whether to go on."""


def record() -> Record:
    """How the worker is started.

    Raises:
        BridgeError: the plug-in was not installed by `imgedit-plugins install gimp`.
    """
    found = read_record(RECORD)
    # Flatpak's GIMP may use the configuration folder of another one.
    return replace(found, prefix=FLATPAK) if "FLATPAK_ID" in os.environ else found


def new_client() -> Client:
    """A line to the worker, which is started when it is first needed."""
    found = record()
    return Client("gimp", python=found.python, prefix=found.prefix)


def look_for_plugins(folder: Path) -> None:
    """Have the menu's actions written down again, for GIMP's next start, where plugins changed."""
    if not catalogue.is_stale(folder):
        return
    with suppress(BridgeError, OSError):  # whatever is wrong, the user did not ask for this
        line = [*record().command, "-P", "-m", "imgedit_bridges.gimp.refresh", str(folder)]
        subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=clean_environment(os.environ), start_new_session=True,
        )  # fmt: skip


def run_job(client: Client, request: JobRequest, told: Told) -> tuple[str, Result]:
    """Run a job and tell how it goes, several times a second; returns its id and result.

    `told` is called in this thread, so that it can look after GIMP's windows. Where it has a method
    `preview`, that is told what an edit looks like meanwhile.

    Raises:
        JobCancelledError: `told` said so.
        BridgeError: it failed, or the worker did.
    """
    stopped = threading.Event()
    stage: list[tuple[str, float]] = [("", -1.0)]
    pictures: deque[PreviewPicture] = deque(maxlen=1)
    show = getattr(told, "preview", None)
    if request.hook == "apply_edit":
        request = replace(request, previews=show is not None)

    def on_event(event: dict[str, Any]) -> None:
        stage[0] = progress(event) or stage[0]
        if picture := seen(event):
            pictures.append(picture)

    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(client.run, request, on_event=on_event, cancelled=stopped.is_set)
        try:
            while not wait([going], _LOOK_SECONDS).done:
                if pictures and show is not None:
                    show(pictures.pop())
                if not told(*stage[0]):
                    stopped.set()
        finally:
            stopped.set()  # whatever `told` raises: the pool waits for the job's end
        return going.result()


def read_plan(path: Path) -> dict[str, Any]:
    """The plan in a JSON file, or in a picture's metadata; see `plan_files`."""
    found = record()
    return plan_files.read_plan(path, found.python, editor="gimp", prefix=found.prefix)
