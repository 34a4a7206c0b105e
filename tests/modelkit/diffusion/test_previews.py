"""Step previews: the colours that latents stand for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

import torch  # noqa: E402

from imgedit_modelkit.diffusion import previews  # noqa: E402
from imgedit_modelkit.diffusion.editor import Sampling  # noqa: E402
from imgedit_modelkit.diffusion.previews import LatentColors, denoised  # noqa: E402
from imgedit_modelkit.diffusion.testing import stable_diffusion_scheduler, tiny_vae  # noqa: E402


class LinearVae:
    """Latents that are a linear function of the mean colour, and one channel of nothing."""

    config = SimpleNamespace(block_out_channels=(1, 1, 1), scaling_factor=0.2)
    matrix = torch.tensor([[2.0, -1, 0.5], [0, 3, 1], [1, 1, -2]])

    def parameters(self):
        return iter([self.matrix])

    def encode(self, pictures):
        mean = torch.nn.functional.avg_pool2d(pictures, 4)
        latents = torch.einsum("bchw,cl->blhw", mean, self.matrix) + 0.7
        latents = torch.cat([latents, torch.zeros_like(latents[:, :1])], 1)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))


def test_colours_of_a_linear_vae_are_found():
    vae = LinearVae()
    pictures = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(5))
    latents = vae.encode(pictures * 2 - 1).latent_dist.mode() * 0.2
    shown = LatentColors.of(vae)(latents)
    wanted = torch.nn.functional.avg_pool2d(pictures, 4).permute(0, 2, 3, 1) * 255
    assert shown.shape == (2, 2, 3, 3)
    assert abs(shown - wanted.numpy()).max() < 12


def test_numbers_that_are_none_do_no_harm():
    shown = LatentColors.of(tiny_vae())(torch.full((1, 4, 2, 2), float("nan")))
    assert shown.shape == (1, 2, 2, 3)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize(
    "name", ["DPMSolverMultistepScheduler", "DDIMScheduler", "EulerDiscreteScheduler"]
)
def test_the_guess_of_a_step_that_predicts_rightly(name, kind):
    scheduler = stable_diffusion_scheduler(name, prediction_type=kind)
    scheduler.set_timesteps(10)
    time = scheduler.timesteps[4]
    generator = torch.Generator().manual_seed(0)
    goal, noise = torch.randn(2, 1, 4, 3, 3, generator=generator)
    noise, goal = noise * 0.3, goal * 0.3  # DDIM clips what is outside of -1..1
    alpha = float(scheduler.alphas_cumprod[int(time)]) ** 0.5
    sigma = (1 - alpha**2) ** 0.5
    noisy = alpha * goal + sigma * noise
    if name.startswith("Euler"):
        noisy = noisy / alpha  # it keeps the signal as it is and lets the noise grow
        scheduler.scale_model_input(noisy, time)
    said = {"epsilon": noise, "sample": goal, "v_prediction": alpha * noise - sigma * goal}[kind]
    step = scheduler.step(said, time, noisy)
    assert torch.allclose(denoised(scheduler, step, said, time, noisy), goal, atol=2e-3)


def test_previews_are_made_when_asked_for(editor, picture, conditioning, monkeypatch):
    seen = []
    with_them = editor.edit(
        picture, conditioning, Sampling(3), seeds=[1, 2], on_preview=seen.append
    )
    assert [(preview.step, preview.steps) for preview in seen] == [(1, 3), (2, 3), (3, 3)]
    assert all(preview.pictures.shape == (2, 8, 12, 3) for preview in seen)
    assert all(preview.pictures.dtype == "uint8" for preview in seen)
    assert (seen[0].pictures != seen[-1].pictures).any()
    monkeypatch.setattr(previews.LatentColors, "__call__", lambda *_: 1 / 0)
    without = editor.edit(picture, conditioning, Sampling(3), seeds=[1, 2])
    assert torch.equal(with_them, without)


def test_what_a_preview_raises_ends_the_edit(editor, picture, conditioning):
    def stop(preview):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        editor.edit(picture, conditioning, Sampling(3), on_preview=stop)
