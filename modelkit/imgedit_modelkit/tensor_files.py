"""Files of tensors: opened safely, and put into a model only where every name and shape fits."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imgedit_plugins.atomic import atomic_write
from imgedit_plugins.errors import DataError, WeightsError


def open_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a pickled checkpoint or of a safetensors file, by name.

    Many checkpoints keep them under 'model', beside the optimiser's state.

    Raises:
        WeightsError: it holds something else than plain data, and is not unpickled; or no tensors.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path} cannot be read: {error}.", path=path) from error
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors and plain data, so it is not loaded.",
            path=path,
            hint="A pickle can run any program; ask its publisher for safetensors.",
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsError(f"{path} is no checkpoint of PyTorch: {error}.", path=path) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("model"), dict):
        loaded = loaded["model"]
    tensors = loaded if isinstance(loaded, dict) else {}
    found = {str(name): t for name, t in tensors.items() if isinstance(t, Tensor)}
    if not found:
        raise WeightsError(f"{path} holds no tensors by name.", path=path)
    return found


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], precision: torch.dtype | None = None
) -> Path:
    """Write a safetensors file, whole or not at all; floating-point numbers in `precision`."""
    from safetensors.torch import save_file

    def stored(tensor: Tensor) -> Tensor:
        changed = precision if precision and tensor.is_floating_point() else tensor.dtype
        return tensor.detach().to("cpu", changed).clone().contiguous()

    with atomic_write(path) as temporary:
        made = {name: stored(tensor) for name, tensor in tensors.items()}
        save_file(made, temporary, metadata={"format": "pt"})
    return path


def numbers_in(path: Path) -> int:
    """How many numbers a safetensors file holds, or all of a folder; only headers are read."""
    from safetensors import safe_open

    total = 0
    for file in sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]:
        opened: Any = safe_open(file, framework="pt")
        for name in opened.keys():  # noqa: SIM118 (not a mapping)
            total += math.prod(opened.get_slice(name).get_shape())
    return total


def misfits(
    module: nn.Module | Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> tuple[list[str], list[str]]:
    """Names that a module, or its tensors, misses, and names that it has no place for.

    A tensor of another shape is in both: `name` is missing, `name (found, wanted)` is unexpected.
    """
    places = module.state_dict() if isinstance(module, nn.Module) else module
    wanted = {name: tensor.shape for name, tensor in places.items()}
    missing, unexpected = [], []
    for name, shape in wanted.items():
        if name not in tensors:
            missing.append(name)
        elif tensors[name].shape != shape:
            missing.append(name)
            unexpected.append(f"{name} ({tuple(tensors[name].shape)}, not {tuple(shape)})")
    return missing, unexpected + [name for name in tensors if name not in wanted]


def refuse_misfits(
    path: Path, module: nn.Module | Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> None:
    """Refuse a file's tensors that do not fit a module exactly.

    Raises:
        DataError: missing and unexpected names are told.
    """
    missing, unexpected = misfits(module, tensors)
    if missing or unexpected:
        told = [f"missing {', '.join(missing)}"] if missing else []
        told += [f"unexpected {', '.join(unexpected)}"] if unexpected else []
        raise DataError(f"{path} does not fit the model: {'; '.join(told)}.", path=path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        DataError: it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} cannot be read: {error}.", path=path) from error


def load_tensors(module: nn.Module, path: Path) -> None:
    """Load a safetensors file that fits a module exactly.

    Raises:
        DataError: it cannot be read, or does not fit; missing and unexpected names are told.
    """
    tensors = read_tensors(path)
    refuse_misfits(path, module, tensors)
    module.load_state_dict(tensors)
