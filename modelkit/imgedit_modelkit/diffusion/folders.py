"""An editor as a folder: ``unet``, ``vae`` and ``scheduler``, each as diffusers writes it.

Weights are safetensors; pickles are never read, and no code from the folder is run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from imgedit_modelkit.diffusion.schedulers import scheduler_class
from imgedit_modelkit.folders import appearing
from imgedit_plugins.errors import ImgeditError, WeightsError

UNET, VAE, SCHEDULER = "unet", "vae", "scheduler"
_CONFIG = "config.json"
_WEIGHTS = "diffusion_pytorch_model"


def load(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[Any, Any, Any]:
    """UNet, VAE and scheduler of a folder, on the CPU, in eval mode.

    Args:
        folder: see above; that of a whole diffusers pipeline will do.
        dtype: of UNet and VAE.

    Raises:
        WeightsError: a part is missing, cannot be read, or does not fit its configuration.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel

    unet = load_part(UNet2DConditionModel, folder / UNET, dtype)
    return unet, load_part(AutoencoderKL, folder / VAE, dtype), load_scheduler(folder / SCHEDULER)


def load_part(kind: Any, folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """One model of diffusers.

    Args:
        kind: its class.
        folder: with ``config.json`` and safetensors, one file or several; those called ``fp16``
            are taken where there are no others.
        dtype: to load it in.

    Raises:
        WeightsError: see `load`; missing and unexpected names are told.
    """
    variant = _variant(folder)
    settings = {"use_safetensors": True, "local_files_only": True, "variant": variant}
    try:
        model, found = kind.from_pretrained(
            folder, torch_dtype=dtype, output_loading_info=True, **settings
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        told = " ".join(str(error).split())
        raise WeightsError(f"{folder} cannot be loaded: {told}", path=folder) from error
    faults = [
        f"{what} {', '.join(sorted(names))}"
        for what in ("missing", "unexpected")
        if (names := found[f"{what}_keys"])
    ]
    faults += [str(error) for error in found.get("error_msgs", ())]
    if faults:
        raise WeightsError(f"{folder} does not fit its {_CONFIG}: {'; '.join(faults)}", path=folder)
    return model.eval()


def load_scheduler(folder: Path) -> Any:
    """The scheduler of a folder.

    Raises:
        WeightsError: its file is missing or names no scheduler of diffusers.
    """
    path = folder / "scheduler_config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
        return scheduler_class(config["_class_name"]).from_config(config)
    except (OSError, ValueError, KeyError, TypeError, ImgeditError) as error:
        raise WeightsError(f"{path} holds no scheduler: {error}", path=path) from error


def save(folder: Path, unet: Any, vae: Any, scheduler: Any) -> None:
    """Write what `load` reads; the folder appears whole.

    Raises:
        WeightsError: there is something at that place.
    """
    if folder.exists():
        raise WeightsError(
            f"{folder} is there already.", path=folder, hint="Name a folder that is not."
        )
    with appearing(folder) as new:
        unet.save_pretrained(new / UNET, safe_serialization=True)
        vae.save_pretrained(new / VAE, safe_serialization=True)
        scheduler.save_pretrained(new / SCHEDULER)


def _variant(folder: Path) -> str | None:
    """'fp16' where that is all there is."""
    if not (folder / _CONFIG).is_file():
        raise WeightsError(f"{folder / _CONFIG} is missing.", path=folder)
    plain = [path for path in folder.glob(f"{_WEIGHTS}*.safetensors") if ".fp16" not in path.name]
    half = list(folder.glob(f"{_WEIGHTS}*.fp16*.safetensors"))
    if not plain and not half:
        raise WeightsError(
            f"{folder} holds no {_WEIGHTS}.safetensors.",
            path=folder,
            hint="Pickles (.bin) are not read: convert them with diffusers where you trust them.",
        )
    return None if plain else "fp16"
