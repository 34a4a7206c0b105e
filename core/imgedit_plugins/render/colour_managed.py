"""Pictures with another profile than sRGB: rendered in sRGB, and what that cannot hold put back.

The way to sRGB clips colours outside its gamut, and rounds the others. So a result is not what
the way back makes of the edited sRGB values: it is the picture, plus the difference that the edit
makes after the way back.

    result = before + (back(edited) - back(srgb)) + (share - 1) (before - back(srgb))

`before - back(srgb)` is what the conversion loses. For colours that sRGB holds it is rounding, and
`share` is 1. For colours outside it is the saturation that was clipped off, and goes along with
the saturation that sRGB holds: `share` is how much of that one the edit leaves, from 1 (all of
it) through 0 (turned grey, or black) to -1 (turned into the opposite colour). Where the edit
leaves the sRGB value alone, the result is the picture bit for bit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins import icc
from imgedit_plugins.colour_profiles import (
    Codes16,
    Conversion,
    conversion,
    convert,
    convert_strip,
    is_srgb,
    mismatch,
    of_type,
    to_16_bits,
)
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import Profile
from imgedit_plugins.pictures import Picture, Pixels
from imgedit_plugins.plan import EditPlan
from imgedit_plugins.render.pointwise import beyond_colour
from imgedit_plugins.render.strips import in_parallel, three_channels

Mask = NDArray[np.uint8] | None

Render = Callable[[Picture, EditPlan, Mask, Job], Picture]
"""(picture without a profile, plan, mask, job) -> the picture rendered, of the same type."""

_BAND_PIXELS = 1 << 21
"""A band of a large picture: its two copies in sRGB take 24 MiB."""

_ROUNDING = {np.dtype(np.uint8): 384, np.dtype(np.uint16): 64}
"""What the way there and back loses by rounding, in codes of 16 bits; more is saturation."""

_NO_SATURATION = 0.02**2
"""Saturation (its square, of values 0..1) below which there is none to measure a share by."""


def needs_srgb(picture: Picture, plan: EditPlan, job: Job) -> bool:
    """Whether a plan is to be rendered by `render_in_srgb`.

    Not so where the values are sRGB, the plan does nothing but move pixels, or the profile is of
    no use; of that the job is warned.
    """
    colors = any(
        step.operation.kind != "geometric" and not step.operation.is_neutral(step.parameters)
        for step in plan.operations
    )
    if not colors or is_srgb(picture.icc_profile):
        return False
    wrong = mismatch(picture)
    if wrong:
        job.warn(wrong)
    return not wrong


def render_in_srgb(
    picture: Picture,
    plan: EditPlan,
    render: Render,
    *,
    mask: Mask,
    constants: Profile,
    in_8_bits: bool,
    job: Job,
) -> Picture:
    """The picture with the plan applied, in its own profile.

    Large pictures go in bands where the plan allows for it, and then need little more memory
    than before and after; other plans need two copies of the picture in sRGB.

    Args:
        picture: one that `needs_srgb`.
        plan: the edit.
        render: renders it, or a part of it, on sRGB values.
        mask: (height, width), or None.
        constants: for the operations' forms.
        in_8_bits: whether the sRGB values get 8 bits; else 16.
        job: progress, warnings, cancellation.

    Returns:
        The result, of the type of `picture`. A grey picture that became coloured under a grey
        profile is in sRGB and has none.
    """
    dtype = np.dtype(np.uint8 if in_8_bits else np.uint16)
    work = _Work(plan, render, dtype, job)
    rows = max(1, _BAND_PIXELS // picture.width)
    alone = not any(beyond_colour(step, constants) for step in plan.operations)
    if not alone or picture.is_grey or rows >= picture.height:
        return work.whole(picture, mask)
    result = np.empty_like(picture.pixels)
    bands = range(0, picture.height, rows)
    for number, top in enumerate(bands):
        part = slice(top, top + rows)
        chosen = None if mask is None else np.ascontiguousarray(mask[part])
        work.job = _BandJob(job, number, len(bands))
        result[part] = work.whole(picture.with_pixels(picture.pixels[part]), chosen).pixels
    return picture.with_pixels(result)


class _BandJob(Job):
    """A part's progress as a part of the whole's; warnings once."""

    def __init__(self, job: Job, number: int, bands: int) -> None:
        super().__init__()
        self._job, self._number, self._bands = job, number, bands

    def report(self, stage: str, done: int = 0, total: int = 0, text: str = "") -> None:
        self._job.report(stage, self._number * total + done, self._bands * total, text)

    def warn(self, message: str) -> None:
        if self._number == 0:
            self._job.warn(message)

    def check(self) -> None:
        self._job.check()


@dataclasses.dataclass
class _Work:
    """One edit, done to a picture or to its bands.

    Attributes:
        plan, render, job: as in `render_in_srgb`.
        dtype: type of the sRGB values.
    """

    plan: EditPlan
    render: Render
    dtype: np.dtype[Any]
    job: Job

    def whole(self, picture: Picture, mask: Mask) -> Picture:
        profile = picture.icc_profile
        assert profile is not None, "None is sRGB"
        way = conversion(profile)
        start = self._in_srgb(picture, way)
        edited = self.render(start, self.plan, mask, self.job)
        moves = tuple(op for op in self.plan.operations if op.operation.kind == "geometric")
        if moves:
            moving = self.plan.model_copy(update={"operations": moves})
            bare = dataclasses.replace(picture, icc_profile=None)
            picture = self.render(bare, moving, None, Job())
            start = self.render(start, moving, None, Job())
        if edited.is_grey or not picture.is_grey:
            pixels = self._put_back(picture, start.color, edited.color, way)
            return dataclasses.replace(picture, pixels=pixels, icc_profile=profile)
        if icc.space(profile) == "GRAY":
            pixels = _with_alpha(of_type(to_16_bits(edited.color), picture.pixels.dtype), picture)
            return dataclasses.replace(picture, pixels=pixels, icc_profile=None)
        coloured = picture.with_pixels(_with_alpha(three_channels(picture.color), picture))
        pixels = self._put_back(coloured, three_channels(start.color), edited.color, way)
        return dataclasses.replace(picture, pixels=pixels, icc_profile=profile)

    def _in_srgb(self, picture: Picture, way: Conversion) -> Picture:
        color = of_type(convert(picture.color, way, back=False), self.dtype)
        if picture.alpha is not None:
            alpha = of_type(to_16_bits(picture.alpha), self.dtype)
            color = np.concatenate([color, alpha], axis=2)
        return Picture(color)

    def _put_back(self, before: Picture, start: Pixels, edited: Pixels, way: Conversion) -> Pixels:
        """`before` with the edit that leads from `start` to `edited`, strip by strip."""
        color, alpha = before.color, before.alpha
        result = np.empty_like(before.pixels)
        channels = color.shape[2]
        rows = max(1, way.pixels // before.width)

        def one(top: int) -> int:
            part = slice(top, top + rows)
            codes = [to_16_bits(pixels[part]) for pixels in (start, edited)]
            result[part, :, :channels] = _edited(
                color[part], codes[0], codes[1], way, _ROUNDING[self.dtype]
            )
            if alpha is not None:
                result[part, :, channels:] = alpha[part]
            return len(codes[0])

        in_parallel(one, range(0, before.height, rows), lambda _: self.job.check())
        return result


def _with_alpha(color: Pixels, picture: Picture) -> Pixels:
    return color if picture.alpha is None else np.concatenate([color, picture.alpha], axis=2)


def _edited(
    before: Pixels, start: Codes16, edited: Codes16, way: Conversion, rounding: int
) -> Pixels:
    """The formula above, on one strip; in codes of 16 bits, which single precision holds."""
    import cv2

    held = convert_strip(start, way, back=True)
    codes = to_16_bits(before)
    change = _minus(convert_strip(edited, way, back=True), held)
    if codes.shape[2] == 3:
        lost = _minus(codes, held)
        far = np.flatnonzero(cv2.inRange(lost, (-rounding,) * 3, (rounding,) * 3) == 0)
        if len(far):
            was, now = (colors.reshape(-1, 3).take(far, axis=0) for colors in (start, edited))
            missing = lost.reshape(-1, 3).take(far, axis=0)
            change.reshape(-1, 3)[far] += (_share(was, now) - 1) * missing
    if before.dtype == np.float32:
        floats = np.clip(before + change * np.float32(1.0 / 65535), 0.0, 1.0)
        return np.asarray(np.where(change == 0, before, floats))
    # Rounds, and stops at black and white.
    summed = np.asarray(cv2.add(codes, change, dtype=cv2.CV_16U), np.uint16)
    return of_type(summed.reshape(codes.shape), before.dtype)


def _minus(a: Codes16, b: Codes16) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.subtract(a, b, dtype=cv2.CV_32F), np.float32).reshape(a.shape)


def _share(start: Codes16, edited: Codes16) -> NDArray[np.float32]:
    """How much of the pixels' saturation an edit leaves, (pixels, 1), -1..1."""
    was, now = _saturation(start), _saturation(edited)
    none = np.float32(_NO_SATURATION)
    kept = np.einsum("ij,ij->i", was, now) + none
    there = np.einsum("ij,ij->i", was, was) + none
    return np.asarray(np.clip(kept / there, -1.0, 1.0), np.float32)[:, None]


def _saturation(codes: Codes16) -> NDArray[np.float32]:
    import cv2

    values = np.multiply(codes, np.float32(1.0 / 65535), dtype=np.float32)
    from_grey = (np.eye(3) - 1.0 / 3.0).astype(np.float32)
    return np.asarray(cv2.transform(values[:, None], from_grey), np.float32)[:, 0]
