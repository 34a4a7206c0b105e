"""What a model folder holds and says of itself; nothing here imports torch.

::

    reason_edit.json           this configuration, with the lineage
    mllm/                      the vision-language model, as transformers saves it
    projection.safetensors     from its hidden states to what the UNet attends to
    text_encoder/, tokenizer/  CLIP's, which reads the instruction instead in the kind 'clip'
    unet/, vae/, scheduler/    the diffusion model, as diffusers saves it
    weights.json               what `weights import` wrote, with the hash of every file
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from imgedit_modelkit import configurations
from imgedit_modelkit.configurations import Part
from imgedit_plugins import weights
from imgedit_plugins.errors import WeightsError
from imgedit_reason_edit.requirements import NAME

FILE = "reason_edit.json"
MLLM = "mllm"
PROJECTION = "projection.safetensors"
TEXT_ENCODER, TOKENIZER = "text_encoder", "tokenizer"
UNET, VAE, SCHEDULER = "unet", "vae", "scheduler"
MODEL = "model"
"""Folder in a run folder: what was learnt."""

Kind = Literal["reason_pix2pix", "text", "clip"]
KINDS: tuple[Kind, ...] = ("reason_pix2pix", "text", "clip")

WEIGHTS = "reason-pix2pix"
"""Id of the weights that `weights import` makes."""

PROMPT, WORDS = 700, 80
"""Tokens of a prompt with a picture (576 in LLaVA 1.5) and without one, roughly, for forecasts."""

INSTRUCTION = "{instruction}"
"""In the prompt, where the instruction stands."""


class Encoder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The vision-language model, and what of it guides the UNet (eq. 8).

    Attributes:
        sha256: over the files of its folder.
        width: of its hidden states.
        layer: of the hidden states, as transformers counts them.
        tokens: 'text' or 'all', see `picture_features.Reading`.
        prompt: what it is told; the instruction stands for '{instruction}'.
    """

    sha256: str
    width: int
    layer: int = -1
    tokens: Literal["text", "all"] = "text"
    prompt: str = INSTRUCTION

    def told(self, instruction: str) -> str:
        """The prompt for an instruction."""
        return self.prompt.replace(INSTRUCTION, " ".join(instruction.split()))


class Config(configurations.Based, frozen=True, forbid_unknown_fields=True):
    """A model folder.

    Attributes:
        schema: 'imgedit-reason-edit-model/1'.
        model: what it was trained as; in an imported folder what it would begin as.
        trained: whether a training has been through it.
        encoder: None where CLIP reads the text alone.
        features: width of what the UNet attends to.
        lineage: what it was made of.
    """

    schema: Literal["imgedit-reason-edit-model/1"] = "imgedit-reason-edit-model/1"
    model: Kind = "reason_pix2pix"
    trained: bool = False
    encoder: Encoder | None = None
    features: int = 768
    lineage: tuple[Part, ...] = ()


def read_config(folder: Path) -> Config:
    """The configuration of a model folder.

    Raises:
        DataError: there is none, or it is malformed.
    """
    return configurations.read(
        folder / FILE,
        Config,
        called="model folder of ReasonPix2Pix",
        made_by=f"imgedit-plugins weights import {NAME}",
    )


def write_config(folder: Path, config: Config) -> Path:
    """Write the configuration; the folder is complete once it is there."""
    return configurations.write(folder / FILE, config)


def with_bases(folder: Path) -> Iterator[Path]:
    """As `configurations.with_bases`; raises as `read_config`."""
    return configurations.with_bases(folder, _base)


def part(folder: Path, name: str) -> Path:
    """Where a part of a model lies, as `configurations.part`; raises as that and `read_config`."""
    return configurations.part(folder, name, _base)


def _base(folder: Path) -> str:
    return read_config(folder).base


def model_folder(given: str) -> Path:
    """The folder that the option 'weights' names, or where `weights import` puts it.

    Raises:
        WeightsError: there is none; says how to get it.
    """
    folder = Path(given) if given else weights.home() / NAME / WEIGHTS
    for place in (folder, folder / MODEL):  # the latter in a run folder
        if (place / FILE).is_file():
            return place
    raise WeightsError(
        f"There is no model of ReasonPix2Pix in {folder}: none was published, so one is trained "
        "from LLaVA 1.5 (14 GB, LLaMA 2 Community License) and Stable Diffusion 1.5 (4.2 GB, "
        "CreativeML OpenRAIL-M).",
        path=folder,
        hint=f"`imgedit-plugins weights import {NAME} --mllm FOLDER --diffusion FOLDER` puts both "
        f"together, and `imgedit-plugins train {NAME}` trains it.",
    )
