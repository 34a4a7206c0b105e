"""How many threads arithmetic gets: one for each core that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

_SYSTEM = Path("/sys")


def usual(system: Path = _SYSTEM) -> int:
    """Physical cores that this process may use; 0, which leaves it to onnxruntime, if unknown.

    Two threads of one core share its arithmetic, so more threads than cores are slower. What the
    process is bound to counts, and what a container allows; onnxruntime looks at neither.

    Args:
        system: where Linux tells of the machine.
    """
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # not on Windows and macOS
        return 0
    cores = _cores(allowed, system) or len(allowed)
    return max(min(cores, math.floor(_quota(system))), 1) if _quota(system) else cores


def _cores(allowed: Iterable[int], system: Path) -> int:
    """Groups of processors that share a core; 0 where the system does not tell."""
    place = system / "devices" / "system" / "cpu"
    try:
        return len({
            (place / f"cpu{one}" / "topology" / "thread_siblings_list").read_text("ascii")
            for one in allowed
        })  # fmt: skip
    except OSError:
        return 0


def _quota(system: Path) -> float:
    """Processors' worth of time that the container may use; 0 where there is no limit."""
    try:
        most, _, period = (system / "fs" / "cgroup" / "cpu.max").read_text("ascii").partition(" ")
        return int(most) / int(period)
    except (OSError, ValueError):  # no such file, or the word 'max'
        return 0.0
