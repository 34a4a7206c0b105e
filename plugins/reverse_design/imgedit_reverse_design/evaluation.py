"""The work of the `evaluate` hook: predict the plan of every pair of a data set, and score it.

Figures and their formulas are in `scores`, predictions in `prediction_pool`.
"""

from __future__ import annotations

import math
import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from imgedit_modelkit.readers.imad import ImadRow, read_imad
from imgedit_modelkit.readers.splits import SPLITS, split_by_image
from imgedit_plugins.errors import DataError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import EvaluateReport, EvaluateRequest, Options
from imgedit_reverse_design import scores
from imgedit_reverse_design.imad_distribution import OPERATION_NAMES
from imgedit_reverse_design.outcomes import Outcome, Predict, Task, sample_of, untouched
from imgedit_reverse_design.prediction_pool import outcomes_of
from imgedit_reverse_design.score_tables import (
    figures_table,
    finite,
    interval_table,
    operation_table,
    plain,
)
from imgedit_reverse_design.scores import Sample

COMMANDS = ("none", "all", "both")


@dataclass(frozen=True)
class _Settings:
    """The options of the hook; 0 stands for all rows and for all cores."""

    split: str
    limit: int
    commands: str
    workers: int


def evaluate(
    request: EvaluateRequest,
    job: Job,
    predict: Predict,
    *,
    plugin: str = "reverse_design",
    predict_options: Options | None = None,
) -> EvaluateReport:
    """Score `predict` on a data set in I-MAD's layout.

    Options: split (all, train, validation, test; by picture, seed 42), limit (0: all; otherwise
    that many rows, drawn with the request's seed), commands (none; all: each pair with its
    command; both: each pair once without and once with it), workers (0: all cores).

    Args:
        request: the data set, the options, and the seed that predictions get.
        job: told about progress and missing pictures; cancellation reaches the predictions.
        predict: a function of a module (processes are spawned) unless workers is 1. An abstained
            plan, None and an `ImgeditError` all count as abstained.
        plugin: its name, for the tables.
        predict_options: options of the predictions, complete.

    Returns:
        Tables for people. `details` for programs: 'options', 'figures' (all estimates by table
        and row, shares as 0..1), 'samples' (one dict for each prediction); infinite PSNR is None
        there, with 'identical' beside it.

    Raises:
        DataError: the data set is malformed or the split is empty.
        OptionError: an option is unknown or out of range.
        JobCancelledError: cancelled.
    """
    settings = _settings(request.options)
    rows = _selected(read_imad(request.data, job), settings, request.seed)
    given = {"none": (False,), "all": (True,), "both": (False, True)}[settings.commands]
    tasks = [
        Task(row, with_command, dict(predict_options or {}), request.seed)
        for row in rows
        for with_command in given
    ]
    outcomes = outcomes_of(tasks, predict, settings.workers, job)
    _tell_failures(outcomes, job)
    return _report(outcomes, plugin, settings, request.seed)


# --- what to predict --------------------------------------------------------------------------


def _settings(options: Options) -> _Settings:
    return _Settings(
        split=_choice(options, "split", ("all", *SPLITS)),
        limit=_whole(options, "limit"),
        commands=_choice(options, "commands", COMMANDS),
        workers=_whole(options, "workers") or os.cpu_count() or 1,
    )


def _choice(options: Options, name: str, choices: tuple[str, ...]) -> str:
    value = options.get(name, choices[0])
    if value not in choices:
        raise OptionError(f"Option {name!r} must be one of {', '.join(choices)}, not {value!r}.")
    return str(value)


def _whole(options: Options, name: str) -> int:
    value = options.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise OptionError(f"Option {name!r} must be a whole number from 0, not {value!r}.")
    return value


def _selected(rows: tuple[ImadRow, ...], settings: _Settings, seed: int) -> Sequence[ImadRow]:
    if settings.split != "all":
        rows = split_by_image(rows)[settings.split]
    if not rows:
        raise DataError(f"The split {settings.split!r} of this data set is empty.")
    if not 0 < settings.limit < len(rows):
        return rows
    rng = random.Random(f"limit/{seed}")  # noqa: S311 (not for secrets)
    drawn = sorted((rng.random(), number) for number in range(len(rows)))[: settings.limit]
    return [rows[number] for number in sorted(number for _, number in drawn)]


# --- scoring ----------------------------------------------------------------------------------


def baselines(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Edits that look at no picture, by title, made from the very data that they are scored on.

    All 14 operations, at their mean values and at 1.0; the usual number of the most frequent
    operations, at their mean values; nothing. Ties go to more operations.
    """
    values: dict[str, list[float]] = {}
    for sample in samples:
        for name, value in sample.truth.items():
            values.setdefault(name, []).append(value)
    means = {name: sum(found) / len(found) for name, found in values.items()}
    counts = Counter(len(sample.truth) for sample in samples)
    usual = max(counts, key=lambda count: (counts[count], count))
    frequent = sorted(values, key=lambda name: (-len(values[name]), name))[:usual]
    return {
        "all 14 operations, mean values": {n: means.get(n, 1.0) for n in OPERATION_NAMES},
        "always 1.0: all 14 operations": dict.fromkeys(OPERATION_NAMES, 1.0),
        f"always the mean: {', '.join(frequent)}": {name: means[name] for name in frequent},
        "empty plan": {},
    }


def _baseline_samples(outcomes: Sequence[Outcome]) -> dict[str, list[Sample]]:
    samples = [sample_of(outcome) for outcome in outcomes]
    named = {
        title: [Sample(s.truth, edit, s.image, cpu_seconds=0.0) for s in samples]
        for title, edit in baselines(samples).items()
    }
    named["empty plan"] = [untouched(outcome) for outcome in outcomes]
    return named


# --- tables -----------------------------------------------------------------------------------


def _report(
    outcomes: Sequence[Outcome], plugin: str, settings: _Settings, seed: int
) -> EvaluateReport:
    samples = [sample_of(outcome) for outcome in outcomes]
    methods = _methods(outcomes, plugin, settings)
    overall = {title: scores.summarise(group, seed=seed) for title, group in methods.items()}
    counts = {title: len(group) for title, group in methods.items()}
    groups = scores.by_count(samples)
    by_count = {str(k): scores.summarise(group, seed=seed) for k, group in groups.items()}
    by_operation = scores.by_operation(samples)
    return EvaluateReport(
        tables=(
            figures_table("Overall", "method", overall, counts),
            interval_table(f"{plugin}: 95 % intervals", overall[plugin]),
            figures_table(
                f"{plugin}, by number of operations",
                "operations",
                by_count,
                {str(k): len(group) for k, group in groups.items()},
            ),
            operation_table(f"{plugin}, by operation", by_operation),
        ),
        details={
            "options": asdict(settings) | {"seed": seed},
            "figures": {
                "overall": plain(overall),
                "by_number_of_operations": plain(by_count),
                "by_operation": {name: asdict(score) for name, score in by_operation.items()},
            },
            "samples": [_described(outcome) for outcome in outcomes],
        },
    )


def _methods(
    outcomes: Sequence[Outcome], plugin: str, settings: _Settings
) -> dict[str, list[Sample]]:
    methods = {plugin: [sample_of(outcome) for outcome in outcomes]}
    if settings.commands == "both":
        for title, wanted in (("with command", True), ("without command", False)):
            chosen = [sample_of(o) for o in outcomes if o.with_command == wanted]
            methods[f"{plugin}, {title}"] = chosen
        outcomes = [outcome for outcome in outcomes if outcome.with_command]
    return methods | _baseline_samples(outcomes)


def _described(outcome: Outcome) -> dict[str, Any]:
    sample = sample_of(outcome)
    return {
        "id": outcome.row.id,
        "img_source": outcome.row.img_source,
        "with_command": outcome.with_command,
        "truth": [list(pair) for pair in outcome.row.operations],
        "predicted": [asdict(step) for step in outcome.steps],
        "abstained": outcome.abstained,
        "failure": outcome.failure,
        "accuracy": scores.accuracy(sample.truth, sample.predicted),
        "squared_error": scores.squared_error(sample.truth, sample.predicted),
        "exact": scores.is_exact(sample.truth, sample.predicted),
        "equivalent": scores.is_equivalent(sample),
        "psnr_db": finite(outcome.rendered.psnr_db),
        "identical": math.isinf(outcome.rendered.psnr_db),
        "mean_difference": outcome.rendered.mean_difference,
        "max_difference": outcome.rendered.max_difference,
        "cpu_seconds": outcome.cpu_seconds,
        "wall_seconds": outcome.wall_seconds,
    }


def _tell_failures(outcomes: Sequence[Outcome], job: Job) -> None:
    failures = [outcome for outcome in outcomes if outcome.failure]
    if failures:
        job.warn(
            f"{len(failures)} of {len(outcomes)} predictions ended with an error and count as "
            f"abstained, the first (row {failures[0].row.id}): {failures[0].failure}"
        )
