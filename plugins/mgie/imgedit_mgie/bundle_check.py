"""`verify_bundle`: golden edits made again with a bundle, without torch."""

from __future__ import annotations

from dataclasses import replace

from imgedit_mgie.bundled import GOLDEN_TOKENS, BundledModel, Derived, plain
from imgedit_modelkit import bundled_golden
from imgedit_modelkit.bundled_diffusion import Guided
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
    return bundled_golden.verify(request, BundledModel, _remade, job)


def _remade(model: BundledModel, picture: RGB8, instruction: str) -> Remade:
    if not model.writes:
        return _texted(model, instruction)
    derived = model.derive(picture, instruction, longest=GOLDEN_TOKENS)
    remade = Remade(
        _guided(model, derived, instruction),
        pixels=model.pixels(picture)[0] if model.sees else None,
        tokens=derived.tokens,
        as_written=lambda tokens: _guided(
            model, model.as_written(picture, instruction, tokens), instruction
        ),
    )
    if model.text is None:
        return remade
    return replace(remade, ids=model.text.ids(derived.expressive or plain(instruction)))


def _guided(model: BundledModel, derived: Derived, instruction: str) -> Guided:
    if model.text is None:
        return model.conditioning(derived.states)
    return model.text.conditioning(derived.expressive or plain(instruction))


def _texted(model: BundledModel, instruction: str) -> Remade:
    assert model.text is not None
    told = plain(instruction)
    return Remade(model.text.conditioning(told), ids=model.text.ids(told))
