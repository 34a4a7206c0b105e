"""Pictures that many tests of reverse design use; the arrays are read-only."""

from __future__ import annotations

import pytest
from made_pictures import picture

from imgedit_plugins.operations import load_profile
from imgedit_plugins.pictures import RGB8
from imgedit_reverse_design.moves import Renderer


@pytest.fixture(scope="session")
def photo() -> RGB8:
    """240 x 320, asymmetric."""
    return _frozen(picture(240, 320, seed=0))


@pytest.fixture(scope="session")
def other_photo() -> RGB8:
    """240 x 320, showing something else."""
    return _frozen(picture(240, 320, seed=3))


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    """With the shipped definitions."""
    return Renderer(load_profile())


def _frozen(pixels: RGB8) -> RGB8:
    pixels.setflags(write=False)
    return pixels
