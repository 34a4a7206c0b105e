"""The files of a diffusion model that edits, as diffusers has them: read, checked and written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imgedit_modelkit.diffusion.folders import SCHEDULER, UNET, VAE, load_part
from imgedit_modelkit.diffusion.unet import with_picture_channels
from imgedit_modelkit.tensor_files import misfits, open_checkpoint, save_tensors
from imgedit_plugins.atomic import write_bytes_atomic
from imgedit_plugins.errors import WeightsError

_WEIGHTS = "diffusion_pytorch_model.safetensors"
_SCHEDULER = "scheduler_config.json"
_FORGOTTEN = ("_name_or_path", "_use_default_values")
"""Fields of a configuration that tell where it was loaded from."""


@dataclass(frozen=True)
class Diffusion:
    """A UNet, a VAE and a scheduler, checked.

    Attributes:
        unet_config: fields of the UNet's configuration.
        unet: its tensors.
        vae: an AutoencoderKL.
        scheduler: the text of its configuration.
        unexpected: names in the UNet's file that it has no place for.
    """

    unet_config: dict[str, Any]
    unet: dict[str, Tensor]
    vae: Any
    scheduler: bytes
    unexpected: tuple[str, ...]

    @property
    def attended(self) -> int:
        """Width of what the UNet attends to."""
        return int(self.unet_config["cross_attention_dim"])


def open_diffusion(folder: Path, unet: Path | None) -> Diffusion:
    """Read a folder of diffusers.

    Args:
        folder: of InstructPix2Pix or Stable Diffusion.
        unet: a file with the UNet's tensors; without one the folder's UNet is taken, and gets
            channels for the input picture where it has none.

    Raises:
        WeightsError: a part is missing, or tensors of it; all are named.
    """
    from diffusers import AutoencoderKL

    vae = load_part(AutoencoderKL, folder / VAE)
    try:
        scheduler = (folder / SCHEDULER / _SCHEDULER).read_bytes()
    except OSError as error:
        raise WeightsError(f"{folder} has no scheduler: {error}.", path=folder) from error
    config, tensors, unexpected = _own(folder) if unet is None else _given(folder, unet)
    return Diffusion(config, tensors, vae, scheduler, tuple(unexpected))


def write_diffusion(diffusion: Diffusion, out: Path, precision: torch.dtype) -> list[Path]:
    """Write the three parts as diffusers reads them."""
    unet, vae, scheduler = (out / name for name in (UNET, VAE, SCHEDULER))
    scheduler.mkdir(parents=True, exist_ok=True)
    write_bytes_atomic(scheduler / _SCHEDULER, diffusion.scheduler)
    written = [scheduler / _SCHEDULER]
    parts = (
        (unet, diffusion.unet_config, diffusion.unet),
        (vae, dict(diffusion.vae.config), diffusion.vae.state_dict()),
    )
    for path, config, tensors in parts:
        written += write_part(path, config, tensors, precision)
    return written


def write_part(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    precision: torch.dtype | None = None,
) -> list[Path]:
    """Write a UNet or VAE as diffusers reads it; floating-point numbers in `precision`."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {n: v for n, v in config.items() if n not in _FORGOTTEN}
    path = folder / "config.json"
    write_bytes_atomic(path, json.dumps(kept, indent=2).encode() + b"\n")
    return [path, save_tensors(folder / _WEIGHTS, tensors, precision)]


def empty_part(kind: Any, folder: Path) -> Any:
    """A UNet2DConditionModel or AutoencoderKL of a folder, without memory for its weights.

    The attention is the plain one, which PyTorch's counter of operations knows on every device.
    """
    with torch.device("meta"):
        model = kind.from_config(kind.load_config(folder, local_files_only=True))
    model.set_default_attn_processor()
    return model


def vae_factor(folder: Path) -> int:
    """Pixels along one side of a latent, of a VAE's folder."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    return int(2 ** (len(config["block_out_channels"]) - 1))


def _own(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor], list[str]]:
    from diffusers import UNet2DConditionModel

    unet = with_picture_channels(load_part(UNet2DConditionModel, folder / UNET))
    return dict(unet.config), dict(unet.state_dict()), []


def _given(folder: Path, path: Path) -> tuple[dict[str, Any], dict[str, Tensor], list[str]]:
    """A UNet's file, its names and shapes compared with the folder's configuration."""
    from diffusers import UNet2DConditionModel

    load: Any = UNet2DConditionModel.load_config
    build: Any = UNet2DConditionModel.from_config
    tensors = open_checkpoint(path)
    try:
        config = dict(load(folder, subfolder=UNET, local_files_only=True))
    except OSError as error:
        raise WeightsError(f"{folder} has no {UNET}: {error}", path=folder) from error
    first = tensors.get("conv_in.weight")
    if first is not None and first.ndim == 4:
        config["in_channels"] = first.shape[1]
    with torch.device("meta"):
        empty = build(config)
    missing, unexpected = misfits(empty, tensors)
    if missing:
        told = f"; unexpected: {', '.join(unexpected)}" if unexpected else ""
        raise WeightsError(
            f"{path} lacks tensors of the UNet in {folder}: {', '.join(missing)}{told}.", path=path
        )
    if config["in_channels"] != 2 * config["out_channels"]:
        raise WeightsError(
            f"The UNet of {path} takes {config['in_channels']} channels: it does not see the input "
            f"picture, for which it must take {2 * config['out_channels']}.",
            path=path,
        )
    wanted = set(empty.state_dict())
    return dict(empty.config), {n: t for n, t in tensors.items() if n in wanted}, unexpected
