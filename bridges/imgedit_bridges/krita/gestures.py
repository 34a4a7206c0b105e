"""Which changes of an edit belong together: those of one slider, as long as it is being moved."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from imgedit_bridges.krita.seam import plain

PAUSE = 3.0
"""So many seconds without a change begin something new."""


class Gestures:
    """Knows the change before.

    Args:
        now: tells the time in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last: tuple[str, str, float] | None = None  # edit, what was moved, when

    def continues(self, edit: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Whether a change goes on with the one before.

        Args:
            edit: what it is called.
            old: its state, as `StepList.state` gives it.
            new: what it becomes.
        """
        moved, when = _moved(plain(old), plain(new)), self._now()
        before, self._last = self._last, (edit, moved, when)
        if before is None or not moved:
            return False
        return before[:2] == (edit, moved) and when - before[2] <= PAUSE

    def end(self) -> None:
        """What comes next is something new."""
        self._last = None


def _moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The one thing that differs: a step's values or the strength; empty for all else."""
    steps = [_bare(one) for one in old["steps"]], [_bare(one) for one in new["steps"]]
    changed = [number for number, one in enumerate(zip(*steps, strict=False)) if one[0] != one[1]]
    found = [f"step {number}" for number in changed]
    if old["strength"] != new["strength"]:
        found.append("strength")
    kinds = [[(one["name"], one["on"]) for one in side] for side in steps]
    return found[0] if len(found) == 1 and kinds[0] == kinds[1] else ""


def _bare(step: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": step["name"], "on": step.get("on", True), "values": step.get("parameters")}
