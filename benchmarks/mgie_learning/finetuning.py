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


def fine_tune(
    run: Run, weights: Path, data: Path, out: Path, sizes: Sizes, job: Job, *, steps: int
) -> TrainReport:
    """Train in a run folder, or go on there.

    Args:
        run: what, and with which seed.
        weights: the model folder, or run folder, that it begins with.
        data: its pairs.
        out: the run folder.
        sizes: batch, rate and so on.
        job: progress and cancellation.
        steps: how long.
    """
    given: dict[str, Any] = {
        "model": run.kind,
        "weights": str(weights),
        "size": scenes.SIDE,
        "steps": steps,
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
    report = plugin.train(TrainRequest(data=data, out=out, options=options, seed=run.seed), job)
    assert report is not None
    return report
