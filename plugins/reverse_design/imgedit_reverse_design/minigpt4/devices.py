"""Where a model runs and in which precision, and whether it fits there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch

from imgedit_plugins.errors import OptionError
from imgedit_reverse_design.minigpt4 import config as folders

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

_ROOM = 0.7
"""Share of the machine's memory that the weights may take."""


def choose_device(wanted: str) -> torch.device:
    """The device of an option: 'auto' is a GPU where there is one.

    Raises:
        OptionError: there is no such device.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        told = str(error).splitlines()[0].rstrip(".")
        raise OptionError(f"There is no device {wanted!r} here ({told}).") from error
    return device


def choose_precision(wanted: str, device: torch.device, folder: Path) -> torch.dtype:
    """The precision of the frozen parts: 'auto' is fp16 on a GPU, and on the CPU fp32 if it fits.

    Args:
        wanted: 'auto', 'fp32', 'bf16' or 'fp16'.
        device: where the model will run.
        folder: the model folder, whose weights have 2 bytes a number.
    """
    if wanted != "auto":
        return _PRECISIONS[wanted]
    if device.type != "cpu":
        return torch.float16
    frozen = Path(folders.read_config(folder).base or folder)
    size = sum(path.stat().st_size for path in frozen.rglob("*.safetensors"))
    return torch.float32 if 2 * size < _ROOM * host_memory() else torch.bfloat16


def choose_bits(wanted: str) -> Literal[4, 8] | None:
    """The bits of an option: 'full', '8' or '4'."""
    chosen: dict[str, Literal[4, 8] | None] = {"full": None, "8": 8, "4": 4}
    return chosen[wanted]


def host_memory() -> int:
    """Bytes of the machine's memory."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 1 << 63  # Windows tells it in another way; then nobody is warned


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil  # type: ignore[import-untyped]  # comes with accelerate

    return int(psutil.virtual_memory().available)
