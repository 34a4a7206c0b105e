"""One thing in the place of another, inside its box (eq. 7): GLIGEN, or an inpainting pipeline.

The painters see the picture around the box and paint the box. Only the box is taken from what they
paint: its edges are blended over a few pixels inside of it, and the rest stays bit for bit.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw

from imgedit_modelkit import fingerprints
from imgedit_modelkit.devices import choose_device, choose_precision, stored_bytes
from imgedit_modelkit.diffusion.pipelines import load_pipeline, pipeline_class
from imgedit_plugins.errors import ImgeditError, WeightsError
from imgedit_plugins.pictures import RGB8
from imgedit_reason_edit.data.squares import Box, blended, square_around

GLIGEN = "StableDiffusionGLIGENPipeline"
MULTIPLE = 16
"""Sides of painted pictures are multiples of it."""

_GLIGEN_CHANNELS = 9
"""Of the UNet's input: latents, the masked picture's, and the mask."""

_PICKLED = (
    "Its weights are pickles (.bin), which are not read. Where you trust them, convert them: "
    'python -c "from diffusers import {pipeline} as P; '
    "P.from_pretrained('{folder}').save_pretrained('NEW FOLDER')\""
)


@dataclass(frozen=True)
class Wish:
    """What shall be painted.

    Attributes:
        box: where.
        target: what, in a few words.
        prompt: the whole picture as it shall be.
        seed: of the noise.
    """

    box: Box
    target: str
    prompt: str
    seed: int


@dataclass
class Painter:
    """A pipeline of diffusers by its name.

    Attributes:
        pipeline: `StableDiffusionGLIGENPipeline`, or one that takes a picture, a mask and a prompt.
        folder: as diffusers saves it.
        steps, guidance: of the diffusion model.
        device, precision: as `LocalModel` has them.
    """

    pipeline: str
    folder: Path
    steps: int = 50
    guidance: float = 7.5
    device: str = "auto"
    precision: str = "auto"
    _loaded: list[Any] = field(default_factory=list, init=False, repr=False)

    @functools.cached_property
    def identity(self) -> str:
        """The pipeline's name, the folder's name and the hash of its weights.

        Raises:
            WeightsError: there are none.
        """
        files = sorted(self.folder.rglob("*.safetensors"))
        if not files:
            pickled = any(self.folder.rglob("*.bin"))
            raise WeightsError(
                f"There is no painter in {self.folder} with weights as safetensors.",
                path=self.folder,
                hint=_PICKLED.format(pipeline=self.pipeline, folder=self.folder)
                if pickled
                else "It needs model_index.json and safetensors files, as diffusers saves them.",
            )
        return (
            f"{self.pipeline} {self.folder.name} {fingerprints.of_files(files, self.folder)[:12]}"
        )

    def check(self) -> None:
        """Refuse a pipeline that cannot do it, before anything is loaded.

        Raises:
            OptionError: the installed diffusers has none of that name, or it takes other arguments.
        """
        self._kind()

    def __call__(
        self, picture: RGB8, wish: Wish, on_step: Callable[[], None] = lambda: None
    ) -> RGB8 | None:
        """The picture with the box painted anew; None where the safety checker blacked it out.

        Args:
            picture: (height, width, 3).
            wish: what to paint.
            on_step: called after each step; what it raises ends the work.

        Raises:
            WeightsError, OptionError: the pipeline cannot be loaded.
            ImgeditError: it fails.
        """
        pipeline = self._load()
        paint = self._gligen if self.pipeline == GLIGEN else self._inpaint
        devices = [pipeline.device] if pipeline.device.type == "cuda" else []
        try:
            # GLIGEN draws noise without being told from what.
            with torch.random.fork_rng(devices), warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                torch.manual_seed(wish.seed)
                painted = paint(pipeline, picture, wish, on_step)
        except (ImgeditError, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # whatever a pipeline that we do not know may raise
            told = " ".join(str(error).split())[:300]
            raise ImgeditError(
                f"{self.pipeline} could not paint a box: {told}",
                hint="Other steps, size or guidance may suit it.",
            ) from error
        return None if painted is None else blended(picture, painted, wish.box)

    def _gligen(
        self, pipeline: Any, picture: RGB8, wish: Wish, on_step: Callable[[], None]
    ) -> RGB8 | None:
        """GLIGEN crops what is no square, so it gets one, with the box in it."""
        side = int(pipeline.vae.config.sample_size)
        square = square_around(wish.box, picture.shape[1], picture.shape[0])
        shown = _resized(square.cut(picture), side)
        box = [value / square.side for value in square.inside(wish.box)]
        out = pipeline(
            prompt=_cut_to(pipeline, wish.prompt),
            gligen_phrases=[_cut_to(pipeline, wish.target)],
            gligen_boxes=[box],
            gligen_inpaint_image=Image.fromarray(shown),
            # Grounded in all steps: the object must fill the box, not only begin there.
            gligen_scheduled_sampling_beta=1.0,
            height=side,
            width=side,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            generator=torch.Generator().manual_seed(wish.seed),
            callback=lambda *_: on_step(),
            output_type="np",
        )
        if any(getattr(out, "nsfw_content_detected", None) or ()):
            return None
        return square.put(picture, _resized(_bytes(out.images[0]), square.side))

    def _inpaint(
        self, pipeline: Any, picture: RGB8, wish: Wish, on_step: Callable[[], None]
    ) -> RGB8 | None:
        def after(_: Any, __: int, ___: Any, changed: dict[str, Any]) -> dict[str, Any]:
            on_step()
            return changed

        height, width = picture.shape[:2]
        mask = Image.new("L", (width, height))
        left, top, right, bottom = wish.box
        ImageDraw.Draw(mask).rectangle((left, top, right - 1, bottom - 1), fill=255)
        wishes = {
            "strength": 1.0,  # nothing of the old thing may show through
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance,
            "true_cfg_scale": self.guidance,
            "height": height,
            "width": width,
            "generator": torch.Generator().manual_seed(wish.seed),
            "callback_on_step_end": after,
            "output_type": "np",
        }
        takes = inspect.signature(pipeline.__call__).parameters
        known = {name: value for name, value in wishes.items() if name in takes}
        if "true_cfg_scale" in known:  # such models call their own distilled scale guidance_scale
            known.pop("guidance_scale", None)
        out = pipeline(prompt=wish.prompt, image=Image.fromarray(picture), mask_image=mask, **known)
        if any(getattr(out, "nsfw_content_detected", None) or ()):
            return None
        painted = _bytes(out.images[0])
        if painted.shape != picture.shape:  # some pipelines choose their own size
            painted = np.asarray(cv2.resize(painted, (width, height)), np.uint8)
        return painted

    def _kind(self) -> Any:
        needed = ("gligen_inpaint_image",) if self.pipeline == GLIGEN else ("prompt", "mask_image")
        examples = (GLIGEN, "StableDiffusionXLInpaintPipeline", "FluxFillPipeline")
        return pipeline_class(self.pipeline, needed, "paint a part of a picture", examples)

    def _load(self) -> Any:
        if not self._loaded:
            device = choose_device(self.device)
            precision = choose_precision(self.precision, device, stored_bytes(self.folder))
            made = load_pipeline(self._kind(), self.folder, dtype=precision, device=device)
            if self.pipeline == GLIGEN and made.unet.config.in_channels != _GLIGEN_CHANNELS:
                raise WeightsError(
                    f"{self.folder} holds a GLIGEN that makes pictures and cannot paint in them: "
                    f"its UNet takes {made.unet.config.in_channels} channels, not "
                    f"{_GLIGEN_CHANNELS}.",
                    path=self.folder,
                    hint="masterful/gligen-1-4-inpainting-text-box on the hub is one that can.",
                )
            self._loaded = [made]
        return self._loaded[0]


def _cut_to(pipeline: Any, text: str) -> str:
    """What the pipeline's text encoder can read of a text."""
    tokenizer = pipeline.tokenizer
    ids = tokenizer(text, truncation=True, max_length=tokenizer.model_max_length)["input_ids"]
    return str(tokenizer.decode(ids, skip_special_tokens=True))


def _resized(picture: RGB8, side: int) -> RGB8:
    if picture.shape[0] == side:
        return picture
    how = cv2.INTER_AREA if picture.shape[0] > side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.uint8)


def _bytes(pixels: Any) -> RGB8:
    return np.rint(np.clip(np.asarray(pixels, np.float64), 0, 1) * 255).astype(np.uint8)
