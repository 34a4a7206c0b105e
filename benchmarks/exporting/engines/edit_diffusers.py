"""diffusers' StableDiffusionInstructPix2PixPipeline: a whole edit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.exporting.pictures import SIZES, edited_inputs, some


def prepare(task: Mapping[str, Any]) -> Callable[[int], dict[str, Any]]:
    """The parts as they were saved, in float32."""
    import diffusers

    torch.set_num_threads(task["threads"])
    folder, sizes = Path(task["folder"]), SIZES[task["sizes"]]
    kinds: Any = diffusers
    pipeline = kinds.StableDiffusionInstructPix2PixPipeline(
        vae=kinds.AutoencoderKL.from_pretrained(folder / "vae"),
        unet=kinds.UNet2DConditionModel.from_pretrained(folder / "unet"),
        scheduler=kinds.DDIMScheduler.from_pretrained(folder / "scheduler"),
        text_encoder=None,
        tokenizer=None,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)

    def work(number: int) -> dict[str, Any]:
        given = {n: torch.from_numpy(one)[None] for n, one in edited_inputs(sizes, number).items()}
        started = time.perf_counter()
        made = pipeline(
            image=given["pixels"].permute(0, 3, 1, 2),
            prompt_embeds=given["text"],
            negative_prompt_embeds=given["null"],
            latents=given["first"],
            num_inference_steps=sizes.steps,
            guidance_scale=7.5,
            image_guidance_scale=1.5,
            output_type="np",
        ).images[0]
        return {"seconds": time.perf_counter() - started, "made": some(np.asarray(made))}

    return work
