"""Rounds of contenders in an editor; standard library only, since it runs in the editor's Python.

A contender does the whole of its work once and returns the seconds that parts of it took, with
`total` among them; what it leaves behind is taken away, and looked at, by `after`, untimed.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

WHOLE, BANDS, BRIDGE, PNG = "do-nothing, whole", "do-nothing, bands", "bridge", "PNG"
PLAN = {"schema": "imgedit-plan/1", "operations": [{"name": "invert"}]}
BAND = 128  # rows of the do-nothing plug-in that goes by bands

Mark = Callable[..., None]


class Times:
    """Seconds of one contender's parts: `with times.of("read"): ...`."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._began = time.perf_counter()

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Time a part; parts of one name add up."""
        began = time.perf_counter()
        yield
        self.parts[part] = self.parts.get(part, 0.0) + time.perf_counter() - began

    def end(self) -> dict[str, float]:
        """The parts, and `total` since this was made."""
        return {**self.parts, "total": time.perf_counter() - self._began}


Contender = Callable[[Times], Any]
"""Does its work and returns what it made."""


def run(
    contenders: Mapping[str, Contender],
    after: Callable[[str, Any], bool],
    rounds: Mapping[str, int],
    mark: Mark,
) -> None:
    """Everyone once untimed, then all in rounds, each in another order.

    Args:
        contenders: by name.
        after: given a contender's name and what it made; looks at it, removes it, and returns
            whether it was right.
        rounds: how many each takes part in.
        mark: told each time.
    """
    shuffled = random.Random(1)
    for number in range(-1, max(rounds.values())):
        names = [name for name in contenders if number < rounds[name]]
        shuffled.shuffle(names)
        for name in names:
            times = Times()
            made = contenders[name](times)
            seconds = times.end()
            right = after(name, made)
            mark("time", contender=name, round=number, right=right, seconds=seconds)


class PngWorker:
    """The worker's side of the PNG transport: a process that inverts files, kept running."""

    def __init__(self, python: str) -> None:
        line = [python, "/src/benchmarks/bridging/png_worker.py"]
        self._process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def invert(self, source: str, target: str) -> None:
        """Read `source`, invert it and write `target`."""
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        pipe_in.write(f"{source}\t{target}\n")
        pipe_in.flush()
        if pipe_out.readline() != "done\n":
            raise RuntimeError("The PNG worker failed.")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
