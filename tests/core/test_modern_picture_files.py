"""AVIF, HEIC and JPEG XL: pixels, metadata, damage, and what is said where a library is missing."""

import base64
import io
import struct
import sys

import numpy as np
import OpenImageIO
import pillow_heif
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
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
    smooth,
)
from PIL import Image, ImageOps

from imgedit_plugins.errors import PictureReadError, PictureWriteError
from imgedit_plugins.picture_files import boxes, open_picture, read_header, save_picture
from imgedit_plugins.picture_files.loading import narrowed, widened
from imgedit_plugins.picture_files.reading import read_xmp
from imgedit_plugins.pictures import Metadata, Picture

FORMATS = {"avif": "AVIF", "heic": "HEIF", "jxl": "JXL"}
LOSSLESS = ("avif", "jxl")
P3 = bytes(pyvips.Operation.call("profile_load", "p3"))


def ramp(height, width, channels=3, dtype=np.uint16):
    """Smooth pixels from the darkest to the brightest code."""
    y, x = np.mgrid[:height, :width]
    parts = [x / (width - 1), y / (height - 1), (x + y) / (width + height - 2), 1 - x / (width - 1)]
    values = np.stack(parts, axis=2)[:, :, 4 - channels if channels == 4 else 0 :][:, :, :channels]
    if dtype is np.float32:
        return np.ascontiguousarray(values, np.float32)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def saved_and_opened(folder, ext, picture, **options):
    save_picture(picture, folder / f"x.{ext}", on_warning=pytest.fail, **options)
    return open_picture(folder / f"x.{ext}", on_warning=pytest.fail)


def chunk(kind, data):
    return struct.pack(">I4s", len(data) + 8, kind) + data


# --- pixels -----------------------------------------------------------------------------------


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.sampled_from([3, 4]),
    seed=st.integers(0, 99),
    ext=st.sampled_from(LOSSLESS),
)
@settings(SHARED_FOLDER, max_examples=25)
def test_8_bits_without_loss(tmp_path, height, width, channels, seed, ext):
    pixels = noise(height, width, channels, seed=seed)
    again = saved_and_opened(tmp_path, ext, Picture(pixels)).pixels
    np.testing.assert_array_equal(again, pixels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_jpeg_xl_holds_16_bits_and_float(tmp_path, channels):
    for dtype in (np.uint16, np.float32):
        pixels = noise(40, 50, channels, dtype=dtype)
        again = saved_and_opened(tmp_path, "jxl", Picture(pixels))
        assert again.pixels.dtype == dtype
        assert again.icc_profile is None
        if dtype is np.float32 and channels == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        np.testing.assert_array_equal(again.pixels, pixels)


@pytest.mark.parametrize("channels", [3, 4])
def test_avif_holds_12_bits(tmp_path, channels):
    pixels = noise(40, 50, channels, dtype=np.uint16)
    again = saved_and_opened(tmp_path, "avif", Picture(pixels)).pixels
    assert again.dtype == np.uint16
    assert np.abs(again.astype(int) - pixels).max() <= 8  # half of 65535 / 4095, rounded
    np.testing.assert_array_equal(saved_and_opened(tmp_path, "avif", Picture(again)).pixels, again)
    floats = pixels / np.float32(65535)
    np.testing.assert_array_equal(saved_and_opened(tmp_path, "avif", Picture(floats)).pixels, again)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_heic_is_near(tmp_path, channels, dtype):
    pixels = ramp(60, 80, channels, dtype)
    again = saved_and_opened(tmp_path, "heic", Picture(pixels), quality=95).pixels
    assert again.dtype == (np.uint8 if dtype is np.uint8 else np.uint16)
    assert again.shape == pixels.shape
    most = 1.0 if dtype is np.float32 else np.iinfo(dtype).max
    apart = np.abs(again / np.iinfo(again.dtype).max - pixels / most)
    assert apart.mean() < 0.01
    assert apart.max() < 0.08
    if dtype is not np.uint8:
        assert (again % 257 != 0).any()  # more than 8 bits


@pytest.mark.parametrize("ext", FORMATS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_black_and_white_stay(tmp_path, ext, dtype):
    most = np.iinfo(dtype).max
    for value in (0, most):
        pixels = np.full((16, 16, 3), value, dtype)
        np.testing.assert_array_equal(
            saved_and_opened(tmp_path, ext, Picture(pixels)).pixels, pixels
        )


@pytest.mark.parametrize("bits", [10, 12])
def test_every_code_of_few_bits_comes_back(bits):
    codes = np.arange(1 << bits, dtype=np.uint16) << (16 - bits)
    wide = widened(codes, bits)
    exact = np.rint(np.arange(1 << bits) * 65535 / ((1 << bits) - 1))
    np.testing.assert_array_equal(wide, exact)
    assert (np.diff(wide.astype(int)) > 0).all()
    np.testing.assert_array_equal(narrowed(wide, bits), codes)
    every = np.arange(65536, dtype=np.uint16)
    apart = np.abs(widened(narrowed(every, bits), bits).astype(int) - every)
    assert apart.max() <= 65535 / ((1 << bits) - 1) / 2 + 1


@pytest.mark.parametrize("ext", FORMATS)
def test_grey_with_alpha_becomes_rgb(tmp_path, ext):
    pixels = np.stack([ramp(32, 32, 1, np.uint8)[:, :, 0], np.full((32, 32), 128, np.uint8)], 2)
    again = saved_and_opened(tmp_path, ext, Picture(pixels)).pixels
    assert np.abs(again.astype(int) - pixels[:, :, [0, 0, 0, 1]]).max() <= 6


def test_grey_stays_grey_where_it_can(tmp_path):
    pixels = ramp(32, 32, 1, np.uint8)
    expected = {"avif": 3, "heic": 1, "jxl": 1}
    for ext, channels in expected.items():
        assert saved_and_opened(tmp_path, ext, Picture(pixels)).pixels.shape[2] == channels


@pytest.mark.parametrize("ext", FORMATS)
def test_quality_costs_pixels_and_saves_bytes(tmp_path, ext):
    pixels = ramp(96, 96, 3, np.uint8) // 2 + noise(96, 96, 3) // 16
    sizes = []
    for quality in (95, 30):
        save_picture(Picture(pixels), tmp_path / f"{quality}.{ext}", quality=quality)
        sizes.append((tmp_path / f"{quality}.{ext}").stat().st_size)
        again = open_picture(tmp_path / f"{quality}.{ext}").pixels
        assert 0 < np.abs(again.astype(int) - pixels).mean() < 12
    assert sizes[1] < sizes[0] / 2


def test_pillow_reads_what_libvips_wrote(tmp_path):
    metadata = Metadata(exif=exif_block(), xmp=XMP)
    picture = Picture(noise(20, 30, 4), icc_profile=SRGB, metadata=metadata)
    save_picture(picture, tmp_path / "x.avif")
    with Image.open(tmp_path / "x.avif") as image:
        np.testing.assert_array_equal(np.asarray(image), picture.pixels)
        assert image.info["icc_profile"] == SRGB
        assert image.info["xmp"] == XMP
        assert image.info["exif"] == metadata.exif


def test_avif_of_pillow(tmp_path):
    block = exif_block(orientation=6, width=80, height=60)
    image = Image.fromarray(smooth(60, 80))
    image.save(tmp_path / "x.avif", quality=95, exif=block, icc_profile=SRGB, xmp=XMP)
    picture = open_picture(tmp_path / "x.avif")
    with Image.open(tmp_path / "x.avif") as theirs:
        expected = np.asarray(ImageOps.exif_transpose(theirs))
    assert picture.pixels.shape == (80, 60, 3) == expected.shape
    assert np.abs(picture.pixels.astype(int) - expected).mean() < 2
    assert picture.icc_profile == SRGB
    assert picture.metadata.xmp == XMP.replace(b'Orientation="6"', b'Orientation="1"')
    assert picture.metadata.exif is not None
    assert exif_tags(picture.metadata.exif).get(0x0112, 1) == 1


@pytest.mark.parametrize("base_size", [0, 4])
def test_items_of_heif_keep_their_places(base_size):
    """Places counted from the start of the file move with what is put before them."""

    def full(kind, data, version=0):
        return chunk(kind, bytes([version, 0, 0, 0]) + data)

    def file(place):
        base = struct.pack(">I", place) if base_size else b""
        spot = base + struct.pack(">HII", 1, 0 if base_size else place, 7)
        iloc = bytes([0x44, base_size << 4]) + struct.pack(">HHH", 1, 1, 0) + spot
        infe = full(b"infe", struct.pack(">HH4sx", 1, 0, b"av01"), version=2)
        parts = full(b"pitm", struct.pack(">H", 1)) + full(b"iloc", iloc)
        parts += full(b"iinf", struct.pack(">H", 1) + infe)
        head = chunk(b"ftyp", b"avif" + bytes(4)) + full(b"meta", parts)
        return head, head + chunk(b"mdat", b"PICTURE")

    head, _ = file(0)
    _, data = file(len(head) + 8)
    made = boxes.heif_with_exif(data, b"Exif\0\0II*\0EXIF")
    at = made.index(b"iloc") + 4 + 4 + 2 + 2
    entry = 4 + base_size + 10
    stated = at + (4 if base_size else 6)
    place = int.from_bytes(made[stated : stated + 4], "big")
    assert made[place : place + 7] == b"PICTURE"
    second = at + entry
    assert made[second : second + 2] == struct.pack(">H", 2)
    second += 4 + base_size + 2
    start, size = struct.unpack(">II", made[second : second + 8])
    assert made[start : start + size] == struct.pack(">I", 6) + b"Exif\0\0II*\0EXIF"


# --- metadata ---------------------------------------------------------------------------------

ALL = ("avif", "heic", "jxl", "jpg", "png", "tif", "webp")


@pytest.mark.parametrize("target", ALL)
@pytest.mark.parametrize("source", FORMATS)
def test_metadata_travel_between_formats(tmp_path, source, target):
    metadata = Metadata(exif=exif_block(), xmp=XMP)
    first = Picture(smooth(20, 30), icc_profile=P3, metadata=metadata)
    upright = XMP.replace(b'Orientation="6"', b'Orientation="1"')
    for one, other in ((source, target), (target, source)):
        save_picture(first, tmp_path / f"a.{one}", on_warning=pytest.fail)
        second = open_picture(tmp_path / f"a.{one}", on_warning=pytest.fail)
        save_picture(second, tmp_path / f"b.{other}", on_warning=pytest.fail)
        third = open_picture(tmp_path / f"b.{other}", on_warning=pytest.fail)
        assert third.icc_profile == P3
        assert third.metadata.xmp == upright
        assert read_xmp(tmp_path / f"b.{other}") in (XMP, upright)
        wanted, found = exif_tags(metadata.exif), exif_tags(third.metadata.exif)
        if "tif" in (one, other):
            wanted.pop(0x0112)  # the file's own directory says it
            found.pop(0x0112, None)
        else:
            assert third.metadata.exif == metadata.exif
        assert found == wanted


@pytest.mark.parametrize("ext", FORMATS)
def test_nothing_is_invented(tmp_path, ext):
    for pixels in (smooth(20, 30), noise(20, 30, 4), ramp(20, 30)):
        picture = saved_and_opened(tmp_path, ext, Picture(pixels))
        assert picture.icc_profile is None
        assert picture.metadata == Metadata()


@pytest.mark.parametrize("ext", FORMATS)
def test_resolution_goes_with_exif(tmp_path, ext):
    block = Image.Exif()
    block[0x011A], block[0x011B], block[0x0128] = 300.0, 300.0, 2
    metadata = Metadata(exif=block.tobytes(), resolution=(300.0, 300.0))
    again = saved_and_opened(tmp_path, ext, Picture(smooth(20, 30), metadata=metadata))
    assert again.metadata.resolution == (300.0, 300.0)


@pytest.mark.parametrize("ext", FORMATS)
def test_a_profile_of_another_kind_is_left_out(tmp_path, ext):
    said = []
    picture = Picture(smooth(20, 30), icc_profile=GRAY)
    save_picture(picture, tmp_path / f"x.{ext}", on_warning=said.append)
    assert len(said) == 1
    assert open_picture(tmp_path / f"x.{ext}").icc_profile is None


def test_the_decoder_turns_and_exif_follows(tmp_path):
    for orientation in range(1, 9):
        block = exif_block(orientation=orientation, width=80, height=60)
        image = pillow_heif.from_bytes("RGB", (80, 60), smooth(60, 80).tobytes())
        image.save(tmp_path / "x.heic", exif=block, quality=95, chroma=444)
        expected = np.asarray(ImageOps.exif_transpose(with_exif(smooth(60, 80), block)))
        picture = open_picture(tmp_path / "x.heic")
        header = read_header(tmp_path / "x.heic")
        assert (header.width, header.height) == (picture.width, picture.height)
        assert picture.pixels.shape == expected.shape
        assert np.abs(picture.pixels.astype(int) - expected).mean() < 3
        assert picture.metadata.exif is not None
        tags = exif_tags(picture.metadata.exif)
        assert tags[0x0112] == 1
        assert (tags[0x8769, 0xA002], tags[0x8769, 0xA003]) == (picture.width, picture.height)


def with_exif(pixels, block):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", exif=block)
    return Image.open(buffer)


def repacked_jpeg():
    """A JPEG of smooth(20, 30), quality 90, orientation 6, repacked in JPEG XL by libjxl 0.11.

    Its EXIF is compressed (a 'brob' box).
    """
    return base64.b64decode(
        "AAAADEpYTCANCocKAAAAFGZ0eXBqeGwgAAAAAGp4bCAAAAATanhscAAAAAD/CphAC8QEAAAAN2Jyb2JFeGlmGzEA"
        "AAQBb8eGZlOCIFVTgiAqchJdPCoknbC3iSqGJqJghC4FATJZ591/AAAAATlqeGxwgAAAAeBbAhAAmAQMZAxkDGT+"
        "/w6AiB4AhcbGbgAAAAUAAPADAAAAAAAAABCwJFFkHDshzR0GYCYFhTtwR8HGniOjomIU4/8UACDouRkC9AhggzZh"
        "5gNZAEsZ4orw/ExAs/+dI5Ly/KhoIADsDYPkOwHE/LkJAFS2P4or1NyBrAFj4DEAK1Hgf1TXxqWnQAMlgzMEIT9m"
        "FKjHhG/Vjh34H+xmO7+EYxRrGvsRguQDAAAAAAAopEAqXLcVG4MhRUapiozV6+/3mGpVyb2CEPSXNl29LMH+KJFw"
        "CbBIFfi0ZAchH2zrmMEYKwwVjeOfYoWb1ZOnvmWWj1cDsv6alzEJC5tXLlugnG1fth0n6oNVbhqExax+K+3eFxiX"
        "z76WrIgNa1MA0gis3Auq65OvpCpikGo="
    )


def test_a_repacked_jpeg_and_compressed_exif(tmp_path):
    for name in ("x.jxl", "x.jpg"):
        (tmp_path / name).write_bytes(repacked_jpeg())
        picture = open_picture(tmp_path / name)
        assert picture.origin.format == "JXL"
        assert np.abs(picture.pixels.astype(int) - np.rot90(smooth(20, 30), -1)).max() < 16
        tags = exif_tags(picture.metadata.exif)
        assert (tags[0x010F], tags[0x0112]) == ("Kamera", 1)
        assert picture.icc_profile is None


def test_a_bare_codestream_of_jpeg_xl(tmp_path):
    save_picture(Picture(noise(20, 30, 3)), tmp_path / "x.jxl")
    data = (tmp_path / "x.jxl").read_bytes()
    file = io.BytesIO(data)
    parts = [b for b in boxes.top_boxes(file) if b.kind in (b"jxlc", b"jxlp")]
    skip = {b"jxlc": 0, b"jxlp": 4}
    bare = b"".join(boxes.content_of(file, b)[skip[b.kind] :] for b in parts)
    assert bare.startswith(b"\xff\x0a")
    (tmp_path / "bare").write_bytes(bare)
    assert read_header(tmp_path / "bare").format == "JXL"
    np.testing.assert_array_equal(open_picture(tmp_path / "bare").pixels, noise(20, 30, 3))
    assert read_xmp(tmp_path / "bare") is None
    boxed = boxes.jxl_with(bare, None, XMP)
    (tmp_path / "boxed").write_bytes(boxed)
    np.testing.assert_array_equal(open_picture(tmp_path / "boxed").pixels, noise(20, 30, 3))
    assert read_xmp(tmp_path / "boxed") == XMP


@pytest.mark.parametrize("ext", FORMATS)
def test_names_that_are_no_text(tmp_path, ext):
    path = tmp_path / f"a\udcff.{ext}"
    pixels = np.full((40, 60, 3), 128, np.uint8) if ext == "heic" else noise(40, 60, 3)
    save_picture(Picture(pixels), path)
    assert np.abs(open_picture(path).pixels.astype(int) - pixels).max() <= 1


@pytest.mark.parametrize("ext", ["heic", "avif"])
def test_the_main_picture_of_several(tmp_path, ext):
    path = tmp_path / f"x.{ext}"
    if ext == "heic":
        file = pillow_heif.HeifFile()
        for width, value in ((64, 50), (48, 200), (32, 90)):
            pixels = np.full((32, width, 3), value, np.uint8)
            file.add_frombytes("RGB", (width, 32), pixels.tobytes())
        file.save(path, primary_index=1, quality=95)
        size, value = (32, 48), 200
    else:
        frames = [Image.new("RGB", (64, 32), (v, v, v)) for v in (50, 200, 90)]
        frames[0].save(path, save_all=True, append_images=frames[1:], quality=95)
        size, value = (32, 64), 50
    said = []
    picture = open_picture(path, on_warning=said.append)
    assert picture.pixels.shape[:2] == size
    assert np.abs(picture.pixels.astype(int) - value).max() <= 3
    assert len(said) == 1
    header = read_header(path)
    assert (header.height, header.width) == size


def test_a_picture_of_tiles(tmp_path, monkeypatch):
    # As phones store them: a grid of small pictures.
    monkeypatch.setattr(pillow_heif.options, "GRID_TILE_SIZE", 512)
    save_picture(Picture(ramp(700, 1000, 3, np.uint8)), tmp_path / "x.heic", quality=95)
    assert b"grid" in (tmp_path / "x.heic").read_bytes()
    again = open_picture(tmp_path / "x.heic").pixels.astype(int)
    assert np.abs(again - ramp(700, 1000, 3, np.uint8)).mean() < 2


# --- colours stated by numbers ----------------------------------------------------------------


def with_colors(folder, primaries, transfer):
    """An AVIF whose colour box states these numbers."""
    save_picture(Picture(smooth(20, 30)), folder / "x.avif")
    data = (folder / "x.avif").read_bytes()
    at = data.index(b"nclx") + 4
    patched = data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]
    (folder / "x.avif").write_bytes(patched)
    return folder / "x.avif"


def test_colors_stated_by_numbers(tmp_path):
    said = []
    assert open_picture(with_colors(tmp_path, 12, 13), on_warning=said.append).icc_profile == P3
    assert open_picture(with_colors(tmp_path, 1, 13), on_warning=said.append).icc_profile is None
    assert open_picture(with_colors(tmp_path, 2, 2), on_warning=said.append).icc_profile is None
    assert said == []
    for numbers, word in (((9, 16), "PQ"), ((9, 18), "HLG"), ((9, 1), "primaries 9")):
        path = with_colors(tmp_path, *numbers)
        assert open_picture(path, on_warning=said.append).icc_profile is None
        assert word in one_sentence(Exception(said.pop()))


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ext", FORMATS)
def test_the_content_decides(tmp_path, ext):
    save_picture(Picture(smooth(20, 30)), tmp_path / f"x.{ext}")
    wrong = (tmp_path / f"x.{ext}").rename(tmp_path / "Fotos von früher 🌄.jpg")
    picture = open_picture(wrong)
    assert picture.origin.format == read_header(wrong).format == FORMATS[ext]
    assert np.abs(picture.pixels.astype(int) - smooth(20, 30)).mean() < 8
    save_picture(Picture(smooth(20, 30)), tmp_path / "y.png")
    as_new = (tmp_path / "y.png").rename(tmp_path / f"y.{ext}")
    assert open_picture(as_new).origin.format == "PNG"


@pytest.mark.parametrize("ext", FORMATS)
def test_truncated_files(tmp_path, ext, capfd):
    save_picture(Picture(noise(60, 80, 3)), tmp_path / f"x.{ext}")
    data = (tmp_path / f"x.{ext}").read_bytes()
    path = tmp_path / f"cut short.{ext}"
    for length in (16, 40, len(data) // 4, len(data) // 2, len(data) * 9 // 10):
        path.write_bytes(data[:length])
        refused(path, "cut short", "again from where it came")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ext", FORMATS)
def test_random_damage_never_escapes(tmp_path, ext, capfd):
    metadata = Metadata(exif=exif_block(), xmp=XMP)
    save_picture(
        Picture(smooth(40, 50), icc_profile=SRGB, metadata=metadata), tmp_path / f"x.{ext}"
    )
    data = (tmp_path / f"x.{ext}").read_bytes()
    rng = np.random.default_rng(7)
    path = tmp_path / f"y.{ext}"
    refusals = 0
    for round_ in range(100):
        damaged = bytearray(data)
        for place in rng.integers(0, min(len(data), 60 + 30 * round_), rng.integers(1, 6)):
            damaged[place] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        try:
            open_picture(path, max_pixels=1_000_000)
        except PictureReadError as error:
            one_sentence(error)
            refusals += 1
    assert refusals > 5
    assert capfd.readouterr() == ("", "")


def test_bombs(tmp_path):
    for ext in ("avif", "heic", "jxl"):
        save_picture(Picture(smooth(2, 3)), tmp_path / f"x.{ext}")
        with pytest.raises(PictureReadError, match="3 x 2"):
            open_picture(tmp_path / f"x.{ext}", max_pixels=5)
    data = (tmp_path / "x.avif").read_bytes()
    at = data.index(b"ispe") + 8
    huge = data[:at] + struct.pack(">II", 30_000, 30_000) + data[at + 8 :]
    (tmp_path / "x.avif").write_bytes(huge)
    refused(tmp_path / "x.avif", "30000 x 30000", "900 megapixels")


def test_a_metadata_bomb(tmp_path):
    brotli = pytest.importorskip("brotli")
    save_picture(Picture(smooth(4, 4)), tmp_path / "x.jxl")
    data = (tmp_path / "x.jxl").read_bytes()
    packed = chunk(b"brob", b"xml " + brotli.compress(bytes(80 << 20), quality=1))
    assert len(packed) < 100_000
    (tmp_path / "x.jxl").write_bytes(data[:32] + packed + data[32:])
    refused(tmp_path / "x.jxl", "too long")
    (tmp_path / "x.jxl").write_bytes(data[:32] + chunk(b"brob", b"xml nonsense") + data[32:])
    refused(tmp_path / "x.jxl", "damaged")


def test_sides_that_a_format_cannot_hold(tmp_path):
    long = Picture(np.zeros((1, 17_000, 3), np.uint8))
    for ext in ("avif", "heic"):
        with pytest.raises(PictureWriteError, match="16384 a side"):
            save_picture(long, tmp_path / f"x.{ext}")
    assert names(tmp_path) == []
    assert saved_and_opened(tmp_path, "jxl", long).width == 17_000


@pytest.mark.parametrize(
    ("ext", "module", "kind"),
    [("heic", "pillow_heif", "HEIC"), ("jxl", "OpenImageIO", "JPEG XL")],
)
def test_a_missing_library_is_named(tmp_path, monkeypatch, ext, module, kind):
    path = tmp_path / f"x.{ext}"
    xmp = XMP.replace(b'Orientation="6"', b'Orientation="1"')
    save_picture(Picture(smooth(20, 30), metadata=Metadata(xmp=xmp)), path)
    before = path.read_bytes()
    monkeypatch.setitem(sys.modules, module, None)
    extra = {"heic": "heif", "jxl": "jxl"}[ext]
    refused(path, f"library for {kind} pictures", f"pip install 'imgedit-plugins[{extra}]'")
    with pytest.raises(PictureWriteError, match="pip install") as caught:
        save_picture(Picture(smooth(20, 30)), path)
    one_sentence(caught.value)
    assert path.read_bytes() == before
    assert read_xmp(path) == xmp  # metadata need no decoder


def test_a_missing_unpacker_is_named(tmp_path, monkeypatch):
    (tmp_path / "x.jxl").write_bytes(repacked_jpeg())
    monkeypatch.setitem(sys.modules, "brotli", None)
    refused(tmp_path / "x.jxl", "JPEG XL", "pip install 'imgedit-plugins[jxl]'")


def test_only_jpeg_xl_is_reached_through_its_library(tmp_path):
    # A file that begins like JPEG XL and is something else must not reach other decoders.
    save_picture(Picture(smooth(20, 30)), tmp_path / "x.png")
    (tmp_path / "y.jxl").write_bytes(b"\xff\x0a" + (tmp_path / "x.png").read_bytes())
    refused(tmp_path / "y.jxl", "JPEG XL")
    (tmp_path / "z.jxl").write_bytes((tmp_path / "x.png").read_bytes())
    assert OpenImageIO.ImageInput.open(str(tmp_path / "z.jxl")) is None
    OpenImageIO.geterror()
