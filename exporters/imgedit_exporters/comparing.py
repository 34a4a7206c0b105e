"""An exported part beside its original, on golden inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.runtime.bundles import Compared
from imgedit_plugins.exporting import Array, Arrays, Finding, Pair, Precision

LEAST_SPREAD = 1e-3
"""Below it, as a share of the standard deviation, what a part gives hardly depends on its input."""

Run = Callable[[Arrays], Sequence[Array]]


@dataclass
class _Output:
    """What is gathered of one output."""

    number: int = 0
    total: float = 0.0
    squares: float = 0.0
    largest: float = 0.0
    typical: float = 0.0
    spreads: list[float] = field(default_factory=list)
    before: NDArray[np.float64] | None = None

    def add(self, wanted: NDArray[np.float64], found: NDArray[np.float64]) -> None:
        """One pair of arrays of the same shape."""
        self.number += wanted.size
        self.total += float(wanted.sum())
        self.squares += float(np.square(wanted).sum())
        if wanted.size:
            apart = np.abs(wanted - found)
            self.largest = max(self.largest, float(apart.max()))
            self.typical = max(self.typical, float(np.sqrt(np.square(apart).mean())))
        if self.before is not None and (shared := _shared(self.before, wanted)) is not None:
            self.spreads.append(shared)
        self.before = wanted

    @property
    def deviation(self) -> float:
        """Standard deviation of all that the original gave."""
        mean = self.total / max(self.number, 1)
        return math.sqrt(max(self.squares / max(self.number, 1) - mean**2, 0.0))


def compare(pairs: Iterable[Pair], run: Run, precision: Precision, limit: float) -> Compared:
    """Run an exported part on golden inputs.

    Args:
        pairs: golden inputs with what the original makes of them.
        run: the exported part.
        precision: which decides what `limit` is of; see `Compared`.
        limit: how far it may be from its original.
    """
    outputs: list[_Output] = []
    count, fault = 0, ""
    for inputs, wanted in pairs:
        found = run(inputs)
        count += 1
        outputs = outputs or [_Output() for _ in wanted]
        if fault := _misfit(wanted, found):
            break
        for output, one, other in zip(outputs, wanted, found, strict=True):
            output.add(one.astype(np.float64), other.astype(np.float64))
    if fault:
        return Compared(count, None, None, limit, None, fault)
    return _judged(outputs, count, precision, limit)


def edit_faults(findings: Iterable[Finding]) -> list[str]:
    """What of whole edits is not good enough, one sentence each."""
    return [
        f"The edits fail: {one.what} is {one.value:.6g}, and the limit is {one.limit:g}."
        for one in findings
        if not one.passed
    ]


def finite(value: float) -> float | None:
    """The number, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None


def _judged(outputs: list[_Output], count: int, precision: Precision, limit: float) -> Compared:
    largest, typical = _worst(outputs, "largest"), _worst(outputs, "typical")
    spread = min((_spread(output) for output in outputs), default=0.0)
    value = largest if precision == "fp32" else typical
    fault = ""
    if not value <= limit:  # also where it is no number
        fault = f"it differs from its original by {value:.3g}, and {limit:g} is allowed"
    elif spread < max(LEAST_SPREAD, 2 * value):
        fault = (
            f"what it gives hardly depends on what it gets (spread {spread:.2g}), so comparing "
            "proves nothing; draw golden inputs, or weights, at a realistic scale"
        )
    return Compared(count, finite(largest), finite(typical), limit, finite(spread), fault)


def _misfit(wanted: Sequence[Array], found: Sequence[Array]) -> str:
    """How the outputs do not even have the same form; '' where they have."""
    if len(wanted) != len(found):
        return f"it gives {len(found)} outputs, and its original {len(wanted)}"
    for one, other in zip(wanted, found, strict=True):
        if one.shape != other.shape:
            return f"it gives the shape {other.shape}, and its original {one.shape}"
        if not np.isfinite(other).all():
            return "it gives numbers that are none"
    return ""


def _worst(outputs: Iterable[_Output], name: str) -> float:
    return max((_share(getattr(o, name), o.deviation) for o in outputs), default=math.inf)


def _spread(output: _Output) -> float:
    return _share(float(np.median(output.spreads)), output.deviation) if output.spreads else 0.0


def _share(value: float, deviation: float) -> float:
    if deviation == 0.0:
        return 0.0 if value == 0.0 else math.inf
    return value / deviation


def _shared(before: NDArray[np.float64], after: NDArray[np.float64]) -> float | None:
    """How far two results are apart where both have numbers; None where that is nowhere."""
    place = tuple(slice(0, min(a, b)) for a, b in zip(before.shape, after.shape, strict=True))
    apart = before[place] - after[place]
    return float(np.sqrt(np.square(apart).mean())) if apart.size else None
