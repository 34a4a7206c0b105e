"""Fine-tuning of the projection by the plugin's own `train`, and the encoder's view of test pairs.

The encoder is frozen, so it looks at each picture once; its tokens are kept in feature caches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.minigpt4_learning.data import MANIFEST
from benchmarks.minigpt4_learning.sizes import Sizes
from imgedit_modelkit import fingerprints
from imgedit_modelkit.features import FeatureCache
from imgedit_modelkit.readers.imad import ImadRow
from imgedit_modelkit.vision_towers import to_pixels
from imgedit_plugins.jobs import Job
from imgedit_plugins.options import resolve_options
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.requests import TrainReport, TrainRequest
from imgedit_reverse_design import plugin
from imgedit_reverse_design.minigpt4.config import TOWER
from imgedit_reverse_design.minigpt4.model import load_model

EXPERIMENTS = ("1", "2", "3", "4", "4b")

WITH_TWIN = ("1",)
"""2 and 3 have the gradient of 1, and 4 and 4b differ from it in a few tokens of the prompts."""


@dataclass(frozen=True)
class Run:
    """One fine-tuning: an experiment and a seed, of the pairs or of their twin."""

    experiment: str
    seed: int
    shuffled: bool = False

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.experiment}-seed{self.seed}{'-shuffled' if self.shuffled else ''}"


def all_runs(sizes: Sizes) -> list[Run]:
    """Every run seed by seed, each with its twin behind it."""
    return [
        Run(experiment, seed, shuffled)
        for seed in sizes.seeds
        for experiment in EXPERIMENTS
        for shuffled in ((False, True) if experiment in WITH_TWIN else (False,))
    ]


def fine_tune(folder: Path, run: Run, data: Path, sizes: Sizes, job: Job) -> TrainReport:
    """Train one projection in its run folder, or go on there.

    Args:
        folder: has the model folder ``base``; gets ``runs/NAME``.
        run: which.
        data: its pairs.
        sizes: steps, batch and rate.
        job: progress and cancellation.
    """
    given: dict[str, Any] = {
        "experiment": run.experiment,
        "weights": str(folder / "base"),
        "steps": sizes.steps,
        "batch-size": sizes.batch,
        "learning-rate": sizes.rate,
        "warmup-steps": sizes.warmup,
        "validate-every": sizes.validate_every,
        "answers": sizes.answers,
        "precision": "fp32",
        "cache": str(folder / "features" / "train"),
    }
    options = resolve_options(MANIFEST.options_for("train"), given)
    out = folder / "runs" / run.name
    request = TrainRequest(data=data, out=out, options=options, seed=run.seed)
    report = plugin.train(request, job)
    assert report is not None
    return report


class Features:
    """What the frozen encoder of a model folder makes of picture files.

    Args:
        folder: of the cache.
        base: the model folder.
    """

    def __init__(self, folder: Path, base: Path) -> None:
        self._cache = FeatureCache(folder, fingerprints.of_file(base / TOWER))
        self._base = base
        self._keys: dict[Path, str] = {}

    def fill(self, rows: Sequence[ImadRow], job: Job) -> None:
        """Encode the pictures of rows that are not here yet."""
        tower = load_model(self._base).tower

        def encode(paths: list[Path]) -> NDArray[np.float16]:
            pixels = to_pixels([open_picture(p).rgb8() for p in paths], tower.image_size)
            return np.asarray(tower(pixels).numpy(), np.float16)

        items = {self._key(path): path for row in rows for path in (row.source, row.edited)}
        self._cache.fill(items, encode, job, batch_size=64)

    def of(self, rows: Sequence[ImadRow]) -> Tensor:
        """Tokens of sources and edited pictures: (rows, 2, tokens, width)."""
        found = [self._cache[self._key(p)] for row in rows for p in (row.source, row.edited)]
        tokens = torch.from_numpy(np.stack(found)).float()
        return tokens.reshape(len(rows), 2, *tokens.shape[1:])

    def _key(self, path: Path) -> str:
        if path not in self._keys:
            self._keys[path] = fingerprints.of_file(path)
        return self._keys[path]
