"""Running programs: found, timed, and their errors turned into one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.rendering.contenders import PeerFailedError
from benchmarks.rendering.sample import Pixels, read_ppm

_LIMIT = 300.0  # seconds; a program that takes longer hangs


def found(*names: str) -> str | None:
    """The first of some programs that is installed."""
    return next((path for name in names if (path := shutil.which(name))), None)


def run(command: Sequence[str], environ: Mapping[str, str] | None = None) -> tuple[str, float]:
    """What a program says on both channels, and the seconds from its start to its end.

    Raises:
        PeerFailedError: it failed, or did not end.
    """
    started = time.perf_counter()
    try:
        done = subprocess.run(
            list(command),
            env={**os.environ, "LC_ALL": "C", **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerFailedError(f"{Path(command[0]).name}: {error}") from error
    seconds = time.perf_counter() - started
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        lines = [line for line in said.splitlines() if line.strip()] or ["it gave no reason"]
        raise PeerFailedError(f"{Path(command[0]).name}: {lines[-1].strip()[:120]}")
    return said, seconds


@contextmanager
def writing(command: Sequence[str]) -> Iterator[tuple[list[str], Path]]:
    """The command with RESULT replaced by the name of a PPM file, and that file, removed after."""
    with tempfile.TemporaryDirectory(prefix="render-peer-") as folder:
        path = Path(folder) / "result.ppm"
        yield [part.replace("RESULT", str(path)) for part in command], path


def picture_of(command: Sequence[str]) -> Pixels:
    """What a program writes to RESULT.

    Raises:
        PeerFailedError: it failed, or wrote nothing.
    """
    with writing(command) as (full, path):
        run(full)
        if not path.exists():
            raise PeerFailedError(f"{Path(command[0]).name}: it wrote no picture")
        return read_ppm(path)
