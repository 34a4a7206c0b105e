"""`apply_edit` with the tiny model, through the manager as all front ends call it."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch

import tiny_mgie  # noqa: E402
import torch  # noqa: E402

from imgedit_mgie import models  # noqa: E402
from imgedit_mgie.forecast import Forecast, forecast, unet_operations  # noqa: E402
from imgedit_mgie.pipelines import pipeline_class  # noqa: E402
from imgedit_mgie.setting import Setting, setting_of  # noqa: E402
from imgedit_plugins.errors import (  # noqa: E402
    ImgeditError,
    JobCancelledError,
    OptionError,
    WeightsError,
)
from imgedit_plugins.jobs import Job, Progress  # noqa: E402
from imgedit_plugins.pictures import Picture  # noqa: E402
from imgedit_plugins.plugins import PluginManager  # noqa: E402
from imgedit_plugins.requests import ApplyRequest, EditResult  # noqa: E402

PICTURE = tiny_mgie.picture(60, 84)


@pytest.fixture
def manager() -> PluginManager:
    return PluginManager.discover({"IMGEDIT_PLUGINS": "mgie"})


@pytest.fixture
def edit(manager, model_folder):
    """Edits with a few steps; keywords are options, `picture`, `mask`, `seed` and `job` aside."""

    def call(
        picture: Picture = PICTURE, mask: Any = None, seed: int = 7, job: Job | None = None,
        instruction: str = "make it red", **options: Any,
    ) -> EditResult:  # fmt: skip
        given = {name.replace("_", "-"): value for name, value in options.items()}
        small = {"weights": str(model_folder), "steps": 3, "resolution": 64, "max-tokens": 20}
        request = ApplyRequest(
            picture=picture, instruction=instruction, mask=mask, seed=seed,
            options={**small, "precision": "fp32", **given},
        )  # fmt: skip
        found: EditResult = manager.call("apply_edit", request, job or Job(), "mgie")
        return found

    return call


def pixels(result: EditResult, number: int = 0) -> np.ndarray:
    return result.candidates[number].picture.pixels


# --- results ----------------------------------------------------------------------------------


def test_an_edit_is_a_picture_of_the_same_size_with_its_expressive_instruction(edit):
    result = edit(expressive="It is red. The sky is blue.")
    (candidate,) = result.candidates
    assert candidate.picture.pixels.shape == PICTURE.pixels.shape
    assert candidate.seed == 7
    assert candidate.picture.pixels.std() > 5
    assert not np.array_equal(candidate.picture.pixels, PICTURE.pixels)
    assert result.explanation == "It is red. The sky is blue."


def test_what_the_model_wrote_can_be_given_back(edit):
    written = edit()
    assert written.explanation
    again = edit(expressive=written.explanation)
    assert again.explanation == " ".join(written.explanation.split())
    other = edit(expressive="Something else altogether happens here.")
    assert not np.array_equal(pixels(again), pixels(other))


def test_candidates_have_seeds_of_their_own_and_can_be_had_again(edit):
    three = edit(candidates=3, seed=40)
    assert [c.seed for c in three.candidates] == [40, 41, 42]
    assert not np.array_equal(pixels(three, 0), pixels(three, 1))
    assert np.array_equal(pixels(three, 2), pixels(edit(seed=42)))


def test_the_same_seed_gives_the_same_bits_whatever_ran_before(edit):
    first = edit()
    torch.manual_seed(123)
    models.release()
    assert np.array_equal(pixels(first), pixels(edit()))
    assert not np.array_equal(pixels(first), pixels(edit(seed=8)))


def test_instruction_picture_and_guidance_matter(edit):
    first = pixels(edit())
    assert not np.array_equal(first, pixels(edit(instruction="make the sky darker")))
    assert not np.array_equal(first, pixels(edit(guidance=1.0)))
    assert not np.array_equal(first, pixels(edit(image_guidance=2.2)))
    assert not np.array_equal(first, pixels(edit(scheduler="DDIMScheduler")))
    assert not np.array_equal(first, pixels(edit(steps=4)))


# --- the user's picture -----------------------------------------------------------------------


def test_outside_the_mask_nothing_changes(edit):
    mask = np.zeros((60, 84), np.uint8)
    mask[10:30, 20:50] = 255
    mask[10:30, 50:54] = 100
    result = pixels(edit(mask=mask))
    assert np.array_equal(result[mask == 0], PICTURE.pixels[mask == 0])
    assert not np.array_equal(result[mask == 255], PICTURE.pixels[mask == 255])


@pytest.mark.parametrize("kind", ["uint16", "float32", "alpha", "grey"])
def test_depth_alpha_and_channels_are_kept(edit, kind):
    plain = PICTURE.pixels
    made = {
        "uint16": plain.astype(np.uint16) * 257,
        "float32": (plain / 255).astype(np.float32),
        "alpha": np.dstack([plain, np.broadcast_to(np.arange(84, dtype=np.uint8), (60, 84))]),
        "grey": np.ascontiguousarray(plain[:, :, :1]),
    }[kind]  # fmt: skip
    result = pixels(edit(picture=Picture(made)))
    assert result.shape == made.shape
    assert result.dtype == made.dtype
    if kind == "alpha":
        assert np.array_equal(result[:, :, 3], made[:, :, 3])
        assert np.array_equal(result[:, 0], made[:, 0]), "where it is transparent nothing changes"
        assert not np.array_equal(result[:, 1:, :3], made[:, 1:, :3])
    if kind == "uint16":
        assert len(np.unique(result % 257)) > 1, "finer than 8 bits"
        # What the model sees is scaled in 16 bits here and in 8 there, and it is a wild one.
        assert np.abs(result / 257 - pixels(edit()).astype(float)).mean() < 1.0


def test_the_region_that_is_selected_is_seen_with_what_is_around_it(edit):
    """Far from the selection the picture may be anything; near it, it counts."""
    mask = np.zeros((200, 300), np.uint8)
    mask[90:110, 40:60] = 255
    first, far, near = (tiny_mgie.picture(200, 300).pixels.copy() for _ in range(3))
    far[:, 200:] = 0
    near[90:110, 70:80] = 0
    results = [
        pixels(edit(picture=Picture(p), mask=mask, expressive="It is red."))[mask == 255]
        for p in (first, far, near)
    ]
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


def test_tiles_take_an_edit_each_and_stay_within_the_selection(edit):
    picture = tiny_mgie.picture(120, 160)
    told: list[Progress] = []
    whole = edit(picture=picture, expressive="It is red.")
    tiled = edit(
        picture=picture, expressive="It is red.", tiled=True, job=Job(on_progress=told.append)
    )
    steps = [(p.done, p.total) for p in told if p.stage == "painting"]
    assert steps[-1][0] == steps[-1][1] > 3 * 4
    assert not np.array_equal(pixels(whole), pixels(tiled))


# --- jobs -------------------------------------------------------------------------------------


def test_progress_counts_tokens_and_the_steps_of_all_candidates(edit):
    told: list[Progress] = []
    edit(candidates=2, job=Job(on_progress=told.append))
    stages = list(dict.fromkeys(p.stage for p in told))
    assert [s for s in stages if not s.startswith("will need")] == [
        "loading the language model", "writing the expressive instruction",
        "loading the diffusion model", "painting",
    ]  # fmt: skip
    assert any(s.startswith("will need") and "GB of memory and about" in s for s in stages)
    steps = [(p.done, p.total) for p in told if p.stage == "painting"]
    assert sorted(set(steps)) == [(n, 6) for n in range(7)]
    assert steps == sorted(steps)


@pytest.mark.parametrize("stage", ["writing the expressive instruction", "painting"])
def test_cancelling_stops_at_the_next_token_or_step(edit, stage):
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if progress.stage == stage and progress.done == 2:
            job.cancel()

    job = Job(on_progress=watch)
    with pytest.raises(JobCancelledError):
        edit(job=job)
    assert (seen[-1].stage, seen[-1].done) == (stage, 2)


# --- where it runs ----------------------------------------------------------------------------


def test_offloading_changes_nothing(edit):
    whole = pixels(edit(offload="none"))
    for offload in ("stages", "layers"):  # the guidance's passes one by one round otherwise
        apart = np.abs(pixels(edit(offload=offload)).astype(int) - whole)
        assert apart.max() <= 1, offload


def test_half_precision_is_near(edit):
    whole = pixels(edit(expressive="It is red.")).astype(int)
    half = pixels(edit(expressive="It is red.", precision="bf16")).astype(int)
    assert np.abs(whole - half).mean() < 12
    assert half.std() > 5


def test_the_forecast_says_what_must_wait():
    told = Forecast(language=14, painting=2, working=1, seconds=100)
    assert [told.memory(o) for o in ("none", "stages", "layers")] == [17, 15, 3]
    assert [told.enough(free) for free in (30, 19, 10)] == ["none", "stages", "layers"]
    assert "about 2 minutes" in Forecast(0, 0, 0, 125).sentence("none")


def test_the_forecast_counts_weights_exactly_and_grows_with_the_work(model_folder):
    setting = Setting("mgie", model_folder, model_folder)
    how: dict[str, Any] = {
        "device": torch.device("cpu"), "dtype": torch.float32, "size": (64, 64), "steps": 10,
        "branches": 3, "candidates": 1, "tokens": 96,
    }  # fmt: skip
    told = forecast(setting, **how)
    editor = models.PictureEditor.load(model_folder)
    count = sum(p.numel() for part in (editor.unet, editor.vae) for p in part.parameters())
    assert told.painting == 4 * count
    assert forecast(setting, **{**how, "dtype": torch.float16}).painting == 2 * count
    more = forecast(setting, **{**how, "steps": 10_000_000})
    assert more.seconds > told.seconds
    assert forecast(setting, **{**how, "size": (128, 64)}).working == 2 * told.working


def test_the_unet_s_operations_are_those_that_it_makes(model_folder):
    from torch.utils.flop_counter import FlopCounterMode

    unet = models.PictureEditor.load(model_folder).unet
    unet.set_default_attn_processor()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        unet(torch.randn(1, 8, 12, 16), 3, encoder_hidden_states=torch.randn(1, 77, 32))
    assert unet_operations(model_folder / "unet", (16, 12)) == counter.get_total_flops()


# --- what is missing --------------------------------------------------------------------------


def test_without_weights_one_sentence_says_what_how_large_which_licence_and_how(edit):
    with pytest.raises(WeightsError) as told:
        edit(weights="")
    message = str(told.value)
    for wanted in ("LLaVA-7B-v1", "14 GB", "2.3 GB", "CC-BY-NC-4.0", "weights import mgie"):
        assert wanted in message
    assert message.count("\n") == 0
    with pytest.raises(WeightsError, match=r"InstructPix2Pix is not in .*4\.2 GB") as told:
        edit(weights="", model="instructpix2pix")
    assert "weights fetch mgie/instruct-pix2pix" in str(told.value)


def test_a_folder_that_lacks_a_part_is_named(edit, model_folder, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "copy")
    (folder / "projector.safetensors").unlink()
    with pytest.raises(ImgeditError, match=r"has no projector\.safetensors"):
        edit(weights=str(folder))


# --- the family -------------------------------------------------------------------------------


def test_instructpix2pix_needs_no_language_model(edit, pix2pix):
    how = {"model": "instructpix2pix", "painter_weights": str(pix2pix), "weights": ""}
    result = edit(**how)
    assert result.explanation == ""
    assert pixels(result).std() > 5
    assert not np.array_equal(pixels(result), pixels(edit(instruction="a cat", **how)))


def test_fz_gives_the_expressive_instruction_to_instructpix2pix(edit, pix2pix):
    result = edit(model="fz", painter_weights=str(pix2pix), expressive="the sky is dark.")
    alone = edit(
        model="instructpix2pix", painter_weights=str(pix2pix), instruction="the sky is dark."
    )
    assert result.explanation == "the sky is dark."
    assert np.array_equal(pixels(result), pixels(alone))
    assert edit(model="fz", painter_weights=str(pix2pix)).explanation


def test_lgie_s_language_model_does_not_see_the_picture(edit, model_folder, tmp_path):
    import msgspec

    from imgedit_mgie.folders import read_config, write_config

    folder = shutil.copytree(model_folder, tmp_path / "lgie")
    write_config(folder, msgspec.structs.replace(read_config(folder), model="lgie"))
    other = tiny_mgie.picture(60, 84, seed=9)
    assert (
        edit(weights=str(folder)).explanation
        == edit(weights=str(folder), picture=other).explanation
    )
    assert edit().explanation != edit(picture=other).explanation
    job = Job()
    assert edit(model="lgie", job=job).explanation == edit(weights=str(folder)).explanation
    assert any("LGIE hides it" in told for told in job.warnings)


def test_e2e_is_mgie_and_other_models_are_refused_by_name(edit):
    assert np.array_equal(pixels(edit(model="e2e")), pixels(edit(model="mgie")))
    with pytest.raises(OptionError, match="is MGIE, not FT") as told:
        edit(model="ft")
    assert "train mgie -O model=ft" in str(told.value)


# --- painters ---------------------------------------------------------------------------------


def test_any_pipeline_of_diffusers_paints_what_the_language_model_says(edit, pix2pix):
    name = "StableDiffusionInstructPix2PixPipeline"
    how = {"painter": name, "painter_weights": str(pix2pix)}
    told: list[Progress] = []
    result = edit(expressive="the sky is dark.", job=Job(on_progress=told.append), **how)
    assert result.explanation == "the sky is dark."
    assert pixels(result).shape == PICTURE.pixels.shape
    assert [(p.done, p.total) for p in told if p.stage == "painting"][-1] == (3, 3)
    assert np.array_equal(pixels(result), pixels(edit(expressive="the sky is dark.", **how)))
    assert not np.array_equal(pixels(result), pixels(edit(expressive="a cat.", **how)))


@pytest.mark.parametrize("name", ["FluxKontextPipeline", "QwenImageEditPlusPipeline"])
def test_modern_pipelines_are_found_by_name(name, edit):
    assert pipeline_class(name).__name__ == name
    with pytest.raises(WeightsError, match=f"The weights of {name} are not given"):
        edit(painter=name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("FluxKontextPipelineOfTomorrow", "has no pipeline 'FluxKontextPipelineOfTomorrow'"),
        ("os", "has no pipeline 'os'"),
        ("__version__", "has no pipeline"),
        ("StableDiffusionPipeline", "takes no image"),
    ],
)
def test_other_names_are_refused_before_anything_is_loaded(edit, name, why, pix2pix):
    with pytest.raises(OptionError, match=why):
        edit(painter=name, painter_weights=str(pix2pix))


def test_a_painter_s_folder_of_another_pipeline_is_refused(edit, pix2pix):
    with pytest.raises(WeightsError, match="holds no FluxKontextPipeline"):
        edit(painter="FluxKontextPipeline", painter_weights=str(pix2pix))


def test_a_painter_s_steps_can_be_cancelled(edit, pix2pix):
    job = Job(on_progress=lambda p: job.cancel() if (p.stage, p.done) == ("painting", 1) else None)
    with pytest.raises(JobCancelledError):
        edit(
            painter="StableDiffusionInstructPix2PixPipeline", painter_weights=str(pix2pix), job=job
        )


def test_settings_say_which_folders_they_need(model_folder, pix2pix, manager):
    from imgedit_plugins.options import resolve_options

    specs = manager.options_for(manager.get("mgie"), "apply_edit")
    given = {"weights": str(model_folder), "painter-weights": str(pix2pix)}
    setting = setting_of(resolve_options(specs, {**given, "model": "fz"}), Job())
    assert (setting.model, setting.writer, setting.painter) == ("fz", model_folder, pix2pix)
    assert not setting.guided


# --- exact first, and steps -------------------------------------------------------------------


@pytest.fixture
def brightening(monkeypatch):
    """The diffusion model at work, but for its result: brighter by 40 codes, and a red thing."""
    from imgedit_modelkit.diffusion.editor import PictureEditor

    def use(*, thing: bool) -> None:
        def edit(self: Any, pictures: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            made = (pictures + 40 / 255).clamp(0, 1)
            if thing:
                height, width = made.shape[2:]
                made[:, :, height // 2 :, : width // 3] = torch.tensor([0.8, 0.1, 0.1])[
                    :, None, None
                ]
            return made

        monkeypatch.setattr(PictureEditor, "edit", edit)
        monkeypatch.setattr(PictureEditor, "rebuilt", lambda self, pictures: pictures)

    return use


@pytest.fixture
def with_search(monkeypatch, manager):
    """Edits are asked for where a plugin that recovers edits is installed, too."""
    both = PluginManager.discover({"IMGEDIT_PLUGINS": "mgie,reverse_design"})
    monkeypatch.setattr(manager, "call", both.call)


def test_a_photographic_edit_comes_back_as_a_plan(edit, brightening, with_search):
    brightening(thing=False)
    result = edit(tiny_mgie.picture(160, 200), resolution=160)
    assert result.candidates == ()
    assert [one.name for one in result.plan.operations] == ["bright"]
    assert result.plan.residual.explained >= 0.95
    assert result.explanation


def test_what_operations_cannot_do_is_a_layer_above_them(edit, brightening, with_search):
    brightening(thing=True)
    result = edit(tiny_mgie.picture(160, 200), resolution=160)
    assert [one.name for one in result.plan.operations] == ["bright"]
    (candidate,) = result.candidates
    alpha = candidate.layer.pixels[..., 3]
    assert alpha[120:, :50].min() > 200
    assert alpha[:60].max() == 0


def test_exact_off_gives_what_was_painted(edit, brightening, with_search):
    brightening(thing=False)
    result = edit(tiny_mgie.picture(160, 200), resolution=160, exact="off")
    assert result.plan is None
    assert len(result.candidates) == 1
    with pytest.raises(OptionError, match="exact"):
        edit(exact="perhaps")


def test_steps_are_shown_where_they_are(edit):
    shown = []
    edit(candidates=2, job=Job(on_preview=shown.append))
    assert len(shown) == 2 * 3
    assert {one.place for one in shown} == {(0, 0, 84, 60)}
    assert all(one.pixels.dtype == np.uint8 and one.pixels.shape[2] == 3 for one in shown)
    mask = np.zeros((60, 84), np.uint8)
    mask[20:40, 30:50] = 255
    shown.clear()
    edit(mask=mask, job=Job(on_preview=shown.append))
    left, top, width, height = shown[0].place
    assert left <= 30
    assert top <= 20
    assert left + width >= 50
    assert top + height >= 40


def test_each_tile_is_shown_in_its_place(edit):
    shown = []
    edit(tiny_mgie.picture(100, 150), tiled=True, steps=1, job=Job(on_preview=shown.append))
    places = [one.place for one in shown]
    assert places[0] == (0, 0, 150, 100)
    assert len(places) == len(set(places)) > 3
    assert all(width == height == 64 for _, _, width, height in places[1:])


def test_nobody_makes_previews_where_nobody_looks(edit, monkeypatch):
    from imgedit_modelkit.diffusion.previews import LatentColors

    def refuse(*_: Any) -> None:
        raise AssertionError("a preview was made")

    monkeypatch.setattr(LatentColors, "of", refuse)
    monkeypatch.setattr(LatentColors, "__call__", refuse)
    edit()
