"""One shard of the data: pairs read, checked, described, and written as a whole folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_mgie.data.describing import Described, Describer, Models
from imgedit_modelkit import fingerprints, folders
from imgedit_modelkit.readers.instruct_pix2pix import read_pair
from imgedit_modelkit.shards.pictures import drop, put
from imgedit_modelkit.shards.work import ROWS, SKIPPED, Work, counts_of
from imgedit_plugins.colour_profiles import to_srgb
from imgedit_plugins.errors import DataError, PictureReadError
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import RGB8

EMPTY_ANSWER = "the model's answer has no usable sentence"
EMPTY_SUMMARY = "the summary is empty"


@dataclass(frozen=True)
class _Pair:
    """A pair whose pictures are in the shard's folder, and good."""

    id: int
    source: str
    instruction: str
    files: tuple[str, str]
    picture: RGB8


class ShardMaker:
    """Makes shards with models that are loaded once; the same on one machine and on a cluster.

    Args:
        work: what is made.
        models: with what.
        batch_size: pairs that the models see at the same time.
        link: make hard links to pictures that are files, instead of copies, where the disk can.
        on_rows: told the number of rows after each batch; what it raises ends the work.
        check: called often while the models write; what it raises ends the work.
    """

    def __init__(
        self,
        work: Work,
        models: Models,
        batch_size: int,
        *,
        link: bool = False,
        on_rows: Callable[[int], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._check_models(work, models)
        self._work, self._batch_size, self._link = work, batch_size, link
        self._describer = Describer(models, work.settings.question)
        self._on_rows, self._check = on_rows, check

    @staticmethod
    def _check_models(work: Work, models: Models) -> None:
        """A node of a cluster may have something else at the same path."""
        for there, wanted in (
            (models.describer.identity, work.settings.describer),
            (models.summariser.identity, work.settings.summariser),
        ):
            if there != wanted:
                raise DataError(f"The model here is {there!r}, not {wanted!r} as where we began.")

    def __call__(self, shard: int) -> dict[str, Any]:
        """Make a shard, unless it is there; how many rows it has and how many were skipped.

        Raises:
            WeightsError, EndpointError: a model cannot be used.
            OSError: it cannot be written.
        """
        target = self._work.folder_of(shard)
        if not target.exists():
            with folders.appearing(target) as folder:
                self._fill(folder, self._work.rows_of(shard))
        return counts_of(target, self._work.kind)

    def _fill(self, folder: Path, rows: range) -> None:
        records: list[dict[str, Any]] = []
        skipped: list[dict[str, Any]] = []
        for start in range(0, len(rows), self._batch_size):
            numbers = rows[start : start + self._batch_size]
            pairs = list(self._read(folder, numbers, skipped))
            described = self._describe(pairs)
            for pair, found in zip(pairs, described, strict=True):
                reason = "" if found.expressive else EMPTY_ANSWER
                if reason := reason or ("" if found.summarised else EMPTY_SUMMARY):
                    drop(folder, pair.files)
                    skipped.append({"id": pair.id, "source": pair.source, "reason": reason})
                else:
                    records.append(self._record(folder, pair, found))
            self._on_rows(len(numbers))
        if records:
            lines = "".join(f"{json.dumps(record)}\n" for record in records)
            (folder / ROWS).write_text(lines, "utf-8")
        (folder / SKIPPED).write_text(json.dumps(skipped, indent=1) + "\n", "utf-8")

    def _describe(self, pairs: Sequence[_Pair]) -> list[Described]:
        if not pairs:
            return []
        pictures = [pair.picture for pair in pairs]
        return self._describer(pictures, [pair.instruction for pair in pairs], self._check)

    def _read(self, folder: Path, numbers: range, skipped: list[dict[str, Any]]) -> Iterator[_Pair]:
        for number in numbers:
            self._check()
            source = self._work.items[number]
            try:
                yield self._pair(folder, number, source)
            except (DataError, PictureReadError) as error:
                self._refuse_vanished()
                reason = str(error).replace(f"{folder}{os.sep}", "")  # its passing name
                skipped.append({"id": number, "source": source, "reason": reason})

    def _refuse_vanished(self) -> None:
        """Where the whole folder is gone, as with its disk, the pairs are not damaged.

        Raises:
            DataError: it is.
        """
        pairs = Path(self._work.settings.pairs)
        if not pairs.is_dir() or next(pairs.iterdir(), None) is None:
            raise DataError(
                f"The pairs in {pairs} are not there any more.",
                path=pairs,
                hint="The same command goes on from here when they are.",
            )

    def _pair(self, folder: Path, number: int, source: str) -> _Pair:
        pair = read_pair(Path(self._work.settings.pairs), source)
        files: list[str] = []
        try:
            for stored, what in ((pair.source, "input"), (pair.edited, "goal")):
                files.append(put(stored, folder, f"{number:07d}_{what}", link=self._link))
            before, _ = (to_srgb(open_picture(folder / name)).rgb8() for name in files)
        except (DataError, PictureReadError):
            drop(folder, files)
            raise
        return _Pair(number, source, pair.instructions[0], (files[0], files[1]), before)

    def _record(self, folder: Path, pair: _Pair, found: Described) -> dict[str, Any]:
        settings = self._work.settings
        before, after = pair.files
        return {
            "input_file_name": before,
            "goal_file_name": after,
            "id": pair.id,
            "instruction": pair.instruction,
            "expressive": found.expressive,
            "summarised": found.summarised,
            "answer": found.answer,
            "source": pair.source,
            "input_sha256": fingerprints.of_file(folder / before),
            "goal_sha256": fingerprints.of_file(folder / after),
            "question": settings.question,
            "describer": settings.describer,
            "summariser": settings.summariser,
            "versions": fingerprints.versions(),
        }
