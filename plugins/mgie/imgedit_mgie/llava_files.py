"""LLaVA as it is published: its own form (1.0, deltas, 1.5) and that of transformers.

::

    1.0         model.layers..., model.mm_projector.weight            CLIP lies elsewhere
    1.5         model.layers..., model.mm_projector.0.weight, .2.weight
    transformers  language_model.model..., multi_modal_projector.linear_1..., vision_tower...

Tensors are read when they are written, so that no model stands in memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imgedit_mgie.folders import Language
from imgedit_modelkit.tensor_folders import TensorFolder
from imgedit_plugins.errors import WeightsError

EMBEDDINGS, OUTPUT = "model.embed_tokens.weight", "lm_head.weight"

_LLAMA = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "hidden_act", "max_position_embeddings", "rms_norm_eps",
    "rope_theta", "rope_scaling", "rope_parameters", "bos_token_id", "eos_token_id",
)  # fmt: skip
"""Fields of LLaVA's configuration that are LLaMA's. Not its padding token: LLaMA's is -1, which
would silence the last row of the embeddings, a visual token's."""

_CLIP = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size",
    "patch_size", "hidden_act", "layer_norm_eps", "projection_dim",
)  # fmt: skip

_PROJECTOR = {
    "model.mm_projector.": "",
    "model.multi_modal_projector.": "",
    "multi_modal_projector.": "",
}
_RENUMBERED = {"0.": "linear_1.", "2.": "linear_2."}
_TOWER = re.compile(r"^(?:model\.)?vision_tower\.(?:vision_tower\.)?(?:vision_model\.)?")
_LANGUAGE = re.compile(r"^(?:language_model\.model\.|model\.language_model\.|model\.)")

_DELTA = 0.1
"""The last norm's weights are above 1 in LLaMA, and near 0 in a difference of two LLaMAs."""


@dataclass(frozen=True)
class Llava:
    """A LLaVA on the disk.

    Attributes:
        folder: its own.
        language: how it sees; `vision` is empty where CLIP lies elsewhere.
        fields: of the language model's configuration.
        tensors: our name of each of the language model's tensors -> its name in the folder.
        projector, tower: tensors under our names; the tower's may be none.
        source: the folder's tensors.
        base: those that are added to them, or None.
    """

    folder: Path
    language: Language
    fields: Mapping[str, Any]
    tensors: Mapping[str, str]
    projector: Mapping[str, Tensor]
    tower: Mapping[str, Tensor]
    source: TensorFolder
    base: TensorFolder | None

    def tensor(self, name: str) -> Tensor:
        """One of the language model's, the base added where there is one."""
        found = self.source[self.tensors[name]]
        if self.base is None:
            return found
        return _sum(found, self.base[name])


def open_llava(folder: Path, base: Path | None) -> Llava:
    """Find out what a folder holds.

    Args:
        folder: of LLaVA, or of its delta.
        base: LLaMA's folder, where it is a delta.

    Raises:
        WeightsError: it is no LLaVA, or a delta without its base, or the base is another model.
    """
    config = _config(folder)
    source = TensorFolder(folder)
    projector, tower, tensors = _sorted(source)
    if not projector or EMBEDDINGS not in tensors or OUTPUT not in tensors:
        raise WeightsError(
            f"{folder} is no LLaVA: it lacks its projector or its language model.", path=folder
        )
    text = config.get("text_config", config)
    kind = "linear" if "weight" in projector else "mlp"
    if "text_config" in config:
        vision = {n: v for n, v in config["vision_config"].items() if n in _CLIP}
        layer = int(config.get("vision_feature_layer", -2))
        language = Language(kind, vision, layer, patch="<image>", start="", end="")  # type: ignore[arg-type]
    else:
        layer = int(config.get("mm_vision_select_layer", -2))
        language = Language(kind, {}, layer)  # type: ignore[arg-type]
    made = Llava(
        folder,
        language,
        {n: text[n] for n in _LLAMA if text.get(n) is not None},
        tensors,
        projector,
        tower,
        source,
        TensorFolder(base) if base else None,
    )
    _check_delta(made, base)
    return made


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{folder} is no model of transformers: its config.json cannot be read ({error}).",
            path=folder,
        ) from error
    return found if isinstance(found, dict) else {}


def _sorted(source: TensorFolder) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, str]]:
    """Projector, tower and language model, under our names."""
    projector: dict[str, Tensor] = {}
    tower: dict[str, Tensor] = {}
    language: dict[str, str] = {}
    for name in source:
        begin = next((p for p in _PROJECTOR if name.startswith(p)), None)
        if begin is not None:
            inner = name.removeprefix(begin)
            projector[_RENUMBERED.get(inner[:2], inner[:2]) + inner[2:]] = source[name]
        elif _TOWER.match(name):
            tower[_TOWER.sub("", name)] = source[name]
        elif name.endswith(OUTPUT):
            language[OUTPUT] = name
        else:
            language[_LANGUAGE.sub("model.", name)] = name
    return projector, tower, language


def _sum(delta: Tensor, base: Tensor) -> Tensor:
    """The base added to its delta, which may have more rows (tokens) than it."""
    result = delta.float().clone()
    result[tuple(slice(0, size) for size in base.shape)] += base.float()
    return result


def _check_delta(llava: Llava, base: Path | None) -> None:
    norm = "model.norm.weight"
    if norm not in llava.tensors:
        return  # the check of all names says so
    size = float(llava.source[llava.tensors[norm]].float().abs().mean())
    if llava.base is None:
        if size < _DELTA:
            raise WeightsError(
                f"{llava.folder} looks like a delta: the weights of its last norm are near zero.",
                path=llava.folder,
                hint="Give LLaMA-7B's folder with --base, and the delta is added to it.",
            )
        return
    if size > _DELTA:
        raise WeightsError(
            f"{llava.folder} is no delta: the weights of its last norm are not near zero.",
            path=llava.folder,
            hint="Leave --base out.",
        )
    _check_base(llava, llava.base, base)


def _check_base(llava: Llava, base: TensorFolder, path: Path | None) -> None:
    wrong = []
    for name, there in llava.tensors.items():
        shape = llava.source.shape(there)
        if name not in base:
            wrong.append(f"{name} is missing")
        elif any(b > s for b, s in zip(base.shape(name), shape, strict=True)) or (
            base.shape(name) != shape and name not in (EMBEDDINGS, OUTPUT)
        ):
            wrong.append(f"{name} is {base.shape(name)}, not {shape}")
    if wrong:
        raise WeightsError(
            f"{path} is not what {llava.folder} is a delta of: {', '.join(wrong)}.", path=path
        )


def clip_tensors(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The vision half of a CLIP's folder: fields of its configuration, and its tensors.

    Raises:
        WeightsError: it has none.
    """
    config = _config(folder)
    fields = config.get("vision_config", config)
    source = TensorFolder(folder)
    whole = any(name.startswith("vision_model.") for name in source)
    names = [n for n in source if n.startswith("vision_model.") or not whole]
    tensors = {n.removeprefix("vision_model."): source[n] for n in names}
    if "embeddings.class_embedding" not in tensors:
        raise WeightsError(f"{folder} holds no vision model of CLIP.", path=folder)
    return {n: fields[n] for n in _CLIP if n in fields}, tensors


def stretched(rows: int, table: Tensor) -> Tensor:
    """A table of embeddings with more rows, each the mean of those that were there."""
    added = rows - len(table)
    if added <= 0:
        return table
    mean = table.float().mean(0, keepdim=True).expand(added, -1).to(table.dtype)
    return torch.cat([table, mean])
