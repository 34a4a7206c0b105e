"""Schedulers on numpy beside diffusers' own, with the same noise."""

import json
import sys

import diffusers
import numpy as np
import pytest
import torch

from imgedit_exporters.runtime.painting import Guidance, Noise, denoised
from imgedit_exporters.runtime.schedulers import scheduler
from imgedit_modelkit.diffusion.guidance import BOTH, NEITHER, PICTURE
from imgedit_modelkit.diffusion.guidance import Guidance as Original
from imgedit_modelkit.diffusion.schedulers import named
from imgedit_modelkit.diffusion.testing import stable_diffusion_scheduler
from imgedit_modelkit.export_diffusion import _scheduler_settings
from imgedit_plugins.errors import ImgeditError, OptionError

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

KINDS = {
    "EulerAncestralDiscreteScheduler": "euler-ancestral",
    "DDIMScheduler": "ddim",
    "DPMSolverMultistepScheduler": "dpm++",
}
SHAPE = (4, 6, 8)


def predicted(latents: np.ndarray, number: int) -> np.ndarray:
    """What a UNet could say: of the latents' size, and another at each step."""
    rng = np.random.default_rng(number)
    mixed = 0.7 * latents / np.sqrt(1 + latents.var())
    return (mixed + 0.5 * rng.standard_normal(SHAPE)).astype(np.float32)


def original_run(made, steps: int, noise: list[np.ndarray], monkeypatch) -> list[np.ndarray]:
    """The latents after each step of a scheduler of diffusers that gets our noise."""
    left = iter(noise[1:])
    monkeypatch.setattr(
        sys.modules[type(made).__module__],
        "randn_tensor",
        lambda shape, **_: torch.from_numpy(next(left))[None],
    )
    made.set_timesteps(steps)
    latents = torch.from_numpy(noise[0])[None] * made.init_noise_sigma
    found = []
    for number, time in enumerate(made.timesteps):
        scaled = made.scale_model_input(latents, time)
        guess = torch.from_numpy(predicted(scaled[0].numpy(), number))[None]
        latents = made.step(guess, time, latents).prev_sample
        found.append(latents[0].numpy())
    return found


def assert_equal(made, steps: int, monkeypatch) -> None:
    """Each step is that of the scheduler of diffusers."""
    rng = np.random.default_rng(steps)
    noise = [rng.standard_normal(SHAPE, np.float32) for _ in range(steps + 1)]
    wanted = original_run(made, steps, noise, monkeypatch)
    ours = scheduler(dict(made.config), steps, KINDS[type(made).__name__])
    np.testing.assert_allclose(ours.times, made.timesteps.numpy(), atol=1e-3)
    latents = noise[0] * ours.initial
    for number, after in enumerate(wanted):
        guess = predicted(ours.scaled(latents, number), number)
        latents = ours.step(guess, latents, number, noise[number + 1] if ours.noisy else None)
        scale = np.abs(after).max()
        np.testing.assert_allclose(latents / scale, after / scale, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 7, 50])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"timestep_spacing": "linspace"},
        {"timestep_spacing": "trailing"},
        {"timestep_spacing": "leading", "steps_offset": 1},
        {"prediction_type": "v_prediction"},
        {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02},
        {"beta_schedule": "squaredcos_cap_v2"},
        {
            "rescale_betas_zero_snr": True,
            "timestep_spacing": "trailing",
            "prediction_type": "v_prediction",
        },
    ],
    ids=lambda s: "-".join(map(str, s.values())) or "default",
)
def test_they_are_equal(kind, steps, settings, monkeypatch):
    made = getattr(diffusers, kind).from_config(
        {**stable_diffusion_scheduler(kind).config, **settings}
    )
    assert_equal(made, steps, monkeypatch)


@pytest.mark.parametrize("steps", [1, 7, 50])
@pytest.mark.parametrize("silent", [False, True])
def test_ddim_of_a_model_that_predicts_the_latents_is_equal(steps, silent, monkeypatch):
    """As those are trained that the benchmarks train."""
    kind = "DDIMScheduler"
    settings = {
        "prediction_type": "sample", "rescale_betas_zero_snr": silent,
        "timestep_spacing": "trailing", "clip_sample": not silent,
    }  # fmt: skip
    config = {**stable_diffusion_scheduler(kind).config, **settings}
    assert_equal(diffusers.DDIMScheduler.from_config(config), steps, monkeypatch)


@pytest.mark.parametrize("steps", [1, 2, 9, 20])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize(
    "settings",
    [
        {"solver_order": 1},
        {"solver_order": 3},
        {"solver_order": 3, "solver_type": "heun", "lower_order_final": False},
        {"solver_type": "heun"},
        {"solver_type": "heun", "final_sigmas_type": "sigma_min", "lower_order_final": False},
        {"solver_order": 3, "final_sigmas_type": "sigma_min"},
        {"use_karras_sigmas": True},
        {"use_karras_sigmas": True, "beta_schedule": "squaredcos_cap_v2"},
        {"lambda_min_clipped": -2.0, "timestep_spacing": "leading"},
        {"lambda_min_clipped": -2.0, "timestep_spacing": "trailing"},
        {"euler_at_final": True, "final_sigmas_type": "sigma_min"},
        {"algorithm_type": "sde-dpmsolver++"},
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 1},
        {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun", "use_karras_sigmas": True},
        {"algorithm_type": "sde-dpmsolver++", "final_sigmas_type": "sigma_min"},
    ],
    ids=lambda s: "-".join(map(str, s.values())),
)
def test_dpm_solvers_are_equal(steps, prediction, settings, monkeypatch):
    kind = "DPMSolverMultistepScheduler"
    config = {**stable_diffusion_scheduler(kind).config, "prediction_type": prediction, **settings}
    assert_equal(getattr(diffusers, kind).from_config(config), steps, monkeypatch)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_model_leaves_open_is_as_the_class_has_it(kind):
    """As Stable Diffusion's published configuration does, which is of yet another class."""
    published = diffusers.PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True
    )
    made = named(kind, published)
    made.set_timesteps(20)
    for config in (dict(published.config), _scheduler_settings(published)):
        ours = scheduler(config, 20, KINDS[kind])
        np.testing.assert_allclose(ours.times, made.timesteps.numpy(), atol=1e-3)


def test_steps_are_made_in_order():
    config = dict(stable_diffusion_scheduler("DPMSolverMultistepScheduler").config)
    ours, latents = scheduler(config, 5, "dpm++"), np.ones(SHAPE, np.float32)
    ours.step(latents, latents, 0, None)
    with pytest.raises(ValueError, match="step 1 comes next, and not 0"):
        ours.step(latents, latents, 0, None)


def test_ddim_without_clipping_and_without_alpha_one(monkeypatch):
    settings = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
    made = stable_diffusion_scheduler("DDIMScheduler", **settings)
    noise = [np.random.default_rng(1).standard_normal(SHAPE, np.float32)]
    wanted = original_run(made, 10, noise, monkeypatch)
    ours, latents = scheduler(dict(made.config), 10, "ddim"), noise[0]
    for number in range(10):
        latents = ours.step(predicted(latents, number), latents, number, None)
    np.testing.assert_allclose(latents, wanted[-1], rtol=1e-4, atol=1e-4)


def test_what_there_is_not_is_told():
    config = json.loads(stable_diffusion_scheduler().to_json_string())
    with pytest.raises(OptionError, match="no scheduler 'HeunDiscreteScheduler'"):
        scheduler(config, 10, "HeunDiscreteScheduler")
    with pytest.raises(ImgeditError, match="1 to 1000 steps, not 0"):
        scheduler(config, 0)
    with pytest.raises(ImgeditError, match="thresholding"):
        scheduler({**config, "thresholding": True}, 10)
    with pytest.raises(ImgeditError, match="'sample'"):
        scheduler({**config, "prediction_type": "sample"}, 10)
    for settings, told in (
        ({"algorithm_type": "dpmsolver"}, "no scheduler 'dpmsolver'"),
        ({"algorithm_type": "sde-dpmsolver++", "solver_order": 3}, r"sde-dpmsolver\+\+ of order 3"),
        ({"use_lu_lambdas": True}, "use_lu_lambdas"),
        ({"timestep_spacing": "leading"}, "up to 999 steps, not 1000"),
    ):
        with pytest.raises(ImgeditError, match=told):
            scheduler({**config, **settings}, 1000, "dpm++")
    silent = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    with pytest.raises(ImgeditError, match="all is noise"):
        scheduler({**config, **silent}, 10, "ddim")


@pytest.mark.parametrize(("text", "image"), [(7.5, 1.5), (1.0, 1.0), (3.0, 1.0), (2.0, 2.0)])
def test_guidance_is_that_of_the_model_kit(text, image):
    rng = np.random.default_rng(0)
    each = {branch: rng.standard_normal(SHAPE, np.float32) for branch in (BOTH, PICTURE, NEITHER)}
    original, ours = Original(text, image), Guidance(text, image)
    branches = list(original.weights)
    assert [(b.text, b.picture) for b in branches] == [w[:2] for w in ours.weights]
    wanted = original.combined({b: torch.from_numpy(each[b]) for b in branches}).numpy()

    class Once:
        times, initial, noisy = np.array([1.0], np.float32), 1.0, False

        def scaled(self, latents, number):
            return latents

        def step(self, guess, latents, number, noise):
            return guess

    found = denoised(
        lambda *_: np.stack([each[branch] for branch in branches]), Once(), seen=each[BOTH],
        text=np.ones((3, 2), np.float32), null=np.zeros((3, 2), np.float32), guidance=ours,
        noise=Noise.seeded(0, SHAPE),
    )  # fmt: skip
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_each_forward_pass_sees_what_it_shall():
    seen = np.full(SHAPE, 3.0, np.float32)
    text, null = np.ones((2, 5), np.float32), np.zeros((2, 5), np.float32)
    given = []

    def predict(latents, time, attended):
        given.append((latents, time, attended))
        return latents[:, :4]

    config = json.loads(stable_diffusion_scheduler().to_json_string())
    denoised(
        predict, scheduler(config, 2), seen=seen, text=text, null=null, guidance=Guidance(),
        noise=Noise.seeded(5, SHAPE),
    )  # fmt: skip
    latents, time, attended = given[0]
    assert latents.shape == (3, 8, 6, 8)
    assert time.shape == (1,)
    assert [one.mean() for one in latents[:, 4:]] == [3.0, 3.0, 0.0]
    assert [one.mean() for one in attended] == [1.0, 0.0, 0.0]
    assert len(given) == 2


def test_numbers_that_are_none_are_told():
    config = json.loads(stable_diffusion_scheduler().to_json_string())
    nothing = np.zeros((2, 5), np.float32)
    with pytest.raises(ImgeditError, match="numbers that are none"):
        denoised(
            lambda latents, *_: latents[:, :4] * np.nan, scheduler(config, 2), text=nothing,
            null=nothing, seen=np.zeros(SHAPE, np.float32), guidance=Guidance(),
            noise=Noise.seeded(5, SHAPE),
        )  # fmt: skip


def test_the_same_seed_is_the_same_noise():
    first, again, other = (Noise.seeded(seed, SHAPE) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.first, again.first)
    np.testing.assert_array_equal(first.of_step(0), again.of_step(0))
    assert np.abs(first.first - other.first).mean() > 0.5
