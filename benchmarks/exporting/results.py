"""Rows measured: files made, engines run, figures kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.exporting.processes import EngineError, Figures, measured, once
from benchmarks.exporting.rows import OURS, Row


@dataclass
class Result:
    """A row measured.

    Attributes:
        row: its name; `kind`: of the row.
        figures: by engine.
        not_run: why nothing was measured; '' where it was.
        left_out: engines that are not here, with the reason.
        prompt, new: tokens of texts.
    """

    row: str
    kind: str
    prompt: int
    new: int
    figures: dict[str, Figures] = field(default_factory=dict)
    not_run: str = ""
    left_out: dict[str, str] = field(default_factory=dict)

    def speed(self, engine: str) -> float | None:
        """Work in a second: tokens written, or runs; the median. None where there is none."""
        found = self.figures.get(engine)
        seconds = found.middle("rest" if self.kind == "text" else "seconds") if found else None
        done = self.new - 1 if self.kind == "text" else 1
        return done / seconds if seconds else None

    def prefill(self, engine: str) -> float | None:
        """Tokens of a prompt read in a second."""
        found = self.figures.get(engine)
        seconds = found.middle("first") if found else None
        return self.prompt / seconds if seconds else None

    def apart(self, engine: str) -> str:
        """How what an engine makes differs from ours; '' where that cannot be told."""
        ours, theirs = (self.figures.get(name) for name in (OURS, engine))
        if engine == OURS or not ours or not theirs or not ours.rounds or not theirs.rounds:
            return ""
        pairs = list(zip(ours.rounds, theirs.rounds, strict=False))
        if self.kind == "text":
            same = [a == b for one, two in pairs for a, b in _tokens(one, two)]
            return f"{100 * sum(same) / len(same):.0f} % of tokens equal"
        both = [(np.array(one["made"]), np.array(two["made"])) for one, two in pairs]
        largest = max(float(np.abs(a - b).max() / b.std()) for a, b in both)
        return f"differs by {largest:.1g}"

    def as_json(self) -> dict[str, Any]:
        """For the file of results, without what the engines made."""
        told = asdict(self)
        for name, figures in told["figures"].items():
            figures.pop("sources")
            for one in (*figures["rounds"], figures["warm_up"]):
                one.pop("made", None)
                one.pop("tokens", None)
            figures["apart"] = self.apart(name)
        return told


def _tokens(one: dict[str, Any], two: dict[str, Any]) -> list[tuple[int, int]]:
    return list(zip(one["tokens"], two["tokens"], strict=True))


def ran(row: Row, folder: Path, rounds: int, threads: int, made: set[str]) -> Result:
    """Measure a row.

    Args:
        row: see there.
        folder: for files.
        rounds: of each engine.
        threads: of each engine.
        made: what was made already; what is made is added.
    """
    result = Result(row.name, row.kind, row.lengths.prompt, row.lengths.new, left_out=row.left_out)
    place = str(row.makers[0].task["folder"])
    if place not in made and (short := _short(row, folder)):
        result.not_run = short
        return result
    try:
        if place not in made:
            Path(place).mkdir(parents=True)
            for maker in row.makers:
                once(maker, threads)
            made.add(place)
    except EngineError as error:
        result.not_run = f"its files could not be made: {error}"
        return result
    for engines in row.passes:
        result.figures |= measured(engines, rounds, threads)
    return result


def _short(row: Row, folder: Path) -> str:
    """What of the machine is too small."""
    free = shutil.disk_usage(folder).free
    if free < row.disk:
        return f"it needs {row.disk / 1e9:.0f} GB of disk, and {free / 1e9:.0f} are free"
    memory = _available()
    if memory and memory < row.memory:
        return f"it needs {row.memory / 1e9:.0f} GB of memory, and {memory / 1e9:.0f} are free"
    return ""


def _available() -> int:
    """Bytes of memory that are free; 0 where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def sources(results: Sequence[Result]) -> dict[str, str] | None:
    """The project's modules that were measured; None where they changed on the way."""
    from benchmarks.loaded_sources import common

    return common(f.sources for result in results for f in result.figures.values())
