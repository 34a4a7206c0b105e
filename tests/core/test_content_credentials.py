"""Content credentials (C2PA) are noticed by their markers, and their loss is told."""

import struct
import zlib

import numpy as np
import pytest
from picture_makers import noise, one_sentence, save_pillow, smooth

from imgedit_plugins.picture_files import exif, open_picture, save_picture
from imgedit_plugins.pictures import Metadata, Picture

ALL = ("jpg", "png", "tif", "webp", "avif", "heic", "jxl")
UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def box(kind, data):
    return struct.pack(">I4s", len(data) + 8, kind) + data


def manifest(label=b"c2pa"):
    """A JUMBF box as far as its description."""
    kind = label.ljust(4, b"\0") + bytes.fromhex("00110010800000aa00389b71")
    return box(b"jumb", box(b"jumd", kind + b"\x03" + label + b"\0") + box(b"cbor", b"\xa0"))


def with_marker(data, ext, label=b"c2pa"):
    """A file with a manifest where the C2PA specification puts it."""
    jumbf = manifest(label)
    if ext == "jpg":
        payload = b"JP" + struct.pack(">HI", 1, 1) + jumbf
        return data[:2] + b"\xff\xeb" + struct.pack(">H", len(payload) + 2) + payload + data[2:]
    if ext == "png":
        chunk = b"caBX" + jumbf
        crc = struct.pack(">I", zlib.crc32(chunk))
        return data[:33] + struct.pack(">I", len(jumbf)) + chunk + crc + data[33:]
    if ext == "tif":
        return exif.add_to_tiff(data, {0xCD41: exif.Entry(7, jumbf)})
    if ext == "webp":
        body = data[8:] + b"C2PA" + struct.pack("<I", len(jumbf)) + jumbf + b"\0" * (len(jumbf) % 2)
        return b"RIFF" + struct.pack("<I", len(body)) + body
    if ext in ("avif", "heic"):
        # Behind everything, since places in the file are counted from its start.
        return data + box(b"uuid", UUID + bytes(4) + b"manifest\0" + bytes(8) + jumbf)
    return data[:32] + jumbf + data[32:]


def saved(folder, ext, **metadata):
    path = folder / f"x.{ext}"
    save_picture(Picture(smooth(20, 30), metadata=Metadata(**metadata)), path)
    return path


@pytest.mark.parametrize("ext", ALL)
def test_credentials_are_noticed_and_their_loss_told(tmp_path, ext):
    path = saved(tmp_path, ext)
    plain = open_picture(path)
    path.write_bytes(with_marker(path.read_bytes(), ext))
    picture = open_picture(path, on_warning=pytest.fail)
    np.testing.assert_array_equal(picture.pixels, plain.pixels)
    assert picture.origin.credentials
    for target in ALL:
        said = []
        edited = picture.with_pixels(255 - picture.pixels)
        save_picture(edited, tmp_path / f"y.{target}", on_warning=said.append)
        (text,) = said
        one_sentence(Exception(text))
        assert "content credentials (C2PA)" in text
        assert f"x.{ext}" in text
        again = open_picture(tmp_path / f"y.{target}")
        assert not again.origin.credentials
        save_picture(again, tmp_path / f"z.{target}", on_warning=pytest.fail)


@pytest.mark.parametrize("ext", ALL)
def test_files_without_say_nothing(tmp_path, ext):
    path = saved(tmp_path, ext)
    assert not open_picture(path).origin.credentials
    if ext in ("jpg", "jxl"):  # where other things may stand in boxes of the same kind
        path.write_bytes(with_marker(path.read_bytes(), ext, label=b"json"))
        assert not open_picture(path).origin.credentials


@pytest.mark.parametrize("ext", ALL)
def test_credentials_kept_elsewhere(tmp_path, ext):
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:dcterms'
        b'="http://purl.org/dc/terms/" dcterms:provenance="https://example.org/1.c2pa"/></rdf:RDF>'
        b"</x:xmpmeta>"
    )
    picture = open_picture(saved(tmp_path, ext, xmp=xmp))
    assert picture.origin.credentials
    assert picture.metadata.xmp == xmp


def test_long_manifests_and_odd_chunks(tmp_path):
    path = save_pillow(tmp_path / "x.webp", noise(31, 17, 3), exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0")
    path.write_bytes(with_marker(path.read_bytes(), "webp"))
    assert open_picture(path).origin.credentials
    path = saved(tmp_path, "tif")
    long = manifest() + bytes(20 << 20)  # longer than any field that is read
    path.write_bytes(exif.add_to_tiff(path.read_bytes(), {0xCD41: exif.Entry(7, long)}))
    assert open_picture(path).origin.credentials
