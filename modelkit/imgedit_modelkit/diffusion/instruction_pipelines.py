"""Pipelines of diffusers that edit a picture by an instruction."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imgedit_modelkit.diffusion import pipelines
from imgedit_modelkit.diffusion.editor import STAGE
from imgedit_modelkit.diffusion.guidance import Guidance
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.jobs import Job


def pipeline_class(name: str) -> Any:
    """A pipeline's class by its name.

    Raises:
        OptionError: the installed diffusers has none of that name, or it edits no picture by an
            instruction.
    """
    return pipelines.pipeline_class(
        name,
        ("image", "prompt"),
        "edit a picture by an instruction",
        ("StableDiffusionInstructPix2PixPipeline", "FluxKontextPipeline"),
    )


class PipelinePainter:
    """A pipeline at work.

    Args:
        pipeline: of diffusers, with all its parts.
    """

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self._takes = inspect.signature(pipeline.__call__).parameters

    @classmethod
    def load(
        cls, name: str, folder: Path, *, dtype: torch.dtype, device: torch.device, offload: str
    ) -> PipelinePainter:
        """The pipeline of a folder; safetensors alone are read, and no code of it is run.

        Raises:
            OptionError: there is no such pipeline.
            WeightsError: the folder is another pipeline's, or incomplete.
        """
        kind = pipeline_class(name)
        made = pipelines.load_pipeline(kind, folder, dtype=dtype, device=device, offload=offload)
        return cls(made)

    def paint(
        self, pixels: Map, prompt: str, *, steps: int, guidance: Guidance, seed: int, job: Job
    ) -> Map:
        """The edited picture, at the size of the input.

        Raises:
            JobCancelledError: the job was cancelled; asked after each step.
        """
        from PIL import Image

        height, width = pixels.shape[:2]
        job.report(STAGE, 0, steps)

        def after(_: Any, step: int, __: Any, changed: dict[str, Any]) -> dict[str, Any]:
            job.report(STAGE, min(step + 1, steps), steps)
            return changed

        wishes = {
            "num_inference_steps": steps,
            "guidance_scale": guidance.text,
            "true_cfg_scale": guidance.text,
            "image_guidance_scale": guidance.image,
            "height": height,
            "width": width,
            "generator": torch.Generator().manual_seed(seed),
            "callback_on_step_end": after,
            "output_type": "np",
        }
        known = {name: value for name, value in wishes.items() if name in self._takes}
        if "true_cfg_scale" in known:  # such models call their own distilled scale guidance_scale
            known.pop("guidance_scale", None)
        seen = Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
        try:
            out = self.pipeline(image=seen, prompt=prompt, **known)
        except (ImgeditError, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # whatever a pipeline that we do not know may raise
            told = " ".join(str(error).split())[:300]
            name = type(self.pipeline).__name__
            raise ImgeditError(
                f"{name} could not make this edit: {told}",
                hint="Other steps, resolution or guidance may suit it.",
            ) from error
        return _at_size(np.asarray(out.images[0], np.float32), (width, height))


def _at_size(pixels: NDArray[np.float32], size: tuple[int, int]) -> Map:
    import cv2

    if (pixels.shape[1], pixels.shape[0]) != size:  # some pipelines choose their own size
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LANCZOS4), np.float32)
    return np.clip(pixels, 0.0, 1.0)
