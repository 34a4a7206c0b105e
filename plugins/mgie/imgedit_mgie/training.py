"""The `train` hook: a model of the family on rows that `data mgie prepare` made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch

from imgedit_mgie import folders
from imgedit_mgie.folders import Kind, model_folder, pix2pix_folder, read_config
from imgedit_mgie.results import write_model
from imgedit_mgie.rows import Told, read_rows
from imgedit_mgie.task import Form, Losses, MgieTask
from imgedit_mgie.trained import Start
from imgedit_mgie.training_forecast import forecast, lighter
from imgedit_modelkit.devices import choose_device, choose_precision, free_memory
from imgedit_modelkit.diffusion.training_forecast import Forecast, tell
from imgedit_modelkit.readers.splits import split_share
from imgedit_modelkit.training import TrainConfig, on_main, processes
from imgedit_modelkit.training import train as run_training
from imgedit_modelkit.training_options import config_from
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import Options, TrainReport, TrainRequest


def train(request: TrainRequest, job: Job) -> TrainReport:
    """Train, or go on with the training in `request.out`.

    When it is finished, ``model/`` in the run folder is a model folder for `apply_edit`.

    Raises:
        WeightsError, DataError, OptionError: there is no model, no data, or no such device.
    """
    options = request.options
    start = start_of(options)
    task = task_of(request, start, job)
    config = config_of(request, len(task.train_items()), start.precision)
    steps = config.total_steps(len(task.train_items()), processes())
    told = forecast(start, config, task.form)
    if options["dry-run"]:
        return TrainReport(run=request.out, metrics=told.figures(steps))
    _tell(task, config, told, steps, job)
    report = run_training(task, config, request.out, job)
    on_main(lambda: write_model(task, request.out, _speaking(start)))
    return report


def start_of(options: Options) -> Start:
    """The model that a training begins with.

    Raises:
        WeightsError: there is none, or it lacks a part that this kind needs.
    """
    kind = cast("Kind", options["model"])
    given = str(options["weights"])
    device = choose_device("auto")
    wanted = str(options["precision"])
    if wanted == "auto":  # mixed precision in fp16 needs a scaler, bf16 needs none
        wanted = "fp32" if device.type == "cpu" else "bf16"
    return Start(
        kind=kind,
        folder=_beginning(kind, given),
        precision=choose_precision(wanted, device, 0),
        dropout=float(options["dropout"]),
        writes=float(options["instruction-loss"]) > 0,
        lora=int(options["lora"]),
    )


def _beginning(kind: Kind, given: str) -> Path:
    """A model folder, or one of InstructPix2Pix for a kind that CLIP reads the text for."""
    if kind in ("mgie", "lgie"):
        folder = model_folder(given)
        if read_config(folder).head is None:
            raise WeightsError(
                f"The model in {folder} has no edit head, so it cannot become {kind.upper()}.",
                path=folder,
                hint="Begin with what `weights import mgie` makes (-O fresh=yes for a new one).",
            )
        return folder
    for place in (Path(given), Path(given) / folders.MODEL):  # the latter in a run folder
        if given and (place / folders.FILE).is_file() and read_config(place).head is None:
            return place
    return pix2pix_folder(given)


def _speaking(start: Start) -> Path | None:
    """The folder whose language model speaks for an FT model, where there is one."""
    if start.kind != "ft":
        return None
    try:
        return model_folder("")
    except WeightsError:
        return None


def task_of(request: TrainRequest, start: Start, job: Job) -> MgieTask:
    """The rows, and how they are learnt."""
    options = request.options
    rows = read_rows(request.data, cast("Told", options["instructions"]), job)
    rows = rows[: int(options["limit"]) or None]
    train_rows, validation = split_share(
        rows, float(options["validation"]), lambda row: str(row.id)
    )
    return MgieTask(
        start,
        train_rows,
        validation,
        Losses(float(options["instruction-loss"]), float(options["edit-loss"])),
        Form(
            size=int(options["size"]),
            longest=int(options["max-length"]),
            asked=cast("Any", options["prompt"]),
            shown=int(options["samples"]),
        ),
    )


def config_of(request: TrainRequest, items: int, precision: torch.dtype) -> TrainConfig:
    """The settings of the loop; the defaults are the paper's."""
    return config_from(request.options, items, precision, request.seed, weight_decay=0.0)


def _tell(task: MgieTask, config: TrainConfig, told: Forecast, steps: int, job: Job) -> None:
    """What it needs; where that is not free, with what would help."""
    free = free_memory(choose_device("auto"))
    tell(told, steps, free, lambda: lighter(task.start, config, task.form, free), job)
