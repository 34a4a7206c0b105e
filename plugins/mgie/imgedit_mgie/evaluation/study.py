"""`data mgie study`: what an evaluation made, as a study for people to judge. No torch here."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgedit_mgie.evaluation.items import Item, items_of
from imgedit_mgie.evaluation.kept import read_kept
from imgedit_mgie.evaluation.results import picture_in, texts_in
from imgedit_modelkit.folders import appearing
from imgedit_modelkit.human_evaluation.study import (
    INSTRUCTION_CRITERIA,
    MOST_CANDIDATES,
    RESULT_CRITERIA,
    SCHEMA,
)
from imgedit_modelkit.squares import square
from imgedit_plugins.errors import DataError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.requests import DataReport, DataRequest

STUDY = "study.json"


@dataclass(frozen=True)
class _Row:
    """One system: its title, and where its results are."""

    title: str
    folder: Path
    texts: dict[str, str]

    def picture(self, name: str) -> Path | None:
        return picture_in(self.folder, name)


def make_study(request: DataRequest, job: Job) -> DataReport:
    """Draw items that every row has, and lay them out for `imgedit_modelkit.human_evaluation`.

    The folder holds `study.json` and all the pictures, so that it can be sent to who judges.

    Raises:
        OptionError: a row is unknown, or there are too few or too many.
        DataError: a folder keeps no evaluation, the target is there already, or no item is left.
    """
    options = request.options
    judged = str(options["judge"])
    wanted = [title.strip() for title in str(options["rows"]).split(",") if title.strip()]
    folders = [Path(part.strip()) for part in str(options["results"]).split(",") if part.strip()]
    if not folders:
        raise OptionError("Option 'results' names no folder.")
    if request.out.exists():
        raise DataError(f"{request.out} is there already.", path=request.out)
    with appearing(request.out) as out:
        items: list[dict[str, Any]] = []
        for number, folder in enumerate(folders):
            job.report("drawing", number, len(folders))
            found = _Source(folder, judged, wanted, job)
            chosen = found.drawn(int(options["items"]), request.seed)
            prefix = (
                f"{found.set_name}-" if len(folders) == 1 else f"{number + 1}-{found.set_name}-"
            )
            items += [found.laid_out(item, prefix, out) for item in chosen]
        _write(out / STUDY, judged, items, request.seed)
    return DataReport(folder=request.out, rows=len(items), details={"judge": judged})


def _write(path: Path, judged: str, items: list[dict[str, Any]], seed: int) -> None:
    criteria = RESULT_CRITERIA if judged == "results" else INSTRUCTION_CRITERIA
    study = {
        "schema": SCHEMA,
        "title": "Edited pictures" if judged == "results" else "Expressive instructions",
        "seed": seed,
        "criteria": [{"name": c.name, "question": c.question} for c in criteria],
        "items": items,
    }
    path.write_text(json.dumps(study, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


class _Source:
    """One kept evaluation."""

    def __init__(self, folder: Path, judged: str, wanted: Sequence[str], job: Job) -> None:
        self._folder, self._judged = folder, judged
        self._about = read_kept(folder)
        if self._about["work"] == "trade-off" or (
            judged == "results" and self._about["work"] == "texts"
        ):
            raise OptionError(
                f"{folder} keeps no {'pictures' if judged == 'results' else 'instructions'} of "
                "one edit for each row.",
                hint="Evaluate with table=results, or judge=instructions.",
            )
        self.set_name = str(self._about["set"])
        self._rows = tuple(self._of_rows(wanted))
        if not 2 <= len(self._rows) <= MOST_CANDIDATES:
            raise OptionError(
                f"{len(self._rows)} rows of {folder} can be ranked, and 2 to {MOST_CANDIDATES} are "
                "needed.",
                hint="Name them with --rows TITLE,TITLE.",
            )
        self._items = items_of(
            Path(self._about["data"]),
            self.set_name,
            str(self._about["split"]),
            job,
            every=self._about["instructions"] == "all",
        )

    def _of_rows(self, wanted: Sequence[str]) -> Iterator[_Row]:
        known = {row["title"]: row for row in self._about["rows"]}
        missing = [title for title in wanted if title not in known]
        if missing:
            raise OptionError(
                f"{self._folder} has no row {missing[0]!r}.", hint=f"Rows: {', '.join(known)}."
            )
        for title in wanted or known:
            folder = self._folder / known[title]["folder"]
            texts = texts_in(folder)
            usable = texts if self._judged == "instructions" else folder.is_dir()
            if usable and (wanted or known[title]["kind"] != "copy"):
                yield _Row(title, folder, texts)

    def drawn(self, count: int, seed: int) -> list[Item]:
        """So many items that every row has, in the order of the data."""
        there = [item for item in self._items if all(self._has(row, item) for row in self._rows)]
        if not there:
            raise DataError(f"There is no item that every row of {self._folder} has.")
        rng = random.Random(f"study/{seed}/{self.set_name}")  # noqa: S311 (not for secrets)
        places = sorted(rng.sample(range(len(there)), min(count, len(there))))
        return [there[place] for place in places]

    def _has(self, row: _Row, item: Item) -> bool:
        if self._judged == "instructions":
            return item.name in row.texts
        return row.picture(item.name) is not None

    def laid_out(self, item: Item, prefix: str, out: Path) -> dict[str, Any]:
        """An item of the study; its pictures are written."""
        name, size = f"{prefix}{item.name}", int(self._about["size"])
        found: dict[str, Any] = {
            "id": name,
            "instruction": item.instruction,
            "source": _saved(out / f"{name}-input.png", item.source(size)),
            "candidates": [],
        }
        if self._judged == "results":
            found["reference"] = _saved(out / f"{name}-goal.png", item.goal(size))
        for number, row in enumerate(self._rows, 1):
            candidate = {"system": row.title}
            if self._judged == "instructions":
                candidate["text"] = row.texts[item.name]
            elif path := row.picture(item.name):
                # Files are numbered: a name would tell who looks into the folder.
                pixels = square(open_picture(path), size)
                candidate["picture"] = _saved(out / f"{name}-{number}.png", pixels)
            found["candidates"].append(candidate)
        return found


def _saved(path: Path, pixels: np.ndarray) -> str:
    save_picture(Picture(np.rint(pixels * 255).astype(np.uint8)), path)
    return path.name
