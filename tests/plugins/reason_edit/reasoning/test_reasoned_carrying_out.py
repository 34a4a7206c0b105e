"""Documents carried out: operations, regions, painters, layers that show the whole."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plugin_factory import CODE, MANIFEST
from reasoned_answers import BIRDS, SKY, WARM
from reasoned_strategies import documents

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.errors import ImgeditError, JobCancelledError, NoPluginError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.render import render_plan
from imgedit_plugins.render.blending import blend
from imgedit_reason_edit.reasoning.carrying_out import Carried, Work, carry_out
from imgedit_reason_edit.reasoning.document import DocumentError, parse_document
from imgedit_reason_edit.reasoning.painters import Painter, find_painter
from imgedit_reason_edit.reasoning.regions import mask_of

RED = """
pixels = request.picture.pixels.copy()
channels = request.picture.color.shape[2]
white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
inside = np.ones(pixels.shape[:2], bool) if request.mask is None else request.mask > 0
pixels[inside, :channels] = [white, 0, 0][:channels]
return EditResult(candidates=(Candidate(picture=request.picture.with_pixels(pixels)),))
"""
PAINTS = f"import numpy as np\n{RED}"
FAILS = """
from imgedit_plugins.errors import WeightsError
raise WeightsError("There are no weights.", hint="Fetch them.")
"""


def deep(picture: Picture, kind: str) -> Picture:
    """A picture in one of the forms that pictures have."""
    pixels = picture.pixels
    made: dict[str, Any] = {
        "8 bits": pixels,
        "16 bits": (pixels.astype(np.uint16) * 257) ^ 3,
        "float": (pixels / np.float32(255)).astype(np.float32),
        "alpha": np.concatenate([pixels, pixels[:, :, :1] // 2 + 60], axis=2),
        "grey": pixels[:, :, :1],
    }
    return picture.with_pixels(np.ascontiguousarray(made[kind]))


def work(picture: Picture, **given: Any) -> Work:
    usual = {"selection": None, "folder": None, "painter": None, "seed": 0, "job": Job()}
    return Work(picture, **{**usual, **given})


def document(*layers: Any) -> Any:
    return parse_document({"layers": list(layers)})


def shown(picture: Picture, carried: Carried, selection: Any = None) -> Any:
    """What an editor shows: the plan, and above it the layer's opaque pixels."""
    apart = carried.apart()
    assert apart is not None
    plan, above = apart
    below = render_plan(picture, plan, mask=selection).pixels.copy()
    seen = above.pixels[:, :, -1] > 0
    below[seen, : below.shape[2] - picture.has_alpha] = above.color[seen]
    return below


def assert_shows(picture: Picture, carried: Carried, selection: Any = None) -> None:
    np.testing.assert_array_equal(shown(picture, carried, selection), carried.picture.pixels)


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "float", "grey"])
def test_the_plan_with_the_layer_above_it_shows_the_result(kind: str) -> None:
    picture = deep(photograph(), kind)
    warm = {**WARM, "operations": [{"name": "bright", "parameters": {"offset": 15}}]}
    carried = carry_out(document(warm, SKY), work(picture))
    apart = carried.apart()
    assert apart is not None
    plan, above = apart
    assert plan == EditPlan(operations=(step("bright", offset=15),))
    assert above.has_alpha
    assert above.pixels.dtype == carried.picture.pixels.dtype == picture.pixels.dtype
    assert 0 < (above.pixels[:, :, -1] > 0).mean() < 0.9, "only what the region changed"
    assert_shows(picture, carried)


def test_a_transparent_picture_is_not_taken_apart() -> None:
    assert carry_out(document(WARM, SKY), work(deep(photograph(), "alpha"))).apart() is None


def test_operations_are_rendered_within_their_region() -> None:
    picture = photograph()
    carried = carry_out(document(WARM, SKY), work(picture))
    warm = render_plan(picture, EditPlan(operations=(step("temperature", shift=40),)))
    mask = mask_of(document(SKY).layers[0].region, (64, 96))
    wanted = render_plan(warm, EditPlan(operations=(step("exposure", stops=-1),)), mask=mask)
    np.testing.assert_array_equal(carried.picture.pixels, wanted.pixels)
    assert mask is not None
    assert 0 < (mask == 0).mean() < 1
    outside = mask == 0
    np.testing.assert_array_equal(carried.picture.pixels[outside], warm.pixels[outside])


def test_nothing_changes_outside_of_the_selection() -> None:
    picture = photograph()
    selection = np.zeros((64, 96), np.uint8)
    selection[:, 50:] = 255
    carried = carry_out(document(WARM, SKY), work(picture, selection=selection))
    changed = (carried.picture.pixels != picture.pixels).any(2)
    assert not changed[:, :50].any()
    assert changed[:, 50:].mean() > 0.9
    assert_shows(picture, carried, selection)


def test_a_region_outside_of_the_selection_is_left_out_and_told() -> None:
    selection = np.zeros((64, 96), np.uint8)
    selection[60:] = 255
    carried = carry_out(document(WARM, SKY), work(photograph(), selection=selection))
    assert len(carried.done) == 1
    assert carried.failed == ("“Darker sky” lies outside of the selection and was left out.",)


def test_an_edit_that_lies_outside_of_the_selection_is_told() -> None:
    selection = np.zeros((64, 96), np.uint8)
    selection[60:] = 255
    with pytest.raises(DocumentError, match=r"Nothing of this edit .*“Darker sky” lies outside"):
        carry_out(document(SKY), work(photograph(), selection=selection))


def test_what_moves_pixels_comes_last_and_has_no_layer_above() -> None:
    turn = {"operations": [{"name": "rotate", "parameters": {"degrees": 90}}]}
    carried = carry_out(document(SKY, turn), work(photograph()))
    assert (carried.picture.width, carried.picture.height) == (64, 96)
    assert carried.apart() is None
    with pytest.raises(DocumentError, match="'rotate' moves pixels and cannot be limited to a sel"):
        carry_out(document(turn), work(photograph(), selection=np.ones((64, 96), np.uint8)))


# --- painting ---------------------------------------------------------------------------------


@pytest.mark.parametrize("takes_masks", [True, False])
def test_whoever_the_core_would_ask_paints_the_rest(site: Any, takes_masks: bool) -> None:
    site.install("second", body=FAILS, rank=50)
    manifest = MANIFEST.format(name="first", rank=60) + 'optional = ["mask"]\n'
    site.install("first", body=PAINTS, manifest=manifest if takes_masks else None, rank=60)
    painter = find_painter("" if takes_masks else "first", "")
    assert painter is not None
    picture = photograph()
    region = BIRDS
    selection = np.full((64, 96), 255, np.uint8)
    selection[:20] = 0
    carried = carry_out(document(WARM, region), work(picture, painter=painter, selection=selection))
    below, top = carried.done
    red = (top.picture.pixels == [255, 0, 0]).all(2)
    mask = mask_of(document(region).layers[0].region, (64, 96))
    assert mask is not None
    assert red[(mask == 255) & (selection == 255)].all()
    kept = (mask == 0) | (selection == 0)
    np.testing.assert_array_equal(top.picture.pixels[kept], below.picture.pixels[kept])
    assert_shows(picture, carried, selection)


def test_a_painter_can_be_named_and_gets_its_options(site: Any) -> None:
    site.install("loud", body=FAILS, rank=60)
    manifest = """
schema = "imgedit-plugin/1"
name = "quiet"
title = "Quiet"
summary = "For tests."
hooks = ["apply_edit"]

[[accepts]]
hook = "apply_edit"
inputs = ["picture", "instruction"]
optional = ["mask"]

[[options]]
hook = "apply_edit"
name = "level"
type = "integer"
default = 0
help = "Grey."

[[options]]
hook = "apply_edit"
name = "note"
type = "string"
default = ""
help = "Words."
"""
    body = """
assert (request.instruction, request.options["note"], request.seed) == ("Paint it.", "a b", 8)
pixels = request.picture.pixels * 0 + request.options["level"]
return EditResult(candidates=(Candidate(picture=request.picture.with_pixels(pixels)),))
"""
    site.install("quiet", code=CODE.format(body=indent(body, "    ")), manifest=manifest)
    painter = find_painter("quiet", "level=7 note='a b'")
    assert painter is not None
    carried = carry_out(
        document(WARM, {"paint": "Paint it."}), work(photograph(), painter=painter, seed=7)
    )
    assert (carried.picture.pixels == 7).all()


def test_who_can_be_a_painter(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_painter("none", "") is None
    with pytest.raises(OptionError, match="another plugin"):
        find_painter("reason_edit", "")
    for wrong in ("steps", "=3", "steps=3 'open"):
        with pytest.raises(OptionError, match="painter-options"):
            find_painter("", wrong)
    with pytest.raises(ImgeditError, match="does not do apply_edit"):
        find_painter("reverse_design", "")
    monkeypatch.setenv("IMGEDIT_PLUGINS", "reason_edit")
    assert find_painter("", "") is None, "it never asks itself"
    monkeypatch.delenv("IMGEDIT_PLUGINS")
    site.install("one", rank=90)
    site.install("two", rank=90)
    with pytest.raises(ImgeditError, match="one and two can do this equally well"):
        find_painter("", "")


def test_operations_outlive_a_painter_that_fails(site: Any) -> None:
    site.install("weak", body=FAILS, rank=60)
    painter = find_painter("", "")
    some = document(WARM, {"title": "Birds", "paint": "Add birds."}, SKY)
    carried = carry_out(some, work(photograph(), painter=painter))
    assert [one.layer.title for one in carried.done] == ["Warmer light", "Darker sky"]
    assert carried.failed == ("“Birds” could not be painted: There are no weights. Fetch them.",)
    with pytest.raises(ImgeditError, match=r"There are no weights\. Fetch them\."):
        carry_out(document({"paint": "Add birds."}), work(photograph(), painter=painter))
    with pytest.raises(ImgeditError, match="nothing that is installed here paints"):
        carry_out(document({"paint": "Add birds."}), work(photograph()))


def test_a_painter_that_changes_the_size_is_refused(site: Any) -> None:
    body = """
smaller = request.picture.with_pixels(request.picture.pixels[:10, :10].copy())
return EditResult(candidates=(Candidate(picture=smaller),))
"""
    site.install("shrinks", body=body, rank=60)
    with pytest.raises(NoPluginError, match="made 10 × 10 pixels"):
        carry_out(document({"paint": "x"}), work(photograph(), painter=find_painter("shrinks", "")))


# --- what was made is not made again ----------------------------------------------------------


class Counting(Painter):
    """Counts, and inverts."""

    calls = 0

    def paint(self, picture: Picture, instruction: str, mask: Any, *_: Any) -> Picture:
        type(self).calls += 1
        return picture.with_pixels(blend(picture.pixels, 255 - picture.pixels, mask))


def test_layers_that_are_the_same_are_not_painted_again() -> None:
    Counting.calls = 0
    here = work(photograph(), painter=Counting())
    birds, cats = {"paint": "Add birds."}, {"paint": "Add cats."}
    first = carry_out(document(WARM, birds, SKY), here)
    again = carry_out(document(WARM, birds, cats), here, first)
    assert Counting.calls == 2
    assert again.done[1].picture is first.done[1].picture
    fresh = carry_out(document(WARM, birds, cats), here)
    np.testing.assert_array_equal(fresh.picture.pixels, again.picture.pixels)
    carry_out(document(birds, WARM), here, first)
    assert Counting.calls == 5, "below it is another picture"


def test_carrying_out_can_be_cancelled() -> None:
    job = Job()
    job.cancel()
    with pytest.raises(JobCancelledError):
        carry_out(document(WARM), work(photograph(), job=job))


# --- whatever validates -----------------------------------------------------------------------


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    documents(),
    st.sampled_from(["8 bits", "16 bits", "float", "alpha", "grey"]),
    st.sampled_from([None, "left"]),
)
def test_what_validates_is_carried_out_or_refused_in_a_sentence(
    some: Any, kind: str, selected: str | None
) -> None:
    picture = deep(photograph(48, 32), kind)
    selection = None
    if selected:
        selection = np.zeros((32, 48), np.uint8)
        selection[:, :24] = 255
    here = work(picture, painter=Counting(), selection=selection)
    if kind != "8 bits":  # the test's painter knows no others
        here = work(picture, selection=selection)
    try:
        carried = carry_out(some, here)
    except ImgeditError as error:
        assert str(error)  # noqa: PT017
        return
    assert isinstance(carried, Carried)
    made = carried.picture
    assert made.pixels.dtype == picture.pixels.dtype
    if selection is not None and made.pixels.shape == picture.pixels.shape:
        np.testing.assert_array_equal(made.pixels[:, 24:], picture.pixels[:, 24:])
    if carried.apart() is not None:
        assert_shows(picture, carried, selection)


def test_masks_beside_the_document_are_found(tmp_path: Path) -> None:
    from imgedit_plugins.picture_files import save_picture

    half = np.zeros((64, 96, 1), np.uint8)
    half[:, :48] = 255
    save_picture(Picture(half), tmp_path / "mine.png")
    some = document({**WARM, "region": {"mask": "mine.png"}})
    picture = photograph()
    changed = carry_out(some, work(picture, folder=tmp_path)).picture.pixels != picture.pixels
    assert changed[:, :48].any()
    assert not changed[:, 48:].any()
