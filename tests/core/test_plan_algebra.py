import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_strategies import (
    EXACT,
    GEOMETRY,
    OPERATIONS,
    REVERSIBLE,
    example_of,
    plans,
    steps,
)

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.errors import PlanError, PlanNotInvertibleError
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation, Provenance, Residual, step
from imgedit_plugins.plan_algebra import compare, compose, invert, simplify
from imgedit_plugins.render import render_plan

quick = settings(deadline=None, max_examples=60)
# hdr alone takes longer than all others together.
FAST = tuple(name for name in OPERATIONS if name != "hdr")
LOSING = (
    "grayscale", "sepia", "summer", "winter", "hdr", "blur", "sharp", "gaussian",
    "hsl", "clarity", "texture", "denoise", "dehaze", "vignette", "grain",
    "crop", "straighten", "resize", "perspective",
)  # fmt: skip
PLAIN = photograph(23, 17)
PICTURES = [PLAIN, photograph(17, 23, mode="L"), photograph(16, 24, mode="RGBA")]


def plan(*operations: PlannedOperation, **fields) -> EditPlan:
    return EditPlan(operations=operations, **fields)


def noise(seed: int, low: int = 0, high: int = 256) -> Picture:
    random = np.random.default_rng(seed)
    return Picture(random.integers(low, high, (9, 14, 3), np.uint8))


def same(left: Picture, right: Picture) -> bool:
    return np.array_equal(left.pixels, right.pixels)


# --- compose ----------------------------------------------------------------------------------


@given(plans(FAST, 3), plans(FAST, 3), st.sampled_from(PICTURES))
@quick
def test_composed_plans_do_what_the_parts_do_one_after_another(a, b, picture):
    # Left to itself, rendering rounds only at the end of each of the three plans.
    composed = render_plan(picture, compose(a, b), rounding="each-step")
    in_turn = render_plan(render_plan(picture, a, rounding="each-step"), b, rounding="each-step")
    # A grey picture that was coloured and lost its colour again is grey, in whatever words.
    np.testing.assert_array_equal(composed.rgb8(), in_turn.rgb8())
    if picture.alpha is not None:
        np.testing.assert_array_equal(composed.alpha, in_turn.alpha)


@given(plans(), plans(), plans())
@quick
def test_composition_is_associative_and_has_a_neutral_plan(a, b, c):
    assert compose(compose(a, b), c) == compose(a, compose(b, c)) == compose(a, b, c)
    assert compose(a, EditPlan()) == compose(EditPlan(), a) == compose(a) == a


def test_composition_keeps_steps_and_leaves_out_what_belonged_to_the_parts():
    made = Provenance(plugin="p", model="m", version="1")
    left = Residual(psnr_db=30, explained=0.5)
    a = plan(step("flip", 0.25), residual=left, explanation="mirrored", provenance=made)
    assert compose(a, plan(step("blur", 0.5, kernel=3))) == plan(
        step("flip", 0.25), step("blur", 0.5, kernel=3)
    )
    other = plan(definitions="other/1")
    assert compose(other, other).definitions == "other/1"


def test_composition_refuses_other_definitions_and_abstained_plans():
    with pytest.raises(PlanError, match=r"opencv-photo-filters/1.*other/1"):
        compose(EditPlan(), plan(definitions="other/1"))
    for parts in ([EditPlan(abstained=True)], [EditPlan(), EditPlan(abstained=True)]):
        with pytest.raises(PlanError, match="abstained"):
            compose(*parts)


# --- invert -----------------------------------------------------------------------------------


@given(plans(EXACT, 6), st.booleans(), st.sampled_from([*PICTURES, noise(1)]))
@quick
def test_exact_plans_are_undone_bit_for_bit(edit, exact, picture):
    undone = render_plan(render_plan(picture, edit), invert(edit, exact=exact))
    assert same(undone, picture)


@given(plans(EXACT, 6))
@quick
def test_undoing_twice_is_the_plan(edit):
    again = invert(invert(edit))
    assert [s.parameters for s in again.operations] == [s.parameters for s in edit.operations]
    assert compare(again, edit, PLAIN, tolerance=0).equivalent


@given(plans(REVERSIBLE, 4))
@quick
def test_undoing_twice_is_the_plan_up_to_floating_point(edit):
    try:
        again = invert(invert(edit))
    except PlanNotInvertibleError:
        return
    assert [s.name for s in again.operations] == [s.name for s in edit.operations]
    for s, t in zip(again.operations, edit.operations, strict=True):
        assert s.parameters == pytest.approx(t.parameters, rel=1e-12)


@given(st.floats(-60, 60), st.integers(0, 5))
@quick
def test_brightness_of_middle_tones_is_undone_within_a_code(offset, seed):
    middle, edit = noise(seed, 64, 192), plan(step("bright", offset=offset))
    undone = render_plan(render_plan(middle, edit), invert(edit))
    assert np.abs(undone.pixels.astype(int) - middle.pixels).max() <= 1
    if offset == round(offset):
        assert same(undone, middle)


@given(st.floats(0.5, 1.3), st.integers(0, 5))
@quick
def test_contrast_of_middle_tones_is_undone_within_a_code(gain, seed):
    middle, edit = noise(seed, 64, 192), plan(step("contrast", gain=gain))
    undone = render_plan(render_plan(middle, edit), invert(edit))
    # Half a code is lost in rounding; the inverse multiplies it by 1 / gain and rounds again.
    assert np.abs(undone.pixels.astype(int) - middle.pixels).max() <= 0.5 / gain + 0.5


@given(st.floats(0.5, 1.2), st.integers(0, 5))
@quick
def test_saturation_of_muted_colours_is_undone_nearly(factor, seed):
    # Grey 120..135 with small colour differences: saturation stays far from clipping.
    muted, edit = noise(seed, 104, 152), plan(step("saturate", factor=factor))
    undone = render_plan(render_plan(muted, edit), invert(edit))
    assert np.abs(undone.pixels.astype(int) - muted.pixels).max() <= 4


def test_an_inverse_goes_backwards():
    edit = plan(step("bright", offset=10), step("rotate", degrees=90), step("contrast", gain=2))
    assert invert(edit) == plan(
        step("contrast", gain=0.5), step("rotate", degrees=270), step("bright", offset=-10)
    )
    assert invert(plan(definitions="other/1")).definitions == "other/1"


def test_what_cannot_be_undone_is_named():
    edit = plan(step("flip"), step("grayscale"), step("bright", offset=5), step("blur", kernel=3))
    with pytest.raises(PlanNotInvertibleError) as caught:
        invert(edit)
    assert caught.value.problems == (
        ("operations[1]", "'grayscale' cannot be undone"),
        ("operations[3]", "'blur' cannot be undone"),
    )
    assert "operations[3]: 'blur'" in str(caught.value)
    with pytest.raises(PlanNotInvertibleError) as caught:
        invert(edit, exact=True)
    assert [place for place, _ in caught.value.problems] == [
        "operations[1]", "operations[2]", "operations[3]"
    ]  # fmt: skip
    assert "cannot be undone exactly" in str(caught.value)


@pytest.mark.parametrize(
    "lost",
    [example_of(OPERATIONS[name]) for name in LOSING]
    + [step("contrast", gain=0), step("contrast", gain=0.05), step("saturate", factor=0)],
    ids=lambda s: f"{s.name}-{s.parameters}",
)
def test_operations_that_lose_information_are_not_undone(lost):
    with pytest.raises(PlanNotInvertibleError):
        invert(plan(lost))


@pytest.mark.parametrize("exact", [False, True])
def test_steps_that_change_nothing_are_always_undone(exact):
    neutral = [
        step(name, **{p.name: p.neutral for p in operation.parameters})
        for name, operation in OPERATIONS.items()
        if operation.parameters and all(p.neutral is not None for p in operation.parameters)
    ]
    told = {s.name for s in neutral}
    assert {"bright", "gaussian", "exposure", "levels", "curves", "denoise", "crop"} <= told
    edit = plan(*neutral)
    assert same(render_plan(render_plan(PLAIN, edit), invert(edit, exact=exact)), PLAIN)


def test_an_abstained_plan_has_nothing_to_undo():
    with pytest.raises(PlanError, match="abstained"):
        invert(EditPlan(abstained=True))


# --- simplify ---------------------------------------------------------------------------------

# Everything that merges or is neutral, often enough to meet.
redundant = st.sampled_from(
    [
        step("flip"),
        step("invert"),
        step("grayscale"),
        step("sepia"),
        step("rotate", degrees=90),
        step("rotate", degrees=180),
        step("rotate", degrees=270),
        step("bright", offset=0),
        step("contrast", gain=1),
        step("saturate", factor=1),
        step("blur", kernel=1),
        step("gaussian", kernel=1),
        step("bright", offset=30),
        step("blur", kernel=3),
    ]
)


@given(
    st.lists(redundant | steps(FAST), max_size=8).map(lambda s: plan(*s)),
    st.sampled_from([*PICTURES, noise(2)]),
)
@settings(deadline=None, max_examples=200)
def test_simplified_plans_render_the_same_bit_for_bit(edit, picture):
    short = simplify(edit)
    assert len(short.operations) <= len(edit.operations)
    assert simplify(short) == short
    assert same(render_plan(picture, short), render_plan(picture, edit))


def test_simplify_merges_and_keeps_the_rest_of_the_plan():
    turn, flip = step("rotate", 0.5, degrees=90), step("flip")
    edit = plan(turn, step("rotate", 0.75, degrees=180), explanation="turned")
    assert simplify(edit) == plan(step("rotate", 0.5, degrees=270), explanation="turned")
    assert simplify(plan(*[turn] * 4)) == EditPlan()
    assert simplify(plan(turn, flip, step("blur", kernel=1), flip)) == plan(turn)
    assert simplify(plan(flip, step("invert"), step("invert"), flip)) == EditPlan()
    assert simplify(plan(step("grayscale"), step("grayscale"))) == plan(step("grayscale"))
    # These would lose a rounding or a clipping.
    for rounded in (step("bright", offset=200), step("contrast", gain=0.5), step("sharp")):
        assert simplify(plan(rounded, rounded)) == plan(rounded, rounded)
    long = plan(turn, flip)
    assert simplify(long) is long


def test_simplify_holds_for_other_definitions(tmp_path):
    """Grey made by weights that do not add up to one is darker the second time."""
    path = tmp_path / "dark.toml"
    path.write_text(
        'schema = "imgedit-definitions/1"\nid = "dark/1"\n[grayscale]\nweights = [0.2, 0.5, 0.1]\n'
    )
    edit = plan(step("grayscale"), step("grayscale"), definitions=str(path))
    assert same(render_plan(PLAIN, simplify(edit)), render_plan(PLAIN, edit))


# --- compare ----------------------------------------------------------------------------------


@given(plans(FAST, 3), plans(FAST, 3), st.sampled_from(PICTURES), st.integers(0, 254))
@quick
def test_comparison_is_reflexive_and_symmetric(a, b, picture, tolerance):
    there, back = (compare(x, y, picture, tolerance=tolerance) for x, y in ((a, b), (b, a)))
    assert there == back
    assert there.equivalent == (there.maximum <= tolerance)
    assert 0 <= there.mean <= there.maximum <= 255
    itself = compare(a, a, picture, tolerance=0)
    assert (itself.maximum, itself.mean, itself.equivalent) == (0, 0.0, True)


def test_comparison_measures_in_codes():
    black = Picture(np.zeros((4, 4, 3), np.uint8))
    brighter = plan(step("bright", offset=3))
    result = compare(EditPlan(), brighter, black, tolerance=2)
    assert (result.maximum, result.mean, result.equivalent) == (3, 3.0, False)
    assert compare(EditPlan(), brighter, black, tolerance=3).equivalent
    assert not compare(EditPlan(), plan(step("bright", offset=2)), black).equivalent
    assert compare(EditPlan(), plan(step("bright", offset=1)), black).equivalent


def test_other_words_for_the_same_edit_are_equivalent():
    half = plan(step("rotate", degrees=180))
    quarters = plan(step("rotate", degrees=90), step("rotate", degrees=90))
    assert compare(half, quarters, PLAIN, tolerance=0).equivalent
    swapped = (
        plan(step("bright", offset=10), step("flip")),
        plan(step("flip"), step("bright", offset=10)),
    )
    assert compare(*swapped, PLAIN, tolerance=0).equivalent


def test_other_sizes_are_not_equivalent():
    result = compare(EditPlan(), plan(step("rotate", degrees=90)), PLAIN, tolerance=255)
    assert (result.maximum, result.equivalent) == (255, False)


def test_colour_on_a_grey_picture_is_measured_like_any_other():
    grey = Picture(np.full((4, 4, 1), 100, np.uint8))
    warm = compare(EditPlan(), plan(step("sepia")), grey)
    assert 0 < warm.maximum < 255


def test_alpha_counts():
    color = np.full((2, 2, 3), 9, np.uint8)
    alpha = np.array([[[0], [255]], [[0], [255]]], np.uint8)
    picture = Picture(np.concatenate([color, alpha], axis=2))
    assert compare(EditPlan(), plan(step("flip")), picture).maximum == 255


# --- the algebra on what plans are made of ----------------------------------------------------


def test_the_strategies_reach_every_operation():
    """The property tests above would say little about operations that they never draw."""
    assert set(FAST) | {"hdr"} == set(OPERATIONS)
    assert {n for n in OPERATIONS if OPERATIONS[n].kind == "geometric"} == set(GEOMETRY)
    assert json.loads(EditPlan().to_json())["operations"] == []
