"""Rows and what did not become one, as they are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgedit_modelkit import fingerprints
from imgedit_reason_edit.data.instructions import Usage
from imgedit_reason_edit.data.layout import EDITED, INPUT
from imgedit_reason_edit.data.settings import Settings
from imgedit_reason_edit.data.squares import Box
from imgedit_reason_edit.prompting import GENERATE, REPLACE, RETRY, SELECT


class LeftOutError(Exception):
    """A picture does not become a row.

    Attributes:
        kind: one of `Dropped`.
        reason: for people.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind, self.reason = kind, reason


@dataclass(frozen=True)
class Item:
    """A picture of the pool: its number there, and its id in its data set."""

    number: int
    source: str


@dataclass(frozen=True)
class Row:
    """A row whose two pictures are in the shard's folder.

    Attributes:
        item: what it was made from.
        files: the names of the pictures before and after.
        source_sha256: of the picture's file as it was.
        instruction: that has to be reasoned about.
        direct: the same edit, said directly.
        captions: of the two pictures.
        category, target: what was replaced by what; empty where the edit was there before.
        box: what was painted, in the pictures' pixels; the whole picture where it was not.
        candidates: among which the instruction was chosen.
        distance: eq. 1 of the two pictures.
        seed: of this row.
        usage: what the language model was asked.
    """

    item: Item
    files: tuple[str, str]
    source_sha256: str
    instruction: str
    direct: str
    captions: tuple[str, str]
    category: str
    target: str
    box: Box
    candidates: tuple[str, ...]
    distance: float
    seed: int
    usage: Usage

    def record(self, folder: Path, settings: Settings) -> dict[str, Any]:
        """As it stands in `metadata.jsonl`; every row of every part has the same fields."""
        before, after = self.files
        return {
            f"{INPUT}_file_name": before,
            f"{EDITED}_file_name": after,
            "id": self.item.number,
            "part": settings.part,
            "instruction": self.instruction,
            "direct_instruction": self.direct,
            "input_caption": self.captions[0],
            "edited_caption": self.captions[1],
            "category": self.category,
            "target": self.target,
            "box": list(self.box),
            "candidates": list(self.candidates),
            "distance": round(self.distance, 3),
            "source": self.item.source,
            "source_sha256": self.source_sha256,
            "input_sha256": fingerprints.of_file(folder / before),
            "edited_sha256": fingerprints.of_file(folder / after),
            "seed": self.seed,
            "models": settings.models,
            "prompts": {name: settings.prompts.get(name, "") for name in _PROMPTS},
            **_told(self.usage),
            "versions": fingerprints.versions(),
        }


@dataclass(frozen=True)
class Left:
    """A picture that did not become a row.

    Attributes:
        item: the picture.
        kind: one of `Dropped`.
        reason: for people.
        usage: what the language model was asked nevertheless.
    """

    item: Item
    kind: str
    reason: str
    usage: Usage = field(default_factory=Usage)

    def record(self) -> dict[str, Any]:
        """As it stands in `skipped.json`."""
        named = {"id": self.item.number, "source": self.item.source}
        return {**named, "kind": self.kind, "reason": self.reason, **_told(self.usage)}


_PROMPTS = (GENERATE, SELECT, REPLACE, RETRY)


def _told(usage: Usage) -> dict[str, Any]:
    return {
        "calls": usage.calls,
        "tokens_in": usage.tokens_in,
        "tokens_out": usage.tokens_out,
        "rejected": "; ".join(usage.reasons),  # a list that is mostly empty has no type
    }


def seed_of(settings: Settings, item: Item) -> int:
    """The seed of a row; it hangs on the picture and not on the order."""
    return fingerprints.seed_of(settings.seed, settings.part, item.source) >> 8
