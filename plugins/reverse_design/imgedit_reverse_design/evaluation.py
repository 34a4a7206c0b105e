"""The work of the `evaluate` hook: predict the plan of every pair of a data set, and score it.

Figures and their formulas are in `scores`, predictions in `prediction_pool`, what is told of them
in `evaluation_report`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from imgedit_modelkit.evaluation.rows import choice, drawn, whole
from imgedit_modelkit.readers.splits import SPLITS, split_by_image
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import EvaluateReport, EvaluateRequest, Options
from imgedit_reverse_design.baselines import baselines
from imgedit_reverse_design.data_sets import GIER, Row, read_data_set
from imgedit_reverse_design.evaluation_report import Asked, Method, report_of
from imgedit_reverse_design.outcome_journal import Journal, open_journal
from imgedit_reverse_design.outcomes import Outcome, Predict, Task
from imgedit_reverse_design.prediction_pool import outcomes_of

__all__ = ["COMMANDS", "Setup", "baselines", "evaluate", "evaluate_methods"]

COMMANDS = ("none", "all", "both")


@dataclass(frozen=True)
class _Settings:
    """The options of the hook; 0 stands for all rows and for all cores."""

    split: str
    limit: int
    commands: str
    workers: int
    min_explained: float


@dataclass(frozen=True)
class Setup:
    """How a method is scored.

    Attributes:
        options: of its predictions, complete.
        reads_commands: whether a command changes anything; if not, pairs are predicted once.
        withholds: whether it answers always, so that rows tell what abstaining would bring.
        model: what tells its weights from others, for the journal.
    """

    options: Options = field(default_factory=dict)
    reads_commands: bool = True
    withholds: bool = False
    model: str = ""


def evaluate(
    request: EvaluateRequest,
    job: Job,
    predict: Predict,
    *,
    plugin: str = "reverse_design",
    predict_options: Options | None = None,
) -> EvaluateReport:
    """Score `predict` on a data set in I-MAD's or GIER's layout.

    Options: split (all, train, validation, test; by picture, seed 42), limit (0: all; otherwise
    that many rows, drawn with the request's seed), commands (none; all: each pair with its
    command; both: each pair once without and once with it), workers (0: all cores), journal (a
    file that keeps finished predictions).

    Args:
        request: the data set, the options, and the seed that predictions get.
        job: told about progress and missing pictures; cancellation reaches the predictions.
        predict: a function of a module (processes are spawned) unless workers is 1. An abstained
            plan, None and an `ImgeditError` all count as abstained.
        plugin: its name, for the tables.
        predict_options: options of the predictions, complete.

    Returns:
        Tables for people. `details` for programs: 'data', 'options', 'figures' (all estimates by
        table and row, shares as 0..1), 'abstention' (curves), 'samples' (one dict for each
        prediction); infinite PSNR is None there, with 'identical' beside it.

    Raises:
        DataError: the data set is malformed, the split is empty, or no row has a command and
            commands are wanted.
        OptionError: an option is unknown or out of range.
        JobCancelledError: cancelled.
    """
    return evaluate_methods(request, job, predict, {plugin: Setup(dict(predict_options or {}))})


def evaluate_methods(
    request: EvaluateRequest, job: Job, predict: Predict, methods: Mapping[str, Setup]
) -> EvaluateReport:
    """Score several methods on the same pairs, by title; `details` maps titles to theirs."""
    settings = _settings(request.options)
    journals = {title: _journal(request.options, setup) for title, setup in methods.items()}
    data = read_data_set(request.data, job)
    rows = _selected(data.rows, settings, request.seed)
    if settings.commands != "none":
        _check_commands(rows, settings, request.data, job)
    found = {}
    for title, setup in methods.items():
        tasks = _tasks(rows, setup, settings, request.seed)
        outcomes = outcomes_of(tasks, predict, settings.workers, job, journals[title])
        _tell_failures(outcomes, job)
        found[title] = Method(outcomes, setup.withholds)
    if request.baseline and data.layout == GIER:
        job.warn("The paper has no figures for GIER, so there is nothing to print beside.")
    return report_of(
        found,
        Asked(
            layout=data.layout,
            options=asdict(settings) | {"seed": request.seed},
            both=settings.commands == "both",
            min_explained=settings.min_explained,
            baseline=request.baseline,
            worst=request.worst,
            seed=request.seed,
        ),
    )


# --- what to predict --------------------------------------------------------------------------


def _settings(options: Options) -> _Settings:
    return _Settings(
        split=choice(options, "split", ("all", *SPLITS)),
        limit=whole(options, "limit"),
        commands=choice(options, "commands", COMMANDS),
        workers=whole(options, "workers") or os.cpu_count() or 1,
        min_explained=float(options.get("min-explained", 0.9)),
    )


def _journal(options: Options, setup: Setup) -> Journal | None:
    path = str(options.get("journal", ""))
    return open_journal(Path(path), setup.model) if path else None


def _selected(rows: tuple[Row, ...], settings: _Settings, seed: int) -> Sequence[Row]:
    if settings.split != "all":
        rows = split_by_image(rows)[settings.split]
    if not rows:
        raise DataError(f"The split {settings.split!r} of this data set is empty.")
    return drawn(rows, settings.limit, seed)


def _check_commands(rows: Sequence[Row], settings: _Settings, folder: Path, job: Job) -> None:
    """A pair without a command is no pair with text."""
    without = sum(not row.command for row in rows)
    if without == len(rows):
        raise DataError(
            f"None of the {len(rows)} rows of {folder} has a command, and commands="
            f"{settings.commands} asks for them.",
            path=folder,
            hint="Use -O commands=none.",
        )
    if without:
        job.warn(f"{without} of {len(rows)} rows have no command; they are not among those with.")


def _tasks(rows: Sequence[Row], setup: Setup, settings: _Settings, seed: int) -> list[Task]:
    given = {"none": (False,), "all": (True,), "both": (False, True)}[settings.commands]
    return [
        Task(row, with_command, setup.options, seed)
        for row in rows
        for with_command in (given if setup.reads_commands else (False,))
        if row.command or not with_command
    ]


def _tell_failures(outcomes: Sequence[Outcome], job: Job) -> None:
    failures = [outcome for outcome in outcomes if outcome.failure]
    if failures:
        job.warn(
            f"{len(failures)} of {len(outcomes)} predictions ended with an error and count as "
            f"abstained, the first (row {failures[0].row.id}): {failures[0].failure}"
        )
