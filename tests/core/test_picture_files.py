import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from picture_makers import (
    GRAY,
    SHARED_FOLDER,
    SRGB,
    XMP,
    exif_block,
    exif_tags,
    names,
    noise,
    one_sentence,
    refused,
    save_pillow,
    smooth,
)
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin

from imgedit_plugins.errors import OptionError, PictureReadError, PictureWriteError
from imgedit_plugins.picture_files import exif, open_picture, read_header, save_picture
from imgedit_plugins.picture_files.vips import load_pyvips
from imgedit_plugins.pictures import Metadata, Picture

CORE = Path(__file__).parents[2] / "core"
CMYK = bytes(pyvips.Operation.call("profile_load", "cmyk"))
FORMATS = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF", "webp": "WEBP"}


# --- pixels -----------------------------------------------------------------------------------


def whole_numbers(dtype: Any, channels: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    sides = st.integers(1, 9)
    shapes = st.tuples(sides, sides, channels)
    return shapes.flatmap(lambda shape: hnp.arrays(dtype, shape))


@given(
    pixels=st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda dtype: whole_numbers(dtype, st.integers(1, 4))
    ),
    suffix=st.sampled_from([".png", ".tif", ".TIFF"]),
)
@settings(SHARED_FOLDER, max_examples=60)
def test_png_and_tiff_are_lossless(tmp_path: Path, pixels: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    save_picture(Picture(pixels), path)
    again = open_picture(path).pixels
    assert again.dtype == pixels.dtype
    assert again.flags.c_contiguous
    np.testing.assert_array_equal(again, pixels)


@given(pixels=whole_numbers(np.uint8, st.sampled_from([3, 4])))
@settings(SHARED_FOLDER, max_examples=30)
def test_webp_is_lossless(tmp_path: Path, pixels: np.ndarray) -> None:
    save_picture(Picture(pixels), tmp_path / "x.webp")
    again = open_picture(tmp_path / "x.webp").pixels
    # An alpha channel that is opaque everywhere is not stored.
    np.testing.assert_array_equal(again[:, :, :3], pixels[:, :, :3])
    if pixels.shape[2] == 4 and (pixels[:, :, 3] < 255).any():
        np.testing.assert_array_equal(again[:, :, 3], pixels[:, :, 3])
    else:
        assert (again[:, :, 3:] == 255).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_float_tiff_is_lossless(tmp_path: Path, channels: int) -> None:
    pixels = noise(7, 5, channels, dtype=np.float32)
    save_picture(Picture(pixels), tmp_path / "x.tif")
    again = open_picture(tmp_path / "x.tif").pixels
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, pixels)


def test_rounding_of_formats_that_hold_less(tmp_path: Path) -> None:
    deep = np.array([[[0, 128, 129], [65535, 32896, 32767]]], dtype=np.uint16)
    expected = np.array([[[0, 0, 1], [255, 128, 127]]], dtype=np.uint8)
    save_picture(Picture(deep), tmp_path / "x.webp")
    np.testing.assert_array_equal(open_picture(tmp_path / "x.webp").pixels, expected)
    floats = np.array([[[-0.5, 0.5, 1.5]]], dtype=np.float32)
    save_picture(Picture(floats), tmp_path / "x.png")
    np.testing.assert_array_equal(open_picture(tmp_path / "x.png").pixels, [[[0, 32768, 65535]]])


def test_grey_webp_becomes_rgb(tmp_path: Path) -> None:
    pixels = noise(4, 5, 2)
    save_picture(Picture(pixels), tmp_path / "x.webp")
    again = open_picture(tmp_path / "x.webp").pixels
    np.testing.assert_array_equal(again, pixels[:, :, [0, 0, 0, 1]])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_written_by_opencv(tmp_path: Path, suffix: str, channels: int) -> None:
    pixels = noise(8, 6, channels, dtype=np.uint16)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    assert cv2.imwrite(str(tmp_path / f"x{suffix}"), np.ascontiguousarray(pixels[:, :, order]))
    picture = open_picture(tmp_path / f"x{suffix}")
    assert picture.pixels.dtype == np.uint16
    np.testing.assert_array_equal(picture.pixels, pixels)
    save_picture(picture, tmp_path / f"y{suffix}")
    theirs = cv2.imread(str(tmp_path / f"y{suffix}"), cv2.IMREAD_UNCHANGED)
    assert theirs is not None
    np.testing.assert_array_equal(theirs.reshape(pixels.shape)[:, :, order], pixels)


def test_palette_with_transparency_becomes_rgba(tmp_path: Path) -> None:
    image = Image.fromarray(noise(6, 7, 3)).quantize(8)
    image.save(tmp_path / "x.png", transparency=3)
    pixels = open_picture(tmp_path / "x.png").pixels
    expected = np.asarray(Image.open(tmp_path / "x.png").convert("RGBA"))
    np.testing.assert_array_equal(pixels, expected)
    assert {0, 255} == set(np.unique(pixels[:, :, 3]))
    image.save(tmp_path / "y.png")
    np.testing.assert_array_equal(open_picture(tmp_path / "y.png").pixels, expected[:, :, :3])
    image.save(tmp_path / "y.tif")
    np.testing.assert_array_equal(open_picture(tmp_path / "y.tif").pixels, expected[:, :, :3])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_few_bits_become_8(tmp_path: Path, suffix: str) -> None:
    pixels = noise(9, 11) > 127
    Image.fromarray(pixels).save(tmp_path / f"x{suffix}")
    again = open_picture(tmp_path / f"x{suffix}").pixels
    np.testing.assert_array_equal(again, pixels[:, :, None] * np.uint8(255))
    for bits in (2, 4):
        levels = noise(9, 11) >> (8 - bits)
        path = tmp_path / f"y{suffix}"
        if suffix == ".png":
            pyvips.Image.new_from_array(levels * np.uint8(255 // (2**bits - 1))).pngsave(
                str(path), bitdepth=bits
            )
        else:
            path.write_bytes(packed_tiff(levels, bits))
        again = open_picture(path).pixels
        np.testing.assert_array_equal(again[:, :, 0], levels * (255 // (2**bits - 1)))


def packed_tiff(levels: np.ndarray, bits: int) -> bytes:
    """A grey TIFF of few bits; libvips writes the last 4-bit pixel of odd rows wrong."""
    height, width = levels.shape
    rows = ["".join(f"{value:0{bits}b}" for value in row) for row in levels]
    rows = [row + "0" * (-len(row) % 8) for row in rows]
    data = b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    fields = [
        (256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 8), (277, 1),
        (278, height), (279, len(data)),
    ]  # fmt: skip
    data += b"\0" * (len(data) % 2)
    directory = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in fields)
    start = b"II*\0" + struct.pack("<I", 8 + len(data))
    return start + data + struct.pack("<H", len(fields)) + directory + b"\0" * 4


def test_grey_with_alpha_and_jpeg_in_tiff(tmp_path: Path) -> None:
    pixels = noise(5, 4, 2)
    save_pillow(tmp_path / "x.png", pixels)
    picture = open_picture(tmp_path / "x.png")
    assert picture.mode == "LA"
    np.testing.assert_array_equal(picture.pixels, pixels)
    save_pillow(tmp_path / "x.tif", smooth(40, 40), compression="jpeg", quality=95)
    difference = open_picture(tmp_path / "x.tif").pixels.astype(int) - smooth(40, 40)
    assert np.abs(difference).max() < 12


def test_premultiplied_tiff_is_divided_again(tmp_path: Path) -> None:
    pixels = noise(6, 6, 4) | 128
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
    image.tiffsave(str(tmp_path / "x.tif"), premultiply=True)
    again = open_picture(tmp_path / "x.tif").pixels
    assert np.abs(again.astype(int) - pixels).max() <= 2


def test_jpeg_pixels_are_pillows(tmp_path: Path) -> None:
    for subsampling in (0, 2):
        path = save_pillow(tmp_path / "x.jpg", smooth(61, 43), quality=80, subsampling=subsampling)
        np.testing.assert_array_equal(open_picture(path).pixels, np.asarray(Image.open(path)))
    path = save_pillow(tmp_path / "g.jpg", smooth(61, 43)[:, :, 0], quality=80, progressive=True)
    picture = open_picture(path)
    np.testing.assert_array_equal(picture.pixels[:, :, 0], np.asarray(Image.open(path)))
    assert picture.mode == "L"


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    for seed in range(3):
        pixels = noise(20, 30, 3, seed=seed)
        save_pillow(path, pixels)
        os.utime(path, ns=(10**18, 10**18))  # as if within the clock's resolution
        np.testing.assert_array_equal(open_picture(path).pixels, pixels)


def test_files_are_closed(tmp_path: Path) -> None:
    paths = [save_pillow(tmp_path / f"x.{ext}", smooth(20, 30)) for ext in FORMATS]
    for path in paths:
        open_picture(path)
    held = [os.path.realpath(f"/proc/self/fd/{name}") for name in names(Path("/proc/self/fd"))]
    assert len(held) > 3
    assert not [path for path in held if path.startswith(str(tmp_path))]


# --- format and compression -------------------------------------------------------------------


@pytest.mark.parametrize("ext", FORMATS)
def test_the_content_decides(tmp_path: Path, ext: str) -> None:
    right = save_pillow(tmp_path / f"x.{ext}", smooth(20, 30))
    wrong = tmp_path / "Fotos von früher 🌄[page=1].gif"
    right.rename(wrong)
    picture = open_picture(str(wrong))
    assert picture.origin is not None
    assert picture.origin.format == FORMATS[ext]
    assert picture.origin.path == wrong
    assert (picture.origin.jpeg is not None) == (ext == "jpg")
    assert np.abs(picture.pixels.astype(int) - smooth(20, 30)).max() < 20
    header = read_header(wrong)
    assert (header.format, header.width, header.height) == (FORMATS[ext], 30, 20)
    assert header.jpeg == picture.origin.jpeg


def test_save_goes_by_extension(tmp_path: Path) -> None:
    for name, expected in [
        ("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("é 🌄.png", "PNG"), ("a.tif", "TIFF"),
        ("a.TIFF", "TIFF"), ("a.b.webp", "WEBP"),
    ]:  # fmt: skip
        save_picture(Picture(smooth(4, 5)), tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert image.format == expected


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_compression_is_pillows(tmp_path: Path, quality: int, subsampling: int) -> None:
    path = save_pillow(tmp_path / "x.jpg", smooth(33, 21), quality=quality, subsampling=subsampling)
    found = read_header(path).jpeg
    assert found is not None
    with Image.open(path) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        assert found.tables == tuple(tuple(t) for _, t in sorted(image.quantization.items()))
        assert found.subsampling == JpegImagePlugin.get_sampling(image) == subsampling


def test_jpeg_compression_of_grey_and_wide_tables(tmp_path: Path) -> None:
    table = [300 + i for i in range(64)]
    path = tmp_path / "x.jpg"
    save_pillow(path, smooth(16, 16)[:, :, 0], qtables=[table])
    found = read_header(path).jpeg
    assert found is not None
    assert found.subsampling == -1
    with Image.open(path) as image:
        assert found.tables == (tuple(image.quantization[0]),)  # type: ignore[attr-defined]


def test_jpeg_quality_and_subsampling_when_saving(tmp_path: Path) -> None:
    def saved(**options: Any) -> Any:
        save_picture(Picture(smooth(32, 32)), tmp_path / "x.jpg", **options)
        return read_header(tmp_path / "x.jpg").jpeg

    def pillows(quality: int) -> tuple[tuple[int, ...], ...]:
        path = save_pillow(tmp_path / "y.jpg", smooth(32, 32), quality=quality)
        with Image.open(path) as image:
            return tuple(tuple(t) for t in image.quantization.values())  # type: ignore[attr-defined]

    assert (saved().tables, saved().subsampling) == (pillows(95), 0)
    assert (saved(quality=90).tables, saved(quality=90).subsampling) == (pillows(90), 0)
    assert (saved(quality=80).tables, saved(quality=80).subsampling) == (pillows(80), 2)


def test_lossy_webp_is_smaller(tmp_path: Path) -> None:
    pixels = np.clip(smooth(64, 64) + noise(64, 64, 3) // 16, 0, 255).astype(np.uint8)
    save_picture(Picture(pixels), tmp_path / "a.webp")
    save_picture(Picture(pixels), tmp_path / "b.webp", quality=50)
    assert (tmp_path / "b.webp").stat().st_size < (tmp_path / "a.webp").stat().st_size / 3


# --- orientation and metadata -----------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ext", FORMATS)
def test_every_orientation(tmp_path: Path, ext: str, orientation: int) -> None:
    block = exif_block(orientation=orientation, width=30, height=20)
    path = save_pillow(tmp_path / f"x.{ext}", smooth(20, 30), exif=block)
    with Image.open(path) as image:
        assert image.getexif()[0x0112] == orientation
        expected = np.asarray(ImageOps.exif_transpose(image))
    picture = open_picture(path)
    np.testing.assert_array_equal(picture.pixels, expected)
    assert picture.pixels.flags.c_contiguous
    header = read_header(path)
    assert (header.width, header.height) == (picture.width, picture.height)
    assert picture.metadata.exif is not None
    tags = exif_tags(picture.metadata.exif)
    assert tags.get(0x0112, 1) == 1
    assert (tags[0x8769, 0xA002], tags[0x8769, 0xA003]) == (picture.width, picture.height)
    save_picture(picture, tmp_path / f"y.{ext}")
    with Image.open(tmp_path / f"y.{ext}") as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert image.size == (picture.width, picture.height)


def test_orientation_in_xmp_follows(tmp_path: Path) -> None:
    path = save_pillow(tmp_path / "x.jpg", smooth(20, 30), exif=exif_block(orientation=6), xmp=XMP)
    assert open_picture(path).metadata.xmp == XMP.replace(b'Orientation="6"', b'Orientation="1"')
    path = save_pillow(tmp_path / "y.jpg", smooth(20, 30), xmp=XMP)
    picture = open_picture(path)
    assert picture.metadata.xmp == XMP
    assert picture.pixels.shape == (20, 30, 3)


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_metadata_travel_between_formats(tmp_path: Path, source: str, target: str) -> None:
    metadata = Metadata(exif=exif_block(), xmp=XMP, resolution=(300.0, 240.0))
    first = Picture(smooth(20, 30), icc_profile=SRGB, metadata=metadata)
    save_picture(first, tmp_path / f"a.{source}", on_warning=pytest.fail)
    second = open_picture(tmp_path / f"a.{source}", on_warning=pytest.fail)
    save_picture(second, tmp_path / f"b.{target}", on_warning=pytest.fail)
    third = open_picture(tmp_path / f"b.{target}", on_warning=pytest.fail)
    assert third.icc_profile == SRGB
    assert third.metadata.xmp == XMP
    assert third.metadata.exif is not None
    # WebP has no place for a resolution beside EXIF.
    kept = "webp" not in (source, target)
    assert third.metadata.resolution == ((300.0, 240.0) if kept else None)
    wanted, found = exif_tags(metadata.exif or b""), exif_tags(third.metadata.exif)
    if "tif" in (source, target):
        wanted.pop(0x0112)  # the file's own directory says it
        found.pop(0x0112, None)
    assert found == wanted
    with Image.open(tmp_path / f"b.{target}") as image:
        theirs = exif_tags(image.getexif().tobytes())
        assert image.info["icc_profile"] == SRGB
        image.load()
    assert {key: theirs[key] for key in wanted} == wanted


@pytest.mark.parametrize("ext", ["jpg", "png", "webp"])
def test_exif_is_kept_byte_for_byte(tmp_path: Path, ext: str) -> None:
    block = exif_block(width=30, height=20)
    picture = Picture(smooth(20, 30), metadata=Metadata(exif=block))
    save_picture(picture, tmp_path / f"x.{ext}")
    assert open_picture(tmp_path / f"x.{ext}").metadata.exif == block


@pytest.mark.parametrize("ext", FORMATS)
def test_nothing_is_invented(tmp_path: Path, ext: str) -> None:
    save_picture(Picture(smooth(20, 30)), tmp_path / f"x.{ext}")
    picture = open_picture(tmp_path / f"x.{ext}")
    assert picture.icc_profile is None
    assert picture.metadata == Metadata()
    with Image.open(tmp_path / f"x.{ext}") as image:
        assert "exif" not in image.info
        assert ext == "tif" or "dpi" not in image.info


@pytest.mark.parametrize("unit", [1, 2, 3])
def test_resolution_units(tmp_path: Path, unit: int) -> None:
    path = tmp_path / "x.tif"
    save_pillow(path, smooth(4, 4), tiffinfo={282: 100.0, 283: 50.0, 296: unit})
    expected = {1: None, 2: (100.0, 50.0), 3: (254.0, 127.0)}[unit]
    assert open_picture(path).metadata.resolution == expected


def camera_block(order: str) -> bytes:
    """An EXIF block with a thumbnail at its end, as cameras write it; in both byte orders."""

    def field(tag: int, kind: int, count: int, value: bytes) -> bytes:
        return struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")

    def short(value: int) -> bytes:
        return struct.pack(order + "H", value)

    def long(value: int) -> bytes:
        return struct.pack(order + "I", value)

    thumbnail = b"\xff\xd8THUMBNAIL\xff\xd9"
    head = (b"II" if order == "<" else b"MM") + short(42) + long(8)
    first = short(2) + field(0x0112, 3, 1, short(6)) + field(0x8769, 4, 1, long(38)) + long(86)
    inner = (
        short(3) + field(0x927C, 7, 6, long(80)) + field(0xA002, 3, 1, short(30))
        + field(0xA003, 4, 1, long(20)) + long(0)
    )  # fmt: skip
    assert len(head + first) == 38
    assert len(head + first + inner) == 80
    second = short(2) + field(0x0201, 4, 1, long(116)) + field(0x0202, 4, 1, long(len(thumbnail)))
    body = head + first + inner + b"MAKER!" + second + long(0)
    assert len(body) == 116
    return b"Exif\0\0" + body + thumbnail


@pytest.mark.parametrize("order", ["<", ">"])
def test_thumbnail_goes_and_makers_notes_stay_in_place(tmp_path: Path, order: str) -> None:
    block = camera_block(order)
    path = save_pillow(tmp_path / "x.jpg", smooth(20, 30), exif=block)
    kept = open_picture(path).metadata.exif
    assert kept is not None
    assert b"THUMBNAIL" not in kept
    assert kept.index(b"MAKER!") == block.index(b"MAKER!")
    tags = exif_tags(kept)
    assert tags[0x0112] == 1
    assert (tags[0x8769, 0xA002], tags[0x8769, 0xA003]) == (20, 30)
    followed = block.removesuffix(b"\xff\xd8THUMBNAIL\xff\xd9")
    in_between = exif.upright_block(block + b"after", 30, 20)
    assert b"THUMBNAIL" not in in_between
    assert len(in_between) == len(followed) + 13 + 5


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_of_both_byte_orders_in_tiff(tmp_path: Path, order: str) -> None:
    picture = Picture(smooth(20, 30), metadata=Metadata(exif=camera_block(order)))
    save_picture(picture, tmp_path / "x.tif")
    with Image.open(tmp_path / "x.tif") as image:
        inner = image.getexif().get_ifd(0x8769)
    assert (inner[0xA002], inner[0xA003], inner[0x927C]) == (30, 20, b"MAKER!")
    again = open_picture(tmp_path / "x.tif").metadata.exif
    assert again is not None
    assert exif_tags(again)[0x8769, 0xA003] == 20


def test_big_endian_and_bigtiff(tmp_path: Path) -> None:
    pixels = noise(12, 10, 3, dtype=np.uint16)
    image = pyvips.Image.new_from_array(pixels)
    data = image.tiffsave_buffer(bigtiff=True, compression="deflate")
    fields = exif.resolution_entries((300.0, 300.0))
    fields |= exif.parse_block(camera_block("<"))
    (tmp_path / "x.tif").write_bytes(exif.add_to_tiff(data, fields))
    picture = open_picture(tmp_path / "x.tif")
    assert picture.pixels.shape == (10, 12, 3)  # orientation 6
    assert picture.metadata.resolution == (300.0, 300.0)
    assert picture.metadata.exif is not None
    assert exif_tags(picture.metadata.exif)[0x8769, 0x927C] == b"MAKER!"
    with Image.open(io.BytesIO(save_pillow_big_endian())) as theirs:
        assert theirs.tag_v2.prefix == b"MM"  # type: ignore[attr-defined]
    (tmp_path / "y.tif").write_bytes(save_pillow_big_endian())
    again = open_picture(tmp_path / "y.tif")
    np.testing.assert_array_equal(again.pixels[:, :, 0], noise(3, 4, dtype=np.uint16))


def save_pillow_big_endian() -> bytes:
    buffer = io.BytesIO()
    Image.frombytes("I;16B", (4, 3), noise(3, 4, dtype=np.uint16).astype(">u2").tobytes()).save(
        buffer, "TIFF"
    )
    return buffer.getvalue()


def test_damaged_exif_is_left_out_with_a_warning(tmp_path: Path) -> None:
    said: list[str] = []
    for body in (b"nonsense", b"II*\0\xff\xff\xff\x7f", b"II*\0\x08\0\0\0\5"):
        block = b"Exif\0\0" + body
        path = save_pillow(tmp_path / "x.jpg", smooth(20, 30), exif=block)
        picture = open_picture(path, on_warning=said.append)
        assert picture.metadata.exif is None
        picture = Picture(smooth(20, 30), metadata=Metadata(exif=block))
        for ext in FORMATS:
            save_picture(picture, tmp_path / f"y.{ext}", on_warning=said.append)
            assert open_picture(tmp_path / f"y.{ext}").metadata.exif is None
    assert len(said) == 15
    assert all("EXIF" in text for text in said)


def test_directories_in_a_circle_end(tmp_path: Path) -> None:
    circle = b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0x8769, 4, 1, 8) + b"\0" * 4
    assert exif.read_directory(io.BytesIO(circle))
    picture = Picture(smooth(4, 4), metadata=Metadata(exif=b"Exif\0\0" + circle))
    save_picture(picture, tmp_path / "x.tif")
    assert open_picture(tmp_path / "x.tif").pixels.shape == (4, 4, 3)


def test_what_is_too_long_for_jpeg_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    metadata = Metadata(exif=camera_block("<") + b"\0" * 70_000, xmp=b"<x/>" + b" " * 70_000)
    picture = Picture(smooth(4, 4), metadata=metadata)
    save_picture(picture, tmp_path / "x.jpg", on_warning=said.append)
    assert [text[:12] for text in said] == ["The EXIF dat", "The XMP data"]
    assert open_picture(tmp_path / "x.jpg").metadata == Metadata()
    save_picture(picture, tmp_path / "x.png", on_warning=pytest.fail)
    assert open_picture(tmp_path / "x.png").metadata.xmp == metadata.xmp


def test_profile_of_another_kind_is_left_out(tmp_path: Path) -> None:
    for pixels, profile in ((noise(3, 3, 1), SRGB), (noise(3, 3, 3), GRAY), (noise(3, 3, 3), b"x")):
        for ext in FORMATS:
            said: list[str] = []
            picture = Picture(pixels, icc_profile=profile)
            save_picture(picture, tmp_path / f"x.{ext}", on_warning=said.append)
            expected = SRGB if ext == "webp" and profile == SRGB else None
            assert open_picture(tmp_path / f"x.{ext}").icc_profile == expected
            assert len(said) == (0 if expected else 1)


def test_a_damaged_profile_does_not_cost_the_picture(tmp_path: Path) -> None:
    damaged = SRGB[:132] + b"\xee" * 400
    for ext in ("png", "jxl", "tif"):
        said: list[str] = []
        picture = Picture(smooth(20, 30), icc_profile=damaged)
        save_picture(picture, tmp_path / f"x.{ext}", on_warning=said.append)
        again = open_picture(tmp_path / f"x.{ext}")
        np.testing.assert_array_equal(again.pixels, picture.pixels)
        left_out = ext != "tif"  # which stores whatever it is given
        assert again.icc_profile == (None if left_out else damaged)
        assert ["damaged" in one_sentence(Exception(text)) for text in said] == [True] * left_out


# --- what is refused when reading -------------------------------------------------------------


@pytest.mark.parametrize("ext", FORMATS)
def test_truncated_files(tmp_path: Path, ext: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = save_pillow(tmp_path / f"x.{ext}", noise(60, 80, 3)).read_bytes()
    path = tmp_path / f"cut short.{ext}"
    # The last bytes of a PNG or TIFF hold nothing that is needed.
    for length in (16, 40, len(data) // 4, len(data) // 2, len(data) * 9 // 10):
        path.write_bytes(data[:length])
        refused(path, "cut short", "again from where it came")
    assert capfd.readouterr() == ("", "")


KINDS = [
    (b"", "is empty"),
    (b"hello, I am no picture\n", "is not a picture"),
    (b"\xef\xbb\xbf<?xml version='1.0'?><svg>", "SVG"),
    (b"<svg xmlns=''>", "SVG"),
    (b"GIF89a" + b"\0" * 60, "a GIF"),
    (b"%PDF-1.7\n", "a PDF"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "damaged or cut short and cannot be decoded as HEIF"),
    (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "damaged or cut short and cannot be decoded as AVIF"),
    (b"\xff\x0aJXL", "damaged or cut short and cannot be decoded as JPEG XL"),
    (b"\0\0\0\x18ftypcrx \0\0\0\0", "raw file"),
    (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
    (b"FOVb\0\0\2\0", "raw file"),
    (b"8BPS\0\1", "Photoshop"),
    (b"gimp xcf v011\0", "GIMP"),
    (b"PK\3\4" + b"\0" * 26 + b"mimetypeapplication/x-krita", "Krita"),
    (b"II*\0\x10\0\0\0CR\x02\0", "raw file"),
    (b"RIFF\0\0\0\0AVI LIST", "is not a picture"),
]


@pytest.mark.parametrize(("data", "words"), KINDS, ids=[words for _, words in KINDS])
def test_other_content(
    tmp_path: Path, data: bytes, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(data)
    error = refused(path, words, "holiday.jpg")
    assert error.hint
    with pytest.raises(PictureReadError):
        read_header(path)
    assert capfd.readouterr() == ("", "")


def test_places_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path, "is a folder")
    refused(tmp_path / "missing.jpg", "There is no file")
    refused(tmp_path / "file" / "x.jpg", "not a folder")
    refused(tmp_path / "loop", "circle")
    refused(tmp_path / "pipe", "pipe")
    refused(tmp_path / ("x" * 300), "too long")
    refused(tmp_path / "a\0b", "not a possible path")
    refused(Path("/proc/self/mem"), "cannot be read")


def tiff(path: Path, pixels: np.ndarray, **fields: int) -> Path:
    save_picture(Picture(pixels), path)
    codes = {"photometric": 262, "format": 339, "dng": 50706}
    entries = {
        codes[name]: exif.Entry(3, struct.pack("<H", value) * (1 if name != "format" else 3))
        for name, value in fields.items()
    }
    path.write_bytes(exif.add_to_tiff(path.read_bytes(), entries))
    return path


def test_kinds_that_have_no_rgb(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = Image.fromarray(smooth(20, 30))
    for name in ("c.jpg", "c.tif"):
        image.convert("CMYK").save(tmp_path / name)
        refused(tmp_path / name, "CMYK picture without the profile", "Convert it to RGB")
        image.convert("CMYK").save(tmp_path / name, icc_profile=SRGB)
        refused(tmp_path / name, "CMYK picture without the profile", "Convert it to RGB")
        image.convert("CMYK").save(tmp_path / name, icc_profile=CMYK[:128] + b"\xff" * 5000)
        refused(tmp_path / name, "damaged colour profile", "Convert it to RGB")
    image.convert("LAB").save(tmp_path / "lab.tif")
    refused(tmp_path / "lab.tif", "Lab")
    Image.fromarray(noise(4, 4).astype(np.int32)).save(tmp_path / "i.tif")
    refused(tmp_path / "i.tif", "32-bit signed", "16 bits")
    pyvips.Image.new_from_array(np.ones((4, 4, 3))).tiffsave(str(tmp_path / "d.tif"))
    refused(tmp_path / "d.tif", "64-bit floating-point")
    pyvips.Image.new_from_array(noise(4, 4, 3)).bandjoin([1, 2, 3]).cast("uchar").tiffsave(
        str(tmp_path / "six.tif")
    )
    refused(tmp_path / "six.tif", "6 channels")
    refused(tiff(tmp_path / "raw.tif", smooth(4, 4), photometric=32803), "raw file", "darktable")
    refused(tiff(tmp_path / "dng.tif", smooth(4, 4), dng=1), "raw file")
    refused(nef(tmp_path), "raw file")
    assert capfd.readouterr() == ("", "")


def in_srgb(image: Image.Image) -> np.ndarray:
    """CMYK as sRGB by lcms, asked by Pillow: relative colorimetric, black-point compensation."""
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    srgb = ImageCms.ImageCmsProfile(io.BytesIO(SRGB))
    way = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(CMYK)), srgb, "CMYK", "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC, flags,
    )  # fmt: skip
    converted = ImageCms.applyTransform(image, way)
    assert converted is not None
    return np.asarray(converted)


def test_cmyk_with_its_profile_becomes_srgb(tmp_path: Path) -> None:
    inks = np.stack([*np.moveaxis(smooth(20, 30), 2, 0), noise(20, 30) // 4], axis=2)
    image = Image.fromarray(inks, "CMYK")
    block = exif_block(orientation=6)
    for name, most in (("x.tif", 2), ("x.jpg", 12)):
        said: list[str] = []
        options = {"quality": 100, "subsampling": 0} if name == "x.jpg" else {}
        image.save(tmp_path / name, icc_profile=CMYK, exif=block, **options)
        picture = open_picture(tmp_path / name, on_warning=said.append)
        expected = np.rot90(in_srgb(image), -1).astype(int)
        assert picture.pixels.shape == expected.shape
        assert np.abs(picture.pixels - expected).max() <= most
        assert picture.icc_profile is None
        assert [one_sentence(Exception(text))[-38:] for text in said] == [
            "is CMYK and was converted to sRGB by its profile."[-38:]
        ]
    save_picture(picture, tmp_path / "y.tif", on_warning=pytest.fail)
    np.testing.assert_array_equal(open_picture(tmp_path / "y.tif").pixels, picture.pixels)


@pytest.mark.parametrize("channels", [4, 5])
def test_cmyk_of_16_bits_and_with_alpha(tmp_path: Path, channels: int) -> None:
    inks = noise(20, 30, channels, dtype=np.uint16)
    image = pyvips.Image.new_from_array(inks).copy(interpretation="cmyk")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", CMYK)
    image.tiffsave(str(tmp_path / "x.tif"))
    picture = open_picture(tmp_path / "x.tif")
    assert picture.pixels.shape == (20, 30, channels - 1)
    assert picture.pixels.dtype == np.uint16
    rough = Image.fromarray((inks[:, :, :4] // 257).astype(np.uint8), "CMYK")
    expected = in_srgb(rough).astype(int) * 257
    assert np.abs(picture.color.astype(int) - expected).mean() < 300
    if picture.alpha is not None:
        np.testing.assert_array_equal(picture.alpha, inks[:, :, 4:])


def nef(folder: Path) -> Path:
    save_picture(Picture(smooth(4, 4)), folder / "x.tif")
    return (folder / "x.tif").rename(folder / "photo.NEF")


def test_float_values(tmp_path: Path) -> None:
    said: list[str] = []
    pixels = np.array([[[-0.25, 0.5, 2.0]]], dtype=np.float32)
    save_picture(Picture(pixels), tmp_path / "x.tif")
    np.testing.assert_array_equal(
        open_picture(tmp_path / "x.tif", on_warning=said.append).pixels, pixels
    )
    assert len(said) == 1
    assert "from -0.25 to 2" in said[0]
    pyvips.Image.new_from_array(np.full((2, 2, 3), np.nan, np.float32)).tiffsave(
        str(tmp_path / "nan.tif")
    )
    refused(tmp_path / "nan.tif", "not numbers")
    with pytest.raises(PictureWriteError, match="not numbers"):
        save_picture(Picture(np.full((2, 2, 3), np.inf, np.float32)), tmp_path / "y.png")


def test_only_the_first_page(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(20, 30, 3, seed=seed)) for seed in range(3)]
    for name in ("x.tif", "x.webp", "x.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        said: list[str] = []
        picture = open_picture(tmp_path / name, on_warning=said.append)
        np.testing.assert_array_equal(picture.pixels[:, :, :3], np.asarray(frames[0]))
        assert len(said) == 1
        assert "first" in one_sentence(Exception(said[0]))
        open_picture(tmp_path / name)


def bomb(path: Path, width: int, height: int) -> Path:
    """A PNG of a few kilobytes that says it is huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b""))
    return path


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bomb(tmp_path / "x.png", 40_000, 30_000)
    refused(path, "40000 x 30000", "1,200 megapixels", "500", "IMGEDIT_MAX_PIXELS=1200000000")
    assert read_header(path).width == 40_000
    small = save_pillow(tmp_path / "y.png", smooth(20, 30))
    with pytest.raises(PictureReadError, match="30 x 20"):
        open_picture(small, max_pixels=599)
    open_picture(small, max_pixels=600)
    monkeypatch.setenv("IMGEDIT_MAX_PIXELS", "599")
    refused(small, "30 x 20")
    monkeypatch.setenv("IMGEDIT_MAX_PIXELS", "many")
    refused(small, "IMGEDIT_MAX_PIXELS", "'many'")
    monkeypatch.setenv("IMGEDIT_MAX_PIXELS", "1e6")
    open_picture(small)


@pytest.mark.parametrize("ext", ["png", "tif"])
def test_a_bomb_takes_no_memory(tmp_path: Path, ext: str) -> None:
    # In a process of its own with 1.5 GB of address space beyond what it has after the imports.
    path = tmp_path / f"x.{ext}"
    if ext == "png":
        bomb(path, 60_000, 60_000)
    else:
        save_picture(Picture(smooth(4, 4)), path)
        size = exif.Entry(4, struct.pack("<I", 1 << 20))
        path.write_bytes(exif.add_to_tiff(path.read_bytes(), {256: size, 257: size}))
    done = run_python(
        """
import resource
from imgedit_plugins.errors import PictureReadError
from imgedit_plugins.picture_files import open_picture
import pyvips, numpy
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + 1_500_000_000,) * 2)
try:
    open_picture(sys.argv[1])
except PictureReadError as error:
    print(error)
""",
        path,
    )
    assert "megapixels" in done.stdout
    assert done.stderr == ""


def test_what_libvips_quotes_may_be_no_text() -> None:
    pyvips = load_pyvips()
    quoted = pyvips.ffi.new("char[]", b"chunk \xd1\xff: CRC error")
    assert pyvips._to_string(quoted) == "chunk \ufffd\ufffd: CRC error"
    assert pyvips.error._to_string(pyvips.ffi.NULL) == "NULL"


@pytest.mark.parametrize("ext", FORMATS)
def test_random_damage_never_escapes(
    tmp_path: Path, ext: str, capfd: pytest.CaptureFixture[str]
) -> None:
    options = {"exif": exif_block(orientation=6), "icc_profile": SRGB}
    data = save_pillow(tmp_path / f"x.{ext}", smooth(40, 50), **options).read_bytes()
    rng = np.random.default_rng(7)
    path = tmp_path / f"y.{ext}"
    outcomes = {True: 0, False: 0}
    for round_ in range(150):
        damaged = bytearray(data)
        for place in rng.integers(0, min(len(data), 60 + 30 * round_), rng.integers(1, 6)):
            damaged[place] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        try:
            open_picture(path, max_pixels=1_000_000)
            outcomes[True] += 1
        except PictureReadError as error:
            one_sentence(error)
            outcomes[False] += 1
    assert outcomes[False] > 5
    assert capfd.readouterr() == ("", "")


# --- what is refused when writing -------------------------------------------------------------


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    start = f"import sys; sys.path.insert(0, {str(CORE)!r})\n"
    return subprocess.run(
        [sys.executable, "-c", start + code, *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def not_written(picture: Picture, path: Path, *words: str, **options: Any) -> None:
    with pytest.raises(PictureWriteError) as caught:
        save_picture(picture, path, **options)
    text = one_sentence(caught.value)
    assert caught.value.path == path
    for word in words:
        assert word in text


def test_unwritable_places(tmp_path: Path) -> None:
    picture = Picture(smooth(4, 5))
    (tmp_path / "file").write_text("x")
    (tmp_path / "dir.png").mkdir()
    not_written(picture, tmp_path / "missing" / "x.png", "folder does not exist", "Create")
    not_written(picture, tmp_path / "file" / "x.png", "not a folder")
    not_written(picture, tmp_path / "dir.png", "is a folder")
    not_written(picture, tmp_path / ("x" * 300 + ".png"), "too long")
    not_written(picture, tmp_path / "a\0b.png", "not a possible path")
    not_written(picture, Path("/proc/x.png"), "cannot be written")
    not_written(picture, tmp_path / "x.gif", "'.gif'", ".png", ".tiff", ".webp")
    not_written(picture, tmp_path / "x", "no extension")
    (tmp_path / "old.png").write_text("old")
    not_written(picture, tmp_path / "old.png", "exists already", overwrite=False)
    assert (tmp_path / "old.png").read_text() == "old"
    assert names(tmp_path) == ["dir.png", "file", "old.png"]


def test_options_are_checked(tmp_path: Path) -> None:
    for options in ({"quality": 0}, {"quality": 101}, {"flatten": "white"}, {"flatten": "#fff"}):
        with pytest.raises(OptionError):
            save_picture(Picture(smooth(4, 5)), tmp_path / "x.jpg", **options)
    assert names(tmp_path) == []


def test_sides_that_a_format_cannot_hold(tmp_path: Path) -> None:
    long = Picture(np.zeros((1, 70_000, 1), np.uint8))
    not_written(long, tmp_path / "x.jpg", "70000 x 1", "65500", "PNG or TIFF")
    not_written(long, tmp_path / "x.webp", "16383")
    save_picture(long, tmp_path / "x.png")
    assert read_header(tmp_path / "x.png").width == 70_000
    save_picture(Picture(np.zeros((1, 65_500, 1), np.uint8)), tmp_path / "x.jpg")
    save_picture(Picture(np.zeros((1, 16_383, 3), np.uint8)), tmp_path / "x.webp")


def test_alpha_into_jpeg(tmp_path: Path) -> None:
    pixels = np.full((16, 16, 4), (200, 100, 0, 255), np.uint8)
    save_picture(Picture(pixels), tmp_path / "opaque.jpg")  # nothing is lost
    pixels[:, :8, 3] = 0
    (tmp_path / "x.jpg").write_text("old")
    not_written(Picture(pixels), tmp_path / "x.jpg", "transparent", "PNG")
    assert (tmp_path / "x.jpg").read_text() == "old"
    save_picture(Picture(pixels), tmp_path / "x.jpg", flatten="#0000FF")
    flat = open_picture(tmp_path / "x.jpg").pixels.astype(int)
    assert np.abs(flat[:, :8] - (0, 0, 255)).max() < 4
    assert np.abs(flat[:, 8:] - (200, 100, 0)).max() < 4
    half = np.full((8, 8, 2), (65535, 32768), np.uint16)  # half transparent white, in grey
    save_picture(Picture(half), tmp_path / "y.jpg", flatten="#000000")
    assert np.abs(open_picture(tmp_path / "y.jpg").pixels.astype(int) - 128).max() <= 1


FULL_DISK = """
import os, numpy
from imgedit_plugins.errors import PictureWriteError
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
if sys.argv[2] == "limit":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
pixels = numpy.random.default_rng(0).integers(0, 255, (400, 400, 3)).astype("uint8")
for ext in ("jpg", "png", "tif", "webp"):
    path = os.path.join(sys.argv[1], "x." + ext)
    with open(path, "w") as file:
        file.write("old")
    try:
        save_picture(Picture(pixels), path)
        print("written")
    except PictureWriteError as error:
        print(error.message.partition("written: ")[2], open(path).read())
print(sorted(os.listdir(sys.argv[1])))
"""
UNTOUCHED = "['x.jpg', 'x.png', 'x.tif', 'x.webp']\n"


def test_file_size_limit(tmp_path: Path) -> None:
    done = run_python(FULL_DISK, tmp_path, "limit")
    assert done.stderr == ""
    assert done.stdout == "it would be larger than the file size limit. old\n" * 4 + UNTOUCHED


def can_mount() -> bool:
    try:
        return subprocess.run(
            ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"],
            check=False, capture_output=True,
        ).returncode == 0  # fmt: skip
    except OSError:
        return False


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")
def test_full_disk(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" -c "$3" "$1" disk'
    start = f"import sys; sys.path.insert(0, {str(CORE)!r})\n"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path), sys.executable,
         start + FULL_DISK],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout == "the disk is full. old\n" * 4 + UNTOUCHED


def test_ctrl_c_while_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    (tmp_path / "x.png").write_text("old")
    monkeypatch.setattr("imgedit_plugins.picture_files.writing._encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_picture(Picture(smooth(4, 5)), tmp_path / "x.png")
    assert names(tmp_path) == ["x.png"]
    assert (tmp_path / "x.png").read_text() == "old"


def test_saving_over_the_opened_file(tmp_path: Path) -> None:
    for ext in FORMATS:
        path = save_pillow(tmp_path / f"x.{ext}", smooth(20, 30))
        picture = open_picture(path)
        save_picture(picture.with_pixels(picture.pixels[::2]), path)
        assert open_picture(path).pixels.shape == (10, 30, 3)


def test_rows_that_are_not_contiguous(tmp_path: Path) -> None:
    pixels = noise(20, 30, 4)[::2, ::-3]
    pixels.flags.writeable = False
    for ext in ("png", "tif", "webp"):
        save_picture(Picture(pixels), tmp_path / f"x.{ext}")
        np.testing.assert_array_equal(open_picture(tmp_path / f"x.{ext}").pixels, pixels)


def test_importing_is_light() -> None:
    done = run_python(
        "import imgedit_plugins.picture_files\n"
        "print([m for m in ('PIL', 'cv2', 'pyvips') if m in sys.modules])"
    )
    assert done.stdout == "[]\n"


def test_threads(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    arrays = [noise(50, 60, 3, dtype=np.uint16, seed=seed) for seed in range(16)]

    def round_trip(i: int) -> bool:
        path = tmp_path / f"{i}.{('png', 'tif')[i % 2]}"
        save_picture(Picture(arrays[i]), path)
        return bool((open_picture(path).pixels == arrays[i]).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(round_trip, range(16)))
