"""Memory that the caller gives for a result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.errors import PictureError
from imgedit_plugins.pictures import Picture, Pixels


def refuse_buffer(out: Pixels, picture: Picture, mask: NDArray[np.uint8] | None) -> None:
    """Refuse a buffer that cannot take a result like the picture; the picture's own memory can.

    Raises:
        PictureError: another shape or type, not contiguous, read-only, or memory that is read.
    """
    wanted = picture.pixels
    hint = "Leave out the buffer, or make one with numpy.empty_like(picture.pixels)."
    if (out.shape, out.dtype) != (wanted.shape, wanted.dtype):
        raise PictureError(
            f"The buffer for the result must be {wanted.shape} {wanted.dtype}, "
            f"not {out.shape} {out.dtype}.",
            hint=hint,
        )
    if not (out.flags.c_contiguous and out.flags.writeable):
        fault = "is read-only" if out.flags.c_contiguous else "is not contiguous"
        raise PictureError(f"The buffer for the result {fault}.", hint=hint)
    others = (None if is_of(out, picture) else wanted, mask)
    if any(np.may_share_memory(out, other) for other in others if other is not None):
        raise PictureError(
            "The buffer for the result lies in the memory of the picture or the selection.",
            hint=hint,
        )


def is_of(out: Pixels | None, picture: Picture) -> bool:
    """Whether a buffer is the picture's own pixels, all of them in their order."""
    own = picture.pixels
    return (
        out is not None
        and (out.shape, out.dtype, out.strides) == (own.shape, own.dtype, own.strides)
        and out.ctypes.data == own.ctypes.data
    )


def placed(made: Picture, out: Pixels | None) -> Picture:
    """A result in the buffer, if there is one and it has the result's shape."""
    if out is None or made.pixels is out or made.pixels.shape != out.shape:
        return made
    np.copyto(out, made.pixels)
    return made.with_pixels(out)
