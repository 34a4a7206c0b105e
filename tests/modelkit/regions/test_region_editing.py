"""Edits brought to the user's picture: nothing else changes, detail stays, colours stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms
from skimage import data

from imgedit_modelkit.regions.boxes import Fitting
from imgedit_modelkit.regions.editing import edit_region
from imgedit_plugins.errors import ImgeditError, JobCancelledError, PictureError
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Metadata, Picture

WHITE = {"uint8": 255, "uint16": 65535, "float32": 1}
SMALL = Fitting(8, 48 * 48)


def unchanged(rgb):
    return rgb[None]


def inverted(rgb):
    return 1 - rgb[None]


def photograph(dtype="uint8", size=(240, 360)):
    rgb = data.astronaut()[40 : 40 + size[0], 60 : 60 + size[1]]
    values = {
        "uint8": rgb.copy,
        "uint16": lambda: rgb.astype(np.uint16) * 257,
        "float32": lambda: rgb.astype(np.float32) / 255,
    }[dtype]()
    return Picture(np.ascontiguousarray(values))


def box_mask(shape, rows, columns, value=255):
    mask = np.zeros(shape, np.uint8)
    mask[rows, columns] = value
    return mask


@st.composite
def pictures(draw):
    height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    channels, dtype = draw(st.integers(1, 4)), draw(st.sampled_from(sorted(WHITE)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.random((height, width, channels), np.float32)
    if channels in (2, 4):
        values[:, :, -1] = np.round(values[:, :, -1] * 2) / 2  # transparent, half, opaque
    if dtype == "float32" and draw(st.booleans()):
        values[random.random(values.shape[:2]) < 0.05, 0] = draw(
            st.sampled_from([1.5, -0.25, np.nan, np.inf])
        )
    if dtype != "float32":
        values = np.rint(values * WHITE[dtype])
    return Picture(np.ascontiguousarray(values.astype(dtype)))


@st.composite
def pictures_and_masks(draw):
    picture = draw(pictures())
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["noise", "box", "soft", "one pixel"]))
    mask = np.zeros((picture.height, picture.width), np.uint8)
    if kind == "noise":
        mask[random.random(mask.shape) < 0.4] = 255
    elif kind == "box":
        mask[picture.height // 3 :, : 1 + picture.width // 2] = 255
    elif kind == "soft":
        mask[:] = random.integers(0, 256, mask.shape)
    mask[random.integers(picture.height), random.integers(picture.width)] = 200
    return picture, mask


def same(a, b):
    return np.array_equal(a, b, equal_nan=a.dtype == np.float32)


# --- nothing else changes ---------------------------------------------------------------------


@settings(max_examples=80)
@given(pictures_and_masks(), st.booleans(), st.integers(0, 1000))
def test_bit_for_bit_unchanged_outside_the_mask(pair, tiled, seed):
    picture, mask = pair
    before = picture.pixels.copy()
    random = np.random.default_rng(seed)
    fitting = Fitting(8, 24 * 24, tiled=tiled)
    (edited,) = edit_region(
        picture,
        lambda rgb: random.random((1, *rgb.shape), np.float32),
        mask=mask,
        fitting=fitting,
    )
    after = edited.picture.pixels
    assert (after.shape, after.dtype) == (before.shape, before.dtype)
    assert same(after[mask == 0], before[mask == 0])
    assert same(picture.pixels, before)
    outside = np.ones(mask.shape, bool)
    outside[edited.box.rows, edited.box.columns] = False
    assert same(after[outside], before[outside])
    if picture.has_alpha:
        assert same(after[:, :, -1], before[:, :, -1])
        hidden = before[:, :, -1] == 0
        assert same(after[hidden], before[hidden])


@settings(max_examples=60)
@given(pictures_and_masks(), st.booleans(), st.booleans())
def test_an_edit_of_nothing_gives_the_picture_bit_for_bit(pair, selected, tiled):
    picture, mask = pair
    fitting = Fitting(8, 24 * 24, tiled=tiled)
    (edited,) = edit_region(picture, unchanged, mask=mask if selected else None, fitting=fitting)
    assert same(edited.picture.pixels, picture.pixels)


@settings(max_examples=40)
@given(pictures_and_masks())
def test_a_model_that_rounds_to_8_bits_stays_within_a_code(pair):
    picture, _ = pair
    (edited,) = edit_region(
        picture, lambda rgb: (np.rint(rgb * 255) / 255)[None], fitting=Fitting(8, 24 * 24)
    )
    before = np.nan_to_num(picture.pixels.astype(np.float64), posinf=0, neginf=0)
    after = np.nan_to_num(edited.picture.pixels.astype(np.float64), posinf=0, neginf=0)
    assert abs(before - after).max() / WHITE[str(picture.pixels.dtype)] <= 1.01 / 255


@pytest.mark.parametrize("dtype", sorted(WHITE))
def test_profile_metadata_and_type_are_kept(dtype):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Picture(photograph(dtype).pixels, profile, Metadata(resolution=(300.0, 300.0)))
    (edited,) = edit_region(picture, inverted, fitting=SMALL)
    assert edited.picture.icc_profile == profile
    assert edited.picture.metadata == picture.metadata
    assert edited.picture.pixels.dtype == picture.pixels.dtype
    assert not same(edited.picture.pixels, picture.pixels)


# --- detail -----------------------------------------------------------------------------------


def codes_apart(a, b):
    return float(abs(a.astype(np.float64) - b).mean())


@pytest.mark.parametrize(
    ("edit", "limit"),
    [
        (lambda v: 0.5 * v + 0.2, 0.6),
        (lambda v: 1 - v, 0.6),
        (lambda v: v**1.5, 1.6),
        (lambda v: v * np.float32([1.0, 0.9, 0.7]), 0.6),
    ],
    ids=["less contrast", "negative", "gamma", "warmer"],
)
def test_tone_edits_keep_full_resolution(edit, limit):
    """The model works at 96 pixels a side, a tenth of the picture's pixels."""
    picture = photograph()
    (edited,) = edit_region(
        picture,
        lambda rgb: np.asarray(edit(rgb), np.float32)[None],
        fitting=Fitting(8, 96 * 96),
    )
    wanted = np.rint(255 * edit(picture.pixels / np.float32(255)))
    found = codes_apart(edited.picture.pixels, wanted)
    plain = 255 * cv2.resize(
        np.asarray(edit(cv2.resize(picture.pixels / np.float32(255), (120, 76))), np.float32),
        (360, 240),
        interpolation=cv2.INTER_CUBIC,
    )
    assert found <= limit
    assert found < 0.3 * codes_apart(plain, wanted)


def test_what_is_painted_over_shows_nothing_of_what_was_there():
    random = np.random.default_rng(0)
    texture = random.random((192, 192, 3), np.float32)
    texture = cv2.GaussianBlur(texture, (0, 0), 3)
    texture = (texture - texture.min()) / np.ptp(texture)
    picture = Picture(np.rint(texture * 255).astype(np.uint8))
    goal = np.zeros((64, 64, 3), np.float32)
    goal[:, :32] = (0.9, 0.1, 0.2)
    goal[:, 32:] = (0.1, 0.4, 0.8)
    (edited,) = edit_region(picture, lambda _: goal[None], fitting=Fitting(8, 64 * 64))
    wanted = np.rint(255 * cv2.resize(goal, (192, 192), interpolation=cv2.INTER_CUBIC))
    inner = np.ones((192, 192), bool)
    inner[:, 84:108] = False
    apart = abs(edited.picture.pixels.astype(float) - wanted)[inner]
    assert apart.mean() < 2
    old = picture.pixels[inner].astype(float).ravel()
    left = np.corrcoef(old - old.mean(), (edited.picture.pixels[inner] - wanted[inner]).ravel())
    assert apart.std() < 0.1 * old.std()
    assert abs(left[0, 1]) < 0.9


def test_nor_does_what_the_model_lost_of_it_shine_through():
    """Stripes over a photograph, through a model that blurs."""

    def blurring(rgb):
        return cv2.GaussianBlur(rgb, (0, 0), 1.0)

    def stripes(rgb):
        waves = np.sin(np.arange(rgb.shape[1]) * 0.7)[None, :, None] * 0.3 + 0.5
        return np.broadcast_to(np.float32(waves), rgb.shape)

    picture = photograph()
    (edited,) = edit_region(
        picture,
        lambda rgb: blurring(np.ascontiguousarray(stripes(rgb)))[None],
        fitting=Fitting(8, 96 * 96),
        rebuild=blurring,
    )
    after = edited.picture.pixels.astype(float).mean(2)
    ghost = after - after.mean(0)  # the stripes are the same in all rows
    before = picture.pixels.astype(float).mean(2)
    fine = before - cv2.GaussianBlur(before, (0, 0), 6)
    assert ghost[10:-10].std() < 0.15 * fine.std()


def test_a_local_edit_leaves_the_rest_of_the_region_as_it_is():
    picture = photograph(size=(256, 256))

    def spot(rgb):
        edited = rgb.copy()
        edited[20:40, 20:40] = (1, 0, 0)
        return edited[None]

    (edited,) = edit_region(picture, spot, fitting=Fitting(8, 64 * 64))
    far = np.ones((256, 256), bool)
    far[16:224, 16:224] = False
    assert same(edited.picture.pixels[far], picture.pixels[far])
    inside = edited.picture.pixels[100:140, 100:140].astype(int)
    assert abs(inside - (255, 0, 0)).mean() < 6


# --- drift ------------------------------------------------------------------------------------


def drifting(rgb):
    """What a VAE does: a cast, less contrast, fine noise."""
    noise = np.random.default_rng(1).normal(0, 0.02, rgb.shape).astype(np.float32)
    return np.clip(rgb * 0.96 + np.float32([0.03, 0.0, 0.02]) + noise, 0, 1)


def test_what_the_model_loses_is_no_edit():
    picture = photograph()
    with_it, without = (
        edit_region(picture, lambda rgb: drifting(rgb)[None], fitting=SMALL, rebuild=rebuild)[0]
        for rebuild in (drifting, None)
    )
    assert same(with_it.picture.pixels, picture.pixels)
    assert with_it.drift.rebuilding == pytest.approx(0.03, abs=0.01)
    assert codes_apart(without.picture.pixels, picture.pixels) > 3


def test_noise_as_large_as_the_models_own_is_left_out():
    picture = photograph()

    def noisy(seed):
        def add(rgb):
            random = np.random.default_rng(seed)
            return np.clip(rgb + random.normal(0, 0.03, rgb.shape), 0, 1).astype(np.float32)

        return add

    first, second = noisy(1), noisy(2)
    kept, taken = (
        edit_region(
            picture, lambda rgb: second(first(rgb))[None], fitting=Fitting(8, 96 * 96), rebuild=r
        )[0]
        for r in (first, None)
    )
    apart = [codes_apart(e.picture.pixels, picture.pixels) for e in (kept, taken)]
    assert apart[0] < 0.5 * apart[1]


def test_a_cast_outside_of_the_selection_is_taken_back():
    picture = photograph()
    mask = box_mask((240, 360), slice(90, 150), slice(150, 210))

    def cast_and_edit(rgb):
        height, width = rgb.shape[:2]
        edited = rgb.copy()
        spot = slice(int(0.42 * height), int(0.58 * height)), slice(int(width / 2), width)
        edited[spot] = (0.2, 0.4, 0.7)
        return np.clip(0.95 * edited + np.float32([0.04, -0.02, 0.03]), 0, 1)[None]

    (edited,) = edit_region(picture, cast_and_edit, mask=mask, fitting=Fitting(8, 96 * 96))
    assert edited.drift.corrected
    assert edited.drift.left < 0.02 < max(map(abs, edited.drift.shift))
    left, right = edited.picture.pixels[95:145, 150:165], edited.picture.pixels[116:124, 190:205]
    assert codes_apart(left, picture.pixels[95:145, 150:165]) < 2
    assert abs(right.mean((0, 1)) - np.array([51, 102, 178.5])).max() < 4


def test_a_slight_edit_of_everything_is_not_taken_for_drift():
    """Warmer: the model makes the surroundings warmer, too, and only the selection counts."""
    picture = photograph()
    mask = box_mask((240, 360), slice(60, 180), slice(100, 260))
    (edited,) = edit_region(
        picture, lambda rgb: rgb[None] * np.float32([1, 0.97, 0.88]), mask=mask, fitting=SMALL
    )
    assert not edited.drift.corrected
    inside = (slice(80, 160), slice(120, 240))
    blue = edited.picture.pixels[inside][..., 2].mean() / picture.pixels[inside][..., 2].mean()
    assert blue == pytest.approx(0.88, abs=0.01)


def test_an_edit_of_everything_is_not_taken_for_drift():
    picture = photograph()
    mask = box_mask((240, 360), slice(60, 180), slice(100, 260))
    (edited,) = edit_region(picture, lambda rgb: 0.4 * rgb[None], mask=mask, fitting=SMALL)
    assert not edited.drift.corrected
    inside = edited.picture.pixels[80:160, 120:240].mean()
    assert inside == pytest.approx(0.4 * picture.pixels[80:160, 120:240].mean(), rel=0.05)


def test_without_a_selection_drift_outside_of_it_is_not_known():
    (edited,) = edit_region(photograph(), inverted, fitting=SMALL)
    assert edited.drift.shift is None
    assert edited.drift.left is None


# --- profiles, alpha, grey --------------------------------------------------------------------


def test_grey_stays_grey_and_says_so():
    told = Job()
    grey = Picture(np.ascontiguousarray(photograph().pixels[:, :, 1:2]))
    (edited,) = edit_region(
        grey, lambda rgb: rgb[None] * np.float32([1, 0.2, 0.2]), fitting=SMALL, job=told
    )
    assert edited.picture.mode == "L"
    assert told.warnings == ["The picture is grey, so the colours of the edit are left out."]
    assert edited.picture.pixels.mean() < 0.6 * grey.pixels.mean()


def test_transparent_colours_are_not_seen():
    shown = []
    picture = photograph()
    alpha = np.full((240, 360, 1), 255, np.uint8)
    alpha[:, :180] = 0
    pixels = np.concatenate([picture.pixels, alpha], axis=2)
    pixels[:, :180, :3] = (0, 255, 0)
    edit_region(
        Picture(pixels), lambda rgb: shown.append(rgb) or unchanged(rgb), fitting=Fitting(8, 96**2)
    )
    left = shown[0][:, : shown[0].shape[1] // 2 - 2]
    assert np.ptp(left, axis=(0, 1)).max() < 1e-3
    assert abs(left[0, 0] - picture.pixels[:, 180:].mean((0, 1)) / 255).max() < 0.01


# --- candidates, tiles, refusals --------------------------------------------------------------


def test_one_result_for_each_candidate():
    edited = edit_region(
        photograph(),
        lambda rgb: np.stack([rgb, 0.5 * rgb, 1 - rgb]),
        fitting=SMALL,
    )
    means = [e.picture.pixels.mean() for e in edited]
    assert len(edited) == 3
    assert means[0] == photograph().pixels.mean()
    assert means[1] == pytest.approx(0.5 * means[0], rel=0.02)
    assert means[2] == pytest.approx(255 - means[0], rel=0.02)


def test_tiles_bring_detail_that_the_whole_cannot_and_have_its_tones():
    picture = photograph(size=(240, 384))  # tiles begin at multiples of 72, as stripes do
    calls = []

    def striped(rgb):
        """Stripes of four pixels of the model, and a tone that differs from call to call."""
        calls.append(rgb.shape)
        stripes = np.where(np.arange(rgb.shape[1]) // 2 % 2, 0.15, -0.15)[None, :, None]
        tone = 0.0 if len(calls) == 1 else 0.2 * (len(calls) % 2)
        return np.clip(0.6 * rgb + 0.2 + stripes + tone, 0, 1)[None].astype(np.float32)

    (edited,) = edit_region(picture, striped, fitting=Fitting(8, 96 * 96, tiled=True))
    assert len(calls) == 1 + 3 * 5
    assert all(shape[0] == shape[1] == 96 for shape in calls[1:])
    change = edited.picture.pixels.astype(float) - (0.6 * picture.pixels + 0.2 * 255)
    spectrum = abs(np.fft.rfft(change.mean((0, 2)) - change.mean()))
    assert spectrum.argmax() == 96  # a stripe pair each four pixels of the picture
    rough = cv2.blur(change.mean(2), (41, 41))[20:-20, 20:-20]
    assert rough.std() < 8
    assert abs(rough.mean()) < 6


def test_tiles_without_selection_in_them_are_not_edited():
    calls = []
    mask = box_mask((240, 360), slice(0, 240), slice(0, 20))
    mask[230:, 340:] = 255
    edit_region(
        photograph(),
        lambda rgb: calls.append(1) or unchanged(rgb),
        mask=mask,
        fitting=Fitting(8, 96 * 96, tiled=True),
    )
    assert 1 < len(calls) < 1 + 3 * 5


def test_cancelled_between_tiles():
    job, calls = Job(), []

    def paint(rgb):
        calls.append(1)
        if len(calls) == 3:
            job.cancel()
        return unchanged(rgb)

    with pytest.raises(JobCancelledError):
        edit_region(photograph(), paint, fitting=Fitting(8, 96 * 96, tiled=True), job=job)
    assert len(calls) == 3


def test_what_is_refused():
    picture = photograph()
    with pytest.raises(PictureError, match="Nothing is selected"):
        edit_region(picture, unchanged, mask=np.zeros((240, 360), np.uint8))
    with pytest.raises(PictureError, match="selection cannot be used"):
        edit_region(picture, unchanged, mask=np.zeros((3, 3), np.uint8))
    with pytest.raises(ImgeditError, match="was expected"):
        edit_region(picture, lambda rgb: rgb, fitting=SMALL)
    with pytest.raises(ImgeditError, match="rebuilt a picture"):
        edit_region(picture, unchanged, fitting=SMALL, rebuild=lambda rgb: rgb[:4])
