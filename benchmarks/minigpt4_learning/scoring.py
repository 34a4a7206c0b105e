"""How good the answers of a model are on the test pairs, alone and checked by the search."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.minigpt4_learning.data import MANIFEST
from benchmarks.minigpt4_learning.finetuning import Features
from imgedit_modelkit.readers.imad import ImadRow
from imgedit_plugins.jobs import Job
from imgedit_plugins.options import resolve_options
from imgedit_plugins.requests import EvaluateRequest
from imgedit_reverse_design import plugin, scores
from imgedit_reverse_design.baselines import baselines
from imgedit_reverse_design.minigpt4.experiments import experiment
from imgedit_reverse_design.minigpt4.model import MiniGPT4, load_model
from imgedit_reverse_design.minigpt4.parsing import parse_answer
from imgedit_reverse_design.minigpt4.prompts import draw
from imgedit_reverse_design.scores import Sample

FIGURES = ("accuracy", "mse", "precision", "f1", "exact", "abstained")
WITHOUT, WITH = "without command", "with command"

_LONGEST = 80  # tokens; five pairs and the longest sentence are fewer
_TOGETHER = 50


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def answers(
    model: MiniGPT4, rows: Sequence[ImadRow], features: Features, *, command: bool
) -> list[Sample]:
    """One greedy answer for each pair, read as the plugin reads it.

    Args:
        model: any that `load_model` gives.
        rows: pairs.
        features: of their pictures, by the model's tower.
        command: whether the prompts carry the commands.
    """
    how = experiment(model.config.experiment)
    samples = []
    for begin in range(0, len(rows), _TOGETHER):
        some = rows[begin : begin + _TOGETHER]
        prompts = [
            draw(
                random.Random(f"test/{row.id}"),
                row.command if command else None,
                model.config.wrap,
                breaks=how.breaks,
            )
            for row in some
        ]
        written = model.answer(features.of(some), prompts, longest=_LONGEST)
        samples += [sample_of(row, one.text) for row, one in zip(some, written, strict=True)]
    return samples


def sample_of(row: ImadRow, text: str) -> Sample:
    """A pair and an answer to it."""
    said = {one.name: min(1.0, one.value) for one in parse_answer(text)}
    return Sample(dict(row.operations), said, row.img_source, abstained=not said)


def scored(
    folder: Path, rows: Sequence[ImadRow], features: Features, *, drawn: int | None = None
) -> dict[str, list[Sample]]:
    """The answers of a model folder, without and with commands.

    Args:
        folder: of the model.
        rows: pairs.
        features: of their pictures.
        drawn: seed of a projection with drawn weights, instead of the folder's.
    """
    model = load_model(folder)
    if drawn is not None:
        torch.manual_seed(drawn)
        model.projection.reset_parameters()
    return {kind: answers(model, rows, features, command=kind == WITH) for kind in (WITHOUT, WITH)}


def always_the_mean(rows: Sequence[ImadRow]) -> list[Sample]:
    """The plugin's baseline that looks at nothing, made from the pairs that it is scored on."""
    truths = [sample_of(row, "") for row in rows]
    found = baselines(truths)
    edit = next(edit for title, edit in found.items() if title.startswith("always the mean"))
    return [Sample(one.truth, edit, one.image) for one in truths]


def told(samples: Sequence[Sample]) -> dict[str, dict[str, float | None]]:
    """The figures of samples with their intervals, for JSON."""
    summary = scores.summarise(samples)
    return {name: asdict(summary[name]) for name in FIGURES}


def ahead(
    ours: Sequence[Sequence[Sample]], theirs: Sequence[Sequence[Sample]], draws: int = 1000
) -> dict[str, Interval]:
    """By how much answers are better than others to the same pairs, means over their seeds.

    Whole pictures are drawn, the same for both, and seeds on both sides, so that the interval holds
    what other test pictures and other seeds would change.

    Returns:
        Differences of accuracy, F1 and MSE, each positive where ours is better.
    """
    rng = np.random.default_rng(0)
    images = sorted({sample.image for sample in ours[0]})
    sums = [np.stack([_sums(one, images) for one in side]) for side in (ours, theirs)]
    found = []
    for number in range(draws + 1):
        weights, sides = np.ones(len(images)), sums
        if number:
            drawn = rng.multinomial(len(images), np.full(len(images), 1 / len(images)))
            weights = drawn.astype(np.float64)
            sides = [side[rng.integers(0, len(side), len(side))] for side in sums]
        mine, other = (_means(np.einsum("i,sif->sf", weights, side)) for side in sides)
        found.append([mine[0] - other[0], mine[1] - other[1], other[2] - mine[2]])
    low, high = np.percentile(found[1:], (2.5, 97.5), axis=0)
    return {
        name: Interval(float(found[0][i]), float(low[i]), float(high[i]))
        for i, name in enumerate(("accuracy", "f1", "mse"))
    }


def _sums(samples: Sequence[Sample], images: Sequence[str]) -> Any:
    """For each picture: pairs, accuracy, squared error, hits, names in truth and answer."""
    place = {image: number for number, image in enumerate(images)}
    sums = np.zeros((len(images), 5))
    for one in samples:
        sums[place[one.image]] += (
            1,
            scores.accuracy(one.truth, one.predicted),
            scores.squared_error(one.truth, one.predicted),
            len(one.truth.keys() & one.predicted.keys()),
            len(one.truth) + len(one.predicted),
        )
    return sums


def _means(sums: Any) -> tuple[float, float, float]:
    """Accuracy, F1 and MSE, means over the seeds."""
    n, accuracy, squared, hits, names = sums.T
    return (
        float((accuracy / n).mean()),
        float((2 * hits / np.maximum(names, 1)).mean()),
        float((squared / n).mean()),
    )


# --- with verification ------------------------------------------------------------------------


def verified(data: Path, run: Path, limit: int, job: Job) -> dict[str, Any]:
    """The plugin's `evaluate`: 'model alone' and 'model + verification' on some test pairs."""
    model = {"model": "minigpt4", "weights": str(run), "device": "cpu", "precision": "fp32"}
    details = _evaluated(data, limit, job, model)
    return {title: one["figures"]["overall"][title] for title, one in details.items()}


def searched(data: Path, limit: int, job: Job) -> dict[str, Any]:
    """The verified search without any model, on the same pairs."""
    details = _evaluated(data, limit, job, {"model": "search"})
    return dict(details["figures"]["overall"]["reverse_design"])


def _evaluated(data: Path, limit: int, job: Job, more: Mapping[str, Any]) -> Mapping[str, Any]:
    given = {"split": "test", "limit": limit, "commands": "none", "workers": 1, **more}
    options = resolve_options(MANIFEST.options_for("evaluate"), given)
    report = plugin.evaluate(EvaluateRequest(data=data, options=options), job)
    assert report is not None
    return report.details
