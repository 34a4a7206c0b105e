"""What evaluations kept, laid out as a study for people to judge. No torch here."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgedit_modelkit.evaluation.items import Item
from imgedit_modelkit.evaluation.methods import COPY
from imgedit_modelkit.evaluation.results import picture_in, texts_in
from imgedit_modelkit.human_evaluation.study import MOST_CANDIDATES, SCHEMA, Criterion
from imgedit_modelkit.squares import square
from imgedit_plugins.errors import DataError, OptionError
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import Options


@dataclass(frozen=True)
class Row:
    """One system.

    Attributes:
        title: its name.
        folder: where its pictures are.
        texts: its expressive instructions, by the name of their item.
    """

    title: str
    folder: Path
    texts: dict[str, str]

    def picture(self, name: str) -> Path | None:
        """The picture of an item; None where there is none."""
        return picture_in(self.folder, name)


def names_in(options: Options, name: str) -> tuple[str, ...]:
    """The names that an option has, with commas between them."""
    return tuple(part.strip() for part in str(options[name]).split(",") if part.strip())


def rows_of(
    folder: Path, about: dict[str, Any], wanted: Sequence[str], *, texts: bool
) -> list[Row]:
    """The rows of a kept evaluation that can be judged.

    Args:
        folder: that keeps it.
        about: what it is of, as `read_kept` gives it.
        wanted: titles; without any, all rows but the input itself.
        texts: whether instructions are judged, or pictures.

    Raises:
        OptionError: there is no such row, or there are too few or too many.
    """
    known = {row["title"]: row for row in about["rows"]}
    missing = [title for title in wanted if title not in known]
    if missing:
        raise OptionError(f"{folder} has no row {missing[0]!r}.", hint=f"Rows: {', '.join(known)}.")
    rows = []
    for title in wanted or known:
        place = folder / known[title]["folder"]
        its = texts_in(place)
        usable = its if texts else place.is_dir()
        if usable and (wanted or known[title]["kind"] != COPY):
            rows.append(Row(title, place, its))
    if not 2 <= len(rows) <= MOST_CANDIDATES:
        raise OptionError(
            f"{len(rows)} rows of {folder} can be ranked, and 2 to {MOST_CANDIDATES} are needed.",
            hint="Name them with --rows TITLE,TITLE.",
        )
    return rows


@dataclass(frozen=True)
class Source:
    """What people can be shown of a kept evaluation.

    Attributes:
        folder: that keeps it.
        set_name: of its data set.
        rows: the systems.
        items: of the data set.
        size: of the squares, in pixels.
        texts: whether instructions are judged, or pictures.
    """

    folder: Path
    set_name: str
    rows: Sequence[Row]
    items: Sequence[Item]
    size: int
    texts: bool = False

    def drawn(self, count: int, seed: int, group: str = "") -> list[Item]:
        """So many items of a group that every row has, or all of them, in the order of the data.

        Raises:
            DataError: there is none.
        """
        mine = (item for item in self.items if not group or item.group == group)
        there = [item for item in mine if all(self._has(row, item) for row in self.rows)]
        if not there:
            which = f"{group} instruction" if group else "item"
            raise DataError(f"There is no {which} that every row of {self.folder} has.")
        rng = random.Random(f"study/{seed}/{self.set_name}{group}")  # noqa: S311 (not for secrets)
        places = sorted(rng.sample(range(len(there)), min(count, len(there))))
        return [there[place] for place in places]

    def _has(self, row: Row, item: Item) -> bool:
        return item.name in row.texts if self.texts else row.picture(item.name) is not None

    def laid_out(self, item: Item, name: str, out: Path) -> dict[str, Any]:
        """An item of the study, under a name; its pictures are written."""
        found: dict[str, Any] = {
            "id": name,
            "instruction": item.instruction,
            "source": _saved(out / f"{name}-input.png", item.source(self.size)),
            "candidates": [*self._candidates(item, name, out)],
        }
        if not self.texts:
            found["reference"] = _saved(out / f"{name}-goal.png", item.goal(self.size))
        return found

    def _candidates(self, item: Item, name: str, out: Path) -> Iterator[dict[str, str]]:
        """Files are numbered: a name would tell who looks into the folder."""
        for number, row in enumerate(self.rows, 1):
            path = row.picture(item.name)
            if self.texts:
                yield {"system": row.title, "text": row.texts[item.name]}
            elif path is not None:
                pixels = square(open_picture(path), self.size)
                yield {"system": row.title, "picture": _saved(out / f"{name}-{number}.png", pixels)}


def write_study(
    path: Path,
    title: str,
    criteria: Sequence[Criterion],
    items: Sequence[dict[str, Any]],
    seed: int,
    **further: str,
) -> None:
    """The file that `imgedit_modelkit.human_evaluation` shows; `further` are fields of it."""
    study = {
        "schema": SCHEMA,
        "title": title,
        "seed": seed,
        "criteria": [{"name": c.name, "question": c.question} for c in criteria],
        **further,
        "items": items,
    }
    path.write_text(json.dumps(study, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _saved(path: Path, pixels: np.ndarray) -> str:
    save_picture(Picture(np.rint(pixels * 255).astype(np.uint8)), path)
    return path.name
