"""Folders of many tensors: read one tensor at a time, written in files of bounded size."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imgedit_modelkit.tensor_files import open_checkpoint, save_tensors
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.jobs import Job

SHARD_BYTES = 2_000_000_000


class TensorFolder(Mapping[str, Tensor]):
    """The tensors of a folder of transformers or diffusers, by name; none is kept in memory.

    Args:
        folder: with ``*.safetensors``, or else ``pytorch_model*.bin``.

    Raises:
        WeightsError: it has neither, or one cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
        if not files:
            raise WeightsError(f"{folder} holds no model*.safetensors.", path=folder)
        self._opened = [_opened(path) for path in files]
        self._where = {name: one for one in self._opened for name in one.names}

    def __getitem__(self, name: str) -> Tensor:
        return self._where[name].get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape, without reading it."""
        return self._where[name].shape(name)


class _Safetensors:
    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            opened: Any = safe_open(path, framework="pt")
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path} cannot be read: {error}.", path=path) from error
        self._file = opened
        self.names: list[str] = list(opened.keys())

    def get(self, name: str) -> Tensor:
        return torch.as_tensor(self._file.get_tensor(name))

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._file.get_slice(name).get_shape())


class _Pickle:
    """Mapped into memory, so that a tensor is read when it is used."""

    def __init__(self, path: Path) -> None:
        self._tensors = open_checkpoint(path)
        self.names = list(self._tensors)

    def get(self, name: str) -> Tensor:
        return self._tensors[name]

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)


def _opened(path: Path) -> _Safetensors | _Pickle:
    return _Safetensors(path) if path.suffix == ".safetensors" else _Pickle(path)


def write_shards(
    folder: Path,
    shapes: Mapping[str, tuple[int, ...]],
    make: Callable[[str], Tensor],
    precision: torch.dtype,
    job: Job,
    stem: str = "model",
) -> list[Path]:
    """Write tensors as files of safetensors with the index that transformers reads.

    Args:
        folder: where; made when needed.
        shapes: of all tensors, by name.
        make: gives one; called once for each.
        precision: in which floating-point numbers are written.
        job: progress and cancellation.
        stem: how the files' names begin.

    Returns:
        All files that were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = torch.finfo(precision).bits // 8
    shards = _divided({name: math.prod(shape) * size for name, shape in shapes.items()})
    where: dict[str, str] = {}
    written: list[Path] = []
    for number, names in enumerate(shards, 1):
        job.report("writing the language model", number - 1, len(shards))
        path = folder / f"{stem}-{number:05d}-of-{len(shards):05d}.safetensors"
        tensors = {name: make(name) for name in names}
        written.append(save_tensors(path, tensors, precision))
        where |= dict.fromkeys(names, path.name)
    total = sum(path.stat().st_size for path in written)
    document = {"metadata": {"total_size": total}, "weight_map": where}
    index = folder / f"{stem}.safetensors.index.json"
    write_text_atomic(index, json.dumps(document, indent=1) + "\n")
    return [*written, index]


def _divided(sizes: Mapping[str, int]) -> list[list[str]]:
    """Names in files of at most `SHARD_BYTES`, larger tensors in files of their own."""

    def added(shards: list[tuple[int, list[str]]], name: str) -> list[tuple[int, list[str]]]:
        used, names = shards[-1]
        if names and used + sizes[name] > SHARD_BYTES:
            return [*shards, (sizes[name], [name])]
        return [*shards[:-1], (used + sizes[name], [*names, name])]

    empty: list[tuple[int, list[str]]] = [(0, [])]
    return [names for _, names in functools.reduce(added, sizes, empty)]
