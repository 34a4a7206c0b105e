"""The one picture type that crosses hooks: a numpy array with what belongs to it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[Any]
"""(height, width, channels); uint8, uint16 or float32 in 0..1."""

RGB8 = NDArray[np.uint8]
"""(height, width, 3) in 0..255, sRGB-encoded."""

_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))


@dataclass(frozen=True)
class JpegCompression:
    """How a JPEG file was compressed, enough to compress another picture in the same way.

    Attributes:
        tables: quantisation tables (luma first), 64 entries each, in Pillow's order.
        subsampling: 0 for 4:4:4, 1 for 4:2:2, 2 for 4:2:0, -1 where Pillow cannot tell.
        grey: whether the file has one component only.
    """

    tables: tuple[tuple[int, ...], ...]
    subsampling: int
    grey: bool = False


@dataclass(frozen=True)
class Metadata:
    """What a file says beside its pixels; kept when the picture is saved again.

    Attributes:
        exif: the EXIF block as stored in a JPEG's APP1 (it starts with 'Exif'), orientation
            reset to 1 since pixels are upright.
        xmp: the XMP packet, UTF-8.
        resolution: dots per inch, horizontal and vertical.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    resolution: tuple[float, float] | None = None


@dataclass(frozen=True)
class Origin:
    """Where a picture was read from.

    Attributes:
        path: the file.
        format: 'JPEG', 'PNG', 'TIFF', 'WEBP', 'AVIF', 'HEIF' or 'JXL', by content, not by
            extension.
        jpeg: set for JPEG files.
        credentials: whether the file carries content credentials (C2PA), which no edit can keep.
    """

    path: Path
    format: str
    jpeg: JpegCompression | None = None
    credentials: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture: pixels, upright, and what is needed to save it as it came.

    Attributes:
        pixels: (height, width, channels), C-contiguous and read-only by convention;
            1 channel is grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha (not premultiplied);
            uint8 0..255, uint16 0..65535 or float32 0..1.
        icc_profile: embedded profile; None means sRGB.
        metadata: EXIF, XMP, resolution.
        origin: the file it came from, if any.

    Raises:
        PictureError: the array has another shape or type, or no pixels.
    """

    pixels: Pixels
    icc_profile: bytes | None = None
    metadata: Metadata = field(default_factory=Metadata)
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.pixels, np.ndarray):
            kind = type(self.pixels).__name__
            raise PictureError(f"Pixels are a numpy array, not {kind}.")
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if self.pixels.ndim != 3 or not 1 <= shape[2] <= 4:
            raise PictureError(f"A picture needs (height, width, 1 to 4 channels), not {shape}.")
        if 0 in shape:
            raise PictureError(f"A picture needs at least one pixel; this one is {shape}.")
        if dtype not in _DTYPES:
            raise PictureError(f"Pixels are uint8, uint16 or float32, not {dtype}.")

    def __repr__(self) -> str:
        where = f" from {self.origin.path}" if self.origin else ""
        return f"<Picture {self.width}x{self.height} {self.mode} {self.pixels.dtype}{where}>"

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def mode(self) -> str:
        """'L', 'LA', 'RGB' or 'RGBA'."""
        return ("L", "LA", "RGB", "RGBA")[self.pixels.shape[2] - 1]

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.mode in ("LA", "RGBA")

    @property
    def is_grey(self) -> bool:
        """Whether there is one colour channel only."""
        return self.mode in ("L", "LA")

    @property
    def color(self) -> Pixels:
        """The colour channels, (height, width, 1 or 3); a view."""
        return self.pixels[:, :, :-1] if self.has_alpha else self.pixels

    @property
    def alpha(self) -> Pixels | None:
        """The alpha channel, (height, width, 1); a view, or None."""
        return self.pixels[:, :, -1:] if self.has_alpha else None

    def with_pixels(self, pixels: Pixels) -> Picture:
        """The same profile, metadata and origin around other pixels."""
        return dataclasses.replace(self, pixels=pixels)

    def rgb8(self) -> RGB8:
        """The colours as 8-bit RGB, (height, width, 3); alpha is left out, values are rounded."""
        color = self.color
        if color.shape[2] == 1:
            color = np.repeat(color, 3, axis=2)
        return np.ascontiguousarray(to_8_bits(color))

    def to_pillow(self) -> Image:
        """The picture as a Pillow image, 8 bits a channel (values are rounded).

        The colour profile is put where Pillow keeps it, in ``info["icc_profile"]``.
        """
        from PIL import Image

        # A copy: Pillow would share the memory, and its drawing functions write to it.
        data = np.array(to_8_bits(self.pixels), order="C")
        image = Image.fromarray(data[:, :, 0] if self.mode == "L" else data, self.mode)
        if self.icc_profile is not None:
            image.info["icc_profile"] = self.icc_profile
        return image

    @classmethod
    def from_pillow(cls, image: Image) -> Picture:
        """A picture from a Pillow image.

        L, LA, RGB and RGBA are taken as they are and 16-bit grey keeps its 16 bits; everything
        else is converted to one of them with 8 bits. A colour profile is left out where the
        conversion leaves the colour space that it describes (CMYK, Lab and the like).
        """
        profile = image.info.get("icc_profile")
        if image.mode.startswith("I;16"):
            pixels = np.asarray(image).astype(np.uint16)
            return cls(np.ascontiguousarray(pixels[:, :, None]), icc_profile=profile)
        if image.mode in ("CMYK", "LAB", "YCbCr", "HSV"):
            profile = None
        if "transparency" in image.info or image.mode in ("PA", "La", "RGBa"):
            grey = image.mode in ("1", "L", "La")
            image = image.convert("LA" if grey else "RGBA")
        elif image.mode not in ("L", "LA", "RGB", "RGBA"):
            image = image.convert("L" if image.mode == "1" else "RGB")
        pixels = np.array(image, dtype=np.uint8)
        if pixels.ndim == 2:
            pixels = pixels[:, :, None]
        return cls(np.ascontiguousarray(pixels), icc_profile=profile)


def mask_fault(picture: Picture, mask: object) -> str:
    """Why a selection mask does not fit a picture, as half a sentence; empty where it does."""
    expected = (picture.height, picture.width)
    if not isinstance(mask, np.ndarray):
        return f"the mask is {type(mask).__name__}, the picture needs a numpy array"
    if mask.shape != expected or mask.dtype != np.uint8:
        return f"the mask is {mask.shape} {mask.dtype}, the picture needs {expected} uint8"
    return ""


def to_8_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """Pixels of any of the three types, rounded to 8 bits; what is no number becomes 0.

    8-bit pixels come back as they are, not copied.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        # 65535 = 257 * 255, so this is the exact rounding of v / 257.
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    numbers = np.nan_to_num(pixels, nan=0.0, posinf=1.0, neginf=0.0)
    return np.asarray(np.rint(np.clip(numbers, 0.0, 1.0) * 255.0), np.uint8)
