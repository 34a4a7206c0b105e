"""Engines in processes of their own, side by side, one working at a time."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

from imgedit_plugins import large_pages

ROOT = Path(__file__).resolve().parents[2]
_LAST_LINES = 3
_LEAST_ROUNDS, _MOST_ROUNDS, _MORE_SECONDS = 3, 15, 20.0


class EngineError(Exception):
    """An engine has failed, or took too long; the text says how."""


@dataclass(frozen=True)
class Engine:
    """Who does something.

    Attributes:
        name: for people.
        module: of `benchmarks.exporting.engines`.
        task: what `prepare` of the module gets.
        python: the interpreter that has what the module needs.
        limit: seconds for loading and for the first work, which may compile.
    """

    name: str
    module: str
    task: Mapping[str, Any]
    python: str = sys.executable
    limit: float = 600


@dataclass
class Figures:
    """What an engine came to.

    Attributes:
        name: of the engine.
        rounds: figures of each round behind the first, which is told apart as `warm_up`.
        peak: most bytes of memory.
        seconds: from the start of the process to the end of its first work.
        loaded: seconds of that until it was ready to work.
        fault: why there are no figures.
        sources: of the project, that the process has loaded.
    """

    name: str
    rounds: list[dict[str, Any]] = field(default_factory=list)
    warm_up: dict[str, Any] = field(default_factory=dict)
    peak: int = 0
    seconds: float = 0.0
    loaded: float = 0.0
    fault: str = ""
    sources: dict[str, str] = field(default_factory=dict)

    def middle(self, name: str) -> float | None:
        """The median of a figure; None where there is none."""
        values = [one[name] for one in self.rounds if name in one]
        return median(values) if values else None


class Running:
    """An engine's process, with memory in large pages as the editors' worker has it.

    Args:
        engine: see there.
        threads: of arithmetic; libraries that ask the environment find it there.
    """

    def __init__(self, engine: Engine, threads: int) -> None:
        self.engine, self.started = engine, time.perf_counter()
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        # What torch.compile made before is not used, least of all what was broken off.
        self._compiled = tempfile.TemporaryDirectory(prefix="compiled-", ignore_cleanup_errors=True)
        environ = os.environ | large_pages.asked_for(os.environ) | {
            "OMP_NUM_THREADS": str(threads),
            "PYTHONPATH": _path(engine.python),
            "TORCHINDUCTOR_CACHE_DIR": self._compiled.name,
        }  # fmt: skip
        self._process = subprocess.Popen(
            [engine.python, "-m", "benchmarks.exporting.worker",
             f"benchmarks.exporting.engines.{engine.module}", json.dumps(dict(engine.task))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, cwd=ROOT, text=True,
            env=environ,
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._compiled.cleanup()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(BrokenPipeError):  # what it did not read any more
                assert stream is not None
                stream.close()

    def answer(self, limit: float) -> dict[str, Any]:
        """The next line that it tells.

        Raises:
            EngineError: there is none, or it takes longer than `limit` seconds.
        """
        try:
            line = self._lines.get(timeout=limit)
        except queue.Empty:
            raise EngineError(f"took more than {limit:.0f} s") from None
        if not line:
            self._process.wait()
            raise EngineError(self._told())
        told: dict[str, Any] = json.loads(line)
        return told

    def work(self, number: int, limit: float) -> dict[str, Any]:
        """One round; raises as `answer`."""
        self._ask(f"{number}\n")
        return self.answer(limit)

    def end(self) -> dict[str, Any]:
        """The most memory that it held, and its sources; it ends with that."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self.answer(60)

    def _ask(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise EngineError(self._told()) from None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _told(self) -> str:
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().splitlines() if line.strip()]
        return " / ".join(lines[-_LAST_LINES:])[:400] or "ended without a word"


def measured(engines: Sequence[Engine], rounds: int, threads: int) -> dict[str, Figures]:
    """Load engines one after the other, then let them work by turns; by name.

    In each round the order is another one, so that nobody always follows the same one. Quick work
    has more rounds than it must, as its times are spread most.

    Args:
        engines: with names of their own.
        rounds: of each, after one that does not count; from three on at least so many.
        threads: see `Running`.
    """
    found = {engine.name: Figures(engine.name) for engine in engines}
    running: dict[str, Running] = {}
    try:
        for engine in engines:
            started = Running(engine, threads)
            running[engine.name] = started
            _guarded(found, running, engine.name, _start)
        began = time.perf_counter()
        for number in range(1, (_MOST_ROUNDS if rounds >= _LEAST_ROUNDS else rounds) + 1):
            if number > rounds and time.perf_counter() - began > _MORE_SECONDS:
                break
            for name in random.Random(number).sample(tuple(running), len(running)):
                _guarded(found, running, name, _turn, number)
        for name in tuple(running):
            _guarded(found, running, name, _last)
    finally:
        for one in running.values():
            one.__exit__(None, None, None)
    return found


def once(engine: Engine, threads: int) -> dict[str, Any]:
    """What an engine makes of its only work.

    Raises:
        EngineError: it failed.
    """
    found = measured([engine], 0, threads)[engine.name]
    if found.fault:
        raise EngineError(found.fault)
    return found.warm_up


def _start(running: Running, found: Figures) -> None:
    found.loaded = float(running.answer(running.engine.limit)["loaded"])
    found.warm_up = running.work(0, running.engine.limit)
    found.seconds = time.perf_counter() - running.started


def _turn(running: Running, found: Figures, number: int) -> None:
    found.rounds.append(running.work(number, running.engine.limit))


def _last(running: Running, found: Figures) -> None:
    told = running.end()
    found.peak, found.sources = int(told["peak"]), dict(told["sources"])


def _guarded(
    found: dict[str, Figures], running: dict[str, Running], name: str, do: Any, *more: int
) -> None:
    """Do something with an engine; one that fails is told and takes no further part."""
    try:
        do(running[name], found[name], *more)
    except EngineError as error:
        found[name].fault, found[name].rounds = str(error), []
        running.pop(name).__exit__(None, None, None)


def _path(python: str) -> str:
    """Where another interpreter finds the benchmarks; ours finds them by itself."""
    return os.environ.get("PYTHONPATH", "") if python == sys.executable else str(ROOT)
