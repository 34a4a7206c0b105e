"""The worker and its Python, as the plug-in uses them: jobs with progress, and reading plans."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from imgedit_bridges.client import BridgeError, Client, Result
from imgedit_bridges.gimp import catalogue
from imgedit_bridges.locations import Record, read_record
from imgedit_bridges.protocol import JobRequest
from imgedit_bridges.starting import FLATPAK, clean_environment

RECORD = Path(__file__).resolve().parents[2] / "bridge.json"
"""The installation record: it lies beside imgedit.py in the plug-in's folder."""

_READ_SECONDS = 60
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

    `told` is called in this thread, so that it can look after GIMP's windows.

    Raises:
        JobCancelledError: `told` said so.
        BridgeError: it failed, or the worker did.
    """
    stopped = threading.Event()
    stage: list[tuple[str, float]] = [("", -1.0)]

    def on_event(event: dict[str, Any]) -> None:
        stage[0] = _progress(event) or stage[0]

    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(client.run, request, on_event=on_event, cancelled=stopped.is_set)
        while not wait([going], _LOOK_SECONDS).done:
            if not told(*stage[0]):
                stopped.set()
        return going.result()


def _progress(event: Mapping[str, Any]) -> tuple[str, float] | None:
    if event.get("event") == "progress":
        total = event.get("total") or 0
        share = min(1.0, (event.get("done") or 0) / total) if total else -1.0
        return str(event.get("stage") or ""), share
    if event.get("event") == "queued" and event.get("ahead"):
        return "Waiting for other work", -1.0
    return None


def read_plan(path: Path) -> dict[str, Any]:
    """The plan in a JSON file, or in a picture's metadata; checked by the core.

    Raises:
        BridgeError: there is none, it is not valid, or the core's Python is gone.
    """
    done = _core(["plan", "show", "--json", "--", str(path)])
    if done.returncode != 0:
        raise BridgeError(_last_line(done.stderr) or f"{path.name} cannot be read.")
    plan = json.loads(done.stdout)
    if not isinstance(plan, dict):
        raise BridgeError(f"There is no plan in {path.name}.")
    return plan


def _core(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    found = record()
    hint = "Run `imgedit-plugins install gimp` again."
    if not found.prefix and not Path(found.python).is_file():
        raise BridgeError(f"The Python that runs the worker is gone: {found.python}.", hint=hint)
    # -P: nothing is imported from the folder that GIMP was started in.
    line = [*found.command, "-P", "-m", "imgedit_plugins.cli", *arguments]
    environ = {**clean_environment(os.environ), "PYTHONIOENCODING": "utf-8"}
    try:
        return subprocess.run(
            line, capture_output=True, encoding="utf-8", errors="replace", env=environ,
            timeout=_READ_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BridgeError(f"{found.python} cannot be run: {error}.", hint=hint) from error


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else ""
