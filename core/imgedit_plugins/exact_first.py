"""Exact first, generative last: what of a painted edit operations can express, and the rest.

A plugin that paints says so (`EditResult.exact_first`). The core then asks whichever plugin
recovers edits for the plan that leads from the picture to the painted one; no plugin needs to know
of another. What the plan explains is the plan's from then on, at full resolution and with its
sliders; what was painted beyond it becomes a layer above, transparent elsewhere.

Regions where something else stands now would mislead whoever looks for the plan, so they are found
first, without one: most photographic edits map colours to colours, so a smooth map is fitted to all
pixels such that the odd ones out do not count, and what it does not explain is shown transparent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgedit_plugins.errors import (
    AmbiguousPluginError,
    ImgeditError,
    JobCancelledError,
    NoPluginError,
)
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import RGB8, Picture, Pixels
from imgedit_plugins.plan import EditPlan, Residual
from imgedit_plugins.render import render_plan
from imgedit_plugins.render.measures import psnr
from imgedit_plugins.requests import ApplyRequest, Candidate, EditResult, Options, PredictRequest

if TYPE_CHECKING:
    from imgedit_plugins.plugins import PluginManager

EXPLAINED = 0.95
"""Share of the change, where nothing was painted, that a plan must explain to be taken."""

MOST_PAINTED = 0.5
"""Share of the edited part; where more than that was painted, there is no use in a plan."""

_HOOK = "predict_operations"
_SPECKS = 1e-3  # such a share of the edited part is left to the plan
_VISIBLE = 2.0  # codes: root mean square of what a plan must change to be worth having
_SMALL = 384  # pixels of the longer side of what regions are found in
_BLUR = 2.0  # pixels of the small picture
_LEAST, _NOISE = 4.0, 2.5  # codes, and multiples of the painter's noise: what is not painted
_FIT_ROUNDS = 12
_FIT_PIXELS = 1 << 14

Map = NDArray[np.float32]
Mask = NDArray[np.uint8]


def separated(
    request: ApplyRequest, result: EditResult, manager: PluginManager, job: Job
) -> EditResult:
    """A painted result with what operations can express of it as its plan.

    Args:
        request: what was asked for.
        result: candidates without a plan.
        manager: asks the plugin with the highest rank for `predict_operations` of a picture and
            its edited version; where that has an option `effort` with the choice `quick`, it
            is asked for that. Without such a plugin, or where it fails, there is no plan.
        job: progress and cancellation; warned where several plugins could be asked.

    Returns:
        The plan alone, where it explains at least `EXPLAINED` of the edit and nothing was
        painted; the plan and candidates with layers above it, where it explains as much of what
        was not painted and that is at least half; else the candidates as they were. The plan's
        residual is that of the first candidate as a whole.

    Raises:
        JobCancelledError: the job was cancelled.
    """
    plain = result.model_copy(update={"exact_first": False})
    picture, mask = request.picture, request.mask
    options = _how_to_ask(manager, job)
    comparable = result.plan is None and all(_is_comparable(c, picture) for c in plain.candidates)
    if options is None or not comparable:
        return plain
    job.report("looking for what operations can do")
    pairs = [_Pair(picture, one.picture, mask) for one in plain.candidates]
    shown = pairs[0].shown()
    asked = PredictRequest(source=picture, edited=shown, options=options, seed=request.seed)
    plan = _predicted(asked, manager, job)
    exact = None if plan is None else _exact(request, plan, job)
    if plan is None or exact is None:
        return plain
    rests = [pair.rest(exact) for pair in pairs]
    if not all(one.plan_helps for one in rests):
        return plain
    plan = plan.model_copy(update={"residual": rests[0].residual})
    made = [
        _layered(one, exact, rest.coverage, mask)
        for one, rest in zip(plain.candidates, rests, strict=True)
        if not all(one.is_nothing for one in rests)
    ]
    return plain.model_copy(update={"candidates": tuple(made), "plan": plan})


def _exact(request: ApplyRequest, plan: EditPlan, job: Job) -> Picture | None:
    """What the plan makes of the picture; None where that is of no use."""
    picture, mask = request.picture, request.mask
    moves = any(one.operation.kind == "geometric" for one in plan.operations)
    if not plan.operations or (moves and mask is not None):
        return None
    exact = render_plan(picture, plan, mask=mask, job=_Quiet(job))
    alike = (exact.pixels.shape, exact.pixels.dtype) == (picture.pixels.shape, picture.pixels.dtype)
    return exact if alike else None


def _how_to_ask(manager: PluginManager, job: Job) -> Options | None:
    """Options for whoever recovers edits; None where nobody can be asked."""
    try:
        (info, *_) = manager.route(_HOOK, frozenset({"source", "edited"}))
    except AmbiguousPluginError as error:
        job.warn(f"What operations can do of this edit was not looked for: {error.message}")
        return None
    except NoPluginError:
        return None
    specs = manager.options_for(info, _HOOK)
    quick = any(spec.name == "effort" and "quick" in spec.choices for spec in specs)
    return {"effort": "quick"} if quick else {}


def _predicted(request: PredictRequest, manager: PluginManager, job: Job) -> EditPlan | None:
    """The plan, if there is one: nothing that goes wrong here may cost the painted edit."""
    try:
        plan: EditPlan = manager.call(_HOOK, request, _Quiet(job))
    except JobCancelledError:
        raise
    except ImgeditError:
        return None
    return plan


class _Quiet(Job):
    """A job whose warnings nobody hears: they are about a comparison that nobody asked for."""

    def __init__(self, whole: Job) -> None:
        super().__init__(lambda told: whole.report(told.stage, told.done, told.total, told.text))
        self._whole = whole

    @property
    def cancelled(self) -> bool:
        return self._whole.cancelled

    def check(self) -> None:
        self._whole.check()


def _is_comparable(candidate: Candidate, picture: Picture) -> bool:
    """Whether a candidate is an opaque picture of the same kind and size."""
    made = candidate.picture
    alphas = (made.alpha, picture.alpha)
    return (
        candidate.offset == (0, 0)
        and candidate.layer is None
        and (made.pixels.shape, made.pixels.dtype) == (picture.pixels.shape, picture.pixels.dtype)
        and all(one is None or bool((one == _white(one)).all()) for one in alphas)
    )


def _white(pixels: Pixels) -> float:
    return 1.0 if pixels.dtype == np.float32 else float(np.iinfo(pixels.dtype).max)


# --- one candidate ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Rest:
    """What a plan leaves of a painted picture.

    Attributes:
        residual: of the whole picture.
        coverage: (small height, small width) in 0..1: where something was painted.
        painted: share of the edited part.
        explained: share of the change where nothing was painted.
        change: root mean square in codes of what the plan does there.
    """

    residual: Residual
    coverage: Map
    painted: float
    explained: float
    change: float

    @property
    def plan_helps(self) -> bool:
        return (
            self.painted <= MOST_PAINTED and self.explained >= EXPLAINED and self.change >= _VISIBLE
        )

    @property
    def is_nothing(self) -> bool:
        return self.painted <= _SPECKS and self.residual.explained >= EXPLAINED


class _Pair:
    """A picture before and after it was painted on."""

    def __init__(self, before: Picture, after: Picture, mask: Mask | None) -> None:
        self._picture = after
        self.before, self.after, self.mask = before.rgb8(), after.rgb8(), mask
        self.selected = np.ones((1, 1), bool) if mask is None else mask > 0

    def shown(self) -> Picture:
        """The painted picture for who looks for a plan: transparent where that would mislead."""
        height, width = self.after.shape[:2]
        seen = np.full((height, width), 255, np.uint8)
        before, after = _small(self.before), _small(self.after)
        odd = _coverage(after - _smoothly(before, after), self._small_selection()) > 0
        if odd.mean() <= MOST_PAINTED:
            seen[_at_size(odd.astype(np.float32), (height, width)) > 0] = 0
        if self.mask is not None:
            seen[self.mask < 255] = 0
        if seen.all():
            return self._picture
        pixels = np.concatenate([self.after, seen[:, :, None]], axis=2)
        return Picture(pixels, icc_profile=self._picture.icc_profile)

    def rest(self, exact: Picture) -> _Rest:
        """What a plan that makes `exact` of the picture leaves."""
        shown = exact.rgb8()
        selected = self._small_selection()
        coverage = _coverage(_small(self.after) - _small(shown), selected)
        height, width = self.after.shape[:2]
        kept = (_at_size(coverage, (height, width)) == 0) & self.selected
        where = np.ascontiguousarray(kept, np.uint8)
        change = _squares(self.before, shown, where) / max(1, 3 * int(kept.sum()))
        return _Rest(
            residual=Residual(
                psnr_db=psnr(_squares(self.after, shown) / self.after.size),
                explained=_share(_squares(self.after, shown), _squares(self.after, self.before)),
            ),
            coverage=coverage,
            painted=float(coverage[selected].mean()) if selected.any() else 1.0,
            explained=_share(
                _squares(self.after, shown, where), _squares(self.after, self.before, where)
            ),
            change=float(np.sqrt(change)),
        )

    def _small_selection(self) -> NDArray[np.bool_]:
        size = _small(self.after).shape[:2]
        if self.mask is None:
            return np.ones(size, bool)
        import cv2

        small = cv2.resize(self.mask, size[::-1], interpolation=cv2.INTER_AREA)
        return np.asarray(small > 0)


def _layered(candidate: Candidate, exact: Picture, small: Map, mask: Mask | None) -> Candidate:
    """The candidate above the plan: its picture is what the two come to."""
    painted = candidate.picture
    share = _at_size(small, painted.pixels.shape[:2])
    if mask is not None:
        share[mask == 0] = 0
    white = _white(painted.pixels)
    alpha = (share * white if white == 1.0 else np.rint(share * white)).astype(painted.pixels.dtype)
    kind = np.dtype(np.float64 if white > 255 else np.float32)  # what 16-bit codes need
    start, weight = exact.color.astype(kind), alpha[:, :, None].astype(kind) / kind.type(white)
    both = start + weight * (painted.color.astype(kind) - start)
    both = np.where(weight == 1, painted.color, both)
    both = (both if white == 1.0 else np.rint(both)).astype(painted.pixels.dtype)
    layer = np.concatenate([painted.color, alpha[:, :, None]], axis=2)
    if painted.alpha is not None:
        both = np.concatenate([both, painted.alpha], axis=2)
    return candidate.model_copy(
        update={
            "picture": painted.with_pixels(np.ascontiguousarray(both)),
            "layer": painted.with_pixels(np.ascontiguousarray(layer)),
        }
    )


# --- where something was painted --------------------------------------------------------------


def _small(pixels: RGB8) -> Map:
    """(height, width, 3) in codes, small enough to find regions in."""
    import cv2

    height, width = pixels.shape[:2]
    share = min(1.0, _SMALL / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)


def _at_size(small: Map, size: tuple[int, ...]) -> Map:
    import cv2

    made = cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(made, 0.0, 1.0), np.float32)


def _coverage(rest: Map, selected: NDArray[np.bool_]) -> Map:
    """Where a difference is more than the painter's noise, 0..1.

    Args:
        rest: (height, width, 3), in codes.
        selected: (height, width): where there can be one.
    """
    import cv2

    energy = np.square(rest).mean(axis=2)
    around = np.sqrt(np.asarray(cv2.GaussianBlur(energy, (0, 0), _BLUR), np.float32))
    noise = float(np.median(around[selected])) if selected.any() else 0.0
    low = max(_LEAST, _NOISE * noise)
    share = np.clip((around - low) / low, 0.0, 1.0) * selected
    # What nowhere is clearly more than noise is noise.
    count, regions = cv2.connectedComponents(np.asarray(share > 0, np.uint8))
    clear = np.zeros(count, bool)
    clear[np.unique(regions[share == 1])] = True
    share = share * share * (3 - 2 * share) * clear[regions]
    widened = cv2.dilate(np.asarray(share, np.float32), np.ones((3, 3), np.uint8))
    return np.asarray(widened, np.float32)


def _smoothly(before: Map, after: Map) -> Map:
    """What `before` becomes by the smooth map of colours that most pixels of `after` follow.

    Least squares on the colours and their products, in rounds: the further a pixel is from the
    map, the less it counts in the next (Huber and Ronchetti 2009, iterated weights).
    """
    known = _products(before.reshape(-1, 3) / np.float32(255))
    wanted = after.reshape(-1, 3)
    some = slice(None, None, max(1, len(wanted) // _FIT_PIXELS))
    few, goal = known[some].astype(np.float64), wanted[some].astype(np.float64)
    weight = np.ones((len(few), 1))
    pull = np.eye(few.shape[1]) * 1e-6 * len(few)
    for _ in range(_FIT_ROUNDS):
        left = (few * weight).T
        fitted = np.linalg.solve(left @ few + pull, left @ goal)
        away = np.abs(few @ fitted - goal).max(axis=1, keepdims=True)
        weight = 1.0 / np.square(1.0 + away / (1.0 + np.median(away)))
    return np.asarray(np.clip(known @ fitted, 0, 255), np.float32).reshape(after.shape)


def _products(colors: Map) -> Map:
    red, green, blue = colors.T
    one = np.ones_like(red)
    terms = (one, red, green, blue, red * red, green * green, blue * blue,
             red * green, green * blue, blue * red)  # fmt: skip
    return np.asarray(np.stack(terms, axis=1), np.float32)


# --- figures ----------------------------------------------------------------------------------


def _squares(one: RGB8, other: RGB8, where: Mask | None = None) -> float:
    import cv2

    if where is None:
        return float(cv2.norm(one, other, cv2.NORM_L2SQR))
    return float(cv2.norm(one, other, cv2.NORM_L2SQR, where))


def _share(left: float, whole: float) -> float:
    if left == 0.0:
        return 1.0
    return max(0.0, 1.0 - left / whole) if whole > 0.0 else 0.0
