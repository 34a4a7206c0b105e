"""MGIE's own training, by the plugin's `train`: with the picture in sight, without, and silent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.tiny_editing import scenes
from imgedit_mgie import plugin
from imgedit_plugins import manifest
from imgedit_plugins.jobs import Job
from imgedit_plugins.options import resolve_options
from imgedit_plugins.requests import TrainReport, TrainRequest

MANIFEST = manifest.load(Path(plugin.__file__).parent / manifest.FILE_NAME)

MGIE, LGIE = "mgie", "lgie"
KINDS = (MGIE, LGIE)
_FIRST_SEED = 100


@dataclass(frozen=True)
class Training:
    """How MGIE and LGIE are trained.

    Attributes:
        first_steps, first_rate: of the training that all others begin with.
        steps, rate: of the others.
        batch, ema, validation, validate_every: of all, as the options of `train mgie`.
        seeds: of the others; the first one has a seed of its own.
    """

    first_steps: int = 1000
    first_rate: float = 1e-3
    steps: int = 400
    rate: float = 7e-4
    batch: int = 16
    ema: float = 0.99
    validation: float = 0.02
    validate_every: int = 500
    seeds: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True)
class Run:
    """One training: what, and with which seed."""

    kind: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.kind}-seed{self.seed}"


def all_runs(training: Training) -> list[Run]:
    """Every run, seed by seed."""
    return [Run(kind, seed) for seed in training.seeds for kind in KINDS]


def first_training(folder: Path, training: Training, job: Job) -> TrainReport:
    """What all runs begin with: LGIE, trained on edits that are said in full.

    Args:
        folder: has the model folder ``base`` and the pairs ``said``; gets the run folder ``first``.
        training: how.
        job: progress and cancellation.
    """
    how = replace(training, steps=training.first_steps, rate=training.first_rate)
    run = Run(LGIE, _FIRST_SEED)
    return _trained(run, folder / "base", folder / "said", folder / "first", how, job)


def fine_tune(folder: Path, run: Run, training: Training, job: Job) -> TrainReport:
    """Train in a run folder, or go on there.

    Args:
        folder: has the run folder ``first`` and the data ``pairs``; gets ``runs/NAME``.
        run: which.
        training: how.
        job: progress and cancellation.
    """
    out = folder / "runs" / run.name
    return _trained(run, folder / "first", folder / "pairs", out, training, job)


def _trained(
    run: Run, weights: Path, data: Path, out: Path, training: Training, job: Job
) -> TrainReport:
    given: dict[str, Any] = {
        "model": run.kind,
        "weights": str(weights),
        "size": scenes.SIDE,
        "steps": training.steps,
        "batch-size": training.batch,
        "learning-rate": training.rate,
        "ema": training.ema,
        "gradient-checkpointing": False,
        "validation": training.validation,
        "validate-every": training.validate_every,
        "samples": 2,
        "precision": "fp32",
    }
    options = resolve_options(MANIFEST.options_for("train"), given)
    report = plugin.train(TrainRequest(data=data, out=out, options=options, seed=run.seed), job)
    assert report is not None
    return report
