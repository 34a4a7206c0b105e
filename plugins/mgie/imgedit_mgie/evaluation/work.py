"""The work: each row edits each item, and its answers are scored; what is finished is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from imgedit_mgie.evaluation.answers import Answer, Answering
from imgedit_mgie.evaluation.encoders import Given
from imgedit_mgie.evaluation.figures import (
    as_saved,
    figures_of_curve,
    figures_of_edit,
    figures_of_text,
)
from imgedit_mgie.evaluation.items import Item
from imgedit_mgie.evaluation.methods import Method
from imgedit_mgie.evaluation.outcomes import Outcome, Task
from imgedit_mgie.evaluation.settings import Settings
from imgedit_modelkit.evaluation.journal import JournalFile, key_of, stamp
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


class Quiet(Job):
    """One edit among many: its warnings are counted, its progress is not shown."""

    def __init__(self, whole: Job) -> None:
        super().__init__()
        self._whole = whole

    def check(self) -> None:
        """As the whole says."""
        self._whole.check()


@dataclass
class Done:
    """What came of an evaluation.

    Attributes:
        outcomes: of each row, by its title.
        unreadable: why an item's pictures cannot be used, by its name; no row has it.
        warnings: how often each row was warned of what, by its title.
        parameters: of each row's language model, by its title.
    """

    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, dict[str, int]] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)

    def failures(self, title: str) -> list[Outcome]:
        """The outcomes of a row that are none."""
        return [outcome for outcome in self.outcomes[title] if outcome.failure]


class Evaluation:
    """An evaluation at work.

    Args:
        settings: what is asked.
        items: what is edited.
        given: the encoders.
        folder: for pictures, one folder a row, and `journal`.
        journal: what was finished before.
        job: progress and cancellation.
    """

    def __init__(
        self,
        settings: Settings,
        items: tuple[Item, ...],
        given: Given,
        folder: Path,
        journal: JournalFile,
        job: Job,
    ) -> None:
        self._settings, self._items, self._given = settings, items, given
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
            if method.is_model:
                (self._folder / method.folder).mkdir(parents=True, exist_ok=True)
            self.done.parameters[method.title] = answering.parameters
            outcomes = self.done.outcomes[method.title] = []
            self._stamp = key_of(answering.stamp)
            for item in self._items:
                stage = f"evaluating {method.title}"
                self._job.report(stage, self._finished, self._total)
                self._finished += 1
                outcomes += self._of_item(method, answering, item)
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
            found.append(self._scored(key, outcome, answer, source, goal))
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
        what = [__version__, settings.subject.work, settings.size, task.method.title]
        own = [self._stamp, answering.stamp_of(task.item)]
        return key_of(what, own, task.item.stamp, drawn)

    def _figures_key(self, key: str) -> str:
        return key_of("figures", key, self._given.stamp)

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

    def _scored(
        self, key: str, outcome: Outcome, answer: Answer, source: Map, goal: Map
    ) -> Outcome:
        """Keep what a model made; what is there already stays where it is."""
        task, made = outcome.task, answer.pixels is not None and outcome.task.method.is_model
        line: dict[str, Any] = {
            "row": task.method.title,
            "item": task.item.name,
            "expressive": outcome.expressive,
            "seconds": outcome.seconds,
            "picture": "",
        }
        if made:
            path = self._saved(task, answer)
            outcome = replace(outcome, picture=path)
            line["picture"] = path.relative_to(self._folder).as_posix()
            line["stamp"] = list(stamp(path) or ())
        self._journal.keep(key, line)
        return self._measured(key, outcome, answer, source, goal)

    def _saved(self, task: Task, answer: Answer) -> Path:
        assert answer.pixels is not None
        name = picture_name(task, of_curve=self._settings.subject.work == "trade-off")
        path = self._folder / task.method.folder / f"{name}.png"
        pixels = np.rint(np.clip(answer.pixels, 0, 1) * 255).astype(np.uint8)
        save_picture(Picture(pixels), path)
        return path

    def _measured(
        self, key: str, outcome: Outcome, answer: Answer, source: Map, goal: Map
    ) -> Outcome:
        encoders, item = self._given.encoders, outcome.task.item
        if answer.pixels is None:
            figures = figures_of_text(source, goal, answer.expressive, encoders)
        elif self._settings.subject.work == "trade-off":
            figures = figures_of_curve(source, goal, as_saved(answer.pixels), encoders)
        else:
            edited = as_saved(answer.pixels)
            figures = figures_of_edit(goal, edited, item.instruction, answer.expressive, encoders)
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


def warned(done: Done) -> Iterator[str]:
    """What rows were warned of, a sentence each with how often."""
    for title, counts in done.warnings.items():
        for warning, count in counts.items():
            yield f"{title}, {count} times: {warning}"
