"""What people are asked: items with the candidates of several systems, and criteria to rank by."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imgedit_modelkit.fingerprints import seed_of
from imgedit_plugins.errors import DataError

SCHEMA = "imgedit-study/1"

MOST_CANDIDATES = 9  # one key each

RANKING, BEST = "ranking", "best"
"""What people are asked for: all candidates from best to worst, or the best one alone."""


@dataclass(frozen=True)
class Candidate:
    """What one system made of an item.

    Attributes:
        system: its name; never shown to who ranks.
        text: such as an expressive instruction; may be empty where there is a picture.
        picture: a picture file, or None.
    """

    system: str
    text: str = ""
    picture: Path | None = None


@dataclass(frozen=True)
class Item:
    """One thing to judge.

    Attributes:
        id: names it in the results.
        instruction: what was asked for.
        candidates: one of each system, in any order; they are shuffled.
        source: the picture before the edit, or None.
        reference: what a person made of it, or None.
    """

    id: str
    instruction: str
    candidates: tuple[Candidate, ...]
    source: Path | None = None
    reference: Path | None = None


@dataclass(frozen=True)
class Criterion:
    """What to rank by: a short name for tables, and the question that people read."""

    name: str
    question: str


INSTRUCTION_CRITERIA = (
    Criterion("practical", "Which instruction would help most to make the edit?"),
    Criterion("faithful", "Which instruction fits best what is really in the picture?"),
)
"""For expressive instructions, after the paper's figure 5; the wording is ours."""

RESULT_CRITERIA = (
    Criterion("instruction following", "Which picture does best what was asked for?"),
    Criterion("ground-truth relevance", "Which picture is most like the reference?"),
    Criterion("overall quality", "Which picture is the best on the whole?"),
)
"""For edited pictures, after the paper's figure 6; the wording is ours."""


@dataclass(frozen=True)
class Study:
    """A whole evaluation.

    Attributes:
        title: shown at the top.
        items: what is judged.
        criteria: asked about each item, one after another.
        seed: of all shuffling, together with the name of who ranks.
        asks: `RANKING` or `BEST`.
    """

    title: str
    items: tuple[Item, ...]
    criteria: tuple[Criterion, ...]
    seed: int = 0
    asks: str = RANKING

    def __post_init__(self) -> None:
        """Check what cannot be ranked.

        Raises:
            DataError: nothing to judge, names that occur twice, too few or too many candidates, or
                another question than these two.
        """
        if self.asks not in (RANKING, BEST):
            raise DataError(f"A study asks for {RANKING!r} or {BEST!r}, not {self.asks!r}.")
        if not self.items or not self.criteria:
            raise DataError("A study needs an item and a criterion at least.")
        _refuse_twice("item", [item.id for item in self.items])
        _refuse_twice("criterion", [criterion.name for criterion in self.criteria])
        for item in self.items:
            if not 2 <= len(item.candidates) <= MOST_CANDIDATES:
                raise DataError(
                    f"Item {item.id!r} has {len(item.candidates)} candidates; 2 to "
                    f"{MOST_CANDIDATES} can be ranked."
                )
            _refuse_twice(f"system of item {item.id!r}", [c.system for c in item.candidates])

    @property
    def sha256(self) -> str:
        """Of everything that is asked, the paths of pictures included."""
        told = asdict(self)
        if self.asks == RANKING:  # studies of before say nothing, and have answers
            del told["asks"]
        text = json.dumps(told, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def pictures(self) -> Iterator[Path]:
        """All picture files."""
        for item in self.items:
            for path in (item.source, item.reference, *(c.picture for c in item.candidates)):
                if path is not None:
                    yield path

    def shuffled(self, rater: str) -> tuple[Item, ...]:
        """The items, and within each its candidates, in the order that this person sees.

        The same name gets the same order; another one another.
        """
        rng = random.Random(seed_of("study", self.seed, rater))  # noqa: S311 (not for secrets)
        items = [
            Item(
                item.id,
                item.instruction,
                tuple(rng.sample(item.candidates, len(item.candidates))),
                item.source,
                item.reference,
            )
            for item in self.items
        ]
        rng.shuffle(items)
        return tuple(items)


def read_study(path: Path) -> Study:
    """A study from a JSON file: its fields as above; paths are relative to the file.

    Raises:
        DataError: it is missing or malformed.
    """
    try:
        return _study(json.loads(path.read_text("utf-8")), lambda name: path.parent / name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        told = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path} is no study: {told}.", path=path) from error


def _study(document: dict[str, Any], place: Callable[[str], Path]) -> Study:
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']!r}, not {SCHEMA!r}")

    def picture(fields: dict[str, Any], name: str) -> Path | None:
        return place(fields[name]) if fields.get(name) else None

    items = tuple(
        Item(
            str(fields["id"]),
            str(fields["instruction"]),
            tuple(
                Candidate(str(c["system"]), str(c.get("text", "")), picture(c, "picture"))
                for c in fields["candidates"]
            ),
            picture(fields, "source"),
            picture(fields, "reference"),
        )
        for fields in document["items"]
    )
    criteria = tuple(Criterion(str(c["name"]), str(c["question"])) for c in document["criteria"])
    asks = str(document.get("asks", RANKING))
    return Study(str(document["title"]), items, criteria, int(document.get("seed", 0)), asks)


def _refuse_twice(what: str, names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"The {what} {twice!r} occurs twice in the study.")
