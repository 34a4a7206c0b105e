"""Parts II and III: one thing of a picture replaced by another (eq. 4 to 7)."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from imgedit_modelkit.language.structured import Answered
from imgedit_modelkit.readers.stored import bytes_of, open_stored
from imgedit_modelkit.shards.pictures import drop
from imgedit_plugins.colour_profiles import to_srgb
from imgedit_plugins.errors import DataError, PictureReadError
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import RGB8, Picture
from imgedit_reason_edit.data.difference import squared_distance, why_too_alike
from imgedit_reason_edit.data.instructions import Replacement, Usage
from imgedit_reason_edit.data.layout import EDITED, INPUT, Dropped
from imgedit_reason_edit.data.painting import MULTIPLE, Wish
from imgedit_reason_edit.data.part_making import PartMaker
from imgedit_reason_edit.data.records import Item, Left, LeftOutError, Row, seed_of
from imgedit_reason_edit.data.sources import read_source, refuse_vanished
from imgedit_reason_edit.data.squares import Box
from imgedit_reason_edit.data.wording import direct_instruction, replaced

_SMALLEST_SIDE = 64


@dataclass
class _Scene:
    """A picture on its way to a row; its fields fill up stage by stage.

    A stage gives a reason for each picture that does not go on, and '' for the others.
    """

    item: Item
    seed: int
    files: list[str]
    picture: RGB8
    source_sha256: str
    caption: str
    boxes: dict[str, Box]
    usage: Usage
    replacement: Replacement | None = None
    edited: RGB8 | None = None
    distance: float = 0.0


class Replacing(PartMaker[_Scene]):
    """Makes rows of Parts II and III."""

    def _made(self, folder: Path, read: Sequence[_Scene]) -> Iterator[Row | Left]:
        scenes = list(read)
        for stage, kind in (
            (self._caption, Dropped.CAPTION),
            (self._categories, Dropped.CATEGORY),
            (self._locate, Dropped.BOX),
            (self._choose, Dropped.ANSWER),
            (self._paint, Dropped.PAINTING),
            (functools.partial(self._compare, folder), Dropped.ALIKE),
        ):
            reasons = stage(scenes) if scenes else []
            left = dict(zip([scene.item.number for scene in scenes], reasons, strict=True))
            for scene in scenes:
                if reason := left[scene.item.number]:
                    drop(folder, scene.files)
                    yield Left(scene.item, kind, reason, scene.usage)
            scenes = [scene for scene in scenes if not left[scene.item.number]]
        for scene, caption in zip(scenes, self._edited_captions(scenes), strict=True):
            yield _row(scene, caption)

    def _read(self, folder: Path, item: Item) -> _Scene:
        settings = self._settings
        name = f"{item.number:07d}_{INPUT}.{settings.format}"
        try:
            source = read_source(settings, item.source)
            sha256 = hashlib.sha256(bytes_of(source.picture)).hexdigest()
            picture = fitted(to_srgb(open_stored(source.picture)).rgb8(), settings.size)
        except (DataError, PictureReadError) as error:
            refuse_vanished(settings)
            raise LeftOutError(Dropped.DAMAGED, str(error)) from error
        if min(picture.shape[:2]) < _SMALLEST_SIDE:
            told = f"it is too small: {picture.shape[1]} x {picture.shape[0]} pixels"
            raise LeftOutError(Dropped.DAMAGED, told)
        # The painter gets the file as it is written: its compression is part of both pictures.
        picture = self._saved(folder / name, picture)
        seed = seed_of(settings, item)
        return _Scene(item, seed, [name], picture, sha256, source.captions[0], {}, Usage())

    def _caption(self, scenes: list[_Scene]) -> list[str]:
        bare = [scene for scene in scenes if not scene.caption]
        if bare and self._tools.captioner:
            captions = self._tools.captioner([scene.picture for scene in bare], self._check)
            for scene, caption in zip(bare, captions, strict=True):
                scene.caption = caption
        return ["" if scene.caption else "there is no caption" for scene in scenes]

    def _categories(self, scenes: list[_Scene]) -> list[str]:
        assert self._tools.nouns is not None
        for scene, nouns in zip(
            scenes, self._tools.nouns([scene.caption for scene in scenes]), strict=True
        ):
            scene.boxes = dict.fromkeys(nouns, (0, 0, 0, 0))
        return ["" if s.boxes else f"{s.caption!r} names no thing" for s in scenes]

    def _locate(self, scenes: list[_Scene]) -> list[str]:
        assert self._tools.detector is not None
        pictures, named = [scene.picture for scene in scenes], [list(s.boxes) for s in scenes]
        located = self._tools.detector(pictures, named, self._check)
        for scene, boxes in zip(scenes, located, strict=True):
            scene.boxes = boxes
        return [
            "" if scene.boxes else f"no box will do for {', '.join(names)}"
            for scene, names in zip(scenes, named, strict=True)
        ]

    def _choose(self, scenes: list[_Scene]) -> list[str]:
        answers: list[Answered[Replacement]] = self._writer.replacements(
            [scene.caption for scene in scenes],
            [list(scene.boxes) for scene in scenes],
            [scene.seed for scene in scenes],
            self._check,
        )
        for scene, answered in zip(scenes, answers, strict=True):
            scene.usage.add(answered)
            scene.replacement = answered.value
        return ["" if s.replacement else s.usage.reasons[-1] for s in scenes]

    def _paint(self, scenes: list[_Scene]) -> list[str]:
        assert self._tools.painter is not None
        for scene in scenes:
            value = scene.replacement
            assert value is not None
            target = " ".join(value.target.split())
            prompt = replaced(scene.caption, value.category, target)
            wish = Wish(scene.boxes[value.category], target, prompt, scene.seed)
            scene.edited = self._tools.painter(scene.picture, wish, self._check)
        refused = "the painter's safety checker refused what it had painted"
        return ["" if scene.edited is not None else refused for scene in scenes]

    def _compare(self, folder: Path, scenes: list[_Scene]) -> list[str]:
        """Eq. 1 of what was painted, and of what others will read: compression changes both."""
        return [self._why_alike(folder, scene) for scene in scenes]

    def _why_alike(self, folder: Path, scene: _Scene) -> str:
        assert scene.edited is not None
        if why := why_too_alike(squared_distance(scene.picture, scene.edited), self._threshold):
            return why
        name = f"{scene.item.number:07d}_{EDITED}.{self._settings.format}"
        scene.files.append(name)
        scene.edited = self._saved(folder / name, scene.edited)
        scene.distance = squared_distance(scene.picture, scene.edited)
        return why_too_alike(scene.distance, self._threshold)

    def _edited_captions(self, scenes: list[_Scene]) -> list[str]:
        if self._settings.edited_captions == "captioner" and scenes:
            assert self._tools.captioner is not None
            pictures = [scene.edited for scene in scenes if scene.edited is not None]
            return self._tools.captioner(pictures, self._check)
        values = [scene.replacement for scene in scenes]
        return [
            replaced(scene.caption, value.category, " ".join(value.target.split()))
            for scene, value in zip(scenes, values, strict=True)
            if value is not None
        ]

    def _saved(self, path: Path, picture: RGB8) -> RGB8:
        """The picture as others will read it from the file."""
        quality = self._settings.quality if self._settings.format == "jpg" else None
        save_picture(Picture(picture), path, quality=quality)
        return open_picture(path).rgb8()


def _row(scene: _Scene, edited_caption: str) -> Row:
    value = scene.replacement
    assert value is not None
    target, instruction = (" ".join(t.split()) for t in (value.target, value.instruction))
    before, after = scene.files
    return Row(
        item=scene.item,
        files=(before, after),
        source_sha256=scene.source_sha256,
        instruction=instruction,
        direct=direct_instruction(value.category, target, scene.seed),
        captions=(scene.caption, edited_caption),
        category=value.category,
        target=target,
        box=scene.boxes[value.category],
        candidates=(instruction,),
        distance=scene.distance,
        seed=scene.seed,
        usage=scene.usage,
    )


def fitted(picture: RGB8, size: int) -> RGB8:
    """A picture with at most size² pixels and with sides that suit every painter.

    It is scaled down where it must be, never up, and at most 15 pixels of a side are cropped.

    Args:
        picture: (height, width, 3).
        size: side of the square.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, size / (height * width) ** 0.5)
    if scale < 1:
        wanted = max(1, round(width * scale)), max(1, round(height * scale))
        picture = np.asarray(cv2.resize(picture, wanted, interpolation=cv2.INTER_AREA), np.uint8)
        height, width = picture.shape[:2]
    rows, columns = (side - side % MULTIPLE for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    return np.ascontiguousarray(picture[top : top + rows, left : left + columns])
