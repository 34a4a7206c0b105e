"""`import_weights`: the published files become a model folder.

Taken are EVA ViT-g/14, MiniGPT-4's stage-2 checkpoint or the authors' own (whose projection then
counts), BLIP-2's Q-Former for the Vicuna variant, and a language model's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from imgedit_modelkit.configurations import lineage
from imgedit_modelkit.model_folders import empty_language_model, take_language_model
from imgedit_modelkit.tensor_files import misfits, open_checkpoint, save_tensors
from imgedit_modelkit.vision_towers import VisionTower, from_blip2
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import WeightsReport, WeightsRequest
from imgedit_reverse_design.minigpt4 import config as folders
from imgedit_reverse_design.minigpt4.checkpoints import (
    eva_tensors,
    projection_tensors,
    with_qformer,
)
from imgedit_reverse_design.minigpt4.config import Config, Tower, write_config

WEIGHTS = "minigpt4"

_LN_VISION = ("vision.post_layernorm.weight", "vision.post_layernorm.bias")
_PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def import_weights(request: WeightsRequest, job: Job) -> WeightsReport:
    """Check every key of the user's files and write the model folder.

    All is checked before the first file is written, so that a model folder that is there stays as
    it is when an import is refused (a pickled language model is checked when it is converted).
    Missing keys of the tower and the language model are errors; everything that nobody has a place
    for is told, and left out. Without a Q-Former the layer norm behind the vision model stays as
    it begins (ones and zeros): so has MiniGPT-4 it, and no file holds it.

    Raises:
        WeightsError: a file cannot be read, is another model's, or lacks tensors.
    """
    files, out = request.files, request.out
    job.report("reading the vision model", 0, 4)
    tower, tensors, notes = _tower(files)
    job.report("reading the projection", 1, 4)
    projection, unexpected = _projection(files, job)
    _check_widths(projection, tower, files)
    job.report("taking the language model", 2, 4)
    written, strange = take_language_model(
        files["language-model"], out / folders.LANGUAGE_MODEL, job
    )
    job.report("writing", 3, 4)
    precision = _PRECISIONS[str(request.options.get("precision", "fp16"))]
    written.append(save_tensors(out / folders.TOWER, tensors, precision))
    written.append(save_tensors(out / folders.PROJECTION, projection, torch.float32))
    config = Config(
        tower=tower,
        wrap=str(request.options.get("wrap", "llama-2")),  # type: ignore[arg-type]
        own_sentences=False,
        lineage=tuple(lineage(Path(__file__).parents[1], WEIGHTS, files, job)),
    )
    written.append(write_config(out, config))
    return WeightsReport(
        files=tuple(written),
        missing_keys=tuple(notes.missing),
        unexpected_keys=(*notes.unexpected, *unexpected, *strange),
    )


@dataclass(frozen=True)
class _Notes:
    """Keys that did not fit and are no reason to stop."""

    missing: list[str]
    unexpected: list[str]


# --- tower ------------------------------------------------------------------------------------


def _tower(files: Mapping[str, Path]) -> tuple[Tower, dict[str, Tensor], _Notes]:
    """The tower and its tensors, complete."""
    tower, tensors = eva_tensors(open_checkpoint(files["eva"]), files["eva"])
    left_out: list[str] = []
    if "qformer" in files:
        checkpoint = open_checkpoint(files["qformer"])
        tower, more = with_qformer(tower, checkpoint, files["qformer"])
        tensors |= more
        left_out = [name for name, t in checkpoint.items() if not from_blip2({name: t})]
    with torch.device("meta"):
        empty = VisionTower(tower.config())
    missing, unexpected = misfits(empty, tensors)
    left = [name for name in missing if name in _LN_VISION]
    if hard := [name for name in missing if name not in left]:
        more_told = f"; unexpected: {', '.join(unexpected)}" if unexpected else ""
        raise WeightsError(
            f"{files['eva']} lacks tensors of the vision model: {', '.join(hard)}{more_told}.",
            path=files["eva"],
        )
    wanted = set(empty.state_dict())
    kept = {name: tensor for name, tensor in tensors.items() if name in wanted}
    width = tower.vision["hidden_size"]
    for name in left:
        kept[name] = torch.ones(width) if name.endswith("weight") else torch.zeros(width)
    return tower, kept, _Notes([f"{n} (stays as it begins)" for n in left], unexpected + left_out)


# --- projection -------------------------------------------------------------------------------


def _projection(files: Mapping[str, Path], job: Job) -> tuple[dict[str, Tensor], list[str]]:
    """The projection of the authors' checkpoint, or else that of MiniGPT-4."""
    path = files.get("checkpoint") or files["projection"]
    tensors, unexpected = projection_tensors(open_checkpoint(path))
    missing = [name for name in ("weight", "bias") if name not in tensors]
    if missing:
        raise WeightsError(
            f"{path} lacks llama_proj.{' and llama_proj.'.join(missing)}.",
            path=path,
            hint="MiniGPT-4's checkpoints have both under 'model'.",
        )
    if extra := [name for name in tensors if name not in ("weight", "bias")]:
        unexpected += [f"llama_proj.{name}" for name in extra]
    job.check()
    return {name: tensors[name] for name in ("weight", "bias")}, unexpected


def _check_widths(
    projection: Mapping[str, Tensor], tower: Tower, files: Mapping[str, Path]
) -> None:
    config = empty_language_model(files["language-model"]).config
    with torch.device("meta"):
        wide = VisionTower(tower.config()).width
    wanted = (int(config.hidden_size), wide)
    found = tuple(projection["weight"].shape)
    if found != wanted or projection["bias"].shape != wanted[:1]:
        path = files.get("checkpoint") or files["projection"]
        raise WeightsError(
            f"The projection of {path} leads from {found[1]} to {found[0]}, and it must lead from "
            f"{wanted[1]} (the vision model) to {wanted[0]} (the language model).",
            path=path,
            hint="With Vicuna, --qformer must be given; with LLaMA-2 it must not.",
        )
