"""PyTorch with the modules of diffusers, transformers and MGIE: one part, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.exporting.pictures import SIZES, Sizes, some


def prepare(task: Mapping[str, Any]) -> Callable[[int], dict[str, Any]]:
    """A part as it was saved, eager or with torch.compile, in float32 or bfloat16."""
    torch.set_num_threads(task["threads"])
    part, sizes = task["part"], SIZES[task["sizes"]]
    dtype = getattr(torch, task["dtype"])
    module = _loaded(part, Path(task["folder"]), sizes, dtype)
    run = torch.compile(module, dynamic=False) if task["compiled"] else module

    @torch.inference_mode()
    def work(number: int) -> dict[str, Any]:
        given = [torch.from_numpy(one).to(dtype) for one in sizes.inputs(part, number).values()]
        started = time.perf_counter()
        made = run(*given)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "made": some(made.float().numpy())}

    return work


def _loaded(part: str, folder: Path, sizes: Sizes, dtype: torch.dtype) -> Any:
    if part == "unet":
        from diffusers import UNet2DConditionModel

        from imgedit_modelkit.export_diffusion import Noise

        kind: Any = UNet2DConditionModel
        return Noise(kind.from_pretrained(folder / "unet", torch_dtype=dtype)).eval()
    from benchmarks.exporting.engines.make_pictures import edit_head, vision_tower

    module: Any = vision_tower(sizes) if part == "tower" else edit_head(sizes)
    module.load_state_dict(torch.load(folder / f"{part}.pt", weights_only=True))
    return module.to(dtype).eval()
