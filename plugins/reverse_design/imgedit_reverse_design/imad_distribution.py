"""The distribution of I-MAD-Dense, and rows that follow it exactly.

Published (paper and its repository): how many rows have how many operations, and how often each
normalised value occurs over all operations together. Not published: which operation each value
belongs to. `LEVEL_COUNTS` is our split of the published totals; `levels` in the definition
profile says which raw values the columns stand for. The sums over `LEVEL_COUNTS` are the
published totals exactly (tests/plugins/reverse_design/test_make_imad.py adds them up):

* 0.333 and 0.667 are shared by rotate and by the ninths of blur and bright; 1.0 is shared by
  all operations. Everything else about gaussian, contrast and saturate follows from the values.
* the eight on/off operations get the same count, since nothing tells them apart;
* blur and bright share the ninths as evenly as whole numbers allow;
* the counts of the largest levels, hidden in the 38,602 of 1.0, continue each operation's row.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

PUBLISHED_ROWS = 22_131
PUBLISHED_PICTURES = 5_000
OPERATION_COUNTS = (5_000, 5_000, 4_993, 4_687, 2_451)
"""Rows with 1, 2, 3, 4 and 5 operations (published)."""

VALUE_COUNTS = {
    1.0: 38_602,
    0.333: 3_864,
    0.556: 2_206,
    0.778: 2_200,
    0.111: 1_837,
    0.667: 1_786,
    0.8: 1_046,
    0.538: 1_018,
    0.2: 1_010,
    0.429: 999,
    0.846: 966,
    0.81: 963,
    0.385: 935,
    0.692: 913,
    0.619: 896,
    0.238: 870,
    0.6: 867,
    0.4: 4,
}
"""How often each normalised value occurs (published)."""

_ON_OFF = 3_983

LEVEL_COUNTS: dict[str, tuple[int, ...]] = {
    "grayscale": (_ON_OFF,),
    "sepia": (_ON_OFF,),
    "summer": (_ON_OFF,),
    "winter": (_ON_OFF,),
    "hdr": (_ON_OFF,),
    "blur": (918, 1_045, 1_103, 1_100, 1_050),
    "bright": (919, 1_044, 1_103, 1_100, 1_051),
    "sharp": (_ON_OFF,),
    "contrast": (935, 1_018, 913, 966, 958),
    "saturate": (1_010, 4, 867, 1_046, 974),
    "gaussian": (870, 999, 896, 963, 930),
    "invert": (_ON_OFF,),
    "rotate": (1_775, 1_786, 1_775),
    "flip": (_ON_OFF,),
}
"""Operation -> how often each of its levels occurs, rising (our split, see above)."""

OPERATION_NAMES = tuple(LEVEL_COUNTS)

_MIXING = 5
"""Attempted exchanges per operation; each is accepted about two times of three."""

_T = TypeVar("_T")
_Step = tuple[str, int]


@dataclass(frozen=True)
class Draw:
    """What one row of the data set is made of.

    Attributes:
        picture: index into the list of pictures.
        steps: (operation, index of its level), in the order of the edit; names are distinct.
    """

    picture: int
    steps: tuple[_Step, ...]


def draw_rows(count: int, pictures: int, seed: int) -> tuple[Draw, ...]:
    """`count` rows with I-MAD-Dense's exact distribution, spread evenly over the pictures.

    As in the published data, a picture's rows have different numbers of operations as far as
    that goes. For other counts than 22,131, and for the levels within each operation, counts are
    apportioned by largest remainders. The same arguments give the same rows everywhere: only
    `random.Random.random` is used, whose sequence Python guarantees.

    Args:
        count: rows, at least 1.
        pictures: how many pictures there are, at least 1.
        seed: any whole number.
    """
    rng = random.Random(f"imad/{seed}")  # noqa: S311 (not for secrets)
    sizes = [k for k, rows in enumerate(apportion(OPERATION_COUNTS, count), 1) for _ in range(rows)]
    order = _shuffled(range(pictures), rng)
    hands = _with_levels(_deal(sizes, rng), rng)
    draws = [
        Draw(order[row % pictures], tuple(_shuffled(hand, rng))) for row, hand in enumerate(hands)
    ]
    return tuple(_shuffled(draws, rng))


def apportion(weights: Sequence[int], total: int) -> list[int]:
    """`total` as whole numbers in the proportion of `weights`, by largest remainders.

    Equal remainders go to the earlier weight. Exact when `total` is the sum of the weights.
    """
    everything = sum(weights)
    shares = [weight * total // everything for weight in weights]
    remainders = [weight * total % everything for weight in weights]
    largest = sorted(range(len(weights)), key=lambda i: (-remainders[i], i))
    for i in largest[: total - sum(shares)]:
        shares[i] += 1
    return shares


def _deal(sizes: Sequence[int], rng: random.Random) -> list[list[int]]:
    """Distinct operations (as indices) for each row, so that every operation's total is exact.

    First filled greedily: the largest rows take the operations with most left. That succeeds
    whenever any way does (Gale and Ryser), but its rows resemble each other; random exchanges
    between rows, which keep every count and every row distinct, then mix them.
    """
    left = apportion([sum(counts) for counts in LEVEL_COUNTS.values()], sum(sizes))
    hands: list[list[int]] = [[] for _ in sizes]
    for row in sorted(range(len(sizes)), key=lambda r: (-sizes[r], r)):
        hands[row] = sorted(range(len(left)), key=lambda i: (-left[i], i))[: sizes[row]]
        for operation in hands[row]:
            left[operation] -= 1
    _mix(hands, rng)
    return hands


def _mix(hands: list[list[int]], rng: random.Random) -> None:
    places = [(row, slot) for row, hand in enumerate(hands) for slot in range(len(hand))]
    for _ in range(_MIXING * len(places)):
        row, slot = places[int(rng.random() * len(places))]
        other_row, other_slot = places[int(rng.random() * len(places))]
        mine, theirs = hands[row][slot], hands[other_row][other_slot]
        if mine not in hands[other_row] and theirs not in hands[row]:
            hands[row][slot], hands[other_row][other_slot] = theirs, mine


def _with_levels(hands: list[list[int]], rng: random.Random) -> list[list[_Step]]:
    """A level for each operation, in the published proportions."""
    decks: list[list[int]] = []
    for index, counts in enumerate(LEVEL_COUNTS.values()):
        occurs = sum(index in hand for hand in hands)
        levels = [i for i, n in enumerate(apportion(counts, occurs)) for _ in range(n)]
        decks.append(_shuffled(levels, rng))
    return [[(OPERATION_NAMES[index], decks[index].pop()) for index in hand] for hand in hands]


def _shuffled(items: Sequence[_T], rng: random.Random) -> list[_T]:
    """A random order; `random.shuffle` may change between Python versions, this does not."""
    keys = [rng.random() for _ in items]
    return [items[i] for i in sorted(range(len(items)), key=keys.__getitem__)]
