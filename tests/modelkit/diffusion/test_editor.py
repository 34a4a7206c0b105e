"""The editor beside diffusers' InstructPix2Pix pipeline, and what only it can do."""

from __future__ import annotations

import threading

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

import torch  # noqa: E402
from diffusers import StableDiffusionInstructPix2PixPipeline  # noqa: E402

from imgedit_modelkit.diffusion.conditioning import Conditioning  # noqa: E402
from imgedit_modelkit.diffusion.editor import STAGE, PictureEditor, Sampling  # noqa: E402
from imgedit_modelkit.diffusion.guidance import (  # noqa: E402
    BOTH,
    NEITHER,
    PICTURE,
    Guidance,
)
from imgedit_modelkit.diffusion.saving import Saving  # noqa: E402
from imgedit_modelkit.diffusion.schedulers import named  # noqa: E402
from imgedit_modelkit.diffusion.testing import (  # noqa: E402
    stable_diffusion_scheduler,
    tiny_unet,
    tiny_vae,
)
from imgedit_plugins.errors import ImgeditError, JobCancelledError, OptionError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402

SCHEDULERS = (
    "EulerAncestralDiscreteScheduler",
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "PNDMScheduler",
    "HeunDiscreteScheduler",
    "LCMScheduler",
)


def pipeline(editor, scheduler=None):
    made = StableDiffusionInstructPix2PixPipeline(
        vae=editor.vae,
        text_encoder=None,
        tokenizer=None,
        unet=editor.unet,
        scheduler=scheduler or editor.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def by_diffusers(pipe, picture, conditioning, sampling, **more):
    return pipe(
        image=picture,
        prompt_embeds=conditioning.embeddings,
        negative_prompt_embeds=conditioning.null,
        num_inference_steps=sampling.steps,
        guidance_scale=sampling.guidance.text,
        image_guidance_scale=sampling.guidance.image,
        output_type="pt",
        **more,
    ).images


# --- beside diffusers -------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEDULERS)
def test_pixels_are_those_of_diffusers(editor, picture, conditioning, name):
    scheduler = stable_diffusion_scheduler(name)
    sampling = Sampling(6, Guidance(7.5, 1.5), scheduler)
    ours = editor.edit(picture, conditioning, sampling, seeds=[11])
    generator = torch.Generator().manual_seed(11)
    theirs = by_diffusers(
        pipeline(editor, scheduler), picture, conditioning, sampling, generator=generator
    )
    assert torch.equal(ours, theirs)
    assert ours.shape == picture.shape
    assert ours.std() > 0.05


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_diffusers_pixels_too(picture, conditioning, dtype):
    scheduler = stable_diffusion_scheduler()
    half = PictureEditor(tiny_unet().to(dtype), tiny_vae().to(dtype), scheduler)
    sampling = Sampling(4)
    ours = half.edit(picture, conditioning, sampling, seeds=[2])
    generator = torch.Generator().manual_seed(2)
    theirs = by_diffusers(pipeline(half), picture, conditioning, sampling, generator=generator)
    assert ours.dtype == torch.float32
    assert torch.equal(ours, theirs.float())


def test_noise_takes_the_place_of_the_seeds(editor, picture, conditioning):
    scheduler = stable_diffusion_scheduler("DDIMScheduler")
    sampling = Sampling(5, scheduler=scheduler)
    noise = torch.randn(1, 4, 8, 12, generator=torch.Generator().manual_seed(1))
    ours = editor.edit(picture, conditioning, sampling, noise=noise, seeds=[5])
    assert torch.equal(ours, editor.edit(picture, conditioning, sampling, noise=noise, seeds=[6]))
    theirs = by_diffusers(
        pipeline(editor, scheduler), picture, conditioning, sampling, latents=noise.clone()
    )
    assert torch.equal(ours, theirs)


def test_without_guidance_it_is_one_pass_as_in_diffusers(editor, picture, conditioning):
    sampling = Sampling(4, Guidance(1.0, 1.0))
    ours = editor.edit(picture, conditioning, sampling, seeds=[3])
    generator = torch.Generator().manual_seed(3)
    theirs = by_diffusers(pipeline(editor), picture, conditioning, sampling, generator=generator)
    assert torch.equal(ours, theirs)


def test_several_pictures_with_several_conditionings(editor, picture, conditioning):
    other = Conditioning(-conditioning.embeddings, conditioning.null)
    both = Conditioning(
        torch.cat([conditioning.embeddings, other.embeddings]), conditioning.null.expand(2, -1, -1)
    )
    pictures = torch.cat([picture, picture.flip(3)])
    ours = editor.edit(pictures, both, Sampling(4), seeds=[3, 4])
    generators = [torch.Generator().manual_seed(seed) for seed in (3, 4)]
    theirs = by_diffusers(pipeline(editor), pictures, both, Sampling(4), generator=generators)
    assert torch.equal(ours, theirs)


# --- guidance ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guidance", "branches"),
    [
        (Guidance(7.5, 1.5), (BOTH, PICTURE, NEITHER)),
        (Guidance(7.5, 1.0), (BOTH, PICTURE)),
        (Guidance(1.5, 1.5), (BOTH, NEITHER)),
        (Guidance(1.0, 1.0), (BOTH,)),
        (Guidance(0.0, 1.0), (PICTURE,)),
        (Guidance(0.0, 0.0), (NEITHER,)),
    ],
)
def test_branches_without_weight_are_not_computed(
    editor, picture, conditioning, guidance, branches, monkeypatch
):
    assert tuple(guidance.weights) == branches
    assert sum(guidance.weights.values()) == pytest.approx(1)
    sizes, forward = [], editor.unet.forward
    monkeypatch.setattr(
        editor.unet, "forward", lambda x, *a, **k: sizes.append(len(x)) or forward(x, *a, **k)
    )
    editor.edit(picture, conditioning, Sampling(3, guidance))
    assert sizes == [len(branches)] * 3


@pytest.mark.parametrize("guidance", [Guidance(7.5, 1.0), Guidance(2.0, 2.0), Guidance(0.0, 1.0)])
def test_left_out_branches_change_nothing(guidance):
    generator = torch.Generator().manual_seed(0)
    predicted = {
        branch: torch.randn(2, 4, 3, 3, generator=generator) for branch in (BOTH, PICTURE, NEITHER)
    }
    whole = (
        predicted[NEITHER]
        + guidance.image * (predicted[PICTURE] - predicted[NEITHER])
        + guidance.text * (predicted[BOTH] - predicted[PICTURE])
    )
    few = guidance.combined({branch: predicted[branch] for branch in guidance.weights})
    assert torch.allclose(few, whole, atol=1e-5)


@pytest.mark.parametrize("scales", [(-1.0, 1.5), (7.5, float("nan")), (float("inf"), 1.0)])
def test_scales_that_cannot_be(scales):
    with pytest.raises(ImgeditError, match="guidance cannot be"):
        Guidance(*scales)


# --- seeds and candidates ---------------------------------------------------------------------


def test_a_seed_gives_the_same_picture_alone_and_in_company(editor, picture, conditioning):
    alone = editor.edit(picture, conditioning, Sampling(4), seeds=[8])
    again = editor.edit(picture, conditioning, Sampling(4), seeds=[8])
    company = editor.edit(picture, conditioning, Sampling(4), seeds=[7, 8, 9])
    assert torch.equal(alone, again)
    assert torch.allclose(alone, company[1:2], atol=2e-3)
    assert (company[0] - company[1]).abs().mean() > 0.01


def test_neither_the_global_generator_nor_the_scheduler_is_touched(editor, picture, conditioning):
    torch.manual_seed(1)
    before, settings = torch.get_rng_state(), dict(vars(editor.scheduler))
    editor.edit(picture, conditioning, Sampling(3))
    assert torch.equal(before, torch.get_rng_state())
    assert vars(editor.scheduler).keys() == settings.keys()
    assert all(vars(editor.scheduler)[name] is value for name, value in settings.items())


def test_two_edits_at_once_do_not_meet(editor, picture, conditioning):
    wanted = [editor.edit(picture, conditioning, Sampling(6), seeds=[s]) for s in (1, 2)]
    found = [None, None]

    def run(number):
        found[number] = editor.edit(picture, conditioning, Sampling(6), seeds=[number + 1])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(a, b) for a, b in zip(wanted, found, strict=True))


# --- sequences --------------------------------------------------------------------------------


def test_masked_tokens_do_not_count(editor, picture, conditioning):
    text = conditioning.embeddings
    garbage = torch.cat([text, torch.full((1, 4, 32), 50.0)], dim=1)
    mask = torch.tensor([[1] * 7 + [0] * 4])
    masked = Conditioning(garbage, conditioning.null, mask)
    plain = editor.edit(picture, conditioning, Sampling(3))
    assert torch.allclose(editor.edit(picture, masked, Sampling(3)), plain, atol=2e-3)
    unmasked = Conditioning(garbage, conditioning.null)
    assert (editor.edit(picture, unmasked, Sampling(3)) - plain).abs().mean() > 5e-3


def test_the_null_may_be_shorter(editor, picture, conditioning):
    short = conditioning.null[:, :2]
    mask = torch.tensor([[1, 1, 0, 0, 0, 0, 0]])
    by_mask = Conditioning(conditioning.embeddings, conditioning.null, null_mask=mask)
    by_length = Conditioning(conditioning.embeddings, short)
    a, b = (editor.edit(picture, c, Sampling(3)) for c in (by_mask, by_length))
    assert torch.allclose(a, b, atol=2e-3)


@pytest.mark.parametrize(
    ("text", "null", "mask", "told"),
    [
        ((7, 32), (1, 7, 32), None, r"\(batch, tokens, width\), not \(7, 32\)"),
        ((2, 7, 32), (3, 7, 32), None, "null conditioning is"),
        ((2, 7, 32), (1, 7, 16), None, "widths must be equal"),
        ((2, 7, 32), (1, 7, 32), (2, 6), r"mask of the conditioning is \(2, 6\)"),
    ],
)
def test_sequences_that_do_not_go_together(text, null, mask, told):
    with pytest.raises(ImgeditError, match=told):
        Conditioning(
            torch.zeros(text), torch.zeros(null), None if mask is None else torch.ones(mask)
        )


def test_a_row_that_is_masked_out_whole_is_refused():
    with pytest.raises(ImgeditError, match="row without any token"):
        Conditioning(torch.zeros(1, 2, 4), torch.zeros(1, 2, 4), torch.zeros(1, 2))


# --- jobs -------------------------------------------------------------------------------------


def test_each_step_is_reported(editor, picture, conditioning):
    told = []
    editor.edit(picture, conditioning, Sampling(4), job=Job(on_progress=told.append))
    assert {progress.stage for progress in told} == {STAGE}
    assert sorted({(progress.done, progress.total) for progress in told}) == [
        (done, 4) for done in range(5)
    ]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_cancelled_between_steps(editor, picture, conditioning, after, monkeypatch):
    job, steps, forward = Job(), [], editor.unet.forward

    def counted(*args, **kwargs):
        steps.append(1)
        if len(steps) == after:
            job.cancel()
        return forward(*args, **kwargs)

    monkeypatch.setattr(editor.unet, "forward", counted)
    if not after:
        job.cancel()
    with pytest.raises(JobCancelledError):
        editor.edit(picture, conditioning, Sampling(5), job=job)
    assert len(steps) == after


# --- memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "saving",
    [Saving(branches_apart=True), Saving(sliced_attention=True), Saving(offload=True)],
    ids=["branches apart", "sliced attention", "offload"],
)
def test_saving_memory_changes_no_picture(editor, picture, conditioning, saving):
    thrifty = PictureEditor(tiny_unet(), tiny_vae(), editor.scheduler, saving=saving)
    wanted = editor.edit(picture, conditioning, Sampling(4), seeds=[1])
    found = thrifty.edit(picture, conditioning, Sampling(4), seeds=[1])
    assert torch.allclose(found, wanted, atol=3e-3)


def test_tiled_vae_comes_near(editor, conditioning):
    generator = torch.Generator().manual_seed(0)
    large = torch.nn.functional.interpolate(
        torch.rand(1, 3, 8, 8, generator=generator), size=(96, 96), mode="bicubic"
    ).clamp(0, 1)
    tiled = PictureEditor(tiny_unet(), tiny_vae(), editor.scheduler, saving=Saving(tiled_vae=True))
    assert tiled.vae.tile_sample_min_size < 96
    wanted = editor.edit(large, conditioning, Sampling(2), seeds=[1])
    found = tiled.edit(large, conditioning, Sampling(2), seeds=[1])
    # Random weights: group norms see other statistics in each tile, so it is only near.
    assert 0 < (found - wanted).abs().mean() < 0.2


def test_offloaded_parts_are_on_the_device_only_while_they_work(
    editor, picture, conditioning, monkeypatch
):
    thrifty = PictureEditor(tiny_unet(), tiny_vae(), editor.scheduler, saving=Saving(offload=True))
    moves = []
    for name in ("unet", "vae"):
        part = getattr(thrifty, name)
        monkeypatch.setattr(part, "to", lambda where, n=name: moves.append((n, str(where))))
    thrifty.device = torch.device("cpu", 0)  # a name of its own for the same place
    thrifty.edit(picture, conditioning, Sampling(2))
    there, back = "cpu:0", "cpu"
    assert moves == [(n, where) for n in ("vae", "unet", "vae") for where in (there, back)]


def test_a_vae_that_overflows_in_half_precision_decodes_in_full(picture, conditioning):
    vae = tiny_vae().half()
    with torch.no_grad():
        vae.decoder.conv_in.weight.mul_(3e4)  # above 65504 after the first convolution
    editor = PictureEditor(tiny_unet().half(), vae, stable_diffusion_scheduler("DDIMScheduler"))
    found = editor.edit(picture, conditioning, Sampling(2))
    assert found.isfinite().all()
    assert found.std() > 0.01
    assert next(vae.parameters()).dtype == torch.float16


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((3, 32, 48), "shape"),
        ((1, 4, 32, 48), "shape"),
        ((1, 3, 32, 46), "46x32 pixels does not fit this model"),
        ((2, 3, 32, 48), "2 pictures for 1 seeds"),
    ],
)
def test_wrong_pictures_are_refused_in_a_sentence(editor, conditioning, shape, told):
    with pytest.raises(ImgeditError, match=told):
        editor.edit(torch.zeros(shape), conditioning)


def test_wrong_inputs_are_refused_in_a_sentence(editor, picture, conditioning):
    cases = [
        (picture.byte(), conditioning, {}, "floating-point"),
        (picture, Conditioning(torch.zeros(1, 3, 16), torch.zeros(1, 3, 16)), {}, "16 wide"),
        (picture, conditioning, {"noise": torch.zeros(1, 4, 8, 8)}, "noise is"),
        (picture, conditioning, {"seeds": []}, "0 seeds"),
        (picture, conditioning, {"sampling": Sampling(0)}, "at least 1 step, not 0"),
        (
            picture,
            Conditioning(torch.zeros(2, 3, 32), torch.zeros(1, 3, 32)),
            {"seeds": [1, 2, 3]},
            "2 conditionings for 3 pictures",
        ),
    ]
    for pictures, sequence, more, told in cases:
        with pytest.raises(ImgeditError, match=told) as raised:
            editor.edit(pictures, sequence, **more)
        assert "\n" not in str(raised.value)


def test_a_text_to_image_unet_is_refused_with_what_to_do():
    with pytest.raises(ImgeditError, match=r"takes 4 channels .*with_picture_channels"):
        PictureEditor(tiny_unet(channels=4), tiny_vae(), stable_diffusion_scheduler())


def test_a_unet_that_needs_more_than_a_sequence_is_refused():
    unet = tiny_unet()
    unet.register_to_config(addition_embed_type="text_time")
    with pytest.raises(ImgeditError, match="addition_embed_type 'text_time'"):
        PictureEditor(unet, tiny_vae(), stable_diffusion_scheduler())


def test_schedulers_by_name(editor):
    found = named("dpm++", editor.scheduler)
    assert type(found).__name__ == "DPMSolverMultistepScheduler"
    assert found.config.beta_schedule == "scaled_linear"
    for wrong in ("nothing", "UNet2DConditionModel", "schedulers"):
        with pytest.raises(OptionError, match=f"no scheduler '{wrong}'"):
            named(wrong, editor.scheduler)


def test_a_broken_model_does_not_return_black(picture, conditioning):
    unet = tiny_unet()
    with torch.no_grad():
        unet.conv_out.bias.fill_(float("nan"))
    broken = PictureEditor(unet, tiny_vae(), stable_diffusion_scheduler("DDIMScheduler"))
    with pytest.raises(ImgeditError, match="numbers that are none"):
        broken.edit(picture, conditioning, Sampling(2))
