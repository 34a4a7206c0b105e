"""The worst predictions as pictures: source, edited, rendered plan, and what is left."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import PlannedOperation
from imgedit_plugins.requests import Case
from imgedit_reverse_design import scores
from imgedit_reverse_design.outcomes import Outcome, at_size_of, sample_of
from imgedit_reverse_design.scores import Sample


def worst_cases(method: str, outcomes: Sequence[Outcome], number: int) -> tuple[Case, ...]:
    """The worst predictions of a method, the worst first; fewer where all others are right.

    Abstentions come after wrong answers: a wrong answer is worse than none.
    """
    wrong = [(outcome, sample_of(outcome)) for outcome in outcomes]
    wrong = [(outcome, sample) for outcome, sample in wrong if not _is_right(sample)]
    wrong.sort(key=lambda pair: _badness(*pair))
    return tuple(_case(method, outcome, sample) for outcome, sample in wrong[:number])


def _is_right(sample: Sample) -> bool:
    if not sample.valued:
        return scores.is_exact(sample.truth, sample.predicted)
    seen = sample.mean_difference
    same = seen is not None and seen <= scores.EQUIVALENT_MEAN
    return same or scores.is_exact_with_values(sample.truth, sample.predicted)


def _badness(outcome: Outcome, sample: Sample) -> tuple[bool, bool, float, float, int]:
    shown = sample.mean_difference
    error = -(sample.psnr_db or 0.0) if shown is None else shown
    return (
        bool(scores.is_equivalent(sample)),
        outcome.abstained,
        _f1(sample),
        -error,
        outcome.row.id,
    )


def _f1(sample: Sample) -> float:
    hits = len(sample.truth.keys() & sample.predicted.keys())
    return 2 * hits / (len(sample.truth) + len(sample.predicted))


def _case(method: str, outcome: Outcome, sample: Sample) -> Case:
    row = outcome.row
    return Case(
        title=f"{method}: row {row.id}, {row.img_source}",
        told=tuple(_told(outcome, sample)),
        pictures=tuple(_pictures(outcome)),
    )


# --- in words ---------------------------------------------------------------------------------


def _told(outcome: Outcome, sample: Sample) -> Iterator[tuple[str, str]]:
    row = outcome.row
    yield "True edit", _truth_in_words(outcome)
    yield "Found", _found_in_words(outcome)
    if outcome.with_command and row.command:
        yield "Given in words", row.command
    yield "Names", _names(sample)
    yield "Figures", _figures(outcome, sample)


def _truth_in_words(outcome: Outcome) -> str:
    row = outcome.row
    if row.plan is not None:
        return in_words(row.plan.operations)
    local = row.local or frozenset()
    return ", ".join(f"{name} (local)" if name in local else name for name, _ in row.operations)


def _found_in_words(outcome: Outcome) -> str:
    if outcome.failure:
        return f"an error: {outcome.failure}"
    if outcome.abstained:
        return f"abstained. {outcome.plan.explanation}".rstrip()
    return in_words(outcome.plan.operations) or "no operation"


def in_words(operations: Sequence[PlannedOperation]) -> str:
    """A plan's operations, one after another."""
    return ", then ".join(step.operation.describe(step.parameters) for step in operations)


def _names(sample: Sample) -> str:
    groups = {
        "right": [name for name in sample.truth if name in sample.predicted],
        "missing": [name for name in sample.truth if name not in sample.predicted],
        "too many": [name for name in sample.predicted if name not in sample.truth],
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in groups.items() if names)


def _figures(outcome: Outcome, sample: Sample) -> str:
    accuracy = scores.accuracy(sample.truth, sample.predicted)
    found = [f"accuracy {accuracy:.0%}", f"F1 {_f1(sample):.0%}"]
    if outcome.explained is not None:
        found.append(f"explains {math.floor(1000 * outcome.explained) / 10:g} %")
    if outcome.confidence is not None:
        found.append(f"least sure step {outcome.confidence:.0%}")
    psnr = outcome.rendered.psnr_db
    found.append("no difference" if math.isinf(psnr) else f"PSNR {psnr:.1f} dB")
    return ", ".join(found).replace("%", " %").replace("  %", " %")


# --- in pictures ------------------------------------------------------------------------------


def _pictures(outcome: Outcome) -> Iterator[tuple[str, str, Picture]]:
    from imgedit_plugins.picture_files import open_picture
    from imgedit_plugins.render import render_plan
    from imgedit_plugins.report import residual_picture

    row = outcome.row
    source, edited = open_picture(row.source), open_picture(row.edited)
    yield "Source", "", source
    yield "Edited", "", edited
    if outcome.abstained:
        return
    rendered = render_plan(source, outcome.plan)
    yield "Rendered", "the found plan, applied to the source", rendered
    if at_size_of(rendered.rgb8(), edited.rgb8()) is None:
        return  # of another shape: there is nothing to subtract
    residual, gain = residual_picture(rendered, edited)
    note = f"black: no difference, amplified {gain} times" if gain > 1 else "black: no difference"
    yield "Residual", note if residual.pixels.any() else "no difference in any pixel", residual
