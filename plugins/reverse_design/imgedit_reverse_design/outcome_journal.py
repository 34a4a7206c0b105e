"""A file that keeps finished predictions, so that an evaluation goes on where it was stopped.

One JSON object per line, after a first line that says what the file is. A line counts only for the
very same prediction: pair, files, command, options, seed, model and version.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgedit_plugins import __version__
from imgedit_plugins.atomic import write_failure
from imgedit_plugins.errors import DataError, PlanError
from imgedit_plugins.plan import parse_plan
from imgedit_reverse_design.outcomes import Outcome, Rendered, Task, steps_of

SCHEMA = "imgedit-evaluation/1"


@dataclass
class Journal:
    """Predictions that were kept, by key.

    Attributes:
        path: the file; it is made with the first prediction.
        model: what tells one model from another, such as the hash of its weights.
        lines: what it held when it was opened.
    """

    path: Path
    model: str = ""
    lines: dict[str, dict[str, Any]] = field(default_factory=dict)

    def known(self, tasks: Sequence[Task]) -> dict[int, Outcome]:
        """The outcomes of tasks that were finished before, by their place."""
        found = {}
        for number, task in enumerate(tasks):
            line = self.lines.get(key_of(task, self.model)) if self.lines else None
            outcome = None if line is None else _outcome(task, line)
            if outcome is not None:
                found[number] = outcome
        return found

    def keep(self, task: Task, outcome: Outcome) -> None:
        """Write one down.

        Raises:
            DataError: the file cannot be written.
        """
        line = {"key": key_of(task, self.model), **_line(outcome)}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise _unwritable(self.path, error) from error


def open_journal(path: Path, model: str = "") -> Journal:
    """The journal in a file, which is made if it is not there.

    A line that a killed run left unfinished is passed over.

    Raises:
        DataError: the file is something else, or cannot be read or written.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if text and _object(text.partition("\n")[0]).get("schema") != SCHEMA:
            raise DataError(
                f"{path} is no journal of `evaluate`.",
                path=path,
                hint="Name a file that is not there yet.",
            )
        if not text or not text.endswith("\n"):
            with path.open("a", encoding="utf-8") as file:
                file.write("\n" if text else json.dumps({"schema": SCHEMA}) + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unwritable(path, error) from error
    lines = {line["key"]: line for line in map(_object, text.splitlines()) if "key" in line}
    return Journal(path, model, lines)


def key_of(task: Task, model: str) -> str:
    """What identifies a prediction: the hash of all that it depends on."""
    row = task.row
    files = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) if p.exists() else None
             for p in (row.source, row.edited)]  # fmt: skip
    told = [
        __version__,
        model,
        row.id,
        files,
        row.operations,
        row.definitions,
        row.command if task.with_command else None,
        task.with_command,
        sorted(task.options.items()),
        task.seed,
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _unwritable(path: Path, error: Exception) -> DataError:
    told = write_failure(error) if isinstance(error, OSError) else "it is no text"
    return DataError(f"The journal {path} cannot be used: {told}.", path=path)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _line(outcome: Outcome) -> dict[str, Any]:
    return {
        "plan": json.loads(outcome.plan.to_json()),
        "failure": outcome.failure,
        "cpu_seconds": outcome.cpu_seconds,
        "wall_seconds": outcome.wall_seconds,
        "rendered": _numbers(outcome.rendered),
        "nothing": _numbers(outcome.nothing),
    }


def _numbers(rendered: Rendered) -> list[float | None]:
    psnr = None if math.isinf(rendered.psnr_db) else rendered.psnr_db
    return [psnr, rendered.mean_difference, rendered.max_difference]


def _rendered(numbers: Sequence[Any]) -> Rendered:
    psnr, mean, largest = numbers
    return Rendered(math.inf if psnr is None else psnr, mean, largest)


def _outcome(task: Task, line: dict[str, Any]) -> Outcome | None:
    """The outcome that a line tells; None where it was damaged."""
    try:
        plan = parse_plan(line["plan"])
        return Outcome(
            row=task.row,
            with_command=task.with_command,
            plan=plan,
            steps=steps_of(plan, task.row.definitions),
            failure=str(line["failure"]),
            cpu_seconds=float(line["cpu_seconds"]),
            wall_seconds=float(line["wall_seconds"]),
            rendered=_rendered(line["rendered"]),
            nothing=_rendered(line["nothing"]),
        )
    except (KeyError, TypeError, ValueError, PlanError):
        return None
