"""Operations that look at surroundings or place, against statements that are not their own code."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.operations.forms import Positioned, Region, evaluate
from imgedit_plugins.operations.planes import LUMA
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, PlannedOperation
from imgedit_plugins.render import render_plan

NAMES = ("clarity", "texture", "denoise", "dehaze", "vignette", "grain")
SETTINGS = [
    ("clarity", {"amount": 60}),
    ("clarity", {"amount": -60, "radius": 7}),
    ("texture", {"amount": -80}),
    ("denoise", {"luminance": 12}),
    ("denoise", {"luminance": 12, "chroma": 20}),
    ("dehaze", {"amount": 70}),
    ("dehaze", {"amount": -70}),
    ("vignette", {"amount": -70}),
    ("vignette", {"amount": 40, "feather": 0, "roundness": 60}),
    ("grain", {"amount": 10}),
    ("grain", {"amount": 10, "size": 3.5, "seed": 3}),
]


def edit(values, name, **parameters):
    operation = default_vocabulary()[name]
    return evaluate(operation.form(operation.check(parameters), {}), values)


def values(width=320, height=240, seed=0):
    return photograph(width, height, dtype="float32", seed=seed).pixels


def flat(level, height=120, width=160):
    return np.full((height, width, 3), level, np.float32)


def luma(pixels):
    return pixels @ np.array(LUMA, np.float32)


def noisy(clean, codes, seed=0, *, alike=False):
    shape = (*clean.shape[:2], 1 if alike else 3)
    noise = np.random.default_rng(seed).normal(0, codes / 255, shape)
    return np.clip(clean + noise, 0, 1).astype(np.float32)


def step_edge(low=0.3, high=0.7):
    edge = flat(low, 160, 160)
    edge[:, 80:] = high
    return edge


def psnr(a, b):
    return -10 * np.log10(np.mean(np.square(a - b, dtype=np.float64)))


# --- all of them ------------------------------------------------------------------------------


def test_each_declares_how_it_compares_and_where_it_is_from():
    for name in NAMES:
        operation = default_vocabulary()[name]
        assert operation.render is None
        assert "scale" in operation.compares, "says nothing of sizes"
        for editor in ("darktable", "RawTherapee" if name != "grain" else "Lightroom"):
            assert editor in operation.compares
        assert len(operation.source) > 40


@pytest.mark.parametrize("size", [(90, 1300), (2500, 200)], ids=["tall", "wide"])
@pytest.mark.parametrize(("name", "parameters"), SETTINGS)
def test_strips_give_what_the_whole_picture_gives(name, parameters, size):
    picture = photograph(*size, dtype="float32")
    plan = EditPlan(operations=(PlannedOperation(name=name, parameters=parameters),))
    in_strips = render_plan(picture, plan, rounding="end").pixels
    assert np.array_equal(in_strips, edit(picture.pixels, name, **parameters))


@pytest.mark.parametrize(("name", "parameters"), SETTINGS)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 2)])
def test_tiny_pictures_are_edited_too(name, parameters, size):
    result = edit(values(*size), name, **parameters)
    assert result.shape == (size[1], size[0], 3)
    assert np.isfinite(result).all()


@pytest.mark.parametrize(("name", "parameters"), SETTINGS)
def test_grey_stays_grey(name, parameters):
    grey = photograph(300, 200, mode="L", dtype="float32").pixels.repeat(3, axis=2)
    result = edit(np.ascontiguousarray(grey), name, **parameters)
    assert np.array_equal(result[:, :, 0], result[:, :, 1])
    assert np.array_equal(result[:, :, 0], result[:, :, 2])
    assert not np.array_equal(result, grey)


# --- clarity and texture ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clarity", "texture"])
@pytest.mark.parametrize("level", [0.0, 0.2, 0.5, 1.0])
def test_flat_areas_are_left_alone(name, level):
    assert np.abs(edit(flat(level), name, amount=100) - level).max() < 1e-6


@pytest.mark.parametrize("name", ["clarity", "texture"])
def test_the_change_is_proportional_to_the_amount(name):
    source = np.float32(0.25) + values() / 2  # nothing clips
    full = edit(source, name, amount=100) - source
    assert np.abs(full).max() > 0.02
    for amount in (-100, -30, 50):
        part = edit(source, name, amount=amount) - source
        assert np.abs(part - full * amount / 100).max() < 1e-5


def waves(period, middle=0.5, strength=0.05, size=400):
    x = np.arange(size)
    wave = middle + strength * np.cos(2 * np.pi * x / period)
    return np.broadcast_to(wave[None, :, None], (size, size, 3)).astype(np.float32).copy()


def strengthened(source, name, **parameters):
    inner = (slice(100, 300), slice(100, 300))
    return edit(source, name, **parameters)[inner].std() / source[inner].std()


def test_texture_acts_on_medium_sizes():
    gains = {period: strengthened(waves(period), "texture", amount=100) for period in (2, 12, 150)}
    assert gains[12] > 1.4
    assert gains[2] < 1.1
    assert gains[150] < 1.1
    assert strengthened(waves(12), "texture", amount=-100) < 0.6


def test_texture_is_the_stated_band_where_it_is_weak():
    source = waves(10, strength=0.002)
    plane = luma(source)
    band = cv2.GaussianBlur(plane, (0, 0), 1.0) - cv2.GaussianBlur(plane, (0, 0), 4.0)
    change = (edit(source, "texture", amount=100) - source)[:, :, 1]
    assert np.abs(change - band)[50:-50, 50:-50].max() < 3e-5


def test_texture_spares_edges():
    source = step_edge(0.1, 0.9)
    plane = luma(source)
    band = cv2.GaussianBlur(plane, (0, 0), 1.0) - cv2.GaussianBlur(plane, (0, 0), 4.0)
    assert np.abs(edit(source, "texture", amount=100) - source).max() < np.abs(band).max() / 3


def test_clarity_acts_on_mid_tones_most():
    gains = [strengthened(waves(6, middle), "clarity", amount=100) for middle in (0.1, 0.5, 0.9)]
    assert gains[1] > 1.7
    assert gains[0] < 1.5
    assert gains[2] < 1.5


def test_clarity_makes_less_of_a_halo_than_an_unsharp_mask_of_its_radius():
    source = step_edge()
    halo = np.abs(edit(source, "clarity", amount=100, radius=5) - source).max()
    unsharp = np.abs(source - cv2.GaussianBlur(source, (0, 0), 8)).max()
    assert halo < unsharp / 2


@pytest.mark.parametrize(("name", "amount"), [("clarity", 80), ("dehaze", 80), ("vignette", -80)])
def test_a_preview_shows_what_the_full_picture_gets(name, amount):
    full = cv2.GaussianBlur(values(1200, 800), (0, 0), 3)

    def half(picture):
        return cv2.resize(picture, (600, 400), interpolation=cv2.INTER_AREA)

    apart = half(edit(full, name, amount=amount)) - edit(half(full), name, amount=amount)
    assert np.abs(apart).mean() < 0.5 / 255


# --- denoise ----------------------------------------------------------------------------------


@pytest.mark.parametrize("codes", [5, 15, 30])
def test_denoise_takes_most_of_the_noise_away(codes):
    source = noisy(flat(0.5), codes, alike=True)
    left = (edit(source, "denoise", luminance=codes) - 0.5).std()
    assert left < (source - 0.5).std() / 4


def test_denoise_keeps_an_edge():
    clean = step_edge()
    result = edit(noisy(clean, 12), "denoise", luminance=8, chroma=17)
    profile = result.mean(axis=(0, 2))
    assert profile[79] < 0.36
    assert profile[80] > 0.64


def test_denoise_brings_a_scene_closer_to_the_truth():
    patches = np.random.default_rng(5).uniform(0.2, 0.8, (12, 16, 3)).astype(np.float32)
    clean = cv2.resize(patches, (512, 384), interpolation=cv2.INTER_NEAREST)
    source = noisy(clean, 15)
    result = edit(source, "denoise", luminance=10, chroma=21)
    assert psnr(result, clean) > psnr(source, clean) + 4
    for sigma in (0.5, 1, 2):
        assert psnr(result, clean) > psnr(cv2.GaussianBlur(source, (0, 0), sigma), clean) + 1.5


def test_denoise_of_chroma_leaves_luma_alone_and_the_other_way_round():
    source = noisy(flat(0.5), 10)
    of_chroma = edit(source, "denoise", luminance=0, chroma=15)
    assert np.abs(luma(of_chroma) - luma(source)).max() < 1e-5
    assert (of_chroma[:, :, 0] - of_chroma[:, :, 1]).std() < 0.3 * (
        source[:, :, 0] - source[:, :, 1]
    ).std()
    of_luma = edit(source, "denoise", luminance=10)
    differences = np.diff(of_luma, axis=2) - np.diff(source, axis=2)
    assert np.abs(differences).max() < 1e-5


def test_denoise_reaches_as_far_as_it_says_and_no_further():
    operation = default_vocabulary()["denoise"]
    reach = operation.reach({})
    source = values(200, 200)
    changed = source.copy()
    changed[100, 100] = 1 - changed[100, 100]
    apart = np.abs(
        edit(source, "denoise", luminance=20, chroma=20)
        - edit(changed, "denoise", luminance=20, chroma=20)
    ).max(axis=2)
    inside = apart[100 - reach : 101 + reach, 100 - reach : 101 + reach].copy()
    apart[100 - reach : 101 + reach, 100 - reach : 101 + reach] = 0
    assert apart.max() == 0
    assert inside[0].max() > 0


# --- dehaze -----------------------------------------------------------------------------------


def hazed(scene, airlight, far=0.4):
    """The scene behind haze that thickens towards the top: I = J t + A (1 - t)."""
    through = np.linspace(far, 0.9, len(scene), dtype=np.float32)[:, None, None]
    return scene * through + np.float32(airlight) * (1 - through)


def dark_scene():
    """Many small shapes, some of them black in a channel, as the prior expects of scenes."""
    random = np.random.default_rng(5)
    small = random.uniform(0, 0.8, (60, 80, 3)).astype(np.float32)
    small[random.random((60, 80)) < 0.3] *= 0.05
    scene = cv2.resize(small, (640, 480), interpolation=cv2.INTER_NEAREST)
    scene[:12] = 0  # the haze itself is seen above the horizon
    return scene


def test_dehaze_brings_a_hazed_scene_towards_the_true_one():
    scene = dark_scene()
    haze = hazed(scene, (0.8, 0.82, 0.85))
    haze[:12] = (0.8, 0.82, 0.85)
    result = edit(haze, "dehaze", amount=100)
    errors = [np.abs(picture - scene)[12:].mean() for picture in (haze, result)]
    assert errors[1] < errors[0] / 3
    assert result[12:].std() > haze[12:].std() * 1.2


def test_more_dehaze_is_more_contrast_and_less_adds_haze():
    source = hazed(dark_scene(), (0.8, 0.8, 0.8))
    spreads = [edit(source, "dehaze", amount=a).std() for a in (-100, -50, 0, 25, 50, 75, 100)]
    assert all(less < more for less, more in itertools.pairwise(spreads))


def test_dehaze_of_a_black_picture_is_black():
    assert edit(flat(0.0), "dehaze", amount=100).max() == 0


# --- vignette ---------------------------------------------------------------------------------


def falloff(distance, midpoint, feather):
    s = np.clip((distance - midpoint) / ((1 - midpoint) * feather), 0, 1)
    return 3 * s**2 - 2 * s**3


@given(
    amount=st.floats(-100, 100),
    midpoint=st.floats(0, 80),
    feather=st.floats(20, 100),
    place=st.tuples(st.integers(0, 119), st.integers(0, 159)),
)
@settings(deadline=None, max_examples=40)
def test_vignette_is_the_stated_formula(amount, midpoint, feather, place):
    row, column = place
    result = edit(flat(0.6), "vignette", amount=amount, midpoint=midpoint, feather=feather)
    # Ellipses through the corners: half axes sqrt(2) times half the sides.
    distance = np.hypot((column + 0.5 - 80) / 80, (row + 0.5 - 60) / 60) / np.sqrt(2)
    share = amount / 100 * falloff(distance, midpoint / 100, feather / 100)
    expected = 0.6 * (1 + share) if amount < 0 else 0.6 + 0.4 * share
    assert result[row, column] == pytest.approx([expected] * 3, abs=2e-5)


def test_vignette_darkens_corners_and_leaves_the_middle():
    result = edit(flat(0.5, 400, 600), "vignette", amount=-80)
    assert result[0, 0, 0] == pytest.approx(0.5 * 0.2, abs=1e-3)
    assert result[200, 300, 0] == 0.5
    for turned in (result[::-1], result[:, ::-1]):
        assert np.abs(result - turned).max() < 1e-6


def test_a_round_vignette_is_a_circle():
    result = edit(flat(0.5, 400, 600), "vignette", amount=-80, roundness=100)
    assert result[200, 300 + 190, 0] == pytest.approx(result[200 + 190, 300, 0], abs=1e-6)
    assert result[200, 300 + 190, 0] < 0.499
    oval = edit(flat(0.5, 400, 600), "vignette", amount=-80)
    assert oval[200, 300 + 190, 0] > oval[200 + 190, 300, 0] + 0.02


def test_without_feather_the_edge_is_a_pixel_wide():
    result = edit(flat(0.5, 400, 600), "vignette", amount=-100, feather=0, roundness=100)
    inside = np.count_nonzero((result[:, :, 0] > 0.01) & (result[:, :, 0] < 0.49), axis=1)
    assert 0 < inside[200] <= 4


# --- grain ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 1.5, 3, 8])
@pytest.mark.parametrize("level", [0.2, 0.5, 0.8])
def test_grain_has_the_stated_mean_and_variance(size, level):
    noise = edit(flat(level, 700, 900), "grain", amount=10, size=size)[:, :, 0] - level
    deviation = 10 / 255 * 2 * np.sqrt(level * (1 - level))
    # Larger grains are fewer independent numbers.
    assert noise.mean() == pytest.approx(0, abs=deviation * size / 200)
    assert noise.std() == pytest.approx(deviation, rel=0.005 + 0.006 * size)


def test_grain_is_close_to_normal():
    noise = edit(flat(0.5, 500, 500), "grain", amount=10)[:, :, 0] - 0.5
    noise /= noise.std()
    assert (noise**3).mean() == pytest.approx(0, abs=0.03)
    assert (noise**4).mean() == pytest.approx(3, abs=0.4)
    assert np.count_nonzero(np.abs(noise) < 1) / noise.size == pytest.approx(0.683, abs=0.02)


def test_neighbours_are_alike_in_large_grain_alone():
    for size, low, high in ((1, -0.02, 0.02), (4, 0.8, 1.0)):
        noise = edit(flat(0.5, 300, 300), "grain", amount=10, size=size)[:, :, 0] - 0.5
        for a, b in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1])):
            assert low < (a * b).mean() / noise.var() < high


def test_the_seed_decides():
    source = values()
    first = edit(source, "grain", amount=10, seed=7)
    assert np.array_equal(first, edit(source, "grain", amount=10, seed=7))
    other = edit(source, "grain", amount=10, seed=8)
    assert abs(np.corrcoef((first - source).ravel(), (other - source).ravel())[0, 1]) < 0.02


def test_grain_is_the_same_with_every_numpy():
    noise = edit(flat(0.5, 2, 3), "grain", amount=10, seed=1)[:, :, 0] - 0.5
    raw = [np.random.Philox(key=1, counter=2**20 + row).random_raw(3) for row in (0, 1)]
    sums = [[sum(int(n) >> shift & 0xFFFF for shift in (0, 16, 32, 48)) for n in r] for r in raw]
    expected = (np.array(sums) - 131070) / np.sqrt((65536**2 - 1) / 3) * 10 / 255
    assert noise == pytest.approx(expected, abs=1e-6)


def test_black_and_white_have_no_grain():
    for level in (0.0, 1.0):
        assert (edit(flat(level), "grain", amount=50) == level).all()


@given(top=st.integers(0, 90), rows=st.integers(1, 10), size=st.sampled_from([1, 2, 5]))
@settings(deadline=None, max_examples=25)
def test_a_strip_of_grain_is_a_part_of_the_whole(top, rows, size):
    operation = default_vocabulary()["grain"]
    form = operation.form(operation.check({"amount": 20, "size": size}), {})
    assert isinstance(form, Positioned)
    source = flat(0.5, 100, 70)
    strip = form.function(source[top : top + rows].copy(), Region(top, rows, 100, 70))
    assert np.array_equal(strip, evaluate(form, source)[top : top + rows])


# --- in files of 8 and 16 bits ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(("name", "parameters"), SETTINGS)
def test_whole_numbers_are_the_rounded_values(name, parameters, dtype):
    picture = photograph(200, 150, dtype=dtype)
    plan = EditPlan(operations=(PlannedOperation(name=name, parameters=parameters),))
    white = np.iinfo(dtype).max
    exact = edit(picture.pixels.astype(np.float32) / np.float32(white), name, **parameters)
    result = render_plan(Picture(picture.pixels), plan).pixels
    assert result.dtype == picture.pixels.dtype
    assert np.abs(result - exact * np.float64(white)).max() < (0.51 if dtype == "uint8" else 0.6)
