"""What `imgedit-plugins doctor` says about the worker."""

from __future__ import annotations

from collections.abc import Iterator

from imgedit_bridges import starting
from imgedit_bridges.errors import BridgeError
from imgedit_bridges.locations import find_places, lock_holder
from imgedit_plugins._version import __version__
from imgedit_plugins.cli.doctor import Finding


def findings() -> Iterator[Finding]:
    """Whether editors can reach a worker: its folder, and one that hangs or is another version."""
    try:
        places = find_places()
        found = starting.find_worker(places)
    except BridgeError as error:
        yield Finding("worker", "problem", error.message.rstrip("."), error.hint)
        return
    if found is None and (holder := lock_holder(places)):
        detail = f"process {holder} runs and does not answer"
        yield Finding("worker", "problem", detail, "Run: imgedit-plugins worker stop")
    elif found is None:
        yield Finding("worker", "ok", f"not running; its folder {places.folder} is good")
    elif found[1].get("version") != __version__:
        detail = f"process {found[0].pid} is of version {found[1].get('version')}"
        yield Finding("worker", "note", f"{detail}; it ends when it has nothing to do")
    else:
        yield Finding("worker", "ok", f"runs as process {found[0].pid}")
