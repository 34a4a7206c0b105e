"""Training by the plugin's own `train`: the language model sees the picture, or does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tiny_editing import scenes
from imgedit_plugins import manifest
from imgedit_plugins.jobs import Job
from imgedit_plugins.options import resolve_options
from imgedit_plugins.requests import TrainReport, TrainRequest, WeightsRequest
from imgedit_reason_edit import plugin

MANIFEST = manifest.load(Path(plugin.__file__).parent / manifest.FILE_NAME)

SEES, TEXT = "reason_pix2pix", "text"
KINDS = (SEES, TEXT)
_WEIGHTS = "reason-pix2pix"


@dataclass(frozen=True)
class Training:
    """How the model and its twin are trained, as the options of `train reason_edit`.

    Attributes:
        steps: updates.
        rate: learning rate.
        warmup: share of the updates until it is reached.
        batch: pairs of a step.
        ema: decay of the running average of the weights.
        longest: tokens that guide an edit, at most.
        validation: share of the pairs.
        validate_every: updates between validations.
        seeds: one training of each kind for each.
    """

    steps: int = 900
    rate: float = 1e-3
    warmup: float = 0.05
    batch: int = 16
    ema: float = 0.99
    longest: int = 32
    validation: float = 0.02
    validate_every: int = 300
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


def import_start(folder: Path, job: Job) -> Path:
    """The model folder that all trainings begin with: ``start``, of ``mllm`` and ``pix2pix``."""
    given = {"precision": "fp32"}
    request = WeightsRequest(
        weights=_WEIGHTS,
        files={"mllm": folder / "mllm", "diffusion": folder / "pix2pix"},
        out=folder / "start",
        options=resolve_options(MANIFEST.options_for("import_weights"), given),
        seed=0,
    )
    assert plugin.import_weights(request, job) is not None
    return request.out


def fine_tune(folder: Path, run: Run, training: Training, job: Job) -> TrainReport:
    """Train in a run folder, or go on there.

    Args:
        folder: has the model folder ``start`` and the data ``pairs``; gets ``runs/NAME``, and what
            the language model makes of the pairs in ``features``.
        run: which.
        training: how.
        job: progress and cancellation.
    """
    given: dict[str, Any] = {
        "model": run.kind,
        "instruction": "reasoning",
        "weights": str(folder / "start"),
        "features": str(folder / "features"),
        "max-length": training.longest,
        "size": scenes.SIDE,
        "mirror": False,  # instructions say left and right
        "steps": training.steps,
        "batch-size": training.batch,
        "learning-rate": training.rate,
        "warmup": training.warmup,
        "ema": training.ema,
        "gradient-checkpointing": False,
        "validation": training.validation,
        "validate-every": training.validate_every,
        "samples": 2,
        "precision": "fp32",
    }
    options = resolve_options(MANIFEST.options_for("train"), given)
    out = folder / "runs" / run.name
    request = TrainRequest(data=folder / "pairs", out=out, options=options, seed=run.seed)
    report = plugin.train(request, job)
    assert report is not None
    return report
