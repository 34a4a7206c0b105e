"""Passes over a picture: neighbouring steps share one where they can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imgedit_plugins import compiled
from imgedit_plugins.operations import Operation, Parameters, Profile
from imgedit_plugins.operations.forms import (
    Colour,
    Curves,
    Form,
    Geometry,
    Matrix,
    Measured,
    Neighbourhood,
    Positioned,
    Whole,
)
from imgedit_plugins.operations.forms import evaluate as evaluate_form
from imgedit_plugins.pictures import RGB8, Pixels, to_8_bits
from imgedit_plugins.render import kernels, matrices
from imgedit_plugins.render.kernels import Kernel, Table

_CODES8 = np.dtype(np.uint8)
_CODES16 = np.dtype(np.uint16)
_FLOAT = np.dtype(np.float32)


@dataclass(frozen=True)
class StripPass:
    """Kernels that run strip by strip.

    Attributes:
        kernels: in their order; none only copies.
        source, target: type of the pixels before and after.
        halo: rows that a strip needs on each inner side.
        once: whether one kernel is all, and strips need not stay in a cache for the next.
        rows: of a lone filter of codes, the same on some rows of a strip; see `Neighbourhood`.
    """

    kernels: tuple[Kernel, ...]
    source: np.dtype[Any]
    target: np.dtype[Any]
    halo: int = 0
    once: bool = False
    rows: Callable[[Pixels, int, Pixels], Pixels | None] | None = None

    @property
    def in_place(self) -> bool:
        """Whether the first kernel may be given the memory of its own strip for its result."""
        return len(self.kernels) > 1 or all(map(kernels.works_in_place, self.kernels))


@dataclass(frozen=True)
class WholePass:
    """A function of the whole picture's colours, of the same type before and after."""

    function: Callable[[Pixels, Callable[[], None]], Pixels]


@dataclass(frozen=True)
class MeasuredPass:
    """A form that is known after a look at the whole picture; the last pass of its list.

    Attributes:
        form: what is to be measured.
        rest: the form that was found -> the passes for it and for what comes after it.
    """

    form: Measured
    rest: Callable[[Form], tuple[Pass, ...]]


@dataclass(frozen=True)
class GeometryPass:
    """Pixels moved, alpha with them."""

    function: Callable[[Pixels], Pixels]


Pass = StripPass | WholePass | MeasuredPass | GeometryPass


@dataclass
class Builder:
    """Collects steps into passes.

    Attributes:
        current: type of the pixels after what was added so far.
        target: type that the picture shall have in the end.
    """

    current: np.dtype[Any]
    target: np.dtype[Any]
    _passes: list[Pass] = field(default_factory=list)
    _kernels: list[Kernel] = field(default_factory=list)
    _source: np.dtype[Any] = _CODES8
    _halo: int = 0
    _rows: Callable[[Pixels, int, Pixels], Pixels | None] | None = None  # of the last filter
    _curves: list[Curves] = field(default_factory=list)
    _table: Table | None = None
    _alone: Matrix | Neighbourhood | None = None
    _before: list[Curves] = field(default_factory=list)  # of a matrix that waits
    _cached: bool = False  # whether a kernel goes more than once over its strip

    def __post_init__(self) -> None:
        self._source = self.current

    def add_form(self, form: Form) -> None:
        """A step that rounds nothing."""
        if not (isinstance(form, Curves) and self._may_be_between()):
            self._settle_alone()
        match form:
            case Curves():
                self._curves.append(form)
            case Geometry():
                self.add_move(form, last=False)
            case Whole():
                self._close(_FLOAT)
                self._passes.append(WholePass(_whole_values(form)))
            case Measured():
                raise TypeError("what a measured form becomes is only known later")
            case Matrix() | Neighbourhood() if self._may_stay_codes(form):
                self._alone = form
                self._before, self._curves = self._curves, []
            case _:
                self._add_on_values(form)

    def _may_stay_codes(self, form: Matrix | Neighbourhood) -> bool:
        if self._table is not None or self.current == _FLOAT:
            return False
        if isinstance(form, Matrix):
            return not self._curves or self._in_8_bits()
        return form.codes is not None and not self._curves

    def _may_be_between(self) -> bool:
        """Whether a matrix waits that may have curves around it and stay whole numbers.

        A plan of 8 bits does not notice that 16 bits are rounded a few times on the way, where
        no step multiplies what is lost.
        """
        return isinstance(self._alone, Matrix) and self._in_8_bits()

    def _in_8_bits(self) -> bool:
        return self.current == self.target == _CODES8

    def _add_on_values(self, form: Matrix | Colour | Positioned | Neighbourhood) -> None:
        self._settle(_FLOAT)
        self._kernels.append(kernels.form_kernel(form))
        self._halo += form.reach if isinstance(form, Neighbourhood) else 0

    def _settle_alone(self) -> None:
        """A step that waited to be the only one is not."""
        form, self._alone = self._alone, None
        if form is not None:
            after, self._curves, self._before = self._curves, self._before, []
            self._add_on_values(form)
            self._curves = after

    def add_move(self, form: Geometry, *, last: bool) -> None:
        """Pixels moved; where only unchanged moves are left, they need not be float32."""
        self._close(self.target if last else None)
        self._passes.append(GeometryPass(form.function))

    def add_rounded(self, operation: Operation, parameters: Parameters, profile: Profile) -> None:
        """A step that rounds its result to 8 bits, as data that was made in 8 bits has it."""
        if self._curves or self._alone or self.current != _CODES8:
            self._settle(_CODES8)
        constants = profile.of(operation.name)
        form = operation.form(parameters, constants) if operation.form else None
        if isinstance(form, Curves):
            table = _rounded_table(operation, parameters, profile, form)
            self._table = table if self._table is None else _through(self._table, table)
            return
        if isinstance(form, Geometry):
            self._close(_CODES8)
            self._passes.append(GeometryPass(form.function))
            return

        def recipe(rgb: RGB8) -> RGB8:
            return render_rgb(rgb, operation, parameters, profile)

        if operation.kind == "geometric":
            self._close(_CODES8)
            self._passes.append(GeometryPass(_on_three_channels(recipe)))
        elif _needs_whole(operation, form):
            self._close(_CODES8)
            self._passes.append(WholePass(lambda rgb, _: recipe(rgb)))
        elif operation.render is None and form is not None:
            self.add_form(form)
            self._settle(_CODES8)
        else:
            self._settle(_CODES8)
            self._kernels.append(kernels.recipe_kernel(operation, parameters, constants))
            at_once = isinstance(form, Matrix) and compiled.there("toned_8")
            self._cached |= operation.kind == "pointwise" and not at_once
            self._halo += operation.reach(parameters)
            self._rows = form.rows if isinstance(form, Neighbourhood) else None

    def finish(self) -> tuple[Pass, ...]:
        """All passes; the last one leaves pixels of the wanted type."""
        self._close(self.target)
        return tuple(self._passes)

    def finish_measured(
        self, form: Measured, rest: Callable[[Form, np.dtype[Any]], tuple[Pass, ...]]
    ) -> tuple[Pass, ...]:
        """All passes up to a measured form; `rest` gets what was measured and the pixels' type."""
        self._close()
        dtype = self.current
        return *self._passes, MeasuredPass(form, lambda found: rest(found, dtype))

    def _close(self, dtype: np.dtype[Any] | None = None) -> None:
        """End the strip pass, with pixels of that type (None: whatever is at hand)."""
        if dtype is None:
            # Between passes nothing is rounded that was computed.
            computed = self._curves or self._kernels or self._alone
            dtype = _FLOAT if computed else self.current
        self._settle(dtype)
        if self._kernels:
            once = len(self._kernels) == 1 and not self._cached
            rows = self._rows if len(self._kernels) == 1 else None
            kinds = (self._source, self.current, self._halo, once, rows)
            self._passes.append(StripPass(tuple(self._kernels), *kinds))
        self._kernels, self._halo, self._rows = [], 0, None
        self._source, self._cached = self.current, False

    def _settle(self, dtype: np.dtype[Any]) -> None:
        """Compute what waits, and leave values of that type."""
        if self._alone is not None and dtype == self.current:
            self._settle_codes(self._alone)
        self._settle_alone()
        self._cached |= _FLOAT in (self.current, dtype)
        if self._table is not None:
            self._add_looked_up(kernels.through_table(self._table))
            self._table = None
        waiting, self._curves = tuple(self._curves), []
        if waiting and self.current == _FLOAT and dtype == _FLOAT:
            self._kernels.append(self._curves_on_values(waiting))
        elif waiting and self.current == _FLOAT and dtype == _CODES16:
            self._kernels += [kernels.through_functions(waiting), kernels.to_codes(dtype)]
        elif waiting:
            if self.current == _FLOAT:
                self._kernels.append(kernels.to_codes(_CODES16))
                self.current = _CODES16
            self._add_looked_up(kernels.through_curves(waiting, self.current, dtype))
        elif self.current != dtype:
            self._convert(dtype)
        self.current = dtype

    def _settle_codes(self, form: Matrix | Neighbourhood) -> None:
        """A step that waited to be the only one is, but for curves around a matrix."""
        before, after = tuple(self._before), tuple(self._curves)
        self._alone, self._before, self._curves = None, [], []
        self._halo += form.reach if isinstance(form, Neighbourhood) else 0
        if isinstance(form, Neighbourhood):
            self._kernels.append(kernels.codes_kernel(form))
            self._rows = form.rows
            return
        self._cached |= self.current == _CODES8 and not compiled.there("sums_8_to_8")
        source = _CODES16 if before else self.current
        target = _CODES16 if after else self.current
        if before:
            self._add_looked_up(kernels.through_curves(before, _CODES8, _CODES16))
        self._kernels.append(matrices.on_codes(form, source, target))
        if after:
            self._add_looked_up(kernels.through_curves(after, _CODES16, _CODES8))

    def _add_looked_up(self, kernel: Kernel) -> None:
        self._cached |= kernels.goes_several_times(kernel)
        self._kernels.append(kernel)

    def _convert(self, dtype: np.dtype[Any]) -> None:
        if self.current != _FLOAT:
            self._kernels.append(kernels.to_values)
        if dtype != _FLOAT:
            self._kernels.append(kernels.to_codes(dtype))

    def _curves_on_values(self, curves: tuple[Curves, ...]) -> Kernel:
        """On the way to 8 bits, 16 between are enough; more than that is computed as it is."""
        if self.target != _CODES8:
            return kernels.through_functions(curves)
        to_codes = kernels.to_codes(_CODES16)
        look_up = kernels.through_curves(curves, _CODES16, _FLOAT)

        def kernel(strip: Pixels, region: Any, _: Pixels | None) -> Pixels:
            return look_up(to_codes(strip, region, None), region, None)

        return kernel


def render_rgb(rgb: RGB8, operation: Operation, parameters: Parameters, profile: Profile) -> RGB8:
    """One operation on bare 8-bit pixels, with parameters already checked."""
    constants = profile.of(operation.name)
    if operation.render is not None:
        return operation.render(rgb, parameters, constants)
    assert operation.form is not None, "an operation has mathematics of one kind at least"
    form = operation.form(parameters, constants)
    if isinstance(form, Geometry):
        return form.function(rgb)
    values = np.multiply(rgb, np.float32(1.0 / 255.0), dtype=np.float32)
    return to_8_bits(evaluate_form(form, values))


def _needs_whole(operation: Operation, form: Form | None) -> bool:
    """Whether an 8-bit recipe must see all of the picture.

    A form says so. Without one a recipe may be cut into strips if it is pointwise; how far a
    neighbourhood recipe looks is declared for places of search, not promised to the row.
    """
    if form is None:
        return operation.kind == "neighbourhood"
    return isinstance(form, Whole | Measured)


def _rounded_table(
    operation: Operation, parameters: Parameters, profile: Profile, form: Curves
) -> Table:
    if operation.render is None:
        return kernels.curve_table((form,), _CODES8, _CODES8)
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    return np.asarray(operation.render(ramp, parameters, profile.of(operation.name))[0])


def _through(first: Table, then: Table) -> Table:
    return np.stack([then[first[:, c], c] for c in range(3)], axis=1)


def _whole_values(form: Whole) -> Callable[[Pixels, Callable[[], None]], Pixels]:
    return lambda values, check: kernels.clipped(form.function(values, check))


def _on_three_channels(recipe: Callable[[RGB8], RGB8]) -> Callable[[Pixels], Pixels]:
    """A recipe that is promised three channels, for pixels of any number of them."""

    def moved(pixels: Pixels) -> Pixels:
        parts = []
        if pixels.shape[2] >= 3:
            parts.append(recipe(np.ascontiguousarray(pixels[:, :, :3])))
            pixels = pixels[:, :, 3:]
        for channel in range(pixels.shape[2]):
            three = pixels[:, :, channel : channel + 1].repeat(3, axis=2)
            parts.append(recipe(three)[:, :, :1])
        return np.ascontiguousarray(np.concatenate(parts, axis=2))

    return moved
