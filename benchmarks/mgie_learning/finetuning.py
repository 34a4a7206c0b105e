"""MGIE's own training, by the plugin's `train`: with the picture in sight, without, and silent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.mgie_learning import scenes
from benchmarks.mgie_learning.sizes import Sizes
from imgedit_mgie import plugin
from imgedit_plugins import manifest
from imgedit_plugins.jobs import Job
from imgedit_plugins.options import resolve_options
from imgedit_plugins.requests import TrainReport, TrainRequest

MANIFEST = manifest.load(Path(plugin.__file__).parent / manifest.FILE_NAME)

MGIE, LGIE = "mgie", "lgie"
KINDS = (MGIE, LGIE)


@dataclass(frozen=True)
class Run:
    """One training: what, and with which seed."""

    kind: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.kind}-seed{self.seed}"


def all_runs(sizes: Sizes) -> list[Run]:
    """Every run, seed by seed."""
    return [Run(kind, seed) for seed in sizes.seeds for kind in KINDS]


def fine_tune(folder: Path, run: Run, sizes: Sizes, job: Job) -> TrainReport:
    """Train in a run folder, or go on there.

    Args:
        folder: has the model folder ``base`` and the data ``pairs``; gets ``runs/NAME``.
        run: which.
        sizes: steps, batch and rate.
        job: progress and cancellation.
    """
    given: dict[str, Any] = {
        "model": run.kind,
        "weights": str(folder / "base"),
        "size": scenes.SIDE,
        "steps": sizes.steps,
        "batch-size": sizes.batch,
        "learning-rate": sizes.rate,
        "ema": sizes.ema,
        "gradient-checkpointing": False,
        "validation": sizes.validation,
        "validate-every": sizes.validate_every,
        "samples": 4,
        "precision": "fp32",
    }
    options = resolve_options(MANIFEST.options_for("train"), given)
    out = folder / "runs" / run.name
    request = TrainRequest(data=folder / "pairs", out=out, options=options, seed=run.seed)
    report = plugin.train(request, job)
    assert report is not None
    return report
