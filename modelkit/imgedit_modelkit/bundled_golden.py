"""Golden edits of `export_diffusion`, made again with a bundle and compared; no torch here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from imgedit_exporters.runtime.bundles import EDITS, Document
from imgedit_exporters.runtime.golden import load_groups
from imgedit_exporters.runtime.painting import Guidance, Noise
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_modelkit.bundled_diffusion import GOLDEN_STEPS, BundledDiffusion, Floats, Guided
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.exporting import BundleReport, Finding
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.requests import BundleRequest

_ENOUGH_DB, _BEST_DB = 40.0, 120.0
_NEAR = 1e-4
"""How far apart pixels for a tower may be."""

_FEW_BITS = ("int8", "int4")


@dataclass(frozen=True)
class Remade:
    """What a bundle makes of a golden picture and instruction, up to the diffusion model.

    Attributes:
        guided: what the UNet attends to.
        pixels: that a vision tower sees, beside the golden ``pixels``; None where there is none.
        ids: of a prompt, beside the golden ``ids``, which hang on what was written before; None
            where there are none.
        tokens: that were written, beside the golden ``tokens``; None where nothing is written.
        as_written: what the UNet attends to had it written the golden tokens; looked at where it
            has written others.
    """

    guided: Guided
    pixels: Floats | None = None
    ids: Sequence[int] | None = None
    tokens: Sequence[int] | None = None
    as_written: Callable[[Sequence[int]], Guided] | None = None


Model = TypeVar("Model", bound=BundledDiffusion)
Remake = Callable[[Model, RGB8, str], Remade]
"""The family's composition, up to the diffusion model."""


@dataclass
class _Worst:
    """What is gathered over the edits."""

    pixels: float | None = None
    ids: bool | None = None
    same: int = 0
    total: int = 0
    quality: float = _BEST_DB
    as_written: float = _BEST_DB

    def add(self, golden: dict[str, Any], remade: Remade) -> None:
        """One edit, up to the diffusion model."""
        if remade.pixels is not None:
            apart = float(np.abs(remade.pixels - golden["pixels"]).max())
            self.pixels = max(self.pixels or 0.0, apart)
        if remade.tokens is not None:
            wanted = golden["tokens"].tolist()
            self.same += sum(a == b for a, b in zip(remade.tokens, wanted, strict=False))
            self.total += max(len(wanted), len(remade.tokens))
        if remade.ids is not None and _wrote_the_same(golden, remade):
            self.ids = (self.ids is not False) and list(remade.ids) == golden["ids"].tolist()


def _wrote_the_same(golden: dict[str, Any], remade: Remade) -> bool:
    return remade.tokens is None or list(remade.tokens) == golden["tokens"].tolist()


def verify(
    request: BundleRequest, make: Callable[[Bundle], Model], remake: Remake[Model], job: Job
) -> BundleReport:
    """Make the golden edits of a bundle again, all noise passed in, and compare.

    Args:
        request: names the bundle.
        make: the family's model of it.
        remake: what that makes of a picture and an instruction.
        job: progress, cancellation.

    Raises:
        WeightsError: the bundle has none, or is not one of the family's.
    """
    diffusion = make(Bundle(request.bundle, device="cpu"))
    edits = load_groups(request.bundle / EDITS)
    worst = _Worst()
    for number, golden in enumerate(edits):
        job.report("making golden edits again", number, len(edits))
        remade = remake(diffusion, golden["picture"], str(golden["instruction"]))
        worst.add(golden, remade)
        quality = _quality(diffusion, golden, remade.guided)
        worst.quality = min(worst.quality, quality)
        if remade.as_written is not None and not _wrote_the_same(golden, remade):
            guided = remade.as_written(golden["tokens"].tolist())
            quality = _quality(diffusion, golden, guided)
        worst.as_written = min(worst.as_written, quality)
    return BundleReport(findings=tuple(_findings(worst, diffusion.bundle.document)))


def _quality(diffusion: BundledDiffusion, golden: dict[str, Any], guided: Guided) -> float:
    """PSNR of a golden edit, painted again."""
    made = diffusion.paint(
        golden["picture"].astype(np.float32) / 255,
        guided,
        guidance=Guidance(),
        steps=GOLDEN_STEPS,
        noise=Noise(golden["first"], functools.partial(_noise_of, golden["noise"])),
    )
    return _psnr(made, golden["edited"])


def _findings(worst: _Worst, document: Document) -> Iterator[Finding]:
    precisions = {part.precision for part in document.parts}
    if worst.pixels is not None:
        yield Finding(
            what="pixels for the tower, largest difference", value=worst.pixels, limit=_NEAR,
            passed=worst.pixels <= _NEAR,
        )  # fmt: skip
    if worst.ids is not None:
        yield Finding(
            what="prompts with the same tokens, share", value=float(worst.ids), limit=1.0,
            passed=worst.ids,
        )  # fmt: skip
    if worst.total:
        share, least = worst.same / worst.total, 1.0 if precisions == {"fp32"} else None
        yield Finding(
            what="tokens that are equal, share", value=share, limit=least,
            passed=least is None or share >= least,
        )  # fmt: skip
    enough = None if precisions & set(_FEW_BITS) else _ENOUGH_DB
    yield Finding(
        what="edited pictures, lowest PSNR in dB", value=worst.quality, limit=enough,
        passed=enough is None or worst.quality >= enough,
    )  # fmt: skip
    if worst.same < worst.total:
        yield Finding(
            what="edited pictures by the original's words, lowest PSNR in dB",
            value=worst.as_written, limit=enough,
            passed=enough is None or worst.as_written >= enough,
        )  # fmt: skip


def _noise_of(noise: Floats, number: int) -> Floats:
    return np.asarray(noise[number], np.float32)


def _psnr(found: Map, wanted: Map) -> float:
    error = float(np.square(found.astype(np.float64) - wanted).mean())
    return _BEST_DB if error == 0 else min(_BEST_DB, -10 * float(np.log10(error)))
