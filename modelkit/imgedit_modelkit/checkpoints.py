"""What a checkpoint holds: trained weights, their average, optimiser, random states. No pickle.

::

    weights.safetensors     the parameters that learn, and no others
    ema.safetensors         their running average, where one is kept
    buffers.safetensors     buffers that training changed, such as those of a batch norm
    optimizer.safetensors   its state, for each parameter by name
    random.json             states of the random generators, of each process
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from imgedit_modelkit import modes
from imgedit_modelkit.ema import RunningAverage
from imgedit_modelkit.errors import RunError
from imgedit_modelkit.run_files import EMA_WEIGHTS, WEIGHTS, Checkpoint
from imgedit_modelkit.runs import RunFolder
from imgedit_modelkit.sharding import share_of

BUFFERS, OPTIMIZER, RANDOM = "buffers.safetensors", "optimizer.safetensors", "random.json"


def contents(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: RunningAverage | None,
    buffers_before: Mapping[str, str],
) -> dict[str, dict[str, torch.Tensor]]:
    """The tensors of a checkpoint, by file: no copies.

    Args:
        model: after a whole step, like the next two.
        optimizer: AdamW.
        average: None where none is kept.
        buffers_before: `modes.buffer_hashes` of the model as it was built.
    """
    parameters = modes.trained(model)
    files: dict[str, dict[str, torch.Tensor]] = {WEIGHTS: {**parameters}}
    if average is not None:
        files[EMA_WEIGHTS] = average.averages
    now = modes.buffer_hashes(model)
    changed = {n: b for n, b in model.named_buffers() if n in now and now[n] != buffers_before[n]}
    if changed:
        files[BUFFERS] = changed
    files[OPTIMIZER] = {
        f"{name}/{key}": value
        for name, parameter in parameters.items()
        for key, value in optimizer.state[parameter].items()
    }
    return files


def write(
    folder: Path,
    files: Mapping[str, Mapping[str, torch.Tensor]],
    random_states: list[dict[str, Any]],
) -> None:
    """Write all files of a checkpoint into an empty folder.

    Args:
        folder: where.
        files: `contents`, whole.
        random_states: of each process, in order.
    """
    for name, tensors in files.items():
        _save(folder / name, tensors)
    (folder / RANDOM).write_text(json.dumps(random_states), "utf-8")


def read(
    checkpoint: Checkpoint,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: RunningAverage | None,
    process: int,
) -> dict[str, Any]:
    """Put a checkpoint into the model, the optimiser and the average.

    Returns:
        The random states of this process, to be put back last of all.

    Raises:
        RunError: the model has other parameters.
    """
    _put(checkpoint, checkpoint.path / WEIGHTS, model)
    parameters = modes.trained(model)
    for key, value in load_file(checkpoint.path / OPTIMIZER).items():
        name, _, what = key.rpartition("/")
        # AdamW counts its steps on the CPU, wherever the weights are.
        own = value if what == "step" else share_of(value, parameters[name])
        optimizer.state[parameters[name]][what] = own
    if average is not None:
        averages = load_file(checkpoint.path / EMA_WEIGHTS)
        average.load({name: share_of(averages[name], p) for name, p in parameters.items()})
    states: list[dict[str, Any]] = json.loads((checkpoint.path / RANDOM).read_text("utf-8"))
    return states[process]


def load_weights(model: nn.Module, run: Path, *, best: bool = True) -> Checkpoint:
    """Put what a run has learned into a model that was built as for training.

    Args:
        model: its parts that learn have `requires_grad`, its frozen parts are those of the run.
        run: the run folder.
        best: the best checkpoint, or else the newest.

    Returns:
        The checkpoint; the running average was taken where it has one.

    Raises:
        RunError: there is no checkpoint, its files are damaged, or the model is another one.
    """
    folder = RunFolder.open(run)
    checkpoint = folder.best() if best else folder.latest()
    if checkpoint is None:
        raise RunError(f"{run} has no checkpoint yet.", path=run)
    if faults := checkpoint.faults():
        raise RunError(f"A checkpoint is damaged: {'; '.join(faults)}.", path=checkpoint.path)
    check_frozen(checkpoint, modes.frozen_hashes(model))
    _put(checkpoint, checkpoint.weights, model)
    return checkpoint


def check_frozen(checkpoint: Checkpoint, hashes: Mapping[str, str]) -> None:
    """Raise RunError where a model's frozen parts are not those that a checkpoint was made with."""
    before = checkpoint.record["frozen"]
    differing = [part for part in {**before, **hashes} if before.get(part) != hashes.get(part)]
    if differing:
        raise RunError(
            f"The frozen part {differing[0]!r} of the model is not the one that "
            f"{checkpoint.path} was trained with.",
            path=checkpoint.path,
            hint="Load the same frozen weights; their SHA-256 are in the file checkpoint.json.",
        )


def _put(checkpoint: Checkpoint, weights: Path, model: nn.Module) -> None:
    parameters, values = modes.trained(model), load_file(weights)
    missing, foreign = sorted(parameters.keys() - values), sorted(values.keys() - parameters)
    if missing or foreign:
        one = f"lacks {missing[0]!r}" if missing else f"has {foreign[0]!r}, which nobody asked for"
        raise RunError(
            f"{weights} {one} ({len(missing)} parameters missing, {len(foreign)} unexpected).",
            path=weights,
            hint="Build the model with the settings that it was trained with.",
        )
    other = [name for name, p in parameters.items() if p.shape != values[name].shape]
    if other:
        shapes = f"{tuple(values[other[0]].shape)}, not {tuple(parameters[other[0]].shape)}"
        raise RunError(f"{weights}: {other[0]!r} has the shape {shapes}.", path=weights)
    buffers = dict(model.named_buffers())
    path = checkpoint.path / BUFFERS
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(share_of(values[name], parameter))
        for name, value in (load_file(path) if path.exists() else {}).items():
            buffers[name].copy_(value)


def _save(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    # Clones: the file format refuses tensors that share memory.
    save_file({name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}, path)
