"""Plans to pixels, one operation after another in 8 bits, as the papers' data was made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.errors import PictureError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import Operation, Profile, load_profile
from imgedit_plugins.pictures import RGB8, Picture, Pixels, mask_fault, to_8_bits
from imgedit_plugins.plan import EditPlan, PlannedOperation


def render_plan(
    picture: Picture,
    plan: EditPlan,
    *,
    mask: NDArray[np.uint8] | None = None,
    profile: Profile | None = None,
    job: Job | None = None,
) -> Picture:
    """The picture with the plan applied, 8 bits a channel.

    Alpha is carried along by geometry and otherwise left alone. A grey picture stays grey as
    long as the result has no colour. 16-bit and float pictures are rounded to 8 bits first,
    and the job is warned; a plan without operations gives the picture back as it is.

    Args:
        picture: what to edit; untouched.
        plan: the edit.
        mask: (height, width) uint8; the result is blended with the picture by mask / 255, and
            is the picture (rounded to 8 bits) bit for bit where the mask is 0.
        profile: constants to use instead of those of `plan.definitions`.
        job: told about progress, asked for cancellation.

    Raises:
        PictureError: geometry together with a mask, or a mask of another size or type.
        UnknownOperationError: the plan has an operation that no loaded plugin registers.
        JobCancelledError: the job was cancelled.
        ProfileError: the plan's definitions are not known here.
    """
    job = job or Job()
    profile = profile or load_profile(plan.definitions)
    if mask is not None:
        if fault := mask_fault(picture, mask):
            raise PictureError(f"{fault[0].upper()}{fault[1:]}.")
        _refuse_geometry(plan)
    if not plan.operations:
        job.check()
        return picture
    if picture.pixels.dtype != np.uint8:
        job.warn(f"The picture has {picture.pixels.dtype} values; it was edited in 8 bits.")
    color, alpha = picture.rgb8(), _alpha8(picture)
    for done, operation in enumerate(plan.operations):
        job.report("rendering", done, len(plan.operations))
        color, alpha = _render_step(color, alpha, operation, profile)
    job.report("rendering", len(plan.operations), len(plan.operations))
    if mask is not None:
        color = blend(picture.rgb8(), color, mask)
    return picture.with_pixels(_reassemble(color, alpha, grey=picture.is_grey))


def render_rgb(
    rgb: RGB8, operation: Operation, parameters: dict[str, int | float], profile: Profile
) -> RGB8:
    """One operation on bare pixels, with parameters already checked."""
    return operation.render(rgb, parameters, profile.of(operation.name))


def blend(before: Pixels, after: Pixels, mask: NDArray[np.uint8]) -> Pixels:
    """`after` where the mask is 255, `before` where it is 0, mixtures between.

    Args:
        before: (height, width, channels), of any of the three pixel types.
        after: the same shape and type.
        mask: (height, width).

    Returns:
        The mixture in the type of `before`; whole numbers are rounded.
    """
    weight = mask[:, :, None].astype(np.int32)
    if before.dtype == np.float32:
        share = weight.astype(np.float32) / np.float32(255.0)
        mixed = before + (after - before) * share
        return np.asarray(np.where(weight == 255, after, np.where(weight == 0, before, mixed)))
    mixed = before.astype(np.int32) * (255 - weight) + after.astype(np.int32) * weight
    return np.asarray(((mixed + 127) // 255).astype(before.dtype))


def difference(a: RGB8, b: RGB8) -> NDArray[np.int16]:
    """A - b in 8-bit codes, (height, width, channels)."""
    return a.astype(np.int16) - b.astype(np.int16)


def mean_squared_error(a: RGB8, b: RGB8) -> float:
    """Mean of squared differences over all pixels and channels, in squared 8-bit codes."""
    import cv2

    return float(cv2.norm(a, b, cv2.NORM_L2SQR)) / a.size


def psnr(mse: float) -> float | None:
    """Peak signal-to-noise ratio in dB, peak 255; None for no error."""
    return None if mse == 0.0 else 10.0 * float(np.log10(255.0**2 / mse))


def _refuse_geometry(plan: EditPlan) -> None:
    names = [op.name for op in plan.operations if op.operation.kind == "geometric"]
    if names:
        raise PictureError(
            f"{names[0]!r} moves pixels and cannot be limited to a selection.",
            hint="Leave out the selection, or take the step out of the plan.",
        )


def _alpha8(picture: Picture) -> RGB8 | None:
    return None if picture.alpha is None else to_8_bits(picture.alpha)


def _render_step(
    color: RGB8, alpha: RGB8 | None, planned: PlannedOperation, profile: Profile
) -> tuple[RGB8, RGB8 | None]:
    operation = planned.operation
    color = render_rgb(color, operation, planned.parameters, profile)
    if alpha is not None and operation.kind == "geometric":
        # Operations are promised three channels.
        alpha = render_rgb(alpha.repeat(3, axis=2), operation, planned.parameters, profile)
        alpha = alpha[:, :, :1]
    return color, alpha


def _reassemble(color: RGB8, alpha: RGB8 | None, *, grey: bool) -> Pixels:
    if (
        grey
        and np.array_equal(color[..., 0], color[..., 1])
        and np.array_equal(color[..., 0], color[..., 2])
    ):
        color = color[:, :, :1]
    parts = [color] if alpha is None else [color, alpha]
    return np.ascontiguousarray(np.concatenate(parts, axis=2))
