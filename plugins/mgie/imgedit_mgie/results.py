"""A finished training as a model folder: what was learnt, and where the rest of it lies."""

from __future__ import annotations

from pathlib import Path

import msgspec
from torch import Tensor

from imgedit_mgie import folders
from imgedit_mgie.folders import Config, read_config, write_config
from imgedit_mgie.task import MgieTask
from imgedit_mgie.trained import Start
from imgedit_modelkit.configurations import Part
from imgedit_modelkit.diffusion.learning import below, write_learnt_unet
from imgedit_modelkit.model_folders import link
from imgedit_modelkit.run_files import Checkpoint
from imgedit_modelkit.runs import RunFolder
from imgedit_modelkit.tensor_files import open_checkpoint, save_tensors

_TABLES = {
    "llava.language_model.model.embed_tokens.weight": "embed_tokens.weight",
    "llava.language_model.lm_head.weight": "lm_head.weight",
}
_HEAD, _UNET = "edit_head.", "diffusion.unet."


def write_model(task: MgieTask, run: Path, speaking: Path | None) -> None:
    """Write ``model/`` into a run folder; frozen parts stay where they are.

    Args:
        task: that was trained.
        run: the run folder; its best checkpoint counts.
        speaking: for FT, the folder of the language model that writes expressive instructions.
    """
    best = RunFolder.open(run).best()
    assert best is not None  # a finished training has a checkpoint
    learnt = open_checkpoint(best.weights)
    start, folder = task.start, run / folders.MODEL
    folder.mkdir(exist_ok=True)
    write_learnt_unet(start.diffusion, below(learnt, _UNET), folder / folders.UNET)
    if start.guided:
        save_tensors(folder / folders.EDIT_HEAD, below(learnt, _HEAD))
        _write_tables(learnt, start, folder)
        before = read_config(start.folder)
        base = str(start.folder.resolve())
        config = msgspec.structs.replace(
            before, model=start.kind, prompt=task.form.asked, base=base
        )
    else:
        _take_frozen(start, folder)
        base = str(speaking.resolve()) if speaking else ""
        config = Config(model=start.kind, prompt=task.form.asked, base=base)
    config = msgspec.structs.replace(config, lineage=(*config.lineage, _part(task, best, run)))
    write_config(folder, config)


def _part(task: MgieTask, best: Checkpoint, run: Path) -> Part:
    digest = best.record["files"][best.weights.name]["sha256"]
    return Part("training", f"{task.start.kind}, step {best.step}", digest, "", str(run.resolve()))


def _write_tables(learnt: dict[str, Tensor], start: Start, folder: Path) -> None:
    """The first and the last layer of the language model; one that was frozen is taken along."""
    tables = {ours: learnt[name] for name, ours in _TABLES.items() if name in learnt}
    if len(tables) < len(_TABLES):
        from imgedit_mgie.loading import load_llava

        llava = load_llava(start.folder)
        own = {"embed_tokens.weight": llava.table.weight, "lm_head.weight": llava.output.weight}
        tables = {**own, **tables}
    save_tensors(folder / folders.EMBEDDINGS, tables)


def _take_frozen(start: Start, folder: Path) -> None:
    """VAE, scheduler and text encoder: linked, since their own folder is no model of ours."""
    for name in (folders.VAE, folders.SCHEDULER, folders.TEXT_ENCODER, folders.TOKENIZER):
        place = folder / name
        place.mkdir(exist_ok=True)
        for path in start.place(name).iterdir():
            if path.suffix in (".json", ".txt", ".safetensors", ".model"):
                link(path, place / path.name)
