"""The work of the `evaluate` hook: predict the plan of every pair of a data set, and score it.

Figures and their formulas are in `scores`. Predictions run in processes of their own, one pair at
a time in each, so that the processor time of a prediction (`time.process_time`: all threads of
the process) is that of the prediction alone; opening files and scoring are not counted.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from imgedit_plugins.errors import (
    DataError,
    ImgeditError,
    JobCancelledError,
    OptionError,
    PictureReadError,
)
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import default_vocabulary, load_profile
from imgedit_plugins.plan import EditPlan
from imgedit_plugins.requests import (
    EvaluateReport,
    EvaluateRequest,
    Options,
    PredictRequest,
    Table,
)
from imgedit_reverse_design import scores
from imgedit_reverse_design.imad_data import SPLITS, ImadRow, read_imad, split_by_image
from imgedit_reverse_design.imad_distribution import OPERATION_NAMES
from imgedit_reverse_design.scores import Estimate, Sample

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from imgedit_plugins.pictures import RGB8, Picture

Predict = Callable[[PredictRequest, Job], EditPlan | None]

COMMANDS = ("none", "all", "both")

_POLL_SECONDS = 0.2
_AHEAD = 4  # tasks per process that wait in line
_PERCENT = frozenset(scores.FIGURES) - {"mse", "psnr_db", "cpu_seconds"}
_TITLES = {
    "accuracy": "accuracy %",
    "mse": "MSE",
    "precision": "precision %",
    "recall": "recall %",
    "f1": "F1 %",
    "macro_f1": "macro F1 %",
    "exact": "exact set %",
    "exact_values": "exact values %",
    "equivalent": "equivalent %",
    "same_picture": "same picture %",
    "psnr_db": "median PSNR dB",
    "identical": "identical %",
    "cpu_seconds": "CPU s/pair",
    "abstained": "abstained %",
}
_DECIMALS = {"mse": 4, "cpu_seconds": 3}


@dataclass(frozen=True)
class _Settings:
    """The options of the hook; 0 stands for all rows and for all cores."""

    split: str
    limit: int
    commands: str
    workers: int


@dataclass(frozen=True)
class _Task:
    """One prediction to make: a pair, with or without its command."""

    row: ImadRow
    with_command: bool
    options: Options
    seed: int


@dataclass(frozen=True)
class _Rendered:
    """A rendered plan against the edited picture and against the rendered truth."""

    psnr_db: float
    mean_difference: float
    max_difference: int


@dataclass(frozen=True)
class _Step:
    """One predicted operation, with its value in I-MAD's normalisation."""

    name: str
    parameters: dict[str, int | float]
    value: float
    confidence: float


@dataclass(frozen=True)
class _Outcome:
    """What came of a task; `failure` is the sentence of an error, or ''.

    `nothing` is the untouched source, for the baseline that predicts no operation.
    """

    row: ImadRow
    with_command: bool
    steps: tuple[_Step, ...]
    abstained: bool
    failure: str
    cpu_seconds: float
    wall_seconds: float
    rendered: _Rendered
    nothing: _Rendered


_Result = _Outcome | str
"""What came of a task, or why its pictures cannot be opened."""

_Finished = Generator[tuple[int, _Result], None, None]


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
        _Task(row, with_command, dict(predict_options or {}), request.seed)
        for row in rows
        for with_command in given
    ]
    outcomes = _outcomes(tasks, predict, settings.workers, job)
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


# --- predicting, in processes -----------------------------------------------------------------


class _WorkerJob(Job):
    """A job in a worker process, cancelled together with the one that waits for it."""

    def __init__(self, cancelled: Event) -> None:
        super().__init__()
        self._all_cancelled = cancelled

    def check(self) -> None:
        if self._all_cancelled.is_set():
            self.cancel()
        super().check()


class _Worker:
    """What a worker process got when it started."""

    predict: Predict
    cancelled: Event


def _start_worker(predict: Predict, cancelled: Event, threads: int) -> None:
    import cv2

    _Worker.predict, _Worker.cancelled = staticmethod(predict), cancelled
    cv2.setNumThreads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent must not leave its workers behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: _Task) -> _Result | None:
    try:
        return _outcome(task, _Worker.predict, _WorkerJob(_Worker.cancelled))
    except JobCancelledError:
        return None  # nobody waits for it any more


def _outcomes(
    tasks: Sequence[_Task], predict: Predict, workers: int, job: Job
) -> tuple[_Outcome, ...]:
    """The outcomes in the order of the tasks; pairs that cannot be opened are told of."""
    if workers == 1 or len(tasks) == 1:
        finished = _here(tasks, predict, job)
    else:
        finished = _in_processes(tasks, predict, min(workers, len(tasks)), job)
    results: dict[int, _Result] = {}
    job.report("evaluating", 0, len(tasks))
    with closing(finished):
        for number, result in finished:
            results[number] = result
            job.report("evaluating", len(results), len(tasks))
    outcomes = [results[number] for number in range(len(tasks))]
    _tell_unreadable([told for told in outcomes if isinstance(told, str)], len(tasks), job)
    return tuple(outcome for outcome in outcomes if isinstance(outcome, _Outcome))


def _tell_unreadable(told: Sequence[str], total: int, job: Job) -> None:
    if told:
        message = f"{len(told)} of {total} pairs cannot be opened, the first: {told[0]}"
        if len(told) == total:
            raise DataError(message)
        job.warn(f"{message} They are left out.")


def _here(tasks: Sequence[_Task], predict: Predict, job: Job) -> _Finished:
    """(index, result) one after another, in this process."""
    for number, task in enumerate(tasks):
        yield number, _outcome(task, predict, job)


def _in_processes(tasks: Sequence[_Task], predict: Predict, workers: int, job: Job) -> _Finished:
    """(index, result) as they are finished."""
    context = multiprocessing.get_context("spawn")
    cancelled = context.Event()
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(workers, context, _start_worker, (predict, cancelled, threads))
    with _shut_down(pool, cancelled):
        line = iter(enumerate(tasks))
        waiting: dict[Future[_Result | None], int] = {}
        while True:
            while len(waiting) < workers * _AHEAD and (entry := next(line, None)):
                waiting[pool.submit(_work, entry[1])] = entry[0]
            if not waiting:
                return
            done, _ = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
            job.check()
            for future in done:
                number, result = waiting.pop(future), future.result()
                if result is not None:
                    yield number, result


@contextmanager
def _shut_down(pool: ProcessPoolExecutor, cancelled: Event) -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise ImgeditError(
            "A process that made predictions died; it may have run out of memory.",
            hint="Try fewer workers.",
        ) from error
    finally:
        cancelled.set()  # without effect on work that is finished
        pool.shutdown(wait=True, cancel_futures=True)


# --- one pair ---------------------------------------------------------------------------------


def _outcome(task: _Task, predict: Predict, job: Job) -> _Result:
    from imgedit_plugins.picture_files import open_picture

    row = task.row
    try:
        source, edited = open_picture(row.source), open_picture(row.edited)
    except PictureReadError as error:
        return str(error)
    request = PredictRequest(
        source=source,
        edited=edited,
        instruction=(row.command or None) if task.with_command else None,
        options=task.options,
        seed=task.seed,
    )
    plan, failure, cpu_seconds, wall_seconds = _timed(predict, request, job)
    plan = plan or EditPlan(definitions=row.plan.definitions, abstained=True)
    rendered, nothing = _rendered(row.plan, plan, source, edited.rgb8())
    return _Outcome(
        row=row,
        with_command=task.with_command,
        steps=_steps(plan, row.plan.definitions),
        abstained=plan.abstained,
        failure=failure,
        cpu_seconds=cpu_seconds,
        wall_seconds=wall_seconds,
        rendered=rendered,
        nothing=nothing,
    )


def _timed(
    predict: Predict, request: PredictRequest, job: Job
) -> tuple[EditPlan | None, str, float, float]:
    """(plan, failure, processor seconds, wall seconds)."""
    plan, failure = None, ""
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        plan = predict(request, job)
    except JobCancelledError:
        raise
    except ImgeditError as error:
        failure = str(error)
    return plan, failure, time.process_time() - cpu, time.perf_counter() - wall


def _steps(plan: EditPlan, definitions: str) -> tuple[_Step, ...]:
    profile = load_profile(definitions)
    return tuple(
        _Step(s.name, dict(s.parameters), profile.normalise(s.name, s.parameters), s.confidence)
        for s in plan.operations
    )


def _rendered(
    truth: EditPlan, plan: EditPlan, source: Picture, edited: RGB8
) -> tuple[_Rendered, _Rendered]:
    """The rendered plan and the untouched source, each compared."""
    from imgedit_plugins.render import render_plan

    expected = render_plan(source, truth).rgb8()
    same = plan.definitions == truth.definitions and _bare(plan) == _bare(truth)
    predicted = expected if same else render_plan(source, plan).rgb8()
    return _compared(predicted, expected, edited), _compared(source.rgb8(), expected, edited)


def _bare(plan: EditPlan) -> list[tuple[str, dict[str, int | float]]]:
    return [(step.name, step.parameters) for step in plan.operations]


def _compared(rendered: RGB8, expected: RGB8, edited: RGB8) -> _Rendered:
    import numpy as np

    from imgedit_plugins.render import difference

    if rendered.shape != expected.shape:
        return _Rendered(_psnr(rendered, edited), 255.0, 255)
    absolute = np.abs(difference(rendered, expected))
    return _Rendered(_psnr(rendered, edited), float(absolute.mean()), int(absolute.max()))


def _psnr(rendered: RGB8, edited: RGB8) -> float:
    """PSNR in dB; infinity for no difference, 0 where the shapes contradict each other.

    An edited picture that was scaled afterwards is compared at its own size.
    """
    from imgedit_plugins.render import mean_squared_error, psnr

    if rendered.shape != edited.shape:
        fitted = _at_size_of(rendered, edited)
        if fitted is None:
            return 0.0
        rendered = fitted
    value = psnr(mean_squared_error(rendered, edited))
    return math.inf if value is None else value


def _at_size_of(rendered: RGB8, edited: RGB8) -> RGB8 | None:
    """`rendered` scaled to the other's size, or None when the aspect ratios differ."""
    import cv2
    import numpy as np

    (height, width), (to_height, to_width) = rendered.shape[:2], edited.shape[:2]
    scale = (to_height + to_width) / (height + width)
    if max(abs(height * scale - to_height), abs(width * scale - to_width)) > 1.0:
        return None
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rendered, (to_width, to_height), interpolation=how))


# --- scoring ----------------------------------------------------------------------------------


def _sample(outcome: _Outcome) -> Sample:
    """The sample of a prediction; of an operation that occurs twice the first counts."""
    return Sample(
        truth=_first(outcome.row.operations),
        predicted=_first((step.name, step.value) for step in outcome.steps),
        image=outcome.row.img_source,
        abstained=outcome.abstained,
        psnr_db=outcome.rendered.psnr_db,
        mean_difference=outcome.rendered.mean_difference,
        max_difference=outcome.rendered.max_difference,
        cpu_seconds=outcome.cpu_seconds,
    )


def _first(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    edit: dict[str, float] = {}
    for name, value in pairs:
        edit.setdefault(name, value)
    return edit


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


def _baseline_samples(outcomes: Sequence[_Outcome]) -> dict[str, list[Sample]]:
    samples = [_sample(outcome) for outcome in outcomes]
    named = {
        title: [Sample(s.truth, edit, s.image, cpu_seconds=0.0) for s in samples]
        for title, edit in baselines(samples).items()
    }
    named["empty plan"] = [_untouched(outcome) for outcome in outcomes]
    return named


def _untouched(outcome: _Outcome) -> Sample:
    nothing = outcome.nothing
    return Sample(
        truth=_first(outcome.row.operations),
        predicted={},
        image=outcome.row.img_source,
        abstained=True,
        psnr_db=nothing.psnr_db,
        mean_difference=nothing.mean_difference,
        max_difference=nothing.max_difference,
        cpu_seconds=0.0,
    )


# --- tables -----------------------------------------------------------------------------------

_Summary = Mapping[str, Estimate]


def _report(
    outcomes: Sequence[_Outcome], plugin: str, settings: _Settings, seed: int
) -> EvaluateReport:
    samples = [_sample(outcome) for outcome in outcomes]
    methods = _methods(outcomes, plugin, settings)
    overall = {title: scores.summarise(group, seed=seed) for title, group in methods.items()}
    counts = {title: len(group) for title, group in methods.items()}
    groups = scores.by_count(samples)
    by_count = {str(k): scores.summarise(group, seed=seed) for k, group in groups.items()}
    by_operation = scores.by_operation(samples)
    return EvaluateReport(
        tables=(
            _figures_table("Overall", "method", overall, counts),
            _interval_table(f"{plugin}: 95 % intervals", overall[plugin]),
            _figures_table(
                f"{plugin}, by number of operations",
                "operations",
                by_count,
                {str(k): len(group) for k, group in groups.items()},
            ),
            _operation_table(f"{plugin}, by operation", by_operation),
        ),
        details={
            "options": asdict(settings) | {"seed": seed},
            "figures": {
                "overall": _plain(overall),
                "by_number_of_operations": _plain(by_count),
                "by_operation": {name: asdict(score) for name, score in by_operation.items()},
            },
            "samples": [_described(outcome) for outcome in outcomes],
        },
    )


def _methods(
    outcomes: Sequence[_Outcome], plugin: str, settings: _Settings
) -> dict[str, list[Sample]]:
    methods = {plugin: [_sample(outcome) for outcome in outcomes]}
    if settings.commands == "both":
        for title, wanted in (("with command", True), ("without command", False)):
            chosen = [_sample(o) for o in outcomes if o.with_command == wanted]
            methods[f"{plugin}, {title}"] = chosen
        outcomes = [outcome for outcome in outcomes if outcome.with_command]
    return methods | _baseline_samples(outcomes)


def _figures_table(
    title: str, first: str, summaries: Mapping[str, _Summary], counts: Mapping[str, int]
) -> Table:
    return Table(
        title=title,
        columns=(first, "n", *(_TITLES[figure] for figure in scores.FIGURES)),
        rows=tuple(
            (row, counts[row], *(_cell(figure, summary[figure].value) for figure in scores.FIGURES))
            for row, summary in summaries.items()
        ),
    )


def _interval_table(title: str, summary: _Summary) -> Table:
    return Table(
        title=title,
        columns=("figure", "value", "low", "high"),
        rows=tuple(
            (_TITLES[name], *(_cell(name, x) for x in (found.value, found.low, found.high)))
            for name, found in summary.items()
        ),
    )


def _operation_table(title: str, by_operation: Mapping[str, scores.OperationScore]) -> Table:
    order = [operation.name for operation in default_vocabulary()]
    names = [name for name in order if name in by_operation]
    return Table(
        title=title,
        columns=("operation", "true", "predicted", "precision %", "recall %", "F1 %", "value MAE"),
        rows=tuple(
            (
                name,
                by_operation[name].true,
                by_operation[name].predicted,
                _cell("precision", by_operation[name].precision),
                _cell("recall", by_operation[name].recall),
                _cell("f1", by_operation[name].f1),
                _cell("mse", by_operation[name].value_mae),
            )
            for name in names
        ),
    )


def _cell(figure: str, value: float | None) -> float | str | None:
    if value is None:
        return None
    if math.isinf(value):
        return "identical"
    if figure in _PERCENT:
        value *= 100
    return round(value, _DECIMALS.get(figure, 2))


def _plain(summaries: Mapping[str, _Summary]) -> dict[str, dict[str, dict[str, float | None]]]:
    """For JSON, which has no infinity."""
    return {
        row: {
            name: {key: _finite(value) for key, value in asdict(found).items()}
            for name, found in summary.items()
        }
        for row, summary in summaries.items()
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else value


def _described(outcome: _Outcome) -> dict[str, Any]:
    sample = _sample(outcome)
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
        "psnr_db": _finite(outcome.rendered.psnr_db),
        "identical": math.isinf(outcome.rendered.psnr_db),
        "mean_difference": outcome.rendered.mean_difference,
        "max_difference": outcome.rendered.max_difference,
        "cpu_seconds": outcome.cpu_seconds,
        "wall_seconds": outcome.wall_seconds,
    }


def _tell_failures(outcomes: Sequence[_Outcome], job: Job) -> None:
    failures = [outcome for outcome in outcomes if outcome.failure]
    if failures:
        job.warn(
            f"{len(failures)} of {len(outcomes)} predictions ended with an error and count as "
            f"abstained, the first (row {failures[0].row.id}): {failures[0].failure}"
        )
