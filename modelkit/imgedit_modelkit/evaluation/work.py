"""The work: each row edits each item, and its answers are scored; what is finished is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imgedit_modelkit.evaluation.answers import Answer, Answering
from imgedit_modelkit.evaluation.items import Item
from imgedit_modelkit.evaluation.journal import JournalFile, key_of, stamp
from imgedit_modelkit.evaluation.methods import Method
from imgedit_modelkit.evaluation.outcomes import Done, Outcome, Task
from imgedit_modelkit.evaluation.settings import Settings
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins import __version__
from imgedit_plugins.errors import (
    DataError,
    ImgeditError,
    JobCancelledError,
    OptionError,
    PictureReadError,
    WeightsError,
)
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture

Measure = Callable[[Item, Map, Map, Answer], dict[str, float]]
"""(item, source, goal, answer) -> its figures; pictures (size, size, 3) float32 in 0..1, those of
answers as a file of 8 bits keeps them."""


class Quiet(Job):
    """One edit among many: its warnings are counted, its progress is not shown."""

    def __init__(self, whole: Job) -> None:
        super().__init__()
        self._whole = whole

    def check(self) -> None:
        """As the whole says."""
        self._whole.check()


class Evaluation:
    """An evaluation at work.

    Args:
        settings: what is asked.
        items: what is edited.
        measure: what the figures of an answer are.
        measured_with: what changes when `measure` does, such as its encoders; JSON.
        folder: for pictures, one folder a row, and `journal`.
        journal: what was finished before.
        job: progress and cancellation.
    """

    def __init__(
        self,
        settings: Settings,
        items: tuple[Item, ...],
        measure: Measure,
        measured_with: Any,
        folder: Path,
        journal: JournalFile,
        job: Job,
    ) -> None:
        self._settings, self._items = settings, items
        self._measure, self._measured_with = measure, measured_with
        self._folder, self._journal, self._job = folder, journal, job
        self._finished, self._total, self._stamp = 0, 0, ""
        self.done = Done()

    def run(self, rows: dict[Method, Answering]) -> Done:
        """All rows, one after another, so that each model is loaded once.

        Raises:
            DataError: no item can be opened, or no row has an answer.
            JobCancelledError: cancelled.
        """
        self._total = len(self._items) * len(rows)
        for method, answering in rows.items():
            if answering.varies:
                (self._folder / method.folder).mkdir(parents=True, exist_ok=True)
            self.done.parameters[method.title] = answering.parameters
            outcomes = self.done.outcomes[method.title] = []
            self._stamp = key_of(answering.stamp)
            for item in self._items:
                stage = f"evaluating {method.title}"
                self._job.report(stage, self._finished, self._total)
                self._finished += 1
                outcomes += self._of_item(method, answering, item)
            answering.release()
            if len(self.done.unreadable) == len(self._items):
                first = next(iter(self.done.unreadable.values()))
                raise DataError(f"No pair can be opened, the first: {first}")
        self._job.report("evaluating", self._total, self._total)
        self._check()
        return self.done

    def _check(self) -> None:
        """A row without any answer is told of; only if there is no other, it is an error."""
        answered = [
            o for outcomes in self.done.outcomes.values() for o in outcomes if not o.failure
        ]
        if not answered:
            title, outcomes = next(iter(self.done.outcomes.items()))
            raise DataError(
                f"{title} has no answer to any of {len(self._items)} rows, the first: "
                f"{outcomes[0].failure}"
            )

    # --- one item -----------------------------------------------------------------------------

    def _of_item(self, method: Method, answering: Answering, item: Item) -> list[Outcome]:
        """The outcomes of all seeds; none where its pictures cannot be opened."""
        if item.name in self.done.unreadable:
            return []
        found = []
        for number in range(self._settings.seeds if answering.varies else 1):
            tasks = [
                Task(item, method, number, guidance)
                for guidance in self._settings.image_guidances[: None if answering.varies else 1]
            ]
            try:
                found += self._of_seed(answering, tasks)
            except (PictureReadError, _UnreadableError) as error:
                self.done.unreadable[item.name] = str(error)
                return []
        return found

    def _of_seed(self, answering: Answering, tasks: list[Task]) -> list[Outcome]:
        keys = [self._key(answering, task) for task in tasks]
        known = [self._known(answering, key, task) for key, task in zip(keys, tasks, strict=True)]
        if all(outcome is not None for outcome in known):
            return [outcome for outcome in known if outcome is not None]
        item = tasks[0].item
        source, goal = self._opened(item)
        job = Quiet(self._job)
        guidances = [task.image_guidance for task in tasks]
        answers = answering.answers(item, source, tasks[0].number, guidances, job)
        found = []
        for key, task in zip(keys, tasks, strict=True):
            began = time.perf_counter()
            try:
                answer = next(answers)
            except (JobCancelledError, OptionError, WeightsError):
                raise
            except ImgeditError as error:
                return [Outcome(one, failure=str(error)) for one in tasks]
            seconds = time.perf_counter() - began
            path = answering.file_of(item)
            outcome = Outcome(task, {}, answer.expressive, round(seconds, 3), path)
            outcome = self._noted(key, outcome, answer.pixels if answering.varies else None)
            found.append(self._measured(key, outcome, answer, source, goal))
        self._count(tasks[0].method, job.warnings)
        return found

    def _opened(self, item: Item) -> tuple[Map, Map]:
        try:
            return item.source(self._settings.size), item.goal(self._settings.size)
        except DataError as error:  # of a Parquet file
            raise _UnreadableError(str(error)) from error

    def _count(self, method: Method, warnings: list[str]) -> None:
        counts = self.done.warnings.setdefault(method.title, {})
        for warning in warnings:
            counts[warning] = counts.get(warning, 0) + 1

    # --- what is kept -------------------------------------------------------------------------

    def _key(self, answering: Answering, task: Task) -> str:
        settings = self._settings
        drawn = [settings.seed, task.number, task.image_guidance] if answering.varies else []
        what = [__version__, settings.work, settings.size, task.method.title]
        own = [self._stamp, answering.stamp_of(task.item)]
        return key_of(what, own, task.item.stamp, drawn)

    def _figures_key(self, key: str) -> str:
        return key_of("figures", key, self._measured_with)

    def _known(self, answering: Answering, key: str, task: Task) -> Outcome | None:
        """What was finished before; a picture that was made must still be as it was then."""
        line = self._journal.lines.get(key)
        figures = self._journal.lines.get(self._figures_key(key))
        if line is None or (figures is None and not answering.varies):
            return None
        path = answering.file_of(task.item)
        if line["picture"]:
            path = self._folder / line["picture"]
            if list(stamp(path) or ()) != line["stamp"]:
                return None
        outcome = Outcome(task, {}, line["expressive"], line["seconds"], path)
        if figures is None:
            return self._scored_again(key, outcome)
        return replace(outcome, figures=figures["figures"])

    def _scored_again(self, key: str, outcome: Outcome) -> Outcome:
        """With other encoders than before."""
        source, goal = self._opened(outcome.task.item)
        pixels = None if outcome.picture is None else _pixels(outcome.picture)
        return self._measured(key, outcome, Answer(outcome.expressive, pixels), source, goal)

    def _noted(self, key: str, outcome: Outcome, made: Map | None) -> Outcome:
        """The outcome, with its file where a picture was made; what is there already stays."""
        path = None if made is None else self._saved(outcome.task, made)
        line: dict[str, Any] = {
            "row": outcome.task.method.title,
            "item": outcome.task.item.name,
            "expressive": outcome.expressive,
            "seconds": outcome.seconds,
            "picture": "",
        }
        if path is not None:
            line["picture"] = path.relative_to(self._folder).as_posix()
            line["stamp"] = list(stamp(path) or ())
        self._journal.keep(key, line)
        return outcome if path is None else replace(outcome, picture=path)

    def _saved(self, task: Task, pixels: Map) -> Path:
        name = picture_name(task, of_curve=self._settings.curve)
        path = self._folder / task.method.folder / f"{name}.png"
        save_picture(Picture(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)), path)
        return path

    def _measured(
        self, key: str, outcome: Outcome, answer: Answer, source: Map, goal: Map
    ) -> Outcome:
        if answer.pixels is not None:
            answer = replace(answer, pixels=_as_saved(answer.pixels))
        figures = self._measure(outcome.task.item, source, goal, answer)
        self._journal.keep(self._figures_key(key), {"figures": figures})
        return replace(outcome, figures=figures)


class _UnreadableError(Exception):
    """The pictures of an item cannot be opened."""


def picture_name(task: Task, *, of_curve: bool) -> str:
    """The name of an edited picture's file, without its extension.

    The item's own; a second seed and the points of a curve add theirs.
    """
    number = f".{task.number + 1}" if task.number else ""
    return f"{task.item.name}{number}" + (f"@{task.image_guidance:g}" if of_curve else "")


def _pixels(path: Path) -> Map:
    return np.asarray(open_picture(path).rgb8() / 255, np.float32)


def _as_saved(pixels: Map) -> Map:
    """What a file of 8 bits keeps of a picture."""
    return np.asarray(np.rint(np.clip(pixels, 0, 1) * 255) / 255, np.float32)
