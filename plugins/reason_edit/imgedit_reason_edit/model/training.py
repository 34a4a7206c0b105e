"""The `train` hook: a model on rows that `data reason_edit make` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec
import torch

from imgedit_modelkit.devices import choose_device, choose_precision, free_memory
from imgedit_modelkit.diffusion.training_forecast import Forecast, tell
from imgedit_modelkit.training import TrainConfig, on_main, processes
from imgedit_modelkit.training import train as run_training
from imgedit_modelkit.training_options import config_from
from imgedit_plugins.errors import OptionError, WeightsError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import Options, TrainReport, TrainRequest
from imgedit_reason_edit.model import folders
from imgedit_reason_edit.model.cached import Cached
from imgedit_reason_edit.model.checks import check_prompts
from imgedit_reason_edit.model.folders import Encoder, Kind, model_folder, read_config
from imgedit_reason_edit.model.results import write_model
from imgedit_reason_edit.model.rows import Told, parts_of, rows_of, split
from imgedit_reason_edit.model.task import Form, ReasonTask
from imgedit_reason_edit.model.trained import Start, load_reader
from imgedit_reason_edit.model.training_forecast import forecast, lighter
from imgedit_reason_edit.requirements import NAME

_STEPS = 10_000
"""Updates of InstructPix2Pix."""

_DECAY = 0.01
"""Weight decay of InstructPix2Pix: AdamW's own."""


def train(request: TrainRequest, job: Job) -> TrainReport:
    """Train, or go on with the training in `request.out`.

    With the option 'features' the frozen language model reads all rows first, as far as they are
    not in that folder, and is not loaded in the training. When it is finished, ``model/`` in the
    run folder is a model folder for `apply_edit`.

    Raises:
        WeightsError, DataError, OptionError: there is no model, no data, or no such device.
    """
    start = start_of(request.options, job)
    task = task_of(request, start, job)
    check_prompts(task)
    items = len(task.train_items())
    config = config_of(request, items, start.precision)
    steps = config.total_steps(items, processes())
    told = forecast(start, config, task.form)
    if request.options["dry-run"]:
        return TrainReport(run=request.out, metrics=told.figures(steps) | _to_read(task))
    _tell(task, config, told, steps, job)
    if start.cached:
        on_main(lambda: _read_rows(task, job))
        task = task_of(request, start, job)  # opens what the main process has written
    report = run_training(task, config, request.out, job)
    on_main(lambda: write_model(task, request.out))
    return report


def start_of(options: Options, job: Job) -> Start:
    """The model that a training begins with.

    Raises:
        WeightsError: there is none, or it lacks a part that this kind needs.
    """
    kind = cast("Kind", options["model"])
    folder = model_folder(str(options["weights"]))
    device = choose_device("auto")
    wanted = str(options["precision"])
    if wanted == "auto":  # mixed precision in fp16 needs a scaler, bf16 needs none
        wanted = "fp32" if device.type == "cpu" else "bf16"
    features = str(options["features"])
    if features and kind == "clip":
        job.warn("CLIP's text encoder is quick, so the option 'features' is not needed for it.")
    return Start(
        kind=kind,
        folder=folder,
        encoder=_encoder(folder, kind, options),
        precision=choose_precision(wanted, device, 0),
        dropout=float(options["dropout"]),
        lora=int(options["lora"]),
        cached=bool(features) and kind != "clip",
    )


def _encoder(folder: Path, kind: Kind, options: Options) -> Encoder | None:
    """The language model with the options' settings; a trained one keeps those of its training."""
    config = read_config(folder)
    if kind == "clip":
        folders.part(folder, folders.TEXT_ENCODER)
        return None
    if config.encoder is None:
        raise WeightsError(
            f"The model in {folder} has no language model, so it cannot become {kind}.",
            path=folder,
            hint=f"`imgedit-plugins weights import {NAME} --mllm FOLDER` makes one with it.",
        )
    prompt = str(options["prompt"])
    if folders.INSTRUCTION not in prompt:
        raise OptionError(
            f"The option 'prompt' has no {folders.INSTRUCTION}, for which the instruction stands."
        )
    return msgspec.structs.replace(
        config.encoder,
        layer=int(options["layer"]),
        tokens=cast("Any", options["tokens"]),
        prompt=prompt,
    )


def task_of(request: TrainRequest, start: Start, job: Job) -> ReasonTask:
    """The rows, and how they are learnt."""
    options = request.options
    parts = parts_of(str(options["parts"]))
    rows = rows_of(request.data, parts, cast("Told", options["instruction"]), job)
    train_rows, validation = split(
        rows[: int(options["limit"]) or None], float(options["validation"])
    )
    form = Form(
        size=int(options["size"]),
        longest=int(options["max-length"]),
        mirror=bool(options["mirror"]),
        shown=int(options["samples"]),
    )
    return ReasonTask(start, train_rows, validation, form, _cache(start, form, options))


def _cache(start: Start, form: Form, options: Options) -> Cached | None:
    if not start.cached:
        return None
    assert start.encoder is not None
    return Cached(
        Path(str(options["features"])),
        start.encoder,
        sees=start.sees,
        size=form.size,
        longest=form.longest,
        precision=start.precision,
    )


def config_of(request: TrainRequest, items: int, precision: torch.dtype) -> TrainConfig:
    """The settings of the loop: InstructPix2Pix's, whose learning rate stays as it is."""
    options = dict(request.options)
    if not (options["steps"] or options["epochs"]):
        options["steps"] = _STEPS
    rate = float(options["learning-rate"])
    return config_from(
        options,
        items,
        precision,
        request.seed,
        weight_decay=_DECAY,
        final_learning_rate=rate,
    )


def _read_rows(task: ReasonTask, job: Job) -> None:
    """Fill the cache; the language model is let go of afterwards."""
    missing = task.missing()
    if not missing:
        job.report("all features are cached; the language model is not loaded")
        return
    job.report("loading the language model")
    reader = load_reader(task.start).to(choose_device("auto"))
    task.fill(reader, job)
    del reader
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _to_read(task: ReasonTask) -> dict[str, float]:
    """For a report: what the language model has to read before the training."""
    return {"rows to read first": float(task.missing())} if task.start.cached else {}


def _tell(task: ReasonTask, config: TrainConfig, told: Forecast, steps: int, job: Job) -> None:
    """What it needs; where that is not free, with what would help."""
    free = free_memory(choose_device("auto"))
    tell(told, steps, free, lambda: lighter(task.start, config, task.form, free), job)
