"""Part I: the pairs of InstructPix2Pix as they are, with an indirect instruction (eq. 1 to 3)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgedit_modelkit import fingerprints
from imgedit_modelkit.shards.pictures import drop, put
from imgedit_plugins.colour_profiles import to_srgb
from imgedit_plugins.errors import DataError, PictureReadError
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import RGB8
from imgedit_reason_edit.data.difference import is_too_alike, squared_distance
from imgedit_reason_edit.data.instructions import Told, Writer
from imgedit_reason_edit.data.layout import EDITED, INPUT, Dropped
from imgedit_reason_edit.data.records import Item, Left, LeftOutError, Row, seed_of
from imgedit_reason_edit.data.settings import Settings
from imgedit_reason_edit.data.sources import Source, read_source, refuse_vanished
from imgedit_reason_edit.data.tools import Tools


@dataclass
class _Pair:
    """A pair whose pictures are in the shard's folder, good and not too alike."""

    item: Item
    source: Source
    files: tuple[str, str]
    pictures: tuple[RGB8, RGB8]
    distance: float
    captions: tuple[str, str]


class Pairing:
    """Makes rows of Part I.

    Args:
        settings: of the work.
        tools: the models.
        writer: the language model.
        threshold: of eq. 1.
        check: called often; what it raises ends the work.
    """

    def __init__(
        self,
        settings: Settings,
        tools: Tools,
        writer: Writer,
        threshold: float,
        check: Callable[[], None],
    ) -> None:
        self._settings, self._tools, self._writer = settings, tools, writer
        self._threshold, self._check = threshold, check

    def __call__(self, folder: Path, items: Sequence[Item]) -> list[Row | Left]:
        """Rows with their pictures in the folder, or why there are none, in the items' order.

        Raises:
            EndpointError, WeightsError: a model cannot be used.
        """
        found: dict[int, Row | Left] = {}
        pairs: list[_Pair] = []
        for item in items:
            self._check()
            try:
                pairs.append(self._read(folder, item))
            except LeftOutError as error:
                found[item.number] = Left(item, error.kind, error.reason)
        pairs = self._captioned(folder, pairs, found)
        told = [
            Told(*pair.captions, pair.source.instruction, seed_of(self._settings, pair.item))
            for pair in pairs
        ]
        for pair, about, chosen in zip(
            pairs, told, self._writer.reasoning(told, self._check), strict=True
        ):
            if not chosen.instruction:
                drop(folder, pair.files)
                reason = chosen.usage.reasons[-1] if chosen.usage.reasons else "no candidate"
                found[pair.item.number] = Left(pair.item, Dropped.ANSWER, reason, chosen.usage)
                continue
            height, width = pair.pictures[0].shape[:2]
            found[pair.item.number] = Row(
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
                seed=about.seed,
                usage=chosen.usage,
            )
        return [found[item.number] for item in items]

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
        if is_too_alike(distance, self._threshold):
            drop(folder, files)
            raise LeftOutError(
                Dropped.ALIKE,
                f"the squared distance is {distance:.1f}, below {self._threshold:.1f}",
            )
        pictures, names = (before, after), (files[0], files[1])
        return _Pair(item, source, names, pictures, distance, source.captions)

    def _captioned(
        self, folder: Path, pairs: list[_Pair], found: dict[int, Row | Left]
    ) -> list[_Pair]:
        """The pairs that have both captions, from their data set or by the captioner."""
        bare = [pair for pair in pairs if not all(pair.captions)]
        captioner = self._tools.captioner
        if bare and captioner:
            captions = captioner([p for pair in bare for p in pair.pictures], self._check)
            for pair, two in zip(
                bare, zip(captions[::2], captions[1::2], strict=True), strict=True
            ):
                pair.captions = (pair.captions[0] or two[0], pair.captions[1] or two[1])
        whole = [pair for pair in pairs if all(pair.captions)]
        for pair in pairs:
            if not all(pair.captions):
                drop(folder, pair.files)
                reason = (
                    "a caption is empty"
                    if captioner
                    else "the data set has no caption, and the option 'captioner' is not given"
                )
                found[pair.item.number] = Left(pair.item, Dropped.CAPTION, reason)
        return whole
