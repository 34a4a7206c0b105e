"""The parts of a model folder, each loaded by itself, on the CPU."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from imgedit_mgie import folders
from imgedit_mgie.edit_head import EditHead
from imgedit_mgie.folders import part, read_config
from imgedit_mgie.llava import Llava
from imgedit_modelkit.model_folders import load_language_model
from imgedit_modelkit.tensor_files import load_tensors, misfits, open_checkpoint
from imgedit_plugins.errors import DataError

VISUAL = "emb"
"""In the edit head's file: embeddings of the visual tokens that it was trained with."""


def load_llava(folder: Path, dtype: torch.dtype = torch.float32) -> Llava:
    """The language model and what it sees with.

    Raises:
        DataError: the folder has none, or a file is missing or does not fit.
    """
    config = read_config(folder)
    if config.language is None:
        raise DataError(f"The model in {folder} has no language model.", path=folder)
    model, tokenizer = load_language_model(part(folder, folders.LANGUAGE_MODEL), dtype)
    llava = Llava(config.language, model, tokenizer)
    load_tensors(llava.tower, part(folder, folders.TOWER))
    load_tensors(llava.projector, part(folder, folders.PROJECTOR))
    if (folder / folders.EMBEDDINGS).is_file():
        _put_embeddings(llava, folder / folders.EMBEDDINGS)
    llava.requires_grad_(requires_grad=False)
    llava.tower.to(dtype)
    llava.projector.to(dtype)
    return llava.eval()


def load_head(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[EditHead, Tensor | None]:
    """The edit head, and the embeddings of the visual tokens where its file has them.

    Raises:
        DataError: the folder has none, or the file does not fit.
    """
    sizes = read_config(folder).head
    if sizes is None:
        raise DataError(f"The model in {folder} has no edit head.", path=folder)
    path = part(folder, folders.EDIT_HEAD)
    tensors = open_checkpoint(path)
    visual = tensors.pop(VISUAL, None)
    head = EditHead(sizes)
    missing, unexpected = misfits(head, tensors)
    if missing or unexpected:
        raise DataError(
            f"{path} does not fit the edit head: missing {', '.join(missing) or 'nothing'}, "
            f"unexpected {', '.join(unexpected) or 'nothing'}.",
            path=path,
        )
    head.load_state_dict(tensors)
    return head.to(dtype).eval(), None if visual is None else visual.to(dtype)


def _put_embeddings(llava: Llava, path: Path) -> None:
    """What a training made of the first and the last layer."""
    tensors = open_checkpoint(path)
    places = {"embed_tokens.weight": llava.table.weight, "lm_head.weight": llava.output.weight}
    wrong = [n for n in {*places, *tensors} if n not in places or n not in tensors]
    wrong += [n for n, p in places.items() if n in tensors and tensors[n].shape != p.shape]
    if wrong:
        raise DataError(f"{path} does not fit the language model: {', '.join(wrong)}.", path=path)
    with torch.no_grad():
        for name, parameter in places.items():
            parameter.copy_(tensors[name])
