"""`verify_bundle`: golden edits made again with a bundle, without torch."""

from __future__ import annotations

from imgedit_modelkit import bundled_golden
from imgedit_modelkit.bundled_golden import Remade
from imgedit_plugins.exporting import BundleReport
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.requests import BundleRequest
from imgedit_reason_edit.model.bundled import BundledModel


def verify(request: BundleRequest, job: Job) -> BundleReport:
    """Make the golden edits of a bundle again, all noise passed in, and compare.

    Raises:
        WeightsError: the bundle has none, or is not one of ours.
    """
    return bundled_golden.verify(request, BundledModel, _remade, job)


def _remade(model: BundledModel, picture: RGB8, instruction: str) -> Remade:
    reader = model.reader
    return Remade(
        model.conditioning(picture, instruction),
        pixels=reader.pixels(picture) if reader is not None and reader.sees else None,
        ids=model.ids(instruction),
    )
