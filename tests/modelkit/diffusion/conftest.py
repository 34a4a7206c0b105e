"""Tiny pictures, conditionings and editors."""

import pytest


@pytest.fixture(scope="session")
def editor():
    from imgedit_modelkit.diffusion.testing import tiny_editor

    return tiny_editor()


@pytest.fixture
def picture():
    """(1, 3, 32, 48): a gradient and a square."""
    import torch

    down, right = torch.linspace(0, 1, 32)[:, None], torch.linspace(0, 1, 48)[None]
    made = torch.stack([down.expand(32, 48), right.expand(32, 48), (down * right)])[None]
    made[:, :, 8:16, 20:30] = 0.9
    return made


@pytest.fixture
def conditioning():
    return make_conditioning()


def make_conditioning(batch=1, tokens=7, null_tokens=7, width=32, seed=3):
    import torch

    from imgedit_modelkit.diffusion.conditioning import Conditioning

    generator = torch.Generator().manual_seed(seed)
    text = torch.randn(batch, tokens, width, generator=generator)
    return Conditioning(text, torch.randn(1, null_tokens, width, generator=generator))
