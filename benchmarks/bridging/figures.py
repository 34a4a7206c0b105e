"""Medians, ratios and verdicts from the times that an editor told."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.bridging.rounds import BANDS, BRIDGE, PNG, WHOLE

GOAL = 1.2
"""The bridge's whole round trip in times of the plug-in that reads the layer into one buffer."""

_PARTS = ("read", "queue", "job", "write", "drop")


@dataclass(frozen=True)
class Contender:
    """One contender's times.

    Attributes:
        name: as in `rounds`.
        seconds: parts and total of each round, by its number.
        right: whether every result was.
    """

    name: str
    seconds: Mapping[int, Mapping[str, float]]
    right: bool

    def median(self, part: str = "total") -> float:
        """Seconds of a part; 0 where it has none."""
        return statistics.median(one.get(part, 0.0) for one in self.seconds.values())

    def parts(self) -> dict[str, float]:
        """Medians of the parts it has."""
        named = {part: self.median(part) for part in _PARTS}
        return {part: seconds for part, seconds in named.items() if seconds > 0}


@dataclass(frozen=True)
class Editor:
    """All figures of one editor.

    Attributes:
        name, version: of the editor.
        picture: what was measured: width, height, format.
        contenders: by name.
    """

    name: str
    version: str
    picture: Mapping[str, Any]
    contenders: Mapping[str, Contender]

    def ratio(self, name: str, other: str, *, without: str = "") -> float:
        """Median over the rounds that both took part in of the ratio of their totals.

        Args:
            name: of the contender above.
            other: below.
            without: a part that is left out of the one above.
        """
        above, below = self.contenders[name].seconds, self.contenders[other].seconds
        return statistics.median(
            (above[n]["total"] - above[n].get(without, 0.0)) / below[n]["total"]
            for n in above.keys() & below.keys()
        )

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file of results."""
        told = [
            {
                "contender": one.name,
                "rounds": len(one.seconds),
                "seconds": one.median(),
                "parts": one.parts(),
                "right": one.right,
                "of_nothing": self.ratio(one.name, WHOLE),
                "times": [times["total"] for _, times in sorted(one.seconds.items())],
            }
            for one in self.contenders.values()
        ]
        goal = {
            "goal": f"round trip <= {GOAL:g} x {WHOLE}",
            "value": self.ratio(BRIDGE, WHOLE),
            "limit": GOAL,
            "of_bands": self.ratio(BRIDGE, BANDS),
            "of_bands_without_the_job": self.ratio(BRIDGE, BANDS, without="job"),
            "of_png": self.ratio(BRIDGE, PNG),
        }
        return {
            "editor": self.name,
            "version": self.version,
            "picture": dict(self.picture),
            "contenders": told,
            "goal": goal,
        }


def read(name: str, marks: Sequence[Mapping[str, Any]]) -> Editor:
    """What an editor's marks say; rounds before 0 are left out."""
    events = {event: [m for m in marks if m["event"] == event] for event in ("started", "picture")}
    times = [m for m in marks if m["event"] == "time"]
    contenders = {}
    for contender in (WHOLE, BANDS, BRIDGE, PNG):
        own = [m for m in times if m["contender"] == contender]
        seconds = {m["round"]: m["seconds"] for m in own if m["round"] >= 0}
        contenders[contender] = Contender(contender, seconds, all(m["right"] for m in own))
    picture = {k: v for k, v in events["picture"][0].items() if k != "event"}
    return Editor(name, events["started"][0]["version"], picture, contenders)


def table(editor: Editor) -> str:
    """Lines for people: milliseconds, and times of the do-nothing plug-in with one buffer."""
    lines = []
    for one in editor.contenders.values():
        parts = ", ".join(f"{part} {1000 * value:.0f}" for part, value in one.parts().items())
        ratio = editor.ratio(one.name, WHOLE)
        wrong = "" if one.right else "  WRONG PIXELS"
        lines.append(
            f"  {one.name:18} {1000 * one.median():7.0f} ms {ratio:6.2f} x   ({parts}){wrong}"
        )
    return "\n".join(lines)
