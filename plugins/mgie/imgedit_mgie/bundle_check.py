"""`verify_bundle`: golden edits made again with a bundle, without torch."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imgedit_exporters.runtime.bundles import EDITS
from imgedit_exporters.runtime.painting import Guidance, Noise
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_mgie.bundled import GOLDEN_STEPS, GOLDEN_TOKENS, BundledModel, Floats
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.exporting import BundleReport, Finding
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import BundleRequest

_ENOUGH_DB, _BEST_DB = 40.0, 120.0
_FEW_BITS = ("int8", "int4")


def verify(request: BundleRequest, job: Job) -> BundleReport:
    """Make the golden edits of a bundle again, all noise passed in, and compare.

    Raises:
        WeightsError: the bundle has none, or is not one of ours.
    """
    model = BundledModel(Bundle(request.bundle, device="cpu"))
    edits = list(_golden(request.bundle))
    if not edits:
        raise WeightsError(f"The bundle in {request.bundle} has no golden edits.")
    pixels, same, total, quality = 0.0, 0, 0, _BEST_DB
    for number, edit_ in enumerate(edits):
        job.report("making golden edits again", number, len(edits))
        picture, instruction = edit_["picture"], str(edit_["instruction"])
        pixels = max(pixels, float(np.abs(model.pixels(picture)[0] - edit_["pixels"]).max()))
        derived = model.derive(picture, instruction, longest=GOLDEN_TOKENS)
        wanted = edit_["tokens"].tolist()
        same += sum(a == b for a, b in zip(derived.tokens, wanted, strict=False))
        total += max(len(wanted), len(derived.tokens))
        noise = Noise(edit_["first"], functools.partial(_noise_of, edit_["noise"]))
        made = model.paint(
            picture.astype(np.float32) / 255,
            model.conditioning(derived.states),
            guidance=Guidance(),
            steps=GOLDEN_STEPS,
            noise=noise,
        )
        quality = min(quality, _psnr(made, edit_["edited"]))
    few = any(part.precision in _FEW_BITS for part in model.bundle.document.parts)
    exact = all(part.precision == "fp32" for part in model.bundle.document.parts)
    share = same / total
    least, enough = (1.0 if exact else None), (None if few else _ENOUGH_DB)
    return BundleReport(
        findings=(
            Finding(
                what="pixels for the tower, largest difference", value=pixels, limit=1e-4,
                passed=pixels <= 1e-4,
            ),
            Finding(
                what="tokens that are equal, share", value=share, limit=least,
                passed=least is None or share >= least,
            ),
            Finding(
                what="edited pictures, lowest PSNR in dB", value=quality, limit=enough,
                passed=enough is None or quality >= enough,
            ),
        )
    )  # fmt: skip


def _noise_of(noise: Floats, number: int) -> Floats:
    return np.asarray(noise[number], np.float32)


def _golden(folder: Path) -> Iterator[dict[str, Any]]:
    from imgedit_exporters.runtime.golden import load_arrays

    found = sorted(load_arrays(folder / EDITS).items(), key=lambda item: int(item[0].split("/")[0]))
    for _, group in itertools.groupby(found, key=lambda item: item[0].split("/")[0]):
        yield {name.split("/")[1]: array for name, array in group}


def _psnr(found: Map, wanted: Map) -> float:
    error = float(np.square(found.astype(np.float64) - wanted).mean())
    return _BEST_DB if error == 0 else min(_BEST_DB, -10 * float(np.log10(error)))
