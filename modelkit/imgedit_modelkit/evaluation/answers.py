"""What a row makes of an item: a picture, or an instruction; here the rows that compute nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from imgedit_modelkit.evaluation.items import Item
from imgedit_modelkit.evaluation.journal import stamp
from imgedit_modelkit.evaluation.layout import TEXTS
from imgedit_modelkit.evaluation.results import picture_in, texts_in
from imgedit_modelkit.regions.resampling import Map
from imgedit_modelkit.squares import square
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture


@dataclass(frozen=True)
class Answer:
    """What was made of an item; a picture where pictures are asked for."""

    expressive: str
    pixels: Map | None = None


class Answering(Protocol):
    """One row at work."""

    @property
    def stamp(self) -> Any:
        """What changes when all its answers do; JSON."""
        ...

    def stamp_of(self, item: Item) -> Any:
        """What changes when its answer to one item does; JSON."""
        ...

    def file_of(self, item: Item) -> Path | None:
        """The picture that is there already, or None: one is made, or none is needed."""
        ...

    @property
    def varies(self) -> bool:
        """Whether it computes anything, so that seeds and guidance may change it."""
        ...

    @property
    def parameters(self) -> int:
        """Of the language model; 0 where there is none."""
        ...

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where its weights or its results lie."""
        ...

    def release(self) -> None:
        """Free what it has loaded; another answer would load it again."""
        ...

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """One answer for each image guidance.

        Args:
            item: what is edited.
            source: its picture, (size, size, 3) in 0..1.
            number: which of the seeds.
            guidances: for the image.
            job: cancellation, and warnings about this item.

        Raises:
            ImgeditError: there is none.
        """
        ...


class _Plain:
    """A row whose answers hang on nothing but itself and the item."""

    folders: tuple[Path, ...] = ()

    @property
    def parameters(self) -> int:
        """None."""
        return 0

    def stamp_of(self, item: Item) -> Any:
        """Nothing but the item."""
        del item

    def file_of(self, item: Item) -> Path | None:
        """No file."""
        del item
        return None

    def release(self) -> None:
        """Nothing is loaded."""


class Still(_Plain):
    """A row that computes nothing."""

    varies = False


class Computing(_Plain):
    """A row that makes its answers."""

    varies = True


class Copy(Still):
    """The input itself."""

    stamp = "copy"

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """The input itself."""
        del item, number, job
        yield from (Answer("", source) for _ in guidances)


class Results(Still):
    """Pictures and texts that are there already.

    Args:
        folder: where they are.
        size: side of the square that is scored, in pixels.
        pictures: whether they are asked for; texts alone otherwise.

    Raises:
        DataError: there is no such folder, or no texts where they are asked for.
    """

    def __init__(self, folder: Path, size: int, *, pictures: bool = True) -> None:
        if not folder.is_dir():
            raise DataError(f"There is no folder {folder} of results.", path=folder)
        self._folder, self._size, self.folders = folder, size, (folder,)
        self._pictures = pictures
        self._texts = texts_in(folder)
        if not self._pictures and not self._texts:
            raise DataError(f"{folder} has no {TEXTS}.", path=folder)
        self.stamp = ["results", str(folder.resolve())]

    def stamp_of(self, item: Item) -> Any:
        """The picture and the text."""
        path = self.file_of(item)
        return [self._texts.get(item.name), stamp(path) if path else None]

    def file_of(self, item: Item) -> Path | None:
        """The picture of the item's name."""
        return picture_in(self._folder, item.name) if self._pictures else None

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """The picture of the item's name, its middle square where it is none."""
        del source, number, job
        text = self._texts.get(item.name, "")
        if not self._pictures:
            if not text:
                raise DataError(f"{self._folder / TEXTS} has no text for {item.name}.")
            yield from (Answer(text) for _ in guidances)
            return
        path = self.file_of(item)
        if path is None:
            raise DataError(f"There is no picture {self._folder / item.name}.png.")
        pixels = square(open_picture(path), self._size)
        yield from (Answer(text, pixels) for _ in guidances)
