"""Which items a step sees: a function of the seed and the step alone, so that nothing is resumed.

The items are shuffled anew in every epoch, and the shuffled epochs stand one after another without
end; each batch takes the next items. All batches are full, whatever the size of the data set.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from imgedit_modelkit.fingerprints import seed_of
from imgedit_modelkit.training import TrainConfig, TrainingTask


class TrainBatches(Dataset[Any]):
    """The batches of one process, by their number from the beginning of the training.

    Args:
        task: has the items and makes batches of them.
        config: batch size and seed.
        process, processes: which of how many processes this is. Together they see what one
            process with a batch as large as all of theirs would see.
    """

    def __init__(
        self,
        task: TrainingTask,
        items: Sequence[Any],
        config: TrainConfig,
        process: int,
        processes: int,
    ) -> None:
        self._task, self._items, self._config = task, items, config
        self._process, self._processes = process, processes

    def __getitem__(self, number: int) -> Any:
        size = self._config.batch_size
        begin = (number * self._processes + self._process) * size
        items = [self._items[self.index(place)] for place in range(begin, begin + size)]
        seed = seed_of(self._config.seed, "batch", number, self._process)
        return self._task.collate(items, torch.Generator().manual_seed(seed))

    def index(self, place: int) -> int:
        """The item at a place in the endless order."""
        epoch, place = divmod(place, len(self._items))
        return int(_shuffled(len(self._items), self._config.seed, epoch)[place])


class ValidationBatches(Dataset[Any]):
    """The batches of the validation set, in order; the last one may be smaller."""

    def __init__(self, task: TrainingTask, items: Sequence[Any], config: TrainConfig) -> None:
        self._task, self._items, self._config = task, items, config

    def __len__(self) -> int:
        return math.ceil(len(self._items) / self._config.batch_size)

    def __getitem__(self, number: int) -> Any:
        size = self._config.batch_size
        ends = number * size, min((number + 1) * size, len(self._items))
        seed = seed_of(self._config.seed, "validation", number)
        generator = torch.Generator().manual_seed(seed)
        return self._task.collate([self._items[i] for i in range(*ends)], generator)


def loader(batches: Dataset[Any], numbers: range, workers: int, *, pinned: bool) -> Iterator[Any]:
    """The batches of these numbers, made ahead by so many processes."""
    if not workers:
        return (batches[number] for number in numbers)
    # Its own generator: the loader would draw from the global one, once for every resume.
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            sampler=numbers,
            num_workers=workers,
            pin_memory=pinned,
            # torch's own choice, a fork server, outlives a killed training with all its workers.
            multiprocessing_context="fork" if sys.platform == "linux" else None,
            generator=torch.Generator().manual_seed(0),
        )
    )


@functools.lru_cache(maxsize=4)
def _shuffled(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    generator = torch.Generator().manual_seed(seed_of(seed, "epoch", epoch))
    order: NDArray[np.int64] = torch.randperm(count, generator=generator).numpy()
    return order
