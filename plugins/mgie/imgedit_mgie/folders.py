"""What a model folder holds and says of itself; nothing here imports torch.

::

    mgie.json                  this configuration, with the lineage
    language_model/            the language model with the visual tokens, as transformers saves it
    tower.safetensors          CLIP, with which it sees
    projector.safetensors      from CLIP's width to the language model's
    edit_head.safetensors      from the visual tokens to what the UNet attends to
    text_encoder/, tokenizer/  instead of all these where brief or expressive text is read by CLIP
    unet/, vae/, scheduler/    the diffusion model, as diffusers saves it
    embeddings.safetensors     what a training made of the language model's first and last layer
    weights.json               what `weights import` wrote, with the hash of every file
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from imgedit_mgie.requirements import NAME
from imgedit_modelkit import configurations
from imgedit_modelkit.configurations import Part
from imgedit_plugins import weights
from imgedit_plugins.errors import WeightsError

if TYPE_CHECKING:
    from imgedit_modelkit.vision_towers import TowerConfig

FILE = "mgie.json"
LANGUAGE_MODEL = "language_model"
TOWER = "tower.safetensors"
PROJECTOR = "projector.safetensors"
EDIT_HEAD = "edit_head.safetensors"
EMBEDDINGS = "embeddings.safetensors"
TEXT_ENCODER, TOKENIZER = "text_encoder", "tokenizer"
UNET, VAE, SCHEDULER = "unet", "vae", "scheduler"
MODEL = "model"
"""Folder in a run folder: what was learnt."""

PIX2PIX = "instruct-pix2pix"
CLIP = "clip-vit-large-patch14"
"""Ids of weights that `weights fetch` gets."""

Kind = Literal["mgie", "lgie", "ft", "instructpix2pix"]


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the language model sees and speaks.

    Attributes:
        projector: 'linear' (LLaVA 1.0) or 'mlp' (LLaVA 1.5).
        vision: fields of CLIP's vision configuration.
        layer: which hidden states of CLIP are taken.
        patch: the token that stands for one patch of the picture; start and end, where there are
            any, enclose them.
        visual: the tokens whose predictions guide the diffusion model.
    """

    projector: Literal["linear", "mlp"] = "linear"
    vision: dict[str, Any] = {}
    layer: int = -2
    patch: str = "<im_patch>"
    start: str = "<im_start>"
    end: str = "<im_end>"
    visual: tuple[str, ...] = tuple(f"[IMG{n}]" for n in range(8))

    def tower(self) -> TowerConfig:
        """CLIP's configuration for the model kit."""
        from imgedit_modelkit.vision_towers import TowerConfig

        return TowerConfig("clip", self.vision, layer=self.layer)


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sizes of the edit head; the defaults are those of the released one.

    Attributes:
        width: of the language model.
        hidden, layers, heads, feedforward: of the transformer; layers on each side.
        queries: learnt ones, as many as tokens come out.
        features: their width, which the UNet attends to.
    """

    width: int = 4096
    hidden: int = 512
    layers: int = 4
    heads: int = 4
    feedforward: int = 2048
    queries: int = 77
    features: int = 768


class Config(configurations.Based, frozen=True, forbid_unknown_fields=True):
    """A model folder.

    Attributes:
        schema: 'imgedit-mgie/1'.
        model: what it was made or trained as.
        language: None for 'instructpix2pix', which has no language model.
        head: None where CLIP reads the text.
        prompt: what the language model is asked, 'what' or 'how'.
        lineage: what it was made of.
    """

    schema: Literal["imgedit-mgie/1"] = "imgedit-mgie/1"
    model: Kind = "mgie"
    language: Language | None = None
    head: Head | None = None
    prompt: Literal["what", "how"] = "what"
    lineage: tuple[Part, ...] = ()


def read_config(folder: Path) -> Config:
    """The configuration of a model folder.

    Raises:
        DataError: there is none, or it is malformed.
    """
    return configurations.read(
        folder / FILE,
        Config,
        called="model folder of MGIE",
        made_by="imgedit-plugins weights import mgie",
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
    folder = Path(given) if given else weights.home() / NAME / NAME
    for place in (folder, folder / MODEL):  # the latter in a run folder
        if (place / FILE).is_file():
            return place
    raise WeightsError(
        f"There is no MGIE model in {folder}: LLaVA-7B-v1 (14 GB, LLaMA license), MGIE's mllm.pt "
        "and unet.pt (2.3 GB, CC-BY-NC-4.0, not for commercial use), CLIP (1.7 GB, MIT) and "
        "InstructPix2Pix's VAE (4.2 GB, CreativeML OpenRAIL-M) are needed.",
        path=folder,
        hint="`imgedit-plugins weights import mgie --help` says where they are published.",
    )


def pix2pix_folder(given: str) -> Path:
    """The folder of InstructPix2Pix: the given one, or where `weights fetch` puts it.

    Raises:
        WeightsError: there is none; says how to get it.
    """
    folder = Path(given) if given else weights.home() / NAME / PIX2PIX
    if (folder / "model_index.json").is_file():
        return folder
    raise WeightsError(
        f"InstructPix2Pix is not in {folder} (4.2 GB, MIT and CreativeML OpenRAIL-M).",
        path=folder,
        hint=f"Fetch it with `imgedit-plugins weights fetch {NAME}/{PIX2PIX}`.",
    )
