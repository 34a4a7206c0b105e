"""A finished training as a model folder: what was learnt, and where the rest of it lies."""

from __future__ import annotations

from pathlib import Path

import msgspec

from imgedit_modelkit.configurations import Part
from imgedit_modelkit.diffusion.learning import below, write_learnt_unet
from imgedit_modelkit.run_files import Checkpoint
from imgedit_modelkit.runs import RunFolder
from imgedit_modelkit.tensor_files import open_checkpoint, save_tensors
from imgedit_reason_edit.model import folders
from imgedit_reason_edit.model.folders import read_config, write_config
from imgedit_reason_edit.model.task import ReasonTask

_PROJECTION, _UNET = "projection.", "diffusion.unet."


def write_model(task: ReasonTask, run: Path) -> None:
    """Write ``model/`` into a run folder; frozen parts stay where they are.

    Args:
        task: that was trained.
        run: the run folder; its best checkpoint counts.
    """
    best = RunFolder.open(run).best()
    assert best is not None  # a finished training has a checkpoint
    learnt = open_checkpoint(best.weights)
    start, folder = task.start, run / folders.MODEL
    folder.mkdir(exist_ok=True)
    write_learnt_unet(start.diffusion, below(learnt, _UNET), folder / folders.UNET)
    if start.kind != "clip":
        save_tensors(folder / folders.PROJECTION, below(learnt, _PROJECTION))
    before = read_config(start.folder)
    config = msgspec.structs.replace(
        before,
        model=start.kind,
        trained=True,
        encoder=start.encoder or before.encoder,
        base=str(start.folder.resolve()),
        lineage=(*before.lineage, _part(task, best, run)),
    )
    write_config(folder, config)


def _part(task: ReasonTask, best: Checkpoint, run: Path) -> Part:
    digest = best.record["files"][best.weights.name]["sha256"]
    return Part("training", f"{task.start.kind}, step {best.step}", digest, "", str(run.resolve()))
