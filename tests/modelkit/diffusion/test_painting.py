"""The editor on the user's picture: one that leaves everything, and one that paints."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

import torch  # noqa: E402

from imgedit_modelkit.diffusion.editor import PictureEditor, Sampling  # noqa: E402
from imgedit_modelkit.diffusion.guidance import Guidance  # noqa: E402
from imgedit_modelkit.diffusion.latents import input_latents  # noqa: E402
from imgedit_modelkit.diffusion.painting import edit_picture  # noqa: E402
from imgedit_modelkit.diffusion.saving import Saving  # noqa: E402
from imgedit_modelkit.diffusion.testing import (  # noqa: E402
    stable_diffusion_scheduler,
    tiny_unet,
    tiny_vae,
)
from imgedit_modelkit.regions.boxes import Fitting  # noqa: E402
from imgedit_plugins.errors import JobCancelledError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.pictures import Picture  # noqa: E402

SMALL = Fitting(4, 32 * 32)


def random_picture(height=75, width=110, channels=4, dtype=np.uint16):
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (height, width, channels))
    return Picture(values.astype(dtype))


@pytest.fixture
def mask():
    made = np.zeros((75, 110), np.uint8)
    made[20:50, 40:70] = 255
    made[50:55, 40:70] = 90
    return made


def test_only_the_selection_changes(editor, conditioning, mask):
    picture = random_picture()
    edited = edit_picture(
        editor, picture, conditioning, Sampling(2), seeds=[1, 2], mask=mask, fitting=SMALL
    )
    first, second = (one.picture.pixels for one in edited)
    for pixels in (first, second):
        assert pixels.dtype == np.uint16
        assert np.array_equal(pixels[mask == 0], picture.pixels[mask == 0])
        assert np.array_equal(pixels[..., 3], picture.pixels[..., 3])
        assert (pixels != picture.pixels)[..., :3][mask == 255].mean() > 0.9
    assert not np.array_equal(first, second)
    assert edited[0].drift.rebuilding > 0.01


class Leaving(torch.nn.Module):
    """A UNet that predicts the noise that leads to the input picture."""

    def __init__(self, like, scaling):
        super().__init__()
        self.config, self.scaling = like.config, scaling
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.alphas = stable_diffusion_scheduler("DDIMScheduler").alphas_cumprod

    def forward(self, sample, time, **_):
        noisy, seen = sample.chunk(2, dim=1)
        alpha = self.alphas[int(time)].sqrt()
        return ((noisy - alpha * seen * self.scaling) / (1 - alpha**2).sqrt(),)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_model_that_changes_nothing_gives_the_picture(conditioning, dtype):
    """Its VAE is a bad one, which shows in what the model makes, and not in the result."""
    vae = tiny_vae()
    scheduler = stable_diffusion_scheduler("DDIMScheduler", clip_sample=False)
    sampling = Sampling(8, Guidance(1.0, 1.0))
    leaving = PictureEditor(Leaving(tiny_unet(), vae.config.scaling_factor), vae, scheduler)
    shown = torch.rand(1, 3, 32, 32)
    made = leaving.edit(shown, conditioning, sampling)
    assert (made - leaving.rebuilt(shown)).abs().max() < 2e-3
    assert (made - shown).abs().mean() > 0.1
    picture = random_picture(channels=3, dtype=dtype)
    (edited,) = edit_picture(leaving, picture, conditioning, sampling, fitting=SMALL)
    apart = abs(edited.picture.pixels.astype(int) - picture.pixels)
    assert apart.max() <= np.iinfo(dtype).max // 255


def test_rebuilt_is_the_way_through_the_vae(editor, picture):
    with torch.no_grad():
        latents = input_latents(editor.vae, picture)
        wanted = (editor.vae.decode(latents).sample / 2 + 0.5).clamp(0, 1)
    assert torch.allclose(editor.rebuilt(picture), wanted, atol=1e-5)


def test_each_tile_has_its_own_conditioning(editor, conditioning):
    shapes = []

    def condition(seen):
        shapes.append(seen.shape)
        return conditioning

    fitting = Fitting(4, 32 * 32, tiled=True)
    edit_picture(editor, random_picture(40, 60, 3), condition, Sampling(1), fitting=fitting)
    assert shapes == [(28, 36, 3)] + [(32, 32, 3)] * 6


def test_cancelled_in_the_middle_nothing_comes_back(editor, conditioning):
    seen = []

    def watch(progress):
        seen.append(progress)
        if progress.done == 2:
            job.cancel()

    job = Job(on_progress=watch)
    with pytest.raises(JobCancelledError):
        edit_picture(editor, random_picture(), conditioning, Sampling(5), fitting=SMALL, job=job)
    assert seen[-1].done == 2


def test_offloaded_it_works_too(editor, conditioning, mask):
    thrifty = PictureEditor(tiny_unet(), tiny_vae(), editor.scheduler, saving=Saving(offload=True))
    found, wanted = (
        edit_picture(one, random_picture(), conditioning, Sampling(2), mask=mask, fitting=SMALL)
        for one in (thrifty, editor)
    )
    assert np.array_equal(found[0].picture.pixels, wanted[0].picture.pixels)


def test_previews_go_to_the_job_that_wants_them(editor, conditioning, mask):
    shown = []
    edit_picture(
        editor, random_picture(), conditioning, Sampling(2), seeds=[1, 2], mask=mask,
        fitting=SMALL, job=Job(on_preview=shown.append),
    )  # fmt: skip
    assert len(shown) == 2, "of the first seed alone"
    left, top, width, height = shown[0].place
    assert left <= 40
    assert left + width >= 70
    assert top <= 20
    assert top + height >= 55
    assert shown[0].pixels.shape[2] == 3
    own = []
    edit_picture(
        editor, random_picture(), conditioning, Sampling(2), fitting=SMALL,
        job=Job(on_preview=shown.append), on_preview=own.append,
    )  # fmt: skip
    assert (len(own), len(shown)) == (2, 2), "whoever asks for them gets them instead"
