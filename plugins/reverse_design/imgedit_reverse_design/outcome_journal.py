"""A file that keeps finished predictions, so that an evaluation goes on where it was stopped.

A line counts only for the very same prediction: pair, files, command, options, seed, model and
version.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_modelkit.evaluation import journal
from imgedit_modelkit.evaluation.journal import JournalFile, open_journal_file, stamp
from imgedit_plugins import __version__
from imgedit_plugins.errors import PlanError
from imgedit_plugins.plan import parse_plan
from imgedit_reverse_design.outcomes import Outcome, Rendered, Task, steps_of

SCHEMA = "imgedit-evaluation/1"


@dataclass
class Journal:
    """Predictions that were kept.

    Attributes:
        file: where.
        model: what tells one model from another, such as the hash of its weights.
    """

    file: JournalFile
    model: str = ""

    def known(self, tasks: Sequence[Task]) -> dict[int, Outcome]:
        """The outcomes of tasks that were finished before, by their place."""
        found = {}
        for number, task in enumerate(tasks if self.file.lines else ()):
            line = self.file.lines.get(key_of(task, self.model))
            outcome = None if line is None else _outcome(task, line)
            if outcome is not None:
                found[number] = outcome
        return found

    def keep(self, task: Task, outcome: Outcome) -> None:
        """Write one down.

        Raises:
            DataError: the file cannot be written.
        """
        self.file.keep(key_of(task, self.model), _line(outcome))


def open_journal(path: Path, model: str = "") -> Journal:
    """The journal in a file; raises as `open_journal_file`."""
    return Journal(open_journal_file(path, SCHEMA), model)


def key_of(task: Task, model: str) -> str:
    """What identifies a prediction: the hash of all that it depends on."""
    row = task.row
    return journal.key_of(
        __version__,
        model,
        row.id,
        [stamp(path) for path in (row.source, row.edited)],
        row.operations,
        row.definitions,
        row.command if task.with_command else None,
        task.with_command,
        sorted(task.options.items()),
        task.seed,
    )


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
