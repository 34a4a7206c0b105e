"""Part I: the pairs of InstructPix2Pix as they are, with an indirect instruction (eq. 1 to 3)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgedit_modelkit import fingerprints
from imgedit_modelkit.shards.pictures import drop, put
from imgedit_plugins.colour_profiles import to_srgb
from imgedit_plugins.errors import DataError, PictureReadError
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import RGB8
from imgedit_reason_edit.data.difference import squared_distance, why_too_alike
from imgedit_reason_edit.data.instructions import Chosen, Told
from imgedit_reason_edit.data.layout import EDITED, INPUT, Dropped
from imgedit_reason_edit.data.part_making import PartMaker
from imgedit_reason_edit.data.records import Item, Left, LeftOutError, Row, seed_of
from imgedit_reason_edit.data.sources import Source, read_source, refuse_vanished


@dataclass
class _Pair:
    """A pair whose pictures are in the shard's folder, good and not too alike."""

    item: Item
    source: Source
    files: tuple[str, str]
    pictures: tuple[RGB8, RGB8]
    distance: float
    captions: tuple[str, str]


class Pairing(PartMaker[_Pair]):
    """Makes rows of Part I."""

    def _read(self, folder: Path, item: Item) -> _Pair:
        files: list[str] = []
        try:
            source = read_source(self._settings, item.source)
            assert source.edited is not None
            for stored, what in ((source.picture, INPUT), (source.edited, EDITED)):
                files.append(put(stored, folder, f"{item.number:07d}_{what}"))
            before, after = (to_srgb(open_picture(folder / name)).rgb8() for name in files)
        except (DataError, PictureReadError) as error:
            drop(folder, files)
            refuse_vanished(self._settings)
            reason = str(error).replace(f"{folder}{os.sep}", "")  # its passing name
            raise LeftOutError(Dropped.DAMAGED, reason) from error
        distance = squared_distance(before, after)
        if why := why_too_alike(distance, self._threshold):
            drop(folder, files)
            raise LeftOutError(Dropped.ALIKE, why)
        pictures, names = (before, after), (files[0], files[1])
        return _Pair(item, source, names, pictures, distance, source.captions)

    def _made(self, folder: Path, read: Sequence[_Pair]) -> Iterator[Row | Left]:
        self._caption(read)
        for pair in read:
            if not all(pair.captions):
                drop(folder, pair.files)
                yield Left(pair.item, Dropped.CAPTION, self._why_no_caption)
        pairs = [pair for pair in read if all(pair.captions)]
        told = [
            Told(*pair.captions, pair.source.instruction, seed_of(self._settings, pair.item))
            for pair in pairs
        ]
        answers = self._writer.reasoning(told, self._check)
        for pair, about, chosen in zip(pairs, told, answers, strict=True):
            if chosen.instruction:
                yield _row(folder, pair, about.seed, chosen)
                continue
            drop(folder, pair.files)
            reason = chosen.usage.reasons[-1] if chosen.usage.reasons else "no candidate"
            yield Left(pair.item, Dropped.ANSWER, reason, chosen.usage)

    def _caption(self, pairs: Sequence[_Pair]) -> None:
        """By the captioner, where the data set has no captions."""
        bare = [pair for pair in pairs if not all(pair.captions)]
        if not bare or not self._tools.captioner:
            return
        pictures = [picture for pair in bare for picture in pair.pictures]
        captions = self._tools.captioner(pictures, self._check)
        for pair, two in zip(bare, zip(captions[::2], captions[1::2], strict=True), strict=True):
            pair.captions = (pair.captions[0] or two[0], pair.captions[1] or two[1])

    @property
    def _why_no_caption(self) -> str:
        if self._tools.captioner:
            return "a caption is empty"
        return "the data set has no caption, and the option 'captioner' is not given"


def _row(folder: Path, pair: _Pair, seed: int, chosen: Chosen) -> Row:
    height, width = pair.pictures[0].shape[:2]
    return Row(
        item=pair.item,
        files=pair.files,
        source_sha256=fingerprints.of_file(folder / pair.files[0]),
        instruction=chosen.instruction,
        direct=pair.source.instruction,
        captions=pair.captions,
        category="",
        target="",
        box=(0, 0, width, height),
        candidates=chosen.candidates,
        distance=pair.distance,
        seed=seed,
        usage=chosen.usage,
    )
