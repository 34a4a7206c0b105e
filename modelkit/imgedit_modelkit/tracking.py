"""Figures of a training: means between two lines of `metrics.jsonl`, and TensorBoard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from imgedit_modelkit.errors import MissingPackageError, TrainingError

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch.utils.tensorboard import SummaryWriter


class Window:
    """Sums of figures since the last line; tensors stay on their device until asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor | float] = {}
        self._counts: dict[str, int] = {}

    def add(self, figures: Mapping[str, torch.Tensor | float]) -> None:
        """Add one value of each figure."""
        for name, value in figures.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def means(self, accelerator: Accelerator) -> dict[str, float]:
        """The mean of each figure over all processes, which must all call this; starts anew."""
        own = {name: (float(value), self._counts[name]) for name, value in self._sums.items()}
        self._sums, self._counts = {}, {}
        every = [own]
        if accelerator.num_processes > 1:
            from accelerate.utils import gather_object

            every = gather_object([own])
        names = {name: None for one in every for name in one}
        return {name: _mean([one[name] for one in every if name in one]) for name in names}

    def document(self) -> dict[str, Any]:
        """The sums as JSON knows them."""
        return {name: [float(value), self._counts[name]] for name, value in self._sums.items()}

    def load(self, document: Mapping[str, Any]) -> None:
        """Take over what `document` gave."""
        self._sums = {name: value for name, (value, _) in document.items()}
        self._counts = {name: count for name, (_, count) in document.items()}


def check_finite(figures: Mapping[str, float], step: int) -> None:
    """Raise TrainingError where a figure is no number any more."""
    for name, value in figures.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"{name} is {value} at step {step}.",
                hint="The last checkpoint is good. Lower the learning rate, set clip, or use bf16 "
                "or fp32 in place of fp16, in a new folder.",
            )


def tensorboard(folder: Path, step: int) -> SummaryWriter:
    """A writer for TensorBoard that goes on after a step; later points are dropped from curves.

    Raises:
        MissingPackageError: tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingPackageError("tensorboard", "Writing for TensorBoard") from error
    return SummaryWriter(str(folder), purge_step=step + 1)


def _mean(sums: list[tuple[float, int]]) -> float:
    return sum(value for value, _ in sums) / sum(count for _, count in sums)
