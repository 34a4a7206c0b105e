"""Training, validation and test sets that share no picture."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

SPLITS = ("train", "validation", "test")


class FromPicture(Protocol):
    """A row that was made from a picture; rows of one picture belong together."""

    @property
    def img_source(self) -> str:
        """Names the picture."""
        ...


_Row = TypeVar("_Row", bound=FromPicture)
_Any = TypeVar("_Any")


def split_by_image(
    rows: Sequence[_Row],
    *,
    seed: int = 42,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
) -> dict[str, tuple[_Row, ...]]:
    """The rows split into 'train', 'validation' and 'test', no picture in two of them.

    I-MAD-Dense's published split is by picture too (4,000 / 500 / 500 of 5,000), and this one has
    its proportions, but not its members: those hang on the authors' library. GIER's is by row.

    Args:
        rows: any order; each part keeps it.
        seed: the same seed and pictures give the same split everywhere.
        fractions: of the pictures; whole numbers of pictures are rounded down for validation
            and test, and the rest is for training.
    """
    if min(fractions) < 0 or not math.isclose(sum(fractions), 1.0):
        raise ValueError(f"fractions must be positive and add up to 1, not {fractions}")
    images = sorted({row.img_source for row in rows})
    rng = random.Random(f"split/{seed}")  # noqa: S311 (not for secrets)
    keys = {image: rng.random() for image in images}
    images.sort(key=keys.__getitem__)
    # 1e-9: 0.1 * 5000 and the like must not fall below their whole number.
    validation, test = (int(fraction * len(images) + 1e-9) for fraction in fractions[1:])
    train = len(images) - validation - test
    part = dict.fromkeys(images[:train], "train")
    part |= dict.fromkeys(images[train : train + validation], "validation")
    part |= dict.fromkeys(images[train + validation :], "test")
    return {name: tuple(r for r in rows if part[r.img_source] == name) for name in SPLITS}


def split_share(
    rows: Sequence[_Any], share: float, name: Callable[[_Any], str]
) -> tuple[tuple[_Any, ...], tuple[_Any, ...]]:
    """Rows to learn from, and a share for validation; a row is always on the same side.

    With a share above 0 and several rows there is at least one on each side.

    Args:
        rows: any order; both sides keep it.
        share: for validation, 0..1.
        name: of a row, distinct.
    """

    def place(row: _Any) -> str:
        return hashlib.sha256(f"validation/{name(row)}".encode()).hexdigest()

    kept = round(share * len(rows))
    if share > 0 and len(rows) > 1:
        kept = min(max(1, kept), len(rows) - 1)
    chosen = {name(row) for row in sorted(rows, key=place)[:kept]}
    return (
        tuple(row for row in rows if name(row) not in chosen),
        tuple(row for row in rows if name(row) in chosen),
    )
