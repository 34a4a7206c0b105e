"""An MGIE with drawn weights: a folder that tells its sizes, and parts that are filled in place.

The folder has every file of a model folder, but its tensors are holes that take no room on the
disk: only the forecast reads them, and of them their headers alone. The parts are built without
memory and then filled tensor by tensor, so that there is never a second copy of any.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn

from benchmarks.mgie_full_size.clock import Clock
from benchmarks.mgie_full_size.sizes import Scale
from benchmarks.small_mgie import tokenizer
from imgedit_mgie import folders
from imgedit_mgie.edit_head import EditHead
from imgedit_mgie.folders import Config, write_config
from imgedit_mgie.llava import Llava
from imgedit_mgie.models import Models
from imgedit_mgie.setting import Setting
from imgedit_mgie.writer import Writer
from imgedit_modelkit.diffusion.editor import PictureEditor
from imgedit_modelkit.diffusion.places import Place
from imgedit_modelkit.diffusion.testing import stable_diffusion_scheduler

DTYPE = torch.bfloat16


class Made(Models):
    """The plugin's models, made instead of loaded.

    Args:
        setting, place: as the plugin chooses them.
        scale: of the parts.
        clock: told of what each of them takes.
    """

    def __init__(self, setting: Setting, place: Place, scale: Scale, clock: Clock) -> None:
        super().__init__(setting, place)
        self._scale, self._clock = scale, clock
        self._writer: Writer | None = None
        self._editor: PictureEditor | None = None

    def writer(self) -> Writer:
        """The language model with CLIP and the edit head."""
        if self._writer is None:
            with self._clock.taking("create the language model, CLIP and the edit head"):
                made = filled(empty_writer(self._scale), self.place.dtype)
            llava = made.llava
            self._clock.watch("see", llava.tower)
            self._clock.watch("read", llava.language_model.get_decoder())
            self._clock.watch("output", llava.output)
            assert made.edit_head is not None
            self._clock.watch("edit head", made.edit_head)
            self._writer = made.eval()
        return self._writer

    def rest(self) -> None:
        """Let go of it where the plugin would."""
        if self.place.offload != "none":
            self._writer = None

    def editor(self) -> PictureEditor:
        """UNet and VAE."""
        if self._editor is None:
            with self._clock.taking("create the UNet and the VAE"):
                unet, vae = (
                    filled(part, self.place.dtype) for part in empty_diffusion(self._scale)
                )
            self._clock.watch("UNet", unet)
            self._clock.watch("VAE encode", vae.encoder)
            self._clock.watch("VAE decode", vae.decoder)
            self._editor = PictureEditor(unet.eval(), vae.eval(), stable_diffusion_scheduler())
        return self._editor


# --- parts ------------------------------------------------------------------------------------


def empty_writer(scale: Scale) -> Writer:
    """The language model and what it sees with, without memory for weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    with init_empty_weights(include_buffers=False):
        llama = LlamaForCausalLM(LlamaConfig(**scale.llama))
        llava = Llava(scale.language, llama, tokenizer())
        return Writer(llava, EditHead(scale.head))


def empty_diffusion(scale: Scale) -> tuple[Any, Any]:
    """UNet and VAE, without memory for weights."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    kinds: list[tuple[Any, dict[str, Any]]] = [
        (UNet2DConditionModel, scale.unet),
        (AutoencoderKL, scale.vae),
    ]
    with init_empty_weights(include_buffers=False):
        unet, vae = (kind(**fields) for kind, fields in kinds)
    return unet, vae


def filled(module: Any, dtype: torch.dtype) -> Any:
    """Give each parameter its memory, with numbers at the scale of trained ones."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            drawn = _drawn(name, parameter.shape, dtype, generator)
            part.register_parameter(name, nn.Parameter(drawn, requires_grad=False))
    return module


def _drawn(name: str, shape: torch.Size, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    made = torch.empty(shape, dtype=dtype)
    if len(shape) > 1:
        return made.normal_(0.0, math.prod(shape[1:]) ** -0.5, generator=generator)
    centre = 1.0 if name.endswith("weight") else 0.0
    return made.normal_(centre, 0.1, generator=generator)


# --- the folder -------------------------------------------------------------------------------


def folder_of(scale: Scale, out: Path) -> dict[str, int]:
    """Write a model folder with holes for weights; how many numbers each part has."""
    writer = empty_writer(scale)
    unet, vae = empty_diffusion(scale)
    llava, head = writer.llava, writer.edit_head
    assert head is not None
    llava.language_model.config.save_pretrained(out / folders.LANGUAGE_MODEL)
    for name, part in ((folders.UNET, unet), (folders.VAE, vae)):
        part.save_config(out / name)
    write_config(out, Config(language=scale.language, head=scale.head))
    parts: dict[str, tuple[str, nn.Module]] = {
        "language model": (f"{folders.LANGUAGE_MODEL}/model.safetensors", llava.language_model),
        "CLIP": (folders.TOWER, llava.tower),
        "projector": (folders.PROJECTOR, llava.projector),
        "edit head": (folders.EDIT_HEAD, head),
        "UNet": (f"{folders.UNET}/diffusion_pytorch_model.safetensors", unet),
        "VAE": (f"{folders.VAE}/diffusion_pytorch_model.safetensors", vae),
    }
    return {what: _hole(out / path, module) for what, (path, module) in parts.items()}


def _hole(path: Path, module: nn.Module) -> int:
    """A safetensors file with a header, and nothing where its numbers would be."""
    header, end = {}, 0
    for name, parameter in module.named_parameters():
        begin, end = end, end + 2 * parameter.numel()
        header[name] = {
            "dtype": "BF16", "shape": list(parameter.shape), "data_offsets": [begin, end]
        }  # fmt: skip
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return end // 2


def maker(scale: Scale, clock: Clock) -> Callable[[Setting, Place], Models]:
    """For `editing.edit`, in the place of the class that loads."""
    return lambda setting, place: Made(setting, place, scale, clock)
