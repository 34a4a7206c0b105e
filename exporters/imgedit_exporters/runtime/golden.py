"""Golden inputs and results, kept in a bundle for its check on the user's machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from imgedit_plugins.errors import WeightsError
from imgedit_plugins.exporting import Array, Arrays, Pair

KEPT = 3
"""Golden inputs of each part that a bundle keeps."""


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays by name; no pickle, and the same arrays give the same bytes."""
    if strange := [name for name, array in arrays.items() if array.dtype.hasobject]:
        raise TypeError(f"{strange[0]} holds objects, not numbers or text")
    path.parent.mkdir(parents=True, exist_ok=True)
    save: Any = np.savez
    save(path, **arrays)


def load_arrays(path: Path) -> dict[str, Array]:
    """What `save_arrays` wrote.

    Raises:
        WeightsError: the file is missing or no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as opened:
            return {name: opened[name] for name in opened.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise WeightsError(f"{path} cannot be read: {error}.", path=path) from error


def load_groups(path: Path) -> list[dict[str, Array]]:
    """Arrays called ``NUMBER/NAME``, by name, one group for each number in their order.

    Raises:
        WeightsError: as `load_arrays`, or there are none.
    """
    found: dict[int, dict[str, Array]] = {}
    for key, array in load_arrays(path).items():
        number, _, name = key.partition("/")
        if name:
            found.setdefault(int(number), {})[name] = array
    if not found:
        raise WeightsError(f"{path} has no golden edits.", path=path)
    return [found[number] for number in sorted(found)]


def save_pairs(path: Path, pairs: list[Pair], outputs: tuple[str, ...]) -> None:
    """Write golden inputs and what the original makes of them."""
    arrays: dict[str, Array] = {}
    for number, (inputs, wanted) in enumerate(pairs):
        arrays |= {f"{number}/in/{name}": array for name, array in inputs.items()}
        arrays |= {
            f"{number}/out/{name}": array for name, array in zip(outputs, wanted, strict=True)
        }
    save_arrays(path, arrays)


def load_pairs(path: Path) -> list[Pair]:
    """What `save_pairs` wrote; raises as `load_arrays`."""
    found: dict[int, tuple[dict[str, Array], list[Array]]] = {}
    for key, array in load_arrays(path).items():
        number, side, name = key.split("/", 2)
        inputs, outputs = found.setdefault(int(number), ({}, []))
        if side == "in":
            inputs[name] = array
        else:
            outputs.append(array)
    return [found[number] for number in sorted(found)]
