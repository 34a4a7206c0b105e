"""A run folder: what one training leaves behind, the same layout for every plugin.

::

    run.json           what was begun: seed, processes, versions, hashes of data and code
    config.json        the settings
    metrics.jsonl      figures, one JSON object a line, each with its `step`
    state.json         how far the run is; for people and progress bars
    checkpoints/step-00000100/checkpoint.json, weights.safetensors, ...
    samples/step-00000100/
    lock               held while a process writes

Files and checkpoints appear by rename, so a folder can be read at any moment, also while a training
runs or after it was killed. Nothing here needs torch.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from imgedit_modelkit import fingerprints
from imgedit_modelkit.errors import RunError
from imgedit_modelkit.folders import appearing, remove, remove_leftovers, sync_file
from imgedit_modelkit.locks import hold
from imgedit_modelkit.run_files import (
    RECORD,
    Checkpoint,
    json_text,
    read_json,
    step_name,
    step_of,
    steps_in,
)
from imgedit_plugins.atomic import write_text_atomic

SCHEMA = "imgedit-run/1"
RUN, CONFIG, METRICS, STATE = "run.json", "config.json", "metrics.jsonl", "state.json"
CHECKPOINTS, SAMPLES, LOCK = "checkpoints", "samples", "lock"


class RunFolder:
    """A run folder that exists. Made by `open` (to read) and `resume` (to train)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts = read_json(path / RUN)
        self.config = read_json(path / CONFIG)
        if self.facts.get("schema") != SCHEMA:
            raise RunError(
                f"{path / RUN} is of the schema {self.facts.get('schema')!r}, not {SCHEMA!r}.",
                path=path,
            )

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run, to read.

        Raises:
            RunError: there is none, or its files cannot be read.
        """
        return cls(path)

    @classmethod
    def resume(
        cls,
        path: Path,
        config: Mapping[str, Any],
        facts: Mapping[str, Any],
        *,
        may_change: Collection[str] = (),
    ) -> tuple[RunFolder, list[str]]:
        """The run in a folder to go on with, or a new one where the folder is empty or missing.

        Args:
            path: the run folder.
            config: settings, as JSON knows them.
            facts: `seed`, `processes`, `data` (must stay as they were), `code`, `versions`.
            may_change: settings that do not touch the result.

        Returns:
            The run, and a sentence for each difference that may change its last bits.

        Raises:
            RunError: the folder holds something else, or a run with other settings or data.
        """
        if (path / RUN).exists():
            run = cls.open(path)
            warnings = run._compare(config, facts, may_change)
            write_text_atomic(path / CONFIG, json_text(config))
            run.config = dict(config)
            return run, warnings
        _refuse_occupied(path)
        for folder in (path / CHECKPOINTS, path / SAMPLES):
            folder.mkdir(parents=True, exist_ok=True)
        began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_text_atomic(path / CONFIG, json_text(config))
        write_text_atomic(path / RUN, json_text({"schema": SCHEMA, "began": began, **facts}))
        return cls.open(path), []

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other processes from writing; what a killed one left half done is removed.

        Raises:
            RunError: another process writes into this folder.
        """
        with hold(self.path / LOCK) as held:
            if not held:
                raise RunError(
                    f"Another process trains in {self.path}.",
                    path=self.path,
                    hint="Wait for it, stop it, or choose another folder.",
                )
            for folder in (self.path, self.path / CHECKPOINTS, self.path / SAMPLES):
                remove_leftovers(folder)
            yield

    def verify(self) -> list[str]:
        """What is wrong with the checkpoints and the metrics, one clause each; empty if nothing."""
        found = [fault for checkpoint in self.checkpoints() for fault in checkpoint.faults()]
        latest = self.latest()
        if latest and self.metrics_size() < latest.record["metrics_bytes"]:
            found.append(f"{self.path / METRICS} is shorter than at step {latest.step}")
        return found

    # --- checkpoints --------------------------------------------------------------------------

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All complete checkpoints, by step."""
        found = []
        for path in steps_in(self.path / CHECKPOINTS):
            record = read_json(path / RECORD)
            found.append(Checkpoint(path, int(record["step"]), record))
        return tuple(sorted(found, key=lambda checkpoint: checkpoint.step))

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint."""
        return (self.checkpoints() or (None,))[-1]

    def best(self) -> Checkpoint | None:
        """The checkpoint that did best in validation; the newest where nothing was validated."""
        figures = self.best_figures()
        if figures is None:
            return self.latest()
        return next((c for c in self.checkpoints() if c.step == figures["step"]), None)

    def best_figures(self) -> dict[str, Any] | None:
        """The best line of the validations, by the settings `best_by` and `higher_is_better`."""
        name = self.config.get("best_by", "")
        lines = [line for line in self.metrics("validation") if line.get(name) is not None]
        sign = -1 if self.config.get("higher_is_better") else 1
        return min(lines, key=lambda line: sign * line[name], default=None)

    def write_checkpoint(
        self, step: int, record: Mapping[str, Any], write: Callable[[Path], None]
    ) -> Checkpoint:
        """Write a checkpoint that appears whole or not at all.

        Args:
            step: updates done; there must be no checkpoint of it yet.
            record: for `checkpoint.json`, besides `step`, `files` and `metrics_bytes`.
            write: called with an empty folder, writes the files.
        """
        target = self.path / CHECKPOINTS / step_name(step)
        with appearing(target) as folder:
            write(folder)
            files = {
                path.name: {"size": path.stat().st_size, "sha256": fingerprints.of_file(path)}
                for path in sorted(folder.iterdir())
            }
            whole = {**record, "step": step, "metrics_bytes": self.metrics_size(), "files": files}
            sync_file(self.path / METRICS)
            (folder / RECORD).write_text(json_text(whole), "utf-8")
        return Checkpoint(target, step, whole)

    def prune(self, keep: int) -> None:
        """Remove all checkpoints but the `keep` newest, which is at least 1, and the best."""
        best = self.best()
        for checkpoint in self.checkpoints()[:-keep]:
            if best is None or checkpoint.step != best.step:
                remove(checkpoint.path)

    def rewind(self, step: int, metrics_bytes: int) -> None:
        """Forget what came after a step: later checkpoints and samples, and later figures."""
        for folder in (self.path / CHECKPOINTS, self.path / SAMPLES):
            for path in steps_in(folder):
                if step_of(path) > step:
                    remove(path)
        path = self.path / METRICS
        if self.metrics_size() < metrics_bytes:
            raise RunError(
                f"{path} has {self.metrics_size()} bytes; {metrics_bytes} belong to step {step}.",
                path=path,
                hint="It was changed by somebody else; put it back, or train into another folder.",
            )
        if path.exists():
            os.truncate(path, metrics_bytes)

    # --- figures, samples, state --------------------------------------------------------------

    def append_metrics(self, step: int, kind: str, figures: Mapping[str, float]) -> None:
        """Add a line to `metrics.jsonl`; `kind` is such as 'train' or 'validation'.

        Figures that are no numbers, or infinite, become null: JSON has no words for them.
        """
        known = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        line = json.dumps({"step": step, "kind": kind, **known})
        with (self.path / METRICS).open("a", encoding="utf-8", newline="") as file:
            file.write(line + "\n")

    def metrics(self, kind: str = "") -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`, all or of a kind; a half-written last one is left out."""
        path = self.path / METRICS
        if not path.exists():
            return []
        whole = path.read_text("utf-8").rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines()]
        return [line for line in lines if not kind or line["kind"] == kind]

    def metrics_size(self) -> int:
        """Bytes of `metrics.jsonl`."""
        path = self.path / METRICS
        return path.stat().st_size if path.exists() else 0

    @contextlib.contextmanager
    def samples(self, step: int) -> Iterator[Path]:
        """A folder for samples of a step; it appears when the block ends well."""
        target = self.path / SAMPLES / step_name(step)
        remove(target)
        with appearing(target) as folder:
            yield folder

    @property
    def state(self) -> dict[str, Any]:
        """What `state.json` says; empty before the first checkpoint."""
        return read_json(self.path / STATE) if (self.path / STATE).exists() else {}

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Replace `state.json`."""
        write_text_atomic(self.path / STATE, json_text(state))

    # --- inside -------------------------------------------------------------------------------

    def _compare(
        self, config: Mapping[str, Any], facts: Mapping[str, Any], may_change: Collection[str]
    ) -> list[str]:
        asked = {**config, **{name: facts[name] for name in ("processes", "data")}}
        there = {**self.config, **self.facts}
        differing = [n for n in asked if n not in may_change and asked[n] != there.get(n)]
        if differing:
            told = "; ".join(f"{n}: {there.get(n)!r} there, {asked[n]!r} now" for n in differing)
            raise RunError(
                f"{self.path} holds a run with other settings ({told}).",
                path=self.path,
                hint="Give the same settings to go on with it, or choose another folder.",
            )
        changed = [name for name in ("code", "versions") if facts[name] != self.facts.get(name)]
        return [
            f"The {name} changed since {self.path} was begun: last bits of the result may differ."
            for name in changed
        ]


def _refuse_occupied(path: Path) -> None:
    """Only what a run killed while it began may lie there."""
    ours = {CONFIG, CHECKPOINTS, SAMPLES, LOCK}
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file, not a folder.", path=path)
    foreign = [p.name for p in path.iterdir() if p.name not in ours] if path.exists() else []
    foreign = [name for name in foreign if ".part" not in name]
    if foreign:
        raise RunError(
            f"{path} holds {sorted(foreign)[0]!r} and no run.",
            path=path,
            hint="Choose an empty folder.",
        )
