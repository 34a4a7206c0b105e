"""`apply_edit` by a trained model, through the manager as all front ends call it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

pytestmark = pytest.mark.torch

sys.path.append(str(Path(__file__).parents[1] / "reasoning"))
import tiny_reasoner  # noqa: E402
import torch  # noqa: E402
from reasoned_answers import BIRDS, WARM, Model, plan, serving  # noqa: E402

from imgedit_plugins.errors import (  # noqa: E402
    DataError,
    ImgeditError,
    JobCancelledError,
    OptionError,
    WeightsError,
)
from imgedit_plugins.jobs import Job, Progress  # noqa: E402
from imgedit_plugins.pictures import Picture  # noqa: E402
from imgedit_plugins.plan import EditPlan, step  # noqa: E402
from imgedit_plugins.plugins import PluginManager  # noqa: E402
from imgedit_plugins.render import render_plan  # noqa: E402
from imgedit_plugins.requests import ApplyRequest, EditResult  # noqa: E402
from imgedit_reason_edit.model import models  # noqa: E402
from imgedit_reason_edit.model.folders import read_config, write_config  # noqa: E402

PICTURE = Picture(tiny_reasoner.picture(72, 4)[:60])


def as_trained(model: Path, folder: Path, kind: str = "reason_pix2pix") -> Path:
    """The imported model, said to be trained as some kind."""
    folder.mkdir()
    for path in model.iterdir():
        (folder / path.name).symlink_to(path)
    config = msgspec.structs.replace(read_config(model), trained=True, model=kind)
    (folder / "reason_edit.json").unlink()
    write_config(folder, config)
    return folder


@pytest.fixture
def edit(reasoner, tmp_path):
    """Edits with a few steps; keywords are options, `picture`, `mask`, `seed` and `job` aside."""
    manager = PluginManager.discover({"IMGEDIT_PLUGINS": "reason_edit"})
    folder = as_trained(reasoner, tmp_path / "trained")

    def call(
        picture: Picture = PICTURE, mask: Any = None, seed: int = 7, job: Job | None = None,
        instruction: str = "what would a red bee like?", **options: Any,
    ) -> EditResult:  # fmt: skip
        given = {name.replace("_", "-"): value for name, value in options.items()}
        small = {"model": "reason_pix2pix", "weights": str(folder), "steps": 3, "resolution": 64,
                 "precision": "fp32", "device": "cpu", "exact": "off"}  # fmt: skip
        request = ApplyRequest(
            picture=picture, instruction=instruction, mask=mask, seed=seed,
            options={**small, **given},
        )  # fmt: skip
        found: EditResult = manager.call("apply_edit", request, job or Job(), "reason_edit")
        return found

    return call


def pixels(result: EditResult, number: int = 0) -> np.ndarray:
    return result.candidates[number].picture.pixels


# --- results ----------------------------------------------------------------------------------


def test_an_edit_is_a_picture_of_the_same_size_that_the_seed_decides(edit):
    first = edit()
    assert pixels(first).shape == PICTURE.pixels.shape
    assert first.candidates[0].seed == 7
    assert not np.array_equal(pixels(first), PICTURE.pixels)
    assert not first.warnings
    torch.manual_seed(123)
    models.release()
    assert np.array_equal(pixels(first), pixels(edit()))
    assert not np.array_equal(pixels(first), pixels(edit(seed=8)))


def test_candidates_have_seeds_of_their_own_and_can_be_had_again(edit):
    three = edit(candidates=3, seed=40)
    assert [c.seed for c in three.candidates] == [40, 41, 42]
    assert np.array_equal(pixels(three, 2), pixels(edit(seed=42)))


def test_instruction_and_guidance_matter(edit):
    first = pixels(edit())
    others = [edit(instruction="turn it blue"), edit(guidance=3.0), edit(image_guidance=2.5)]
    assert not any(np.array_equal(first, pixels(one)) for one in others)


def test_the_kinds_are_guided_by_different_things(edit, reasoner, tmp_path):
    made = [pixels(edit())]
    for kind in ("text", "clip"):
        folder = as_trained(reasoner, tmp_path / kind, kind)
        made.append(pixels(edit(model=kind, weights=str(folder))))
    assert not np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    assert not np.array_equal(made[1], made[2])


def test_what_the_language_model_sees_is_what_is_edited(edit, monkeypatch):
    """The padded region of a selection, not the rest of the picture."""
    from imgedit_modelkit.picture_features import PictureReader

    seen = []
    usual = PictureReader.read

    def read(self, picture, text):
        seen.append((picture, text))
        return usual(self, picture, text)

    monkeypatch.setattr(PictureReader, "read", read)
    edit(instruction="make  it\nred")
    mask = np.zeros(PICTURE.pixels.shape[:2], np.uint8)
    mask[10:20, 50:60] = 255
    edit(mask=mask)
    (whole, told), (part, _) = seen
    assert told == "make it red"
    assert whole.dtype == np.uint8
    assert whole.shape[2] == 3
    assert not np.array_equal(whole.mean((0, 1)).round(), part.mean((0, 1)).round())


def test_outside_the_mask_nothing_changes(edit):
    mask = np.zeros(PICTURE.pixels.shape[:2], np.uint8)
    mask[10:30, 20:50] = 255
    result = pixels(edit(mask=mask))
    assert np.array_equal(result[mask == 0], PICTURE.pixels[mask == 0])
    assert (result[mask > 0] != PICTURE.pixels[mask > 0]).mean() > 0.5


def test_depth_alpha_and_channels_are_kept(edit):
    deep = PICTURE.pixels.astype(np.uint16) * 257
    alpha = np.full((*deep.shape[:2], 1), 65535, np.uint16)
    alpha[:10] = 0
    got = pixels(edit(Picture(np.concatenate([deep, alpha], axis=2))))
    assert (got.dtype, got.shape) == (np.uint16, (*deep.shape[:2], 4))
    assert np.array_equal(got[..., 3:], alpha)
    assert np.array_equal(got[:10, :, :3], deep[:10])
    grey = pixels(edit(Picture(PICTURE.pixels[..., :1].copy())))
    assert grey.shape == (*deep.shape[:2], 1)


def test_tiles_take_an_edit_each(edit):
    steps: list[Progress] = []
    large = Picture(np.kron(PICTURE.pixels, np.ones((3, 3, 1), np.uint8)))
    edit(large, tiled=True, job=Job(on_progress=steps.append))
    painting = [one for one in steps if one.stage == "painting"]
    assert painting[-1].total > 3 * 4
    assert painting[-1].total % 3 == 0


def test_progress_previews_and_cancelling(edit):
    steps: list[Progress] = []
    shown: list[Any] = []
    job = Job(on_progress=steps.append, on_preview=shown.append)
    edit(candidates=2, job=job)
    stages = [one.stage for one in steps]
    assert "loading the language model" in stages
    assert steps[-1].done == steps[-1].total == 6
    assert shown
    stopped = Job(
        on_progress=lambda p: stopped.cancel() if (p.stage, p.done) == ("painting", 1) else None
    )
    with pytest.raises(JobCancelledError):
        edit(job=stopped)


def test_offloading_changes_nothing(edit):
    plain = pixels(edit())
    for offload in ("stages", "layers"):
        models.release()
        assert np.array_equal(pixels(edit(offload=offload)), plain)


def test_exact_first_asks_the_core_to_take_operations_apart(edit, monkeypatch):
    from imgedit_plugins import exact_first

    asked = []
    monkeypatch.setattr(
        exact_first, "separated", lambda request, result, *_: asked.append(result) or result
    )
    edit(exact="off")
    assert not asked
    edit(exact="auto")
    assert len(asked) == 1


# --- what cannot be done ----------------------------------------------------------------------


def test_no_fine_tuning_is_possible_and_said_aloud(edit, reasoner):
    """Figures 13 and 15b: the language model before an untouched diffusion model."""
    for kind, told in (
        ("reason_pix2pix", "means nothing to the diffusion model yet"),
        ("text", "means nothing to the diffusion model yet"),
    ):
        job = Job()
        edit(model=kind, weights=str(reasoner), job=job)
        assert any("has not been trained" in one and told in one for one in job.warnings)


def test_other_kinds_and_no_model_are_told(edit, tmp_path):
    with pytest.raises(OptionError, match="is reason_pix2pix, not text"):
        edit(model="text")
    with pytest.raises(WeightsError, match="none was published"):
        edit(weights="")
    with pytest.raises(ImgeditError, match="NoSuchScheduler"):
        edit(scheduler="NoSuchScheduler")


def test_a_folder_that_lacks_a_part_is_named(edit, reasoner, tmp_path):
    folder = tmp_path / "lacking"
    shutil.copytree(reasoner, folder)
    shutil.rmtree(folder / "vae")
    with pytest.raises(DataError, match="has no vae, here or in what it was trained from"):
        edit(weights=str(folder))


def test_clip_needs_no_language_model(edit, reasoner_files, tmp_path):
    tiny_reasoner.imported({"diffusion": reasoner_files["diffusion"]}, tmp_path / "clip")
    job = Job()
    edit(model="clip", weights=str(tmp_path / "clip"), job=job)
    assert any("edits as well as the diffusion model" in one for one in job.warnings)
    with pytest.raises(OptionError, match="is clip, not reason_pix2pix"):
        edit(weights=str(tmp_path / "clip"))


# --- the painter of a reasoned plan -----------------------------------------------------------


def test_it_paints_what_a_reasoned_plan_leaves(reasoner, tmp_path):
    folder = as_trained(reasoner, tmp_path / "trained")
    options: dict[str, Any] = {
        "painter": "reason_edit",
        "painter-options": f"model=reason_pix2pix weights='{folder}' steps=2 resolution=64 "
        "precision=fp32 device=cpu exact=off",
    }
    with serving(Model([plan(WARM, BIRDS)])) as address:
        request = ApplyRequest(
            picture=PICTURE, instruction="x", options={"endpoint": address, **options}, seed=4
        )
        manager = PluginManager.discover({"IMGEDIT_PLUGINS": "reason_edit"})
        result: EditResult = manager.call("apply_edit", request, Job(), "reason_edit")
    assert not result.warnings
    assert result.plan is not None
    assert [one.name for one in result.plan.operations] == ["temperature"]
    warm = render_plan(PICTURE, EditPlan(operations=(step("temperature", shift=40),))).pixels
    changed = (result.candidates[0].picture.pixels != warm).any(2)
    height, width = changed.shape
    left, top, right, bottom = BIRDS["region"]["box"]
    inside = np.zeros_like(changed)
    inside[int(top * height) - 1 : int(bottom * height) + 2,
           int(left * width) - 1 : int(right * width) + 2] = True  # fmt: skip
    assert changed.any()
    assert not changed[~inside].any()


@pytest.mark.parametrize("options", ["", "steps=2", "model=plan"])
def test_a_plan_cannot_be_its_own_painter(options):
    request = ApplyRequest(
        picture=PICTURE, instruction="x",
        options={"endpoint": "http://127.0.0.1:1", "painter": "reason_edit",
                 "painter-options": options},
    )  # fmt: skip
    manager = PluginManager.discover({"IMGEDIT_PLUGINS": "reason_edit"})
    with pytest.raises(OptionError, match="itself with a trained model"):
        manager.call("apply_edit", request, Job(), "reason_edit")
