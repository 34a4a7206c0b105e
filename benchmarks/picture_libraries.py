"""What each library for picture files leaves of a photograph that is opened and saved again.

    python -m benchmarks.picture_libraries [--runs 3] [--side 6000x4000]

For each format a picture of 16 bits (8 where the format has no more) with colour profile, EXIF, XMP
and resolution is written by `save_picture`, opened and saved by each library as its documentation
shows, with all the metadata that it hands over, and looked at with `open_picture`. Then opening and
saving of a large JPEG (quality 95; of those that let one choose, 4:4:4) and a large 16-bit TIFF
(deflate where they can) are timed, the libraries in turn, files in the disk's cache. Libraries that
are not installed are named and left out; an environment with all of them:

    pip install -e .[dev] imagecodecs imageio tifffile
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arguments import positive
from imgedit_plugins.errors import PictureReadError
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Metadata, Picture

Copy = Callable[[str, str], None]

FORMATS = {"jpg": 8, "png": 16, "tif": 16, "webp": 8, "avif": 12, "heic": 10, "jxl": 16}
"""By extension: the most bits a channel that `save_picture` writes."""

QUALITY = 95
_XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)


# --- one copy by each library -----------------------------------------------------------------


def _ours(source: str, target: str) -> None:
    quality = QUALITY if target.endswith(".heic") else None
    save_picture(open_picture(source), target, quality=quality)


def _pillow(source: str, target: str) -> None:
    from PIL import Image

    if importlib.util.find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    with Image.open(source) as image:
        kept = {k: image.info[k] for k in ("icc_profile", "exif", "xmp", "dpi") if k in image.info}
        if target.endswith("tif"):  # it takes the fields along by itself
            image.save(target, compression="tiff_adobe_deflate")
        else:
            full: dict[str, Any] = {}
            if target.endswith("jpg"):
                full = {"subsampling": 0}  # as the others here
            image.save(target, quality=QUALITY, **full, **kept)


def _libvips(source: str, target: str) -> None:
    import pyvips

    options: dict[str, Any] = {}
    if target.endswith("tif"):
        options = {"compression": "deflate", "predictor": "horizontal"}
    elif not target.endswith("png"):
        options = {"Q": QUALITY}
        if target.endswith("jpg"):
            options["subsample_mode"] = "off"
    pyvips.Image.new_from_file(source).write_to_file(target, **options)


def _opencv(source: str, target: str) -> None:
    import cv2

    pixels, kinds, blocks = cv2.imreadWithMetadata(source, flags=cv2.IMREAD_UNCHANGED)
    if not cv2.imwriteWithMetadata(target, pixels, kinds, blocks):
        raise OSError("not written")


def _imageio(source: str, target: str) -> None:
    import imageio.v3 as imageio

    known = imageio.immeta(source)
    kept: dict[str, Any] = {
        k: known[k] for k in ("icc_profile", "exif", "xmp", "dpi") if k in known
    }
    pixels = imageio.imread(source)
    if target.endswith("jpg"):
        kept |= {"quality": QUALITY, "subsampling": 0}
    imageio.imwrite(target, pixels, **({} if target.endswith(("tif", "png")) else kept))


def _tifffile(source: str, target: str) -> None:
    """TIFF by tifffile, the rest by imagecodecs, as their author intends."""
    import imagecodecs
    import tifffile

    if not target.endswith("tif"):
        imagecodecs.imwrite(target, imagecodecs.imread(source))
        return
    with tifffile.TiffFile(source) as file:
        page = file.pages[0]
        xmp = page.tags.get(700)
        tifffile.imwrite(
            target,
            page.asarray(),
            photometric="rgb",
            compression="deflate",
            predictor=True,
            iccprofile=page.iccprofile,
            resolution=page.get_resolution("inch"),
            resolutionunit="inch",
            extratags=[(700, 1, len(xmp.value), xmp.value, True)] if xmp else [],
        )


def _openimageio(source: str, target: str) -> None:
    import OpenImageIO

    buffer = OpenImageIO.ImageBuf(source)
    if not buffer.write(target):
        raise OSError(buffer.geterror())


LIBRARIES: dict[str, tuple[Copy, tuple[str, ...]]] = {
    "imgedit-plugins": (_ours, ()),
    "libvips": (_libvips, ("pyvips", "pyvips-binary")),
    "Pillow": (_pillow, ("pillow", "pillow-heif")),
    "OpenCV": (_opencv, ("opencv-python-headless",)),
    "imageio": (_imageio, ("imageio",)),
    "tifffile + imagecodecs": (_tifffile, ("tifffile", "imagecodecs")),
    "OpenImageIO": (_openimageio, ("openimageio",)),
}


# --- what is left -----------------------------------------------------------------------------


def photograph(height: int, width: int, dtype: Any) -> Picture:
    """A smooth picture with some noise and everything that a file can carry beside pixels."""
    from PIL import Image, ImageCms

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    noise = rng.normal(0, 0.004, (height, width)).astype(np.float32)
    parts = (x / width, y / height, (x + y) / (width + height))
    values = np.clip(np.stack([part + noise for part in parts], axis=2), 0, 1)
    block = Image.Exif()
    block[0x010F], block[0x0112] = "Camera", 1
    inner = block.get_ifd(0x8769)
    inner[0x9003], inner[0x927C] = "2026:01:02 03:04:05", b"maker's note"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return Picture(
        np.rint(values * np.iinfo(dtype).max).astype(dtype),
        icc_profile=profile,
        metadata=Metadata(exif=block.tobytes(), xmp=_XMP, resolution=(300.0, 240.0)),
    )


def left_over(source: Path, target: Path) -> str:
    """In words: bits a channel, and of profile, EXIF, XMP and resolution what is not as it was."""
    before, after = open_picture(source), open_picture(target)
    bits = "8" if after.pixels.dtype == np.uint8 else "more than 8"
    lost = [
        name
        for name, one, other in (
            ("profile", before.icc_profile, after.icc_profile),
            ("EXIF", before.metadata.exif, after.metadata.exif),
            ("XMP", before.metadata.xmp, after.metadata.xmp),
            ("resolution", before.metadata.resolution, after.metadata.resolution),
        )
        if one is not None and other is None
    ]
    changed = []
    one, other = before.metadata.exif, after.metadata.exif
    if one is not None and other is not None and b"maker's note" not in other:
        changed.append("maker's note lost")
    elif one is not None and other is not None and one != other:
        changed.append("EXIF rewritten")
    parts = [f"{bits} bits", *(f"no {name}" for name in lost), *changed]
    return ", ".join(parts)


def kept(folder: Path) -> dict[str, dict[str, str]]:
    """By format and library: what is left."""
    found: dict[str, dict[str, str]] = {}
    for ext, bits in FORMATS.items():
        source = folder / f"source.{ext}"
        picture = photograph(256, 384, np.uint8 if bits == 8 else np.uint16)
        save_picture(picture, source, quality=QUALITY if ext in ("jpg", "heic") else None)
        for name, (copy, _) in _installed():
            target = folder / f"copy.{ext}"
            target.unlink(missing_ok=True)
            try:
                copy(str(source), str(target))
                found.setdefault(ext, {})[name] = left_over(source, target)
            except PictureReadError as error:
                found.setdefault(ext, {})[name] = f"damaged: {error.message}"
            except Exception:  # whatever it raises, it does not do this format
                found.setdefault(ext, {})[name] = "–"
    return found


def timed(folder: Path, runs: int, height: int, width: int) -> dict[str, dict[str, float]]:
    """By format and library: median seconds to open and save."""
    found: dict[str, dict[str, list[float]]] = {}
    for ext, dtype in (("jpg", np.uint8), ("tif", np.uint16)):
        source = folder / f"large.{ext}"
        save_picture(photograph(height, width, dtype), source)
        for _ in range(runs + 1):  # the first warms up
            for name, (copy, _) in _installed():
                start = time.perf_counter()
                copy(str(source), str(folder / f"copy.{ext}"))
                found.setdefault(ext, {}).setdefault(name, []).append(time.perf_counter() - start)
    return {
        ext: {name: statistics.median(seconds[1:]) for name, seconds in row.items()}
        for ext, row in found.items()
    }


def _installed() -> list[tuple[str, tuple[Copy, tuple[str, ...]]]]:
    return [(name, entry) for name, entry in LIBRARIES.items() if not _missing(name)]


def _missing(name: str) -> bool:
    modules = {"tifffile + imagecodecs": ("tifffile", "imagecodecs"), "imageio": ("imageio",)}
    return any(importlib.util.find_spec(module) is None for module in modules.get(name, ()))


def main(arguments: Sequence[str]) -> int:
    """Print both tables; returns 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=positive, default=3)
    parser.add_argument("--side", default="6000x4000", metavar="WIDTHxHEIGHT")
    options = parser.parse_args(arguments)
    width, height = (positive(part) for part in options.side.split("x"))
    names = [name for name, _ in _installed()]
    for name, (_, distributions) in LIBRARIES.items():
        versions = [f"{one} {version(one)}" for one in distributions if name in names]
        print(f"{name}: {', '.join(versions) or ('here' if name in names else 'not installed')}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for ext, row in kept(folder).items():
            for name in names:
                print(f"| {ext} | {name} | {row[name]} |")
        for ext, seconds in timed(folder, options.runs, height, width).items():
            for name in names:
                print(f"| {ext} {options.side} | {name} | {seconds[name]:.2f} s |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
