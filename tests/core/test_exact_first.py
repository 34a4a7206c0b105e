"""Exact first: a painted edit comes back as a plan, with what was painted beyond it above."""

from __future__ import annotations

import numpy as np
import pytest
from plugin_factory import Site

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.exact_first import EXPLAINED
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.render import render_plan
from imgedit_plugins.requests import ApplyRequest, Candidate, EditResult

PICTURE = photograph(240, 160)
THING = (slice(40, 90), slice(60, 130))
EDITS = {
    "brighter": (step("bright", offset=40.0),),
    "more contrast": (step("contrast", gain=1.3),),
    "black and white": (step("grayscale"),),
    "warmer": (step("summer"),),
    "negative": (step("invert"),),
}

PAINTER = """
import pathlib

import numpy as np

from imgedit_plugins.pictures import Picture
from imgedit_plugins import hookimpl
from imgedit_plugins.requests import Candidate, EditResult


@hookimpl
def apply_edit(request, job):
    found = sorted(pathlib.Path(request.instruction).glob("*.npy"))
    made = [Candidate(picture=request.picture.with_pixels(np.load(one)), seed=n)
            for n, one in enumerate(found)]
    return EditResult(candidates=tuple(made), explanation="painted", exact_first=True)
"""

MANIFEST = """
schema = "imgedit-plugin/1"
name = "painter"
title = "Painter"
summary = "Paints what lies in a folder."
hooks = ["apply_edit"]

[[accepts]]
hook = "apply_edit"
inputs = ["picture", "instruction"]
optional = ["mask"]
rank = 90
"""


@pytest.fixture
def paint(tmp_path, monkeypatch):
    """Has pictures 'painted' by a plugin, and asks as every front end does."""
    site = Site(tmp_path / "site", monkeypatch)
    site.folder.mkdir()
    site.install("painter", code=PAINTER, manifest=MANIFEST)
    folder = tmp_path / "painted"
    folder.mkdir()

    def call(*painted, picture=PICTURE, mask=None, job=None, plugins="painter,reverse_design"):
        for number, pixels in enumerate(painted):
            np.save(folder / f"{number}.npy", pixels)
        manager = PluginManager.discover({"IMGEDIT_PLUGINS": plugins})
        request = ApplyRequest(picture=picture, instruction=str(folder), mask=mask)
        result: EditResult = manager.call("apply_edit", request, job or Job(), "painter")
        assert not result.exact_first
        assert result.explanation == "painted"
        return result

    return call


def edited(operations, picture=PICTURE, mask=None):
    return render_plan(picture, EditPlan(operations=operations), mask=mask).pixels.copy()


def noisy(pixels, codes=3.0, seed=0):
    """As painters leave it: a soft noise of so many codes."""
    import cv2

    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, codes * 10, pixels.shape), (0, 0), 3)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def with_thing(pixels, colour=(200, 30, 30)):
    pixels = pixels.copy()
    pixels[THING] = colour
    return pixels


# --- plan alone -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EDITS)
def test_a_purely_photographic_edit_comes_back_live(paint, name):
    result = paint(noisy(edited(EDITS[name])))
    assert result.candidates == ()
    assert [one.name for one in result.plan.operations] == [one.name for one in EDITS[name]]
    assert result.plan.residual.explained >= EXPLAINED
    made = render_plan(PICTURE, result.plan).pixels.astype(float)
    truth = edited(EDITS[name])
    assert np.abs(made - truth).max() <= 1, "the painter's noise is gone"


def test_the_residual_is_what_the_plan_leaves_of_the_painted_picture(paint):
    painted = noisy(edited(EDITS["brighter"]), codes=5)
    residual = paint(painted).plan.residual
    wrong = np.square(edited(EDITS["brighter"]).astype(float) - painted).mean()
    unedited = np.square(PICTURE.pixels.astype(float) - painted).mean()
    assert residual.psnr_db == pytest.approx(10 * np.log10(255**2 / wrong))
    assert residual.explained == pytest.approx(1 - wrong / unedited)


def test_sixteen_bits_and_a_selection_stay_what_they_are(paint):
    picture = photograph(240, 160, dtype="uint16")
    mask = np.zeros((160, 240), np.uint8)
    mask[30:130, 40:200] = 255
    mask[28:30, 40:200] = 128
    job = Job()
    painted = edited(EDITS["brighter"], picture, mask)
    result = paint(painted, picture=picture, mask=mask, job=job)
    assert [one.name for one in result.plan.operations] == ["bright"]
    assert result.plan.residual.explained > 0.99
    assert job.warnings == [], "nobody asked for a comparison in 8 bits"


# --- plan and layer ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("codes", [0.0, 3.0])
def test_what_was_painted_lies_above_what_the_plan_does(paint, name, codes):
    painted = with_thing(noisy(edited(EDITS[name]), codes))
    result = paint(painted)
    assert [one.name for one in result.plan.operations] == [one.name for one in EDITS[name]]
    (candidate,) = result.candidates
    exact = render_plan(PICTURE, result.plan).pixels
    colour, alpha = candidate.layer.pixels[..., :3], candidate.layer.pixels[..., 3:]
    assert result.is_layered
    inside = np.zeros(alpha.shape[:2], bool)
    inside[THING] = True
    assert (alpha[inside] > 250).mean() > 0.9
    assert (alpha[~inside] > 0).mean() < 0.1
    share = alpha / 255
    wanted = np.rint(exact + share * (colour.astype(float) - exact))
    assert np.array_equal(candidate.picture.pixels, wanted), "both together are the result"
    assert np.array_equal(candidate.picture.pixels[45:85, 65:125], painted[45:85, 65:125])
    far = candidate.picture.pixels[100:]
    assert np.array_equal(far, exact[100:]), "exact where nothing was painted"


def test_a_small_thing_is_kept_however_much_the_plan_explains(paint):
    painted = edited(EDITS["negative"])
    painted[70:76, 100:108] = (255, 0, 255)
    result = paint(painted)
    assert result.plan.residual.explained > EXPLAINED
    (candidate,) = result.candidates
    assert np.array_equal(candidate.picture.pixels[71:75, 101:107], painted[71:75, 101:107])


def test_candidates_share_the_plan_and_have_layers_of_their_own(paint):
    plain = edited(EDITS["brighter"])
    result = paint(with_thing(plain), with_thing(plain, (20, 200, 40)), plain)
    assert [one.name for one in result.plan.operations] == ["bright"]
    first, second, third = (one.layer.pixels for one in result.candidates)
    assert tuple(first[60, 90]) == (200, 30, 30, 255)
    assert tuple(second[60, 90]) == (20, 200, 40, 255)
    assert third[..., 3].max() == 0
    assert [one.seed for one in result.candidates] == [0, 1, 2]


def test_outside_of_the_selection_nothing_differs(paint):
    mask = np.zeros((160, 240), np.uint8)
    mask[20:150, 30:220] = 255
    painted = PICTURE.pixels.copy()
    painted[mask > 0] = with_thing(noisy(edited(EDITS["brighter"])))[mask > 0]
    (candidate,) = paint(painted, mask=mask).candidates
    assert np.array_equal(candidate.picture.pixels[mask == 0], PICTURE.pixels[mask == 0])
    assert not candidate.layer.pixels[..., 3][mask == 0].any()


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_deep_pictures_keep_their_type(paint, dtype):
    picture = photograph(240, 160, dtype=dtype)
    painted = edited(EDITS["more contrast"], picture)
    painted[THING] = np.array([0.8, 0.1, 0.1]) * (65535 if dtype == "uint16" else 1)
    (candidate,) = paint(painted, picture=picture).candidates
    assert candidate.picture.pixels.dtype == candidate.layer.pixels.dtype == np.dtype(dtype)
    assert np.array_equal(candidate.picture.pixels[60, 90], painted[60, 90])


def test_opaque_alpha_is_carried_along(paint):
    picture = photograph(240, 160, mode="RGBA")
    pixels = picture.pixels.copy()
    pixels[..., 3] = 255
    picture = Picture(pixels)
    painted = with_thing(edited(EDITS["brighter"], picture)[..., :3])
    painted = np.concatenate([painted, pixels[..., 3:]], axis=2)
    (candidate,) = paint(painted, picture=picture).candidates
    assert candidate.picture.mode == "RGBA"
    assert candidate.picture.pixels[..., 3].min() == 255


# --- painted alone ----------------------------------------------------------------------------


def is_as_painted(result, *painted):
    assert result.plan is None
    assert not result.is_layered
    for candidate, pixels in zip(result.candidates, painted, strict=True):
        assert np.array_equal(candidate.picture.pixels, pixels)


def test_another_picture_stays_as_it_was_painted(paint):
    painted = np.random.default_rng(1).integers(0, 255, PICTURE.pixels.shape, dtype=np.uint8)
    is_as_painted(paint(painted), painted)


def test_a_thing_alone_is_no_plan(paint):
    painted = with_thing(PICTURE.pixels)
    is_as_painted(paint(painted), painted)


def test_more_than_half_painted_is_no_plan(paint):
    painted = edited(EDITS["brighter"])
    painted[:, 60:] = np.random.default_rng(1).integers(0, 255, 3)
    is_as_painted(paint(painted), painted)


def test_transparent_pictures_stay_as_they_were_painted(paint):
    picture = photograph(240, 160, mode="RGBA")
    assert picture.pixels[..., 3].min() < 255
    painted = edited(EDITS["brighter"], picture)
    is_as_painted(paint(painted, picture=picture), painted)


def test_without_anybody_who_recovers_edits_it_stays_as_it_was_painted(paint):
    painted = noisy(edited(EDITS["brighter"]))
    told = []
    job = Job(on_progress=lambda progress: told.append(progress.stage))
    is_as_painted(paint(painted, job=job, plugins="painter"), painted)
    assert told == []
    assert job.warnings == []


def test_who_recovers_edits_may_fail(paint, monkeypatch):
    from imgedit_reverse_design import predict

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(predict, "predict", fail)
    painted = noisy(edited(EDITS["brighter"]))
    is_as_painted(paint(painted), painted)


def test_it_can_be_cancelled(paint):
    job = Job(on_progress=lambda progress: "looking" in progress.stage and job.cancel())
    with pytest.raises(JobCancelledError):
        paint(noisy(edited(EDITS["brighter"])), job=job)


# --- the types --------------------------------------------------------------------------------


def test_layers_need_a_plan_and_an_alpha_channel():
    layer = photograph(240, 160, mode="RGBA")
    above = Candidate(picture=PICTURE, layer=layer)
    plan = EditPlan(operations=EDITS["brighter"])
    assert EditResult(candidates=(above,), plan=plan).is_layered
    for wrong in ({"candidates": (above,)},
                  {"candidates": (above, Candidate(picture=PICTURE)), "plan": plan}):  # fmt: skip
        with pytest.raises(ValueError, match="layers lie above a plan"):
            EditResult(**wrong)
    for other in (PICTURE, photograph(120, 160, mode="RGBA")):
        with pytest.raises(ValueError, match="a candidate's layer has"):
            Candidate(picture=PICTURE, layer=other)
