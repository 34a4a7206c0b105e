"""Open, edit, save: whole files, in this process and as commands of their own.

All write alike: JPEG of quality 95 with colours at full resolution; TIFF of 16 bits with deflate
and horizontal differences.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rendering import commands
from benchmarks.rendering.contenders import PeerFailedError
from benchmarks.rendering.imagemagick import NAMES, ImageMagick
from benchmarks.rendering.rows import Tolerance
from benchmarks.rendering.sample import Pixels
from benchmarks.rendering.vips_command import edit_file
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan

PLAN = EditPlan(operations=(step("bright", offset=30), step("contrast", gain=1.2), step("invert")))
IN_PROCESS, COMMAND = "in process", "whole command"

_Work = Callable[[Path, Path], object]


@dataclass(frozen=True)
class FileTime:
    """One way to edit a file.

    Attributes:
        file: 'JPEG' or 'TIFF, 16 bits'.
        way: 'in process' or 'whole command', start of the program included.
        name: who.
        seconds: median.
        difference: (largest, mean) of what the file decodes to against ours, in 8-bit codes.
        equal: whether that is within the tolerance.
        note: why there is no time.
    """

    file: str
    way: str
    name: str
    seconds: float | None
    difference: tuple[float, float] | None
    equal: bool
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the file of results; milliseconds."""
        milliseconds = None if self.seconds is None else round(self.seconds * 1000, 1)
        known = {"warm_ms": milliseconds, "difference": self.difference, "note": self.note}
        start = {"file": self.file, "way": self.way, "contender": self.name, "equal": self.equal}
        return start | {name: value for name, value in known.items() if value not in (None, "")}


def measured_files(pixels: Pixels, deep: Pixels, folder: Path, rounds: int) -> list[FileTime]:
    """Everyone's times for a JPEG of 8-bit pixels and a TIFF of 16-bit ones."""
    jpeg, tiff = folder / "picture.jpg", folder / "picture.tif"
    save_picture(Picture(pixels), jpeg)
    save_picture(Picture(deep), tiff)
    # Decoders and encoders of JPEG may differ by a code or two in each of their steps.
    found = _measured("JPEG", jpeg, Tolerance(16.0, 1.0), rounds)
    # Deflate of 144 MB takes seconds and is nearly all of it: fewer rounds tell enough.
    return found + _measured("TIFF, 16 bits", tiff, Tolerance(0.1, 0.02), max(1, rounds - 1))


def _measured(file: str, before: Path, tolerance: Tolerance, rounds: int) -> list[FileTime]:
    works = _works()
    results = {key: before.with_stem(f"result-{number}") for number, key in enumerate(works)}
    notes: dict[tuple[str, str], str] = {}
    times: dict[tuple[str, str], list[float]] = {key: [] for key in works}
    for number in range(rounds):
        keys = list(works)
        for key in keys[number % len(keys) :] + keys[: number % len(keys)]:
            if key in notes:
                continue
            started = time.perf_counter()
            try:
                works[key](before, results[key])
            except PeerFailedError as error:
                notes[key] = f"failed: {error}"
                continue
            times[key].append(time.perf_counter() - started)
    reference = open_picture(results[IN_PROCESS, "ours"]).pixels
    found = []
    for key, taken in times.items():
        apart = _apart(results[key], reference) if key not in notes else None
        equal = apart is not None and apart[0] <= tolerance.largest and apart[1] <= tolerance.mean
        median = statistics.median(taken) if taken and equal else None
        note = notes.get(key) or ("" if equal else "differs")
        found.append(FileTime(file, *key, median, apart, equal, note))
    for path in (before, *results.values()):
        path.unlink(missing_ok=True)
    return found


def _works() -> dict[tuple[str, str], _Work]:
    works: dict[tuple[str, str], _Work] = {
        (IN_PROCESS, "ours"): _ours,
        (IN_PROCESS, "libvips"): lambda before, after: edit_file(str(before), str(after)),
        (COMMAND, "ours"): _our_command,
        (COMMAND, "libvips"): _vips_command,
    }
    if ImageMagick().version():
        works[COMMAND, "ImageMagick"] = _magick_command
    return works


def _ours(before: Path, after: Path) -> None:
    save_picture(render_plan(open_picture(before), PLAN), after)


def _our_command(before: Path, after: Path) -> None:
    operations = ["--op", "bright=30", "--op", "contrast=1.2", "--op", "invert"]
    start = [sys.executable, "-m", "imgedit_plugins.cli", "apply", str(before)]
    commands.run([*start, *operations, "-o", str(after), "--overwrite"])


def _vips_command(before: Path, after: Path) -> None:
    module = "benchmarks.rendering.vips_command"
    commands.run([sys.executable, "-m", module, str(before), str(after)])


def _magick_command(before: Path, after: Path) -> None:
    program = commands.found(*NAMES) or ""
    plan = ["-evaluate", "Add", f"{30 / 2.55:.6f}%", "-evaluate", "Multiply", "1.2", "-negate"]
    written = ["-quality", "95", "-sampling-factor", "4:4:4"]
    if after.suffix == ".tif":
        written = ["-compress", "zip", "-define", "tiff:predictor=2"]
    commands.run([program, str(before), *plan, *written, str(after)])


def _apart(path: Path, reference: Pixels) -> tuple[float, float]:
    made = open_picture(path).pixels
    if made.shape != reference.shape or made.dtype != reference.dtype:
        return float("inf"), float("inf")
    white = float(np.iinfo(reference.dtype).max)
    # Row by row: all at once would need eight times the picture's memory.
    largest = total = 0
    for ours_row, their_row in zip(reference, made, strict=True):
        codes = np.abs(ours_row.astype(np.int32) - their_row.astype(np.int32))
        largest, total = max(largest, int(codes.max())), total + int(codes.sum())
    return largest * 255 / white, total / reference.size * 255 / white


def fastest(found: Sequence[FileTime], file: str, way: str) -> tuple[FileTime, FileTime] | None:
    """Ours and the fastest other of a file and way, if there is one."""
    own = [f for f in found if (f.file, f.way, f.name) == (file, way, "ours")]
    others = [f for f in found if (f.file, f.way) == (file, way) and f.name != "ours" and f.seconds]
    return (own[0], min(others, key=lambda f: f.seconds or 0.0)) if own and others else None
