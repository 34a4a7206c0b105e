"""What acceptance scripts say of trainings: killed, resumed, compared, and their saved results.

Standard library only.
"""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from acceptance import FAIL, NOT_RUN, Ran, Session

_KINDS = ("*.safetensors", "metrics.jsonl", "answers.jsonl")


class Same(NamedTuple):
    """Whether two runs ended with the same weights, averages, figures and samples."""

    files: int
    same: bool


def same(one: Path, other: Path) -> Same:
    """Compare two run folders byte for byte."""

    def contents(folder: Path) -> dict[str, bytes]:
        paths = [path for kind in _KINDS for path in folder.rglob(kind)]
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}

    first, second = contents(one), contents(other)
    return Same(len(first), bool(first) and first == second)


def metrics(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The figures of a run: 'train' or 'validation'."""
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    return [one for one in map(json.loads, lines) if one["kind"] == kind]


def learnt(s: Session, done: Ran, run: Path, what: str) -> None:
    """PASS where a training's loss fell."""
    losses = [one["loss"] for one in metrics(run, "train")] if done.code == 0 else []
    figure = f"loss {losses[0]:.3f} -> {losses[-1]:.3f}" if losses else done.last
    s.check(losses and losses[-1] < losses[0], what, figure, done.command)


def killed(s: Session, words: Sequence[str | Path], out: Path, whole: Path) -> None:
    """SIGKILL a training at moments drawn anew each time, let it end, and compare.

    Args:
        s: the session.
        words: of `imgedit-plugins`, which train into `out`.
        out: a folder that is not there yet.
        whole: the run folder of the same training, not interrupted.
    """
    rng, kills = random.Random(), 0
    command = [str(word) for word in (s.bin / "imgedit-plugins", *words)]
    for _ in range(3):
        process = subprocess.Popen(command, cwd=s.root, env=s.environ, stderr=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)  # fmt: skip
        before, deadline = _saved(out), time.monotonic() + 300
        while process.poll() is None and _saved(out) <= before and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(rng.random() * 0.5)
        process.kill()
        kills += process.wait() == -signal.SIGKILL
    done = s.cli(*words)
    found = same(whole, out) if done.code == 0 else None
    figure = f"{kills} kills at drawn moments; "
    if found is None:
        figure += done.last
    else:
        figure += f"{found.files} files, byte for byte the uninterrupted run's: {found.same}"
    s.check(found and found.same and kills, "resumed after kills", figure, done.command)


def results(s: Session, what: str, path: Path) -> dict[str, Any] | None:
    """The saved results of a long measurement; NOT RUN and None where they are of other sources."""
    done = s.run(s.python, "-m", "benchmarks.loaded_sources", path)
    changed = json.loads(done.out) if done.code == 0 else None
    if changed == []:
        return dict(json.loads(path.read_text("utf-8")))
    why = f"have changed: {', '.join(changed[:5])}" if changed else f"are not known: {done.last}"
    s.say(NOT_RUN, what, f"sources of the results {why}", done.command)
    return None


def known(s: Session, what: str, path: Path | None, benchmark: str) -> dict[str, Any] | None:
    """As `results`; NOT RUN, with the command that makes them, where no file is given."""
    if path is None:
        why = f"give the results of `python -m benchmarks.{benchmark} --json FILE`"
        s.say(NOT_RUN, what, why)
        return None
    return results(s, what, path)


def claims(s: Session, told: dict[str, Any], ours: str, page: str) -> None:
    """What a learning benchmark says that a model is ahead of, and the pictures in its page.

    Args:
        s: the session.
        told: the benchmark's results.
        ours: the model's name.
        page: of docs/.
    """
    if told["missing"]:
        s.say(FAIL, "every run is there", f"missing: {', '.join(told['missing'])}")
    seeds = told["training"]["seeds"]
    s.check(len(seeds) >= 3, "seeds", ", ".join(map(str, seeds)))
    for other, families in told["claims"].items():
        for family in families:
            found = told["ahead"][other][family]
            figure = f"error less by {found['value']:.4f} ({found['low']:.4f} to "
            figure += f"{found['high']:.4f}, 95 %)"
            s.check(found["low"] > 0, f"{ours} is ahead of {other}: {family}", figure)
    s.check(len(told["claims"]) == 3, "compared with", ", ".join(told["claims"]))
    text = (s.root / "docs" / page).read_text("utf-8")
    shown = re.findall(r"!\[[^]]*\]\((pictures/[^)]+)\)", text)
    there = [name for name in shown if (s.root / "docs" / name).is_file()]
    s.check(there, "pictures in docs/", ", ".join(there))


def _saved(out: Path) -> set[str]:
    folder = out / "checkpoints"
    return {path.name for path in folder.glob("step-*")} if folder.is_dir() else set()
