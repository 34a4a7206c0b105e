"""What an evaluation says beside its tables: warnings, and everything behind the figures."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from imgedit_modelkit.evaluation.encoders import Given
from imgedit_modelkit.evaluation.outcomes import Done, Outcome
from imgedit_plugins.jobs import Job


def tell(done: Done, items: int, job: Job) -> None:
    """What was left out is said aloud."""
    if done.unreadable:
        first = next(iter(done.unreadable.values()))
        job.warn(
            f"{len(done.unreadable)} of {items} rows are left out, since their pictures cannot be "
            f"opened, the first: {first}"
        )
    for title in done.outcomes:
        failures = done.failures(title)
        if failures:
            job.warn(
                f"{title} has no answer to {len(failures)} of {items} rows, so its figures are of "
                f"fewer pictures than others; the first: {failures[0].failure}"
            )


def encoder_details(given: Given) -> dict[str, Any]:
    """The encoders, for programs."""
    return {
        "encoders": {name: asdict(told) for name, told in given.told.items()},
        "missing_encoders": list(given.missing),
    }


def sample_details(done: Done) -> list[dict[str, Any]]:
    """Every edit with its figures, for programs."""
    return [_described(outcome) for outcomes in done.outcomes.values() for outcome in outcomes]


def _described(outcome: Outcome) -> dict[str, Any]:
    task = outcome.task
    return {
        "row": task.method.title,
        "item": task.item.name,
        "id": task.item.pair.id,
        "img_source": task.item.pair.img_source,
        "instruction": task.item.instruction,
        **({"instructions": task.item.group} if task.item.group else {}),
        "seed": task.number,
        "image_guidance": task.image_guidance,
        "expressive": outcome.expressive,
        "seconds": outcome.seconds,
        "failure": outcome.failure,
        "figures": outcome.figures,
    }
