"""A diffusion model of a bundle that edits, on numpy; `export_diffusion` declares it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.runtime.painting import Guidance, Noise, denoised
from imgedit_exporters.runtime.schedulers import scheduler
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.runtime.tokens import Tokenizer
from imgedit_modelkit.regions.resampling import Map

GOLDEN_LATENTS, GOLDEN_STEPS = 16, 4
"""Sizes of golden edits: the shorter side, in latents; steps."""

TEXT_ENCODER = "text_encoder"
TEXT_TOKENIZER = "text_tokenizer/tokenizer.json"

Floats = NDArray[np.float32]

Guided = tuple[Floats, Floats]
"""(tokens, width): what the UNet attends to, and what stands for no instruction."""


class BundledDiffusion:
    """UNet, VAE and scheduler of a bundle.

    Args:
        bundle: with the parts and settings that `export_diffusion` declares.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.factor, self.multiple = (int(bundle.settings[n]) for n in ("factor", "multiple"))

    def latents(self, pixels: Map) -> Floats:
        """(channels, height, width) of a picture in 0..1, not scaled."""
        given = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
        return np.asarray(self.bundle.run("vae_encoder", [given])[0][0], np.float32)

    def paint(
        self,
        pixels: Map,
        conditioning: Guided,
        *,
        guidance: Guidance,
        steps: int,
        noise: Noise | int,
        name: str = "",
        on_step: Callable[[int], None] = lambda _: None,
    ) -> Map:
        """A picture, edited.

        Args:
            pixels: (height, width, 3) in 0..1; sides are multiples of `multiple`.
            conditioning: see `Guided`.
            guidance: towards the instruction and the picture.
            steps: of the scheduler.
            noise: all of it, or a seed.
            name: of another scheduler than the model's.
            on_step: told the number of each step before it; what it raises ends the work.
        """
        seen = self.latents(pixels)
        noise = Noise.seeded(noise, seen.shape) if isinstance(noise, int) else noise
        made = denoised(
            lambda latents, time, attended: self.bundle.run("unet", [latents, time, attended])[0],
            scheduler(self.bundle.settings["scheduler"], steps, name),
            seen=seen,
            text=conditioning[0],
            null=conditioning[1],
            guidance=guidance,
            noise=noise,
            on_step=on_step,
        )
        return self._decoded(made)

    def rebuild(self, pixels: Map) -> Map:
        """What the VAE makes of a picture when nothing is edited."""
        scaling = float(self.bundle.settings["scaling"])
        return self._decoded(self.latents(pixels) * np.float32(scaling))

    def _decoded(self, latents: Floats) -> Map:
        (pictures,) = self.bundle.run("vae_decoder", [latents[None]])
        return np.ascontiguousarray(pictures[0].transpose(1, 2, 0), np.float32)


class BundledText:
    """CLIP's text encoder of a bundle, with its tokenizer.

    Args:
        bundle: with the part, the settings and the file that `export_diffusion` declares.

    Raises:
        WeightsError: the tokenizer's file is missing.
    """

    def __init__(self, bundle: Bundle) -> None:
        given = bundle.settings["text"]
        self._bundle = bundle
        self._tokenizer = Tokenizer(bundle.folder / TEXT_TOKENIZER, given["special"])
        self._longest, self._pad = int(given["longest"]), int(given["pad"])

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, filled up; what is longer than the encoder reads is cut off."""
        ids = self._tokenizer.encode(text, add_special_tokens=True)
        if len(ids) > self._longest:  # its end stays
            ids = [*ids[: self._longest - 1], ids[-1]]
        return [*ids, *[self._pad] * (self._longest - len(ids))]

    def conditioning(self, text: str) -> Guided:
        """What a text comes to, and the empty one that stands for none."""
        both = np.array([self.ids(text), self.ids("")], np.int64)
        (states,) = self._bundle.run(TEXT_ENCODER, [both])
        return np.asarray(states[0], np.float32), np.asarray(states[1], np.float32)
