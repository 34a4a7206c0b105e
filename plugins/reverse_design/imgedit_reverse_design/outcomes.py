"""What comes of one pair: its predicted plan, rendered and compared."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgedit_plugins.errors import ImgeditError, JobCancelledError, PictureReadError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import load_profile
from imgedit_plugins.plan import EditPlan
from imgedit_plugins.requests import Options, PredictRequest
from imgedit_reverse_design.data_sets import Row
from imgedit_reverse_design.scores import Sample

if TYPE_CHECKING:
    from imgedit_plugins.pictures import RGB8, Picture

Predict = Callable[[PredictRequest, Job], EditPlan | None]


@dataclass(frozen=True)
class Task:
    """One prediction to make: a pair, with or without its command."""

    row: Row
    with_command: bool
    options: Options
    seed: int


@dataclass(frozen=True)
class Rendered:
    """A rendered plan against the edited picture, and against the rendered truth if it is known."""

    psnr_db: float
    mean_difference: float | None
    max_difference: int | None


@dataclass(frozen=True)
class Step:
    """One predicted operation, with its value in I-MAD's normalisation."""

    name: str
    parameters: dict[str, int | float]
    value: float
    confidence: float


@dataclass(frozen=True)
class Outcome:
    """What came of a task; `failure` is the sentence of an error, or ''.

    `nothing` is the untouched source, for the baseline that predicts no operation.
    """

    row: Row
    with_command: bool
    plan: EditPlan
    steps: tuple[Step, ...]
    failure: str
    cpu_seconds: float
    wall_seconds: float
    rendered: Rendered
    nothing: Rendered

    @property
    def abstained(self) -> bool:
        """Whether no plan was given."""
        return self.plan.abstained

    @property
    def explained(self) -> float | None:
        """Share of the edit that the plan says it explains, 0..1; None where it does not say."""
        return None if self.plan.residual is None else self.plan.residual.explained

    @property
    def confidence(self) -> float | None:
        """That of the least sure step, 1 for a plan without steps; None where it abstained."""
        if self.abstained:
            return None
        return min((step.confidence for step in self.steps), default=1.0)


Result = Outcome | str
"""What came of a task, or why its pictures cannot be opened."""


def outcome_of(task: Task, predict: Predict, job: Job) -> Result:
    """Predict one pair, render the plan, compare; or why its pictures cannot be opened."""
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
    plan = plan or EditPlan(definitions=row.definitions, abstained=True)
    rendered, nothing = _rendered(row.plan, plan, source, edited.rgb8())
    return Outcome(
        row=row,
        with_command=task.with_command,
        plan=plan,
        steps=steps_of(plan, row.definitions),
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


def steps_of(plan: EditPlan, definitions: str) -> tuple[Step, ...]:
    """The plan's operations with their normalised values in a definition profile."""
    profile = load_profile(definitions)
    return tuple(
        Step(s.name, dict(s.parameters), profile.normalise(s.name, s.parameters), s.confidence)
        for s in plan.operations
    )


def _rendered(
    truth: EditPlan | None, plan: EditPlan, source: Picture, edited: RGB8
) -> tuple[Rendered, Rendered]:
    """The rendered plan and the untouched source, each compared."""
    from imgedit_plugins.render import render_plan

    if truth is None:
        predicted = render_plan(source, plan).rgb8()
        against = [psnr_between(shown, edited) for shown in (predicted, source.rgb8())]
        return Rendered(against[0], None, None), Rendered(against[1], None, None)
    expected = render_plan(source, truth).rgb8()
    same = plan.definitions == truth.definitions and _bare(plan) == _bare(truth)
    predicted = expected if same else render_plan(source, plan).rgb8()
    return _compared(predicted, expected, edited), _compared(source.rgb8(), expected, edited)


def _bare(plan: EditPlan) -> list[tuple[str, dict[str, int | float]]]:
    return [(step.name, step.parameters) for step in plan.operations]


def _compared(rendered: RGB8, expected: RGB8, edited: RGB8) -> Rendered:
    import numpy as np

    from imgedit_plugins.render import difference

    if rendered.shape != expected.shape:
        return Rendered(psnr_between(rendered, edited), 255.0, 255)
    absolute = np.abs(difference(rendered, expected))
    return Rendered(psnr_between(rendered, edited), float(absolute.mean()), int(absolute.max()))


def psnr_between(rendered: RGB8, edited: RGB8) -> float:
    """PSNR in dB; infinity for no difference, 0 where the shapes contradict each other.

    An edited picture that was scaled afterwards is compared at its own size.
    """
    from imgedit_plugins.render import mean_squared_error, psnr

    if rendered.shape != edited.shape:
        fitted = at_size_of(rendered, edited)
        if fitted is None:
            return 0.0
        rendered = fitted
    value = psnr(mean_squared_error(rendered, edited))
    return math.inf if value is None else value


def at_size_of(rendered: RGB8, edited: RGB8) -> RGB8 | None:
    """`rendered` scaled to the other's size, or None when the aspect ratios differ."""
    import cv2
    import numpy as np

    (height, width), (to_height, to_width) = rendered.shape[:2], edited.shape[:2]
    scale = (to_height + to_width) / (height + width)
    if max(abs(height * scale - to_height), abs(width * scale - to_width)) > 1.0:
        return None
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rendered, (to_width, to_height), interpolation=how))


# --- as samples ------------------------------------------------------------------------------


def sample_of(outcome: Outcome) -> Sample:
    """The sample of a prediction; of an operation that occurs twice the first counts."""
    row = outcome.row
    return Sample(
        truth=_first(row.operations),
        predicted=_first((row.named(step.name), step.value) for step in outcome.steps),
        image=row.img_source,
        abstained=outcome.abstained,
        psnr_db=outcome.rendered.psnr_db,
        mean_difference=outcome.rendered.mean_difference,
        max_difference=outcome.rendered.max_difference,
        cpu_seconds=outcome.cpu_seconds,
        valued=row.plan is not None,
    )


def _first(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    edit: dict[str, float] = {}
    for name, value in pairs:
        edit.setdefault(name, value)
    return edit


def withheld(outcome: Outcome) -> Outcome:
    """The same, had the prediction abstained."""
    plan = outcome.plan.model_copy(update={"operations": (), "abstained": True})
    return replace(outcome, plan=plan, steps=(), rendered=outcome.nothing)


def untouched(outcome: Outcome) -> Sample:
    """The sample of the baseline that predicts no operation."""
    return replace(sample_of(withheld(outcome)), cpu_seconds=0.0)
