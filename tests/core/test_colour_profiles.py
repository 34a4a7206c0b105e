import dataclasses
import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icc_profiles import (
    ADOBE_RGB,
    CMYK,
    GREY_22,
    GREY_SRGB,
    LAB,
    LCMS_SRGB,
    LINEAR,
    P3,
    PROPHOTO,
    SRGB,
    SRGB_CURVE,
    WIDE,
    gamma,
    grey_profile,
    matrix_profile,
    parametric,
    sampled,
    table_profile,
)
from PIL import Image, ImageCms
from plugin_factory import MANIFEST, Site

from imgedit_plugins import colour_profiles, icc
from imgedit_plugins.authoring.samples import mask_for, photograph
from imgedit_plugins.colour_profiles import fault, from_srgb, is_srgb, to_srgb
from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.render import colour_managed, render_plan
from imgedit_plugins.requests import PredictRequest

BOTH_WAYS, ONE_WAY = table_profile(), table_profile(both=False)
NAMED = P3[:12] + b"nmcl" + P3[16:]
CUT = P3[:200]
USELESS = {"cmyk": CMYK, "lab": LAB, "named": NAMED, "cut": CUT, "noise": b"x", "one": ONE_WAY}
DTYPES = ("uint8", "uint16", "float32")


def plan(*steps) -> EditPlan:
    return EditPlan(operations=steps)


BRIGHTER = plan(step("bright", offset=20))
WARMER = plan(step("contrast", gain=1.2), step("summer"), step("saturate", factor=0.8))
SOFTER = plan(step("blur", kernel=5), step("bright", offset=20))


def noise(height, width, channels=3, dtype="uint8", seed=0):
    """Every colour that a profile has, saturated ones above all."""
    values = np.random.default_rng(seed).random((height, width, channels)) * 1.4 - 0.2
    values = np.clip(values, 0, 1)
    if dtype == "float32":
        return values.astype(np.float32)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def pixel(*codes, profile=P3):
    return Picture(np.array([[codes]], np.uint8), icc_profile=profile)


def codes(picture):
    return picture.rgb8().astype(int)


def apart(a, b):
    return int(np.abs(codes(a) - codes(b)).max())


def by_lcms(pixels, source, target=LCMS_SRGB):
    """What lcms makes of 8-bit pixels, by way of Pillow."""
    image = ImageCms.profileToProfile(
        Image.fromarray(pixels), io.BytesIO(source), io.BytesIO(target),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB",
    )  # fmt: skip
    return np.asarray(image)


# --- what a profile is ------------------------------------------------------------------------


def test_srgb_is_recognised_whoever_made_the_profile():
    rounded = matrix_profile(
        ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)), SRGB_CURVE
    )
    for profile in (None, b"", SRGB, LCMS_SRGB, GREY_SRGB, rounded):
        assert is_srgb(profile)
        assert not fault(profile)


@pytest.mark.parametrize("profile", [*WIDE.values(), LINEAR, GREY_22, BOTH_WAYS])
def test_other_profiles_are_told_apart(profile):
    assert not is_srgb(profile)
    assert not fault(profile)


@pytest.mark.parametrize(("name", "said"), [
    ("cmyk", "is for CMYK pictures"), ("lab", "is an abstract profile"),
    ("named", "is a named-colour profile"), ("noise", "is damaged"),
    ("cut", "cannot be used in both directions"), ("one", "cannot be used in both directions"),
])  # fmt: skip
def test_useless_profiles_say_why(name, said):
    assert fault(USELESS[name]) == said
    assert not is_srgb(USELESS[name])


@given(st.binary(max_size=600), st.integers(0, 400))
@settings(deadline=None, max_examples=100)
def test_damaged_profiles_are_no_reason_to_fail(junk, place):
    damaged = P3[:place] + junk + P3[place + len(junk) :]
    picture = Picture(noise(2, 2), icc_profile=damaged)
    assert to_srgb(picture).pixels.shape == (2, 2, 3)


def test_grey_curves_that_cannot_be_gone_back_along_are_refused():
    assert fault(grey_profile(sampled([0, 40000, 20000, 65535]))) == "has no curve for grey"
    assert fault(grey_profile(sampled([0, 0, 20000, 65535]))) == ""
    assert fault(grey_profile(parametric(9, 1.0))) == "has no curve for grey"


@pytest.mark.parametrize(("curve", "light"), [
    (gamma(2), lambda v: v**2),
    (sampled([]), lambda v: v),
    (sampled([0, 16384, 65535]), lambda v: np.interp(v, [0, 0.5, 1], [0, 16384 / 65535, 1])),
    (parametric(0, 1.8), lambda v: v**1.8),
    (parametric(1, 2, 1.25, -0.25), lambda v: np.maximum(1.25 * v - 0.25, 0) ** 2),
    (parametric(2, 2, 1.0, -0.5, 0.25), lambda v: np.maximum(v - 0.5, 0) ** 2 + 0.25),
    (parametric(3, 3, 0.9, 0.1, 0.125, 0.25),
     lambda v: np.where(v >= 0.25, (0.9 * v + 0.1) ** 3, v / 8)),
    (parametric(4, 1, 0.5, 0.25, 1.0, 0.5, 0.25, 0.0),
     lambda v: np.where(v >= 0.5, 0.5 * v + 0.5, v)),
], ids=["power", "line", "samples", *map(str, range(5))])  # fmt: skip
def test_curves_are_read_as_the_standard_has_them(curve, light):
    read = icc.grey_curve(grey_profile(curve))
    assert read == pytest.approx(light(np.arange(65536) / 65535), abs=2e-5)


# --- there and back ---------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [*WIDE.values(), LINEAR], ids=[*WIDE, "linear"])
def test_conversion_is_that_of_lcms(profile):
    pixels = noise(64, 64)
    found = to_srgb(Picture(pixels, icc_profile=profile))
    assert found.icc_profile is None
    assert found.pixels.dtype == np.uint8
    assert np.abs(found.pixels.astype(int) - by_lcms(pixels, profile)).max() <= 1
    back = from_srgb(found, profile)
    assert back.icc_profile == profile
    expected = by_lcms(found.pixels, LCMS_SRGB, profile).astype(int)
    # Next to black a power's slope has no end, and lcms's 8-bit way rounds light.
    assert np.abs(back.pixels - expected)[expected > 8].max() <= 1


def test_tables_are_used_for_curves_and_a_matrix_and_lcms_for_the_rest():
    by_table, by_curves = (colour_profiles.conversion(p).pixels for p in (BOTH_WAYS, P3))
    assert by_table == colour_profiles._LCMS_PIXELS > by_curves
    pixels = noise(40, 40) // 4 + 100
    found, expected = (to_srgb(Picture(pixels, icc_profile=p)) for p in (BOTH_WAYS, P3))
    assert apart(found, expected) <= 4  # the tables have 21 steps a side


def test_a_profile_that_lcms_reads_differently_goes_through_lcms(monkeypatch):
    wrong = icc.matrix_profile(ADOBE_RGB)
    colour_profiles._examined.cache_clear()
    monkeypatch.setattr(icc, "matrix_profile",
                        lambda p: wrong if p == P3 else icc.MatrixProfile(*_parts(p)))  # fmt: skip
    try:
        assert colour_profiles.conversion(P3).pixels == colour_profiles._LCMS_PIXELS
    finally:
        colour_profiles._examined.cache_clear()


def _parts(profile):
    curve = icc._curve(icc.tags(profile)["rTRC"])
    columns = [icc._xyz(icc.tags(profile)[f"{c}XYZ"]) for c in "rgb"]
    return np.stack([curve] * 3, axis=1), np.array(columns).T


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_every_kind_of_picture_keeps_its_type(dtype, mode):
    channels = ("L", "LA", "RGB", "RGBA").index(mode) + 1
    profile = GREY_22 if mode in ("L", "LA") else P3
    picture = Picture(noise(5, 7, channels, dtype), icc_profile=profile)
    there = to_srgb(picture)
    back = from_srgb(there, profile)
    for made in (there, back):
        assert (made.mode, made.pixels.dtype) == (mode, picture.pixels.dtype)
        assert made.alpha is None or np.array_equal(made.alpha, picture.alpha)
    assert back.icc_profile == profile
    if channels < 3:
        assert apart(back, picture) <= 1  # no colours, so nothing to clip


def test_grey_follows_its_curve():
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    light = (ramp / 65535.0) ** 2.2
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    found = to_srgb(Picture(ramp, icc_profile=grey_profile(gamma(2.2)))).pixels
    # The profile has 2.2 in steps of 1/256.
    assert np.abs(found / 65535 - srgb).max() < 0.001


def test_a_grey_picture_may_have_a_profile_of_colours():
    grey = Picture(noise(4, 6, 1), icc_profile=ADOBE_RGB)
    there = to_srgb(grey)
    expected = by_lcms(grey.rgb8(), ADOBE_RGB)
    assert there.is_grey
    assert np.abs(codes(there) - expected).max() <= 1
    assert apart(from_srgb(there, ADOBE_RGB), grey) <= 1


@pytest.mark.parametrize("profile", USELESS.values(), ids=USELESS)
def test_useless_profiles_leave_the_values_alone(profile):
    said: list[str] = []
    picture = Picture(noise(3, 3), icc_profile=profile)
    found = to_srgb(picture, on_warning=said.append)
    assert found.pixels is picture.pixels
    assert found.icc_profile is None
    assert said == [f"The colour profile {fault(profile)}; the values were taken as sRGB."]


def test_srgb_comes_back_as_it_is():
    for profile in (None, SRGB):
        picture = Picture(noise(3, 3), icc_profile=profile)
        assert to_srgb(picture) is picture


# --- rendering --------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [*WIDE.values(), BOTH_WAYS], ids=[*WIDE, "tables"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("edit", [BRIGHTER, WARMER, SOFTER])
def test_nothing_changes_where_the_edit_does_nothing(profile, dtype, edit):
    picture = Picture(noise(30, 40, 4, dtype), icc_profile=profile)
    assert np.array_equal(render_plan(picture, edit, strength=0).pixels, picture.pixels)
    mask = mask_for(picture)
    masked = render_plan(picture, edit, mask=mask)
    assert masked.icc_profile == profile
    assert masked.pixels.dtype == picture.pixels.dtype
    assert np.array_equal(masked.pixels[mask == 0], picture.pixels[mask == 0])
    assert not np.array_equal(masked.pixels[mask == 255], picture.pixels[mask == 255])
    assert np.array_equal(masked.alpha, picture.alpha)


@pytest.mark.parametrize("mode", ["L", "LA"])
@pytest.mark.parametrize("profile", [GREY_22, P3])
def test_nothing_changes_in_grey_either(mode, profile):
    picture = Picture(noise(9, 9, len(mode), "uint16"), icc_profile=profile)
    assert np.array_equal(render_plan(picture, BRIGHTER, strength=0).pixels, picture.pixels)


@pytest.mark.parametrize("profile", WIDE.values(), ids=WIDE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("edit", [BRIGHTER, WARMER, SOFTER])
def test_an_edit_looks_the_same_in_every_profile(profile, dtype, edit):
    plain = photograph(60, 40, dtype="uint16")
    wide = from_srgb(plain, profile)
    wide = wide.with_pixels(colour_profiles.of_type(wide.pixels, np.dtype(dtype)))
    expected = render_plan(plain, edit, rounding="end")
    found = to_srgb(render_plan(wide, edit))
    # 8-bit steps of a wide space are up to two of sRGB's, and a plan rounds after each of its own.
    assert apart(found, expected) <= (5 if dtype == "uint8" else 1)


def test_saturated_colours_stay_beyond_srgb():
    red = pixel(255, 0, 0)
    plain = from_srgb(to_srgb(red), P3)
    # What a conversion alone would leave: sRGB's red, as P3 has it.
    assert abs(codes(plain)[0, 0] - [234, 51, 35]).max() <= 1
    darker = codes(render_plan(red, plan(step("contrast", gain=0.5))))[0, 0]
    assert abs(darker - [128, 0, 0]).max() <= 2
    brighter = codes(render_plan(red, plan(step("contrast", gain=1.5))))[0, 0]
    assert brighter.tolist() == [255, 0, 0]


def test_saturation_that_an_edit_takes_away_does_not_come_back():
    red = pixel(255, 0, 0)
    grey = codes(render_plan(red, plan(step("grayscale"))))[0, 0]
    assert np.ptp(grey) <= 1
    assert codes(render_plan(red, plan(step("contrast", gain=0)))).max() <= 1
    half = codes(render_plan(red, plan(step("saturate", factor=0.5))))[0, 0]
    alone = codes(from_srgb(render_plan(to_srgb(red), plan(step("saturate", factor=0.5))), P3))
    assert np.ptp(alone) < np.ptp(half) < 255


def test_the_opposite_of_a_saturated_colour_is_saturated():
    red = pixel(255, 0, 0)
    cyan = codes(render_plan(red, plan(step("invert"))))[0, 0]
    alone = codes(from_srgb(render_plan(to_srgb(red), plan(step("invert"))), P3))[0, 0]
    assert cyan[0] < alone[0] - 10
    assert (cyan[1:] >= alone[1:]).all()


@given(st.tuples(*[st.integers(0, 255)] * 3), st.integers(-3, 3))
@settings(deadline=None, max_examples=60)
def test_small_edits_make_small_differences(color, offset):
    before = pixel(*color, profile=PROPHOTO)
    after = render_plan(before, plan(step("bright", offset=offset)))
    # Sixteen times is what near-black codes of a power of 1.8 may go for one step of sRGB's line.
    assert apart(before, after) <= 16 * abs(offset)


def test_moving_pixels_needs_no_conversion():
    for profile in (P3, CMYK):
        job = Job()
        picture = Picture(noise(5, 8), icc_profile=profile)
        turned = render_plan(picture, plan(step("rotate", degrees=90), step("blur", kernel=1)),
                             job=job)  # fmt: skip
        assert np.array_equal(turned.pixels, np.rot90(picture.pixels, -1))
        assert turned.icc_profile == profile
        assert not job.warnings


def test_moving_and_colouring_go_together():
    picture = Picture(noise(5, 8, 4, "uint16"), icc_profile=P3)
    moves = plan(step("rotate", degrees=90), step("flip"))
    both = plan(step("rotate", degrees=90), step("bright", offset=20), step("flip"))
    assert np.array_equal(render_plan(picture, both, strength=0).pixels,
                          render_plan(picture, moves).pixels)  # fmt: skip
    expected = render_plan(render_plan(picture, BRIGHTER), moves)
    assert np.array_equal(render_plan(picture, both).pixels, expected.pixels)


@pytest.mark.parametrize("profile", USELESS.values(), ids=USELESS)
def test_useless_profiles_are_said_once_and_kept(profile):
    job = Job()
    picture = Picture(noise(6, 6), icc_profile=profile)
    found = render_plan(picture, WARMER, job=job)
    bare = dataclasses.replace(picture, icc_profile=None)
    assert np.array_equal(found.pixels, render_plan(bare, WARMER).pixels)
    assert found.icc_profile == profile
    assert len(job.warnings) == 1
    assert "taken as sRGB" in job.warnings[0]


def test_a_grey_profile_on_colours_is_of_no_use():
    job = Job()
    render_plan(Picture(noise(3, 3), icc_profile=GREY_22), BRIGHTER, job=job)
    assert job.warnings == [
        "The colour profile is for grey pictures; the values were taken as sRGB."
    ]


def test_grey_that_becomes_coloured():
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8, 1)
    alpha = ramp[::-1]
    toned = plan(step("sepia"))
    grey = Picture(np.concatenate([ramp, alpha], axis=2), icc_profile=GREY_22)
    found = render_plan(grey, toned)
    assert (found.mode, found.icc_profile) == ("RGBA", None)  # grey profiles hold no colour
    assert np.array_equal(found.alpha, alpha)
    assert apart(found, render_plan(to_srgb(grey), toned)) <= 1
    wide = render_plan(Picture(ramp, icc_profile=P3), toned)
    assert (wide.mode, wide.icc_profile) == ("RGB", P3)
    assert apart(to_srgb(wide), render_plan(to_srgb(Picture(ramp, icc_profile=P3)), toned)) <= 1


def test_rounding_each_step_warns_of_the_picture_s_own_depth():
    job = Job()
    found = render_plan(Picture(noise(4, 4, dtype="uint16"), icc_profile=P3), BRIGHTER,
                        rounding="each-step", job=job)  # fmt: skip
    assert found.pixels.dtype == np.uint8
    assert job.warnings == ["The picture has uint16 values; it was edited in 8 bits."]


# --- large pictures ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_bands_make_no_difference(dtype, monkeypatch):
    picture = Picture(noise(33, 20, 4, dtype), icc_profile=PROPHOTO)
    mask = mask_for(picture)
    whole = render_plan(picture, WARMER, mask=mask)
    monkeypatch.setattr(colour_managed, "_BAND_PIXELS", 100)
    told = []
    job = Job(on_progress=lambda p: told.append(p.done / p.total))
    found = render_plan(picture, WARMER, mask=mask, job=job).pixels
    # Sums of floats may end in another last digit where a strip begins elsewhere.
    assert np.abs(found.astype(float) - whole.pixels).max() <= (1e-6 if dtype == "float32" else 0)
    assert told == sorted(told)
    assert told[-1] == 1.0
    job.cancel()
    with pytest.raises(JobCancelledError):
        render_plan(picture, WARMER, job=job)


def test_a_pointwise_plan_needs_little_memory():
    picture = Picture(np.tile(noise(100, 100), (30, 30, 1)), icc_profile=P3)  # 9 megapixels
    render_plan(Picture(picture.pixels[:10], icc_profile=P3), WARMER)
    tracemalloc.start()
    try:
        result = render_plan(picture, WARMER)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - result.pixels.nbytes < 64 << 20


# --- predicting -------------------------------------------------------------------------------


def test_a_request_compares_like_with_like():
    said: list[str] = []
    source = photograph(20, 20, dtype="uint16")
    request = PredictRequest(source=from_srgb(source, P3), edited=from_srgb(source, ADOBE_RGB))
    same = request.in_srgb(said.append)
    assert same.source.icc_profile is same.edited.icc_profile is None
    assert apart(same.source, same.edited) <= 1
    assert PredictRequest(source=source, instruction="x").in_srgb(said.append).source is source
    assert not said
    PredictRequest(source=Picture(source.pixels, icc_profile=CUT)).in_srgb(said.append)
    assert len(said) == 1


def test_plugins_get_srgb(tmp_path, monkeypatch):
    monkeypatch.setenv("IMGEDIT_PLUGINS", "colours")
    site = Site(tmp_path, monkeypatch)
    manifest = MANIFEST.format(name="colours", rank=0).replace("apply_edit", "predict_operations")
    manifest = manifest.replace('"picture", "instruction"', '"source", "edited"')
    site.install("colours", code=SAYS_WHAT_IT_GETS, manifest=manifest)
    source = photograph(16, 16)
    request = PredictRequest(source=from_srgb(source, P3), edited=from_srgb(source, PROPHOTO))
    found = PluginManager.discover().call("predict_operations", request, Job())
    assert found.explanation == "None None"


SAYS_WHAT_IT_GETS = """
from imgedit_plugins import hookimpl
from imgedit_plugins.plan import EditPlan


@hookimpl
def predict_operations(request, job):
    got = (request.source.icc_profile, request.edited.icc_profile)
    return EditPlan(explanation=" ".join(map(str, got)))
"""
