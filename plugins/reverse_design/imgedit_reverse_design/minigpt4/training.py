"""The `train` hook: fine-tune the projection (and adapters) on a folder in I-MAD's layout."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import torch

from imgedit_modelkit.adapters import quantisation
from imgedit_modelkit.configurations import Part
from imgedit_modelkit.devices import (
    choose_bits,
    choose_device,
    choose_precision,
    free_memory,
    stored_bytes,
)
from imgedit_modelkit.readers.imad import ImadRow, read_imad
from imgedit_modelkit.readers.splits import split_by_image
from imgedit_modelkit.runs import RunFolder
from imgedit_modelkit.training import TrainConfig, on_main, processes, shares
from imgedit_modelkit.training import train as run_training
from imgedit_modelkit.vision_towers import VisionTower
from imgedit_plugins.atomic import atomic_write
from imgedit_plugins.errors import DataError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import Options, TrainReport, TrainRequest
from imgedit_reverse_design.minigpt4 import config as folders
from imgedit_reverse_design.minigpt4.config import Adapted, write_config
from imgedit_reverse_design.minigpt4.forecast import Forecast, forecast
from imgedit_reverse_design.minigpt4.model import Frozen
from imgedit_reverse_design.minigpt4.predicting import model_folder
from imgedit_reverse_design.minigpt4.task import ReverseDesignTask, Setting, config_of
from imgedit_reverse_design.minigpt4.tower_cache import TowerCache

WEIGHT_DECAY = 0.05
WARMUP_RATE = 1e-6
"""The paper's, like the defaults of the options."""


def train(request: TrainRequest, job: Job) -> TrainReport:
    """Train, or go on with the training in `request.out`.

    When it is finished, ``model/`` in the run folder is a model folder for `predict`.

    Raises:
        WeightsError, DataError, OptionError: there is no model, no data, or no such device.
        MissingPackageError, TrainingError: few bits cannot be had here.
        RunError: the cache of features would not fit.
    """
    options = request.options
    folder = model_folder(str(options["weights"]))
    device = choose_device("auto")
    stored = stored_bytes(folders.frozen_parts(folder))
    precision = choose_precision(str(options["precision"]), device, stored)
    rows = _rows(request, job)
    config = _config(request, precision)
    setting = Setting(
        folder=folder,
        experiment=str(options["experiment"]),
        fresh=bool(options["fresh"]),
        frozen=Frozen(precision, choose_bits(str(options["bits"])), device),
        lora=_lora(options, folder),
        answers=int(options["answers"]),
    )
    steps = config.total_steps(len(rows["train"]), processes())
    told = forecast(
        folder,
        batch=config.batch_size,
        frozen=setting.frozen,
        lora=config_of(setting).lora,
        checkpointing=config.gradient_checkpointing,
        shares=shares(config),
    )
    if options["dry-run"]:
        return TrainReport(run=request.out, metrics=_figures(told, steps))
    if told.memory > free_memory(device):
        job.warn(
            f"This training may not fit: it needs {told.sentence(steps)}, and "
            f"{free_memory(device) / 1e9:.1f} GB are free."
        )
    if setting.frozen.bits:
        quantisation(setting.frozen.bits, device)  # tells what is wrong before a folder is made
    used = [row for part in ("train", "validation") for row in rows[part]]
    cache = _cache(request, setting, used, job)
    task = ReverseDesignTask(setting, rows["train"], rows["validation"], cache=cache, job=job)
    report = run_training(task, config, request.out, job)
    on_main(lambda: _write_model(task, request.out))
    return report


def _rows(request: TrainRequest, job: Job) -> dict[str, Sequence[ImadRow]]:
    parts = split_by_image(read_imad(request.data, job))
    limit = int(request.options["limit"])
    rows: dict[str, Sequence[ImadRow]] = {
        name: part[: limit or None] for name, part in parts.items()
    }
    if not rows["train"]:
        raise DataError(f"{request.data} has too few pictures to train on.", path=request.data)
    return rows


def _config(request: TrainRequest, precision: torch.dtype) -> TrainConfig:
    options = request.options
    steps = int(options["steps"])
    mixed = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[precision]
    return TrainConfig(
        steps=steps or None,
        epochs=None if steps else float(options["epochs"]),
        batch_size=int(options["batch-size"]),
        accumulate=int(options["accumulate"]),
        learning_rate=float(options["learning-rate"]),
        final_learning_rate=0.8 * float(options["learning-rate"]),
        warmup_steps=int(options["warmup-steps"]),
        warmup_learning_rate=min(WARMUP_RATE, float(options["learning-rate"])),
        weight_decay=WEIGHT_DECAY,
        clip=None,
        precision=mixed,  # type: ignore[arg-type]
        sharding=cast("Any", options["sharding"]),
        validate_every=int(options["validate-every"]),
        checkpoint_every=int(options["validate-every"]),
        gradient_checkpointing=bool(options["gradient-checkpointing"]),
        num_workers=int(options["workers"]),
        tensorboard=bool(options["tensorboard"]),
        seed=request.seed,
    )


def _lora(options: Options, folder: Path) -> Adapted | None:
    """The adapters that shall learn.

    Raises:
        OptionError: the folder has others.
    """
    if not int(options["lora"]):
        return None
    targets = [name.strip() for name in str(options["lora-targets"]).split(",")]
    wanted = Adapted(int(options["lora"]), tuple(name for name in targets if name))
    there = folders.read_config(folder).lora
    if there not in (None, wanted) and not options["fresh"]:
        assert there is not None
        raise OptionError(
            f"The adapters in {folder} have rank {there.rank} in {','.join(there.targets)}, not "
            f"{wanted.rank} in {','.join(wanted.targets)}.",
            hint=f"Use lora={there.rank} and lora-targets={','.join(there.targets)}, or fresh=yes.",
        )
    return wanted


def _cache(
    request: TrainRequest, setting: Setting, rows: Sequence[ImadRow], job: Job
) -> TowerCache | None:
    """The cache of the tower's features that the options ask for.

    Raises:
        RunError: they do not fit.
    """
    place, limit = str(request.options["cache"]), float(request.options["cache-limit"])
    if not place:
        return None
    cache = TowerCache(
        Path(place), config_of(setting), setting.frozen.dtype, int(limit * 1e9) or None
    )
    cache.hash_pictures([path for row in rows for path in (row.source, row.edited)], job)
    with torch.device("meta"):
        cache.check_room(VisionTower(cache.config.tower.config()))
    return cache


def _figures(told: Forecast, steps: int) -> dict[str, float]:
    parts = {f"parameters of the {name}": float(n) for name, n in told.parameters.items()}
    return parts | {
        "memory, GB": told.memory / 1e9,
        "steps": float(steps),
        "seconds a step": told.seconds,
        "hours": told.seconds * steps / 3600,
    }


def _write_model(task: ReverseDesignTask, run: Path) -> None:
    """A model folder with what was learnt; the frozen parts stay where they are."""
    from safetensors.torch import load_file, save_file

    best = RunFolder.open(run).best()
    assert best is not None  # a finished training has a checkpoint
    folder = run / folders.MODEL
    folder.mkdir(exist_ok=True)
    parts = {folders.PROJECTION: "projection.", folders.LORA: "language.language_model."}
    learnt = load_file(best.weights)
    for name, prefix in parts.items():
        tensors = {n.removeprefix(prefix): t for n, t in learnt.items() if n.startswith(prefix)}
        if tensors:
            with atomic_write(folder / name) as temporary:
                save_file(tensors, temporary)
    if task.config.lora is not None and task.setting.lora is None:  # they were not to learn
        with atomic_write(folder / folders.LORA) as temporary:
            shutil.copyfile(task.setting.folder / folders.LORA, temporary)
    how = f"experiment {task.setting.experiment}, step {best.step}"
    digest = best.record["files"][best.weights.name]["sha256"]
    part = Part("training", how, digest, "", str(run.resolve()))
    config = msgspec.structs.replace(task.config, lineage=(*task.config.lineage, part))
    write_config(folder, config)
