"""Pictures, metadata and checks that the tests of picture files share."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image, ImageCms

from imgedit_plugins.errors import PictureReadError
from imgedit_plugins.picture_files import open_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY = SRGB[:16] + b"GRAY" + SRGB[20:]
XMP = (
    b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description '
    b'tiff:Orientation="6" dc:title="\xc3\xa9t\xc3\xa9"/></x:xmpmeta>'
)
# Each example overwrites the last one's file.
SHARED_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def noise(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype is np.float32:
        return rng.random(shape, dtype=np.float32)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    channels = [x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)]
    return np.stack(channels, axis=2).astype(np.uint8)


def exif_block(**tags: int) -> bytes:
    """A camera's EXIF: make, orientation, date, size, GPS."""
    block = Image.Exif()
    block[0x010F] = "Kamera"
    block[0x0131] = "Firmware"
    block[0x0112] = tags.get("orientation", 1)
    block[0x0132] = "2024:05:06 07:08:09"
    inner = block.get_ifd(0x8769)
    inner[0x9003] = "2024:05:06 07:08:09"
    inner[0x829A] = (1, 250)
    inner[0xA002], inner[0xA003] = tags.get("width", 30), tags.get("height", 20)
    inner[0x927C] = b"maker's note"
    gps = block.get_ifd(0x8825)
    gps[1], gps[2] = "N", (48.0, 30.0, 15.5)
    return block.tobytes()


def exif_tags(block: bytes) -> dict[Any, Any]:
    """EXIF as Pillow reads it."""
    found = Image.Exif()
    found.load(block)
    flat = {tag: value for tag, value in found.items() if tag not in (0x8769, 0x8825)}
    for pointer in (0x8769, 0x8825):
        flat |= {(pointer, tag): value for tag, value in found.get_ifd(pointer).items()}
    return flat


def save_pillow(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    lossless = {"lossless": True, "exact": True} if path.suffix == ".webp" else {}
    Image.fromarray(pixels).save(path, **{**lossless, **options})
    return path


def one_sentence(error: Exception) -> str:
    text = str(error)
    assert "\n" not in text
    assert text.endswith(".")
    assert len(text) < 600
    return text


def refused(path: Path, *words: str) -> PictureReadError:
    with pytest.raises(PictureReadError) as caught:
        open_picture(path)
    text = one_sentence(caught.value)
    assert caught.value.path == path
    for word in words:
        assert word in text
    return caught.value
