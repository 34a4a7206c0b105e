"""`render_plan`: a plan applied to a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.errors import OptionError, PictureError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import Profile, load_profile
from imgedit_plugins.operations.forms import overview
from imgedit_plugins.pictures import Picture, Pixels, mask_fault, to_8_bits
from imgedit_plugins.plan import EditPlan, PlannedOperation
from imgedit_plugins.render.blending import blend
from imgedit_plugins.render.buffers import is_of, placed, refuse_buffer
from imgedit_plugins.render.colour_managed import needs_srgb, render_in_srgb
from imgedit_plugins.render.passes import (
    GeometryPass,
    MeasuredPass,
    Pass,
    StripPass,
    WholePass,
)
from imgedit_plugins.render.planning import plan_passes
from imgedit_plugins.render.strips import (
    ColouredError,
    Order,
    in_parallel,
    is_grey,
    run_strips,
    three_channels,
)

Rounding = Literal["auto", "each-step", "end"]

MAX_STRENGTH = 2.0
_BLEND_PIXELS = 1 << 15
_REPORTS = 100  # of progress, over the whole plan


def render_plan(  # noqa: PLR0913  # all but two are by name
    picture: Picture,
    plan: EditPlan,
    *,
    mask: NDArray[np.uint8] | None = None,
    strength: float = 1.0,
    rounding: Rounding = "auto",
    profile: Profile | None = None,
    job: Job | None = None,
    out: Pixels | None = None,
    order: Order = "rgb",
) -> Picture:
    """The picture with the plan applied, at the picture's own bit depth.

    Values are clipped to black and white after every step. Alpha is carried along by geometry
    and otherwise left alone. A grey picture stays grey as long as the result has no colour. A
    plan without operations gives the picture back as it is. Values under another colour profile
    than sRGB are edited as sRGB values; see `colour_managed`.

    Args:
        picture: what to edit; untouched, unless `out` is its own pixels.
        plan: the edit.
        mask: (height, width) uint8; the result is blended with the picture by mask / 255, and
            is the picture bit for bit where the mask is 0.
        strength: 0..2; how far to go from the picture (0) to the edit (1) and beyond. Geometry
            is done in full at any strength.
        rounding: 'each-step' rounds every step's result to 8 bits, as data that was made in 8
            bits has it; deeper pictures are rounded to 8 bits first, with a warning. 'end' rounds
            once, to the picture's depth. 'auto' takes 'each-step' for an 8-bit picture and a
            plan of which every operation has an 8-bit recipe (or changes nothing), so that a
            recovered plan gives the edited picture again, and 'end' otherwise.
        profile: constants to use instead of those of `plan.definitions`.
        job: told about progress, asked for cancellation; warned where an operation of a plugin
            works in 8 bits alone, and where the colour profile is of no use.
        out: memory for the result: contiguous, of the picture's shape, of the result's type, and
            apart from picture and mask, or `picture.pixels` itself: then the picture is edited
            in place, strip by strip where its pixels do not depend on each other, and otherwise
            once the result is there. The result's `pixels` are this array, unless the
            result has another shape (geometry; a grey picture that became coloured): then
            they are a new one. What is left in `out` then, or after an error, is undefined.
        order: 'bgr' for a picture in colour without a profile whose pixels have blue first, and a
            result of that kind: no other order exists outside of here.

    Raises:
        PictureError: geometry together with a mask, a mask of another size or type, an `out`
            that does not fit, or 'bgr' for a picture that is grey or has a profile.
        OptionError: a strength outside 0..2, an unknown rounding.
        UnknownOperationError: the plan has an operation that no loaded plugin registers.
        JobCancelledError: the job was cancelled.
        ProfileError: the plan's definitions are not known here.
    """
    job = job or Job()
    profile = profile or load_profile(plan.definitions)
    if not 0.0 <= strength <= MAX_STRENGTH:
        raise OptionError(f"The strength must be between 0 and 2 (200 %), not {strength:g}.")
    if rounding not in get_args(Rounding):
        told = ", ".join(get_args(Rounding))
        raise OptionError(f"The rounding must be one of {told}, not {rounding!r}.")
    if mask is not None:
        if fault := mask_fault(picture, mask):
            raise PictureError(f"{fault[0].upper()}{fault[1:]}.")
        _refuse_geometry(plan)
    if order == "bgr" and (picture.is_grey or picture.icc_profile is not None):
        raise PictureError("Blue can come first only in pictures in colour without a profile.")
    job.check()
    if not plan.operations:
        if out is not None:
            refuse_buffer(out, picture, mask)
        return placed(picture, out)
    each_step = _rounds_each_step(picture, plan, rounding)
    if each_step and picture.pixels.dtype != np.uint8:
        job.warn(f"The picture has {picture.pixels.dtype} values; it was edited in 8 bits.")
        picture = picture.with_pixels(to_8_bits(picture.pixels))
    if out is not None:
        refuse_buffer(out, picture, mask)
    if needs_srgb(picture, plan, job):
        steps: Rounding = "each-step" if each_step else "end"
        made = render_in_srgb(
            picture,
            plan,
            lambda part, edit, chosen, told: render_plan(
                part, edit, mask=chosen, strength=strength, rounding=steps, profile=profile,
                job=told,
            ),
            mask=mask, constants=profile, in_8_bits=each_step, job=job,
        )  # fmt: skip
        return placed(made, out)
    _warn_of_8_bits(picture, plan, job)
    edit = _Edit(profile, job, each_step=each_step, order=order)
    if mask is None and strength == 1.0:
        pixels = edit.run(picture.pixels, plan.operations, out=out, own=is_of(out, picture))
        return placed(picture.with_pixels(pixels), out)
    out, wanted = None if is_of(out, picture) else out, out
    moves = tuple(op for op in plan.operations if op.operation.kind == "geometric")
    before = edit.run(picture.pixels, moves, told=strength == 0.0)
    if strength == 0.0:
        return placed(picture.with_pixels(before), wanted)
    edited = edit.run(picture.pixels, plan.operations, out=out)
    ours = not np.may_share_memory(edited, picture.pixels)
    pixels = _blended(before, edited, mask, strength, job, ours=ours)
    return placed(picture.with_pixels(pixels), wanted)


def _refuse_geometry(plan: EditPlan) -> None:
    names = [op.name for op in plan.operations if op.operation.kind == "geometric"]
    if names:
        raise PictureError(
            f"{names[0]!r} moves pixels and cannot be limited to a selection.",
            hint="Leave out the selection, or take the step out of the plan.",
        )


def _rounds_each_step(picture: Picture, plan: EditPlan, rounding: Rounding) -> bool:
    if rounding != "auto":
        return rounding == "each-step"
    # Steps that change nothing have no say, so that a plan can be simplified.
    recipes = all(
        op.operation.render is not None or op.operation.is_neutral(op.parameters)
        for op in plan.operations
    )
    return recipes and picture.pixels.dtype == np.uint8


def _warn_of_8_bits(picture: Picture, plan: EditPlan, job: Job) -> None:
    if picture.pixels.dtype == np.uint8:
        return
    for name in dict.fromkeys(op.name for op in plan.operations if op.operation.form is None):
        job.warn(f"{name!r} works in 8 bits; the picture was rounded to 8 bits on its way.")


# --- running ----------------------------------------------------------------------------------


@dataclass
class _Progress:
    """Rows done, told in hundredths; passes over larger pictures tell nothing twice."""

    job: Job
    total: int
    done: int = 0
    last: int = -1

    def advance(self, rows: int) -> None:
        self.done = min(self.total, self.done + rows)
        hundredths = self.done * _REPORTS // self.total
        if hundredths <= self.last:
            self.job.check()
            return
        self.last = hundredths
        self.job.report("rendering", hundredths, _REPORTS)


@dataclass
class _Edit:
    """Steps on pixels, with what they need."""

    profile: Profile
    job: Job
    each_step: bool
    order: Order = "rgb"

    def run(
        self,
        pixels: Pixels,
        steps: tuple[PlannedOperation, ...],
        *,
        told: bool = True,
        out: Pixels | None = None,
        own: bool = False,
    ) -> Pixels:
        """The pixels after these steps, in the same type; alpha and grey kept where possible.

        Args:
            pixels: what to edit.
            steps: in their order.
            told: whether to report progress; cancellation is looked for in any case.
            out: memory that may be used for the result.
            own: whether that is the pixels' own memory.
        """
        declared = [(step.operation, step.parameters) for step in steps]
        passes = plan_passes(declared, self.profile, pixels.dtype, each_step=self.each_step)
        if not passes:
            return pixels
        if own and not _may_stay_in_place(passes, pixels):
            out = None
        # Each pass counts as the rows that the picture had at the beginning; what comes after a
        # measurement is mostly one more.
        count = len(passes) + isinstance(passes[-1], MeasuredPass)
        progress = _Progress(self.job, count * pixels.shape[0])
        progress.last = -1 if told else _REPORTS
        progress.advance(0)
        return _Run(progress, pixels, out, self.order).all(passes)


def _may_stay_in_place(passes: tuple[Pass, ...], pixels: Pixels) -> bool:
    """Whether no strip needs what another one has overwritten.

    A grey picture may turn out to become coloured halfway, and is needed again then.
    """
    (work, *rest) = passes
    return not rest and isinstance(work, StripPass) and work.halo == 0 and pixels.shape[2] >= 3


class _Run:
    """The passes of one plan over one picture: colours and alpha on their way."""

    def __init__(
        self, progress: _Progress, pixels: Pixels, out: Pixels | None, order: Order
    ) -> None:
        self.progress = progress
        self.out = out
        self.wanted = order
        self.order = order  # of `color`
        self.grey = pixels.shape[2] <= 2
        self.dtype = pixels.dtype
        self.color = pixels  # may hold alpha beside the colours, which nobody looks at
        self.with_alpha = pixels if pixels.shape[2] in (2, 4) else None  # as its last channel
        self.whole: Pixels | None = None

    @property
    def alpha(self) -> Pixels | None:
        """Alpha as it is now, (height, width, 1)."""
        return None if self.with_alpha is None else self.with_alpha[:, :, -1:]

    def all(self, passes: tuple[Pass, ...]) -> Pixels:
        """The finished pixels."""
        rows = len(self.color)
        for number, work in enumerate(passes, 1):
            before = self.progress.done
            if isinstance(work, MeasuredPass):
                found = work.form.measure(overview(self._three(), work.form.longer_side))
                self.progress.advance(rows)
                return self.all(work.rest(found))
            self._one(work, last=number == len(passes))
            self.progress.advance(before + rows - self.progress.done)
        self.progress.advance(self.progress.total)
        return self.whole if self.whole is not None else self._assembled()

    def _one(self, work: Pass, *, last: bool) -> None:
        match work:
            case StripPass() if last:
                self.whole = self._finished(work)
            case StripPass():
                self.color = self._computed(work, (*self.color.shape[:2], 3), None, order="rgb")
                self.order = "rgb"
            case WholePass():
                self.color = work.function(self._three(), self.progress.job.check)
                self.order = "rgb"
            case GeometryPass():
                self._move(work)

    def _three(self) -> Pixels:
        """The colours, three channels of them; floats limited to 0..1 as in strips."""
        color = three_channels(self.color, self.order)
        inside = color.dtype != np.float32 or (color.min() >= 0.0 and color.max() <= 1.0)
        return color if inside else np.clip(color, 0.0, 1.0)

    def _finished(self, work: StripPass) -> Pixels:
        shape = self.color.shape[:2]
        extra = self.with_alpha is not None
        if self.grey:
            try:
                return self._computed(work, (*shape, 1 + extra), self.with_alpha, self.out)
            except ColouredError:
                pass
        return self._computed(work, (*shape, 3 + extra), self.with_alpha, self.out)

    def _computed(
        self,
        work: StripPass,
        shape: tuple[int, ...],
        with_alpha: Pixels | None,
        out: Pixels | None = None,
        order: Order | None = None,
    ) -> Pixels:
        orders = (self.order, order or self.wanted)
        target = out
        fresh = target is None or target.shape != shape or target.dtype != work.target
        if target is None or fresh:
            target = np.empty(shape, work.target)
        before = self.progress.done
        try:
            advance = self.progress.advance
            run_strips(work, self.color, target, with_alpha, advance, orders=orders, fresh=fresh)
        except ColouredError:
            self.progress.done = before  # a second attempt begins where the first one began
            raise
        return target

    def _move(self, work: GeometryPass) -> None:
        color, alpha = self.color, self.alpha
        if alpha is None or color.shape[2] in (2, 4):
            moved = work.function(color)
        else:
            moved = work.function(np.concatenate([color, _as_type(alpha, color.dtype)], axis=2))
        if alpha is not None:
            self.with_alpha = _as_type(moved[:, :, -1:], self.dtype)
            moved = np.ascontiguousarray(moved[:, :, :-1])
        self.color = np.ascontiguousarray(moved)

    def _assembled(self) -> Pixels:
        color = self.color
        if self.order != self.wanted:
            color = three_channels(color, "bgr")
        if self.alpha is not None and color.shape[2] in (2, 4):
            color = np.ascontiguousarray(color[:, :, :-1])
        if self.grey and color.shape[2] == 3 and is_grey(color):
            color = color[:, :, :1]
        if self.alpha is not None:
            color = np.concatenate([color, self.alpha], axis=2)
        return np.ascontiguousarray(color)


def _as_type(pixels: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """The same values in another of the three types."""
    if pixels.dtype == dtype:
        return pixels
    if dtype == np.uint8:
        return to_8_bits(pixels)
    white = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}
    values = pixels.astype(np.float64) / white.get(pixels.dtype, 1.0)
    if dtype == np.float32:
        return values.astype(np.float32)
    return np.asarray(np.rint(np.clip(values, 0.0, 1.0) * white[dtype]), dtype)


def _blended(
    before: Pixels,
    after: Pixels,
    mask: NDArray[np.uint8] | None,
    strength: float,
    job: Job,
    *,
    ours: bool,
) -> Pixels:
    """`blend`, strip by strip, into `after` where that is ours to write; alpha is `after`'s."""
    colors = min(after.shape[2], 3) if after.shape[2] != 2 else 1
    widen = before.shape[2] < 3 <= after.shape[2]
    result = after if ours else after.copy()
    rows = max(1, _BLEND_PIXELS // after.shape[1])

    def one(top: int) -> int:
        part = slice(top, top + rows)
        chosen = None if mask is None else mask[part]
        start = three_channels(before[part]) if widen else before[part, :, :colors]
        mixed = blend(start, result[part, :, :colors], chosen, strength)
        result[part, :, :colors] = mixed
        return len(mixed)

    in_parallel(one, range(0, after.shape[0], rows), lambda _: job.check())
    return result
