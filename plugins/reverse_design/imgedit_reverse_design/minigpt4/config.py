"""What a model folder holds and says of itself; nothing here imports torch.

::

    minigpt4.json              this configuration, with the lineage
    projection.safetensors     the part that learns
    lora.safetensors           adapters in the language model, where they learn too
    tower.safetensors          the frozen vision model (with its Q-Former)
    language_model/            the frozen language model, as transformers saves it
    weights.json               what `weights import` wrote, with the hash of every file
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from imgedit_modelkit import configurations
from imgedit_modelkit.configurations import Part
from imgedit_reverse_design.minigpt4.prompts import Wrap

if TYPE_CHECKING:
    from imgedit_modelkit.adapters import Lora
    from imgedit_modelkit.vision_towers import TowerConfig

FILE = "minigpt4.json"
PROJECTION = "projection.safetensors"
LORA = "lora.safetensors"
TOWER = "tower.safetensors"
LANGUAGE_MODEL = "language_model"
MODEL = "model"
"""Folder in a run folder: what was learnt, beside the folder that its frozen parts lie in."""

MAX_NEW_TOKENS = 256
"""Where the authors break an answer off."""


class Tower(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields of the model kit's `TowerConfig`; joined 4 is MiniGPT-4's for LLaMA-2."""

    kind: Literal["eva", "clip"] = "eva"
    vision: dict[str, Any] = {}
    joined: int = 4
    queries: int = 0
    qformer: dict[str, Any] = {}
    layer: int = -1

    def config(self) -> TowerConfig:
        """The same for the model kit."""
        from imgedit_modelkit.vision_towers import TowerConfig

        return TowerConfig(**msgspec.to_builtins(self))


class Adapted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields of the model kit's `Lora`; the update is scaled by 2, as alpha is twice the rank."""

    rank: int
    targets: tuple[str, ...]

    def adapters(self) -> Lora:
        """The same for the model kit."""
        from imgedit_modelkit.adapters import Lora

        return Lora(self.targets, rank=self.rank, alpha=2 * self.rank)


class Config(configurations.Based, frozen=True, forbid_unknown_fields=True):
    """A model folder.

    Attributes:
        schema: 'imgedit-minigpt4/1'.
        tower: the vision model.
        wrap: how the language model wants its prompts ('llama-2', 'vicuna', 'plain').
        experiment: how the projection was trained; sets the special tokens.
        own_sentences: whether it was trained on our answers' sentences, so that constrained
            decoding may insist on them.
        lora: adapters in the language model, if there are any.
        lineage: what it was made of.
    """

    schema: Literal["imgedit-minigpt4/1"] = "imgedit-minigpt4/1"
    tower: Tower = Tower()
    wrap: Wrap = "llama-2"
    experiment: str = "1"
    own_sentences: bool = True
    lora: Adapted | None = None
    lineage: tuple[Part, ...] = ()


def read_config(folder: Path) -> Config:
    """The configuration of a model folder.

    Raises:
        DataError: there is none, or it is malformed.
    """
    return configurations.read(
        folder / FILE,
        Config,
        called="model folder",
        made_by="imgedit-plugins weights import reverse_design/minigpt4",
    )


def frozen_parts(folder: Path) -> Path:
    """Where the frozen parts of a model folder lie."""
    return Path(read_config(folder).base or folder)


def write_config(folder: Path, config: Config) -> Path:
    """Write the configuration; the folder is complete once it is there."""
    return configurations.write(folder / FILE, config)
