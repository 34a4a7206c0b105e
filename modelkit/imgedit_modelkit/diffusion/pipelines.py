"""Pipelines of the installed diffusers by their name, and their folders."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from imgedit_modelkit.model_folders import no_progress_bars
from imgedit_plugins.errors import OptionError, WeightsError


def pipeline_class(name: str, needed: Sequence[str], purpose: str, examples: Sequence[str]) -> Any:
    """A pipeline's class by its name.

    Args:
        name: such as 'FluxKontextPipeline'.
        needed: arguments that it must take.
        purpose: what it must be able to do, such as 'edit a picture by an instruction'.
        examples: names of pipelines that can.

    Raises:
        OptionError: the installed diffusers has none of that name, or it takes other arguments.
    """
    import diffusers
    from diffusers import DiffusionPipeline

    found = getattr(diffusers, name, None) if name.isidentifier() else None
    if not inspect.isclass(found) or not issubclass(found, DiffusionPipeline):
        raise OptionError(
            f"diffusers {diffusers.__version__} has no pipeline {name!r}.",
            hint="Newer ones come with `pip install -U diffusers`; "
            f"{' and '.join(examples)} are names of some.",
        )
    takes = inspect.signature(found.__call__).parameters
    if lacking := [word for word in needed if word not in takes]:
        raise OptionError(
            f"{name} does not {purpose}: it takes no {lacking[0]}.",
            hint=f"Pipelines like {' and '.join(examples)} do.",
        )
    return found


def load_pipeline(
    kind: Any, folder: Path, *, dtype: torch.dtype, device: torch.device, offload: str = "none"
) -> Any:
    """The pipeline of a folder; safetensors alone are read, and no code of it is run.

    Args:
        kind: its class.
        folder: as diffusers saves it.
        dtype: of its parts.
        device: where it runs.
        offload: 'none', 'stages' or 'layers': what waits in the machine's memory.

    Raises:
        WeightsError: the folder is another pipeline's, or incomplete.
    """
    try:
        with no_progress_bars("transformers", "diffusers"):
            made = kind.from_pretrained(
                folder,
                dtype=dtype,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
            )
    except (OSError, ValueError, TypeError, AttributeError, ImportError) as error:
        told = " ".join(str(error).split())[:300]
        raise WeightsError(f"{folder} holds no {kind.__name__}: {told}", path=folder) from error
    if device.type != "cpu" and offload == "layers":
        made.enable_sequential_cpu_offload(device=device)
    elif device.type != "cpu" and offload == "stages":
        made.enable_model_cpu_offload(device=device)
    else:
        made.to(device)
    made.set_progress_bar_config(disable=True)
    return made
