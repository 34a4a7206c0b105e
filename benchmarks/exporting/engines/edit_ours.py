"""Bundles by the project's own composition: a whole edit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.exporting.pictures import SIZES, edited_inputs, some
from imgedit_exporters.runtime.painting import Guidance, Noise
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_modelkit.bundled_diffusion import BundledDiffusion


def prepare(task: Mapping[str, Any]) -> Callable[[int], dict[str, Any]]:
    """UNet, VAE and scheduler of a bundle."""
    bundle = Bundle(Path(task["folder"]) / "bundle", device="cpu", threads=task["threads"])
    sizes, model = SIZES[task["sizes"]], BundledDiffusion(bundle)
    for name in ("vae_encoder", "unet", "vae_decoder"):
        bundle.session(name)

    def work(number: int) -> dict[str, Any]:
        given = edited_inputs(sizes, number)
        started = time.perf_counter()
        made = model.paint(
            given["pixels"],
            (given["text"], given["null"]),
            guidance=Guidance(7.5, 1.5),
            steps=sizes.steps,
            noise=Noise(given["first"], lambda _: given["first"]),
        )
        return {"seconds": time.perf_counter() - started, "made": some(made)}

    return work
