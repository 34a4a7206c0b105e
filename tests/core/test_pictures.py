import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms, ImageDraw

from imgedit_plugins.authoring.samples import photograph, with_profile
from imgedit_plugins.errors import PictureError
from imgedit_plugins.pictures import Metadata, Picture, mask_fault, to_8_bits

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
pixels8 = st.integers(1, 4).flatmap(
    lambda channels: hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(channels))
    )
)


# --- construction -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 5), (4,), (), (4, 5, 0), (4, 5, 5), (1, 4, 5, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(PictureError, match=r"\(height, width, 1 to 4 channels\)"):
        Picture(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (0, 0, 1)])
def test_pictures_without_pixels_are_refused(shape):
    with pytest.raises(PictureError, match="at least one pixel"):
        Picture(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", ["float64", "float16", "int8", "int32", "bool", ">u2", ">f4"])
def test_other_types_are_refused(dtype):
    with pytest.raises(PictureError, match="uint8, uint16 or float32"):
        Picture(np.zeros((2, 2, 3), dtype))


@pytest.mark.parametrize("pixels", [None, [[[0, 0, 0]]], "pixels", Image.new("RGB", (1, 1))])
def test_what_is_no_array_is_refused(pixels):
    with pytest.raises(PictureError, match="numpy array"):
        Picture(pixels)


def test_pictures_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        photograph().pixels = np.zeros((1, 1, 3), np.uint8)


@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_what_a_picture_tells_about_itself(channels, dtype):
    picture = Picture(np.ones((4, 7, channels), dtype))
    assert (picture.height, picture.width, picture.mode) == (4, 7, MODES[channels])
    assert picture.is_grey == (channels <= 2)
    assert picture.has_alpha == (channels in (2, 4))
    assert picture.color.shape[2] == (1 if channels <= 2 else 3)
    assert (picture.alpha is not None) == picture.has_alpha
    if picture.alpha is not None:
        assert picture.alpha.shape == (4, 7, 1)
        assert np.shares_memory(picture.alpha, picture.pixels)
    assert np.shares_memory(picture.color, picture.pixels)
    assert repr(picture) == f"<Picture 7x4 {MODES[channels]} {dtype}>"


def test_other_pixels_keep_what_belongs_to_the_picture():
    picture = dataclasses.replace(
        with_profile(photograph()), metadata=Metadata(resolution=(300.0, 300.0))
    )
    other = picture.with_pixels(np.zeros((1, 1, 4), np.uint16))
    assert (other.icc_profile, other.metadata) == (picture.icc_profile, picture.metadata)
    assert (other.width, other.mode) == (1, "RGBA")


# --- 8 bits -----------------------------------------------------------------------------------


def test_16_bits_are_rounded_exactly():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    # In whole numbers: the nearest v / 257; there are no ties since 257 is odd.
    expected = [(2 * value + 257) // (2 * 257) for value in range(65536)]
    result = to_8_bits(every)
    assert result.dtype == np.uint8
    assert result.ravel().tolist() == expected
    assert np.array_equal(to_8_bits(np.arange(256, dtype=np.uint16) * 257), np.arange(256))


def test_floats_are_rounded_exactly():
    codes = np.arange(256)
    assert np.array_equal(to_8_bits((codes / 255).astype(np.float32)), codes)
    assert np.array_equal(to_8_bits(((codes + 0.49) / 255).astype(np.float32)), codes)
    assert np.array_equal(to_8_bits(((codes[1:] - 0.49) / 255).astype(np.float32)), codes[1:])


def test_floats_beyond_the_range_are_clipped():
    strange = np.array([-1, -0.0, 2, 1e30, -np.inf, np.inf, np.nan], np.float32)
    assert to_8_bits(strange).tolist() == [0, 0, 255, 255, 0, 255, 0]


def test_8_bits_are_left_alone():
    pixels = photograph().pixels
    assert to_8_bits(pixels) is pixels


@given(pixels8)
def test_rgb8_is_three_channels_without_alpha(pixels):
    rgb = Picture(pixels).rgb8()
    assert rgb.shape == (*pixels.shape[:2], 3)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    for channel in range(3):
        source = channel if pixels.shape[2] >= 3 else 0
        assert np.array_equal(rgb[:, :, channel], pixels[:, :, source])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_deep_pictures_and_8_bit_ones_agree(mode):
    eight = photograph(mode=mode)
    deep = Picture(eight.pixels.astype(np.uint16) * 257)
    real = Picture((eight.pixels / 255).astype(np.float32))
    for other in (deep, real):
        assert np.array_equal(other.rgb8(), eight.rgb8())
        assert np.array_equal(np.asarray(other.to_pillow()), np.asarray(eight.to_pillow()))


# --- Pillow -----------------------------------------------------------------------------------


@given(pixels8, st.none() | st.just(SRGB))
def test_to_pillow_and_back_loses_nothing(pixels, profile):
    picture = Picture(pixels, icc_profile=profile)
    image = picture.to_pillow()
    assert image.mode == picture.mode
    assert image.size == (picture.width, picture.height)
    again = Picture.from_pillow(image)
    assert np.array_equal(again.pixels, pixels)
    assert again.icc_profile == profile


def test_a_pillow_image_has_pixels_of_its_own():
    for mode in ("L", "RGB", "RGBA"):
        picture = photograph(mode=mode)
        before = picture.pixels.copy()
        image = picture.to_pillow()
        ImageDraw.Draw(image).rectangle((0, 0, 50, 50), fill=0)
        assert np.array_equal(picture.pixels, before)
        back = Picture.from_pillow(image)
        kept = back.pixels.copy()
        ImageDraw.Draw(image).rectangle((0, 0, 90, 60), fill=255)
        assert np.array_equal(back.pixels, kept)


@pytest.mark.parametrize(
    ("mode", "result"),
    [
        ("1", "L"), ("P", "RGB"), ("PA", "RGBA"), ("La", "LA"), ("RGBa", "RGBA"),
        ("CMYK", "RGB"), ("YCbCr", "RGB"), ("LAB", "RGB"), ("HSV", "RGB"), ("RGBX", "RGB"),
        ("I", "RGB"), ("F", "RGB"), ("I;16", "L"), ("I;16B", "L"),
    ],
)  # fmt: skip
def test_other_modes_are_converted(mode, result):
    image = Image.new(mode, (3, 2))
    image.info["icc_profile"] = SRGB
    picture = Picture.from_pillow(image)
    assert (picture.mode, picture.width, picture.height) == (result, 3, 2)
    # A profile for ink does not describe red, green and blue.
    foreign = mode in ("CMYK", "YCbCr", "LAB", "HSV")
    assert picture.icc_profile == (None if foreign else SRGB)


def test_16_bit_grey_keeps_its_bits():
    values = np.array([[0, 255, 256, 65535]], np.uint16)
    picture = Picture.from_pillow(Image.fromarray(values))
    assert picture.pixels.dtype == np.uint16
    assert np.array_equal(picture.pixels[:, :, 0], values)


@pytest.mark.parametrize(("mode", "key", "result"), [
    ("L", 5, "LA"), ("RGB", (5, 5, 5), "RGBA"), ("P", 0, "RGBA"),
])  # fmt: skip
def test_a_transparent_colour_becomes_alpha(mode, key, result):
    image = Image.new(mode, (2, 1), key)
    image.info["transparency"] = key
    picture = Picture.from_pillow(image)
    assert picture.mode == result
    assert picture.alpha is not None
    assert picture.alpha.max() == 0


# --- masks ------------------------------------------------------------------------------------


def test_masks_fit_or_not():
    picture = photograph(6, 4)
    assert mask_fault(picture, np.zeros((4, 6), np.uint8)) == ""
    fault = mask_fault(picture, np.zeros((6, 4), np.uint8))
    assert fault == "the mask is (6, 4) uint8, the picture needs (4, 6) uint8"
    assert "bool" in mask_fault(picture, np.zeros((4, 6), bool))
    assert "list" in mask_fault(picture, [0])
