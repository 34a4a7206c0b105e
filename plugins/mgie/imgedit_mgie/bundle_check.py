"""`verify_bundle`: golden edits made again with a bundle, without torch."""

from __future__ import annotations

from imgedit_exporters.runtime.sessions import Bundle
from imgedit_mgie.bundled import GOLDEN_TOKENS, BundledModel, plain
from imgedit_modelkit import bundled_golden
from imgedit_modelkit.bundled_golden import Remade
from imgedit_plugins.exporting import BundleReport
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.requests import BundleRequest


def verify(request: BundleRequest, job: Job) -> BundleReport:
    """Make the golden edits of a bundle again, all noise passed in, and compare.

    Raises:
        WeightsError: the bundle has none, or is not one of ours.
    """
    model = BundledModel(Bundle(request.bundle, device="cpu"))

    def remake(picture: RGB8, instruction: str) -> Remade:
        return _remade(model, picture, instruction)

    return bundled_golden.verify(model, remake, job)


def _remade(model: BundledModel, picture: RGB8, instruction: str) -> Remade:
    told, tokens, pixels = plain(instruction), None, None
    if model.writes:
        derived = model.derive(picture, instruction, longest=GOLDEN_TOKENS)
        tokens, told = derived.tokens, derived.expressive or told
        pixels = model.pixels(picture)[0] if model.sees else None
        if model.text is None:
            return Remade(model.conditioning(derived.states), pixels, tokens=tokens)
    assert model.text is not None
    return Remade(model.text.conditioning(told), pixels, model.text.ids(told), tokens)
