"""The released files of MGIE: `mllm.pt` and `unet.pt`, and what their names mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from imgedit_mgie.edit_head import EditHead, layers_of, sizes_of
from imgedit_mgie.folders import Head
from imgedit_modelkit.tensor_files import misfits, open_checkpoint
from imgedit_plugins.errors import WeightsError

_HEAD = "edit_head."
_EMBEDDINGS, _OUTPUT, _VISUAL = "embed_tokens.weight", "lm_head.weight", "emb"


@dataclass(frozen=True)
class Mllm:
    """What `mllm.pt` holds.

    Attributes:
        embeddings, output: (vocabulary, width).
        head: the edit head's tensors, without their prefix.
        sizes: of the edit head.
        visual: (visual tokens, width), or None: the input embeddings with which it was trained.
        unexpected: names that nobody has a place for.
    """

    embeddings: Tensor
    output: Tensor
    head: dict[str, Tensor]
    sizes: Head
    visual: Tensor | None
    unexpected: tuple[str, ...]


def open_mllm(path: Path) -> Mllm:
    """Read `mllm.pt` and check every name of it.

    Raises:
        WeightsError: something is missing or has another shape; all of it is named.
    """
    tensors = open_checkpoint(path)
    head = {n.partition(_HEAD)[2]: t for n, t in tensors.items() if _HEAD in n}
    others = {n: t for n, t in tensors.items() if _HEAD not in n}
    found = {
        wanted: next((n for n in others if n == wanted or n.endswith(f".{wanted}")), None)
        for wanted in (_EMBEDDINGS, _OUTPUT, _VISUAL)
    }
    sizes = sizes_of(head)
    absent = [n for n in (_EMBEDDINGS, _OUTPUT) if found[n] is None]
    missing = [f"model.{n}" if n == _EMBEDDINGS else n for n in absent]
    strange = [n for n in others if n not in found.values()]
    if sizes is None:
        layers = layers_of(head) or Head().layers
        missing += [f"{_HEAD}{n}" for n in _names(Head(layers=layers)) if n not in head]
    else:
        lacking, left = _fit(head, sizes)
        missing += lacking
        strange += left
    if missing or sizes is None:
        told = f"; unexpected: {', '.join(strange)}" if strange else ""
        raise WeightsError(f"{path} lacks {', '.join(missing)}{told}.", path=path)
    visual = found[_VISUAL]
    return Mllm(
        others[str(found[_EMBEDDINGS])],
        others[str(found[_OUTPUT])],
        {name: head[name] for name in _names(sizes)},
        sizes,
        others[visual].reshape(-1, sizes.width) if visual else None,
        tuple(strange),
    )


def _fit(head: dict[str, Tensor], sizes: Head) -> tuple[list[str], list[str]]:
    missing, unexpected = misfits(_empty(sizes), head)
    return [f"{_HEAD}{n}" for n in missing], [f"{_HEAD}{n}" for n in unexpected]


def _names(sizes: Head) -> list[str]:
    return list(_empty(sizes).state_dict())


def _empty(sizes: Head) -> EditHead:
    with torch.device("meta"):
        return EditHead(sizes)
