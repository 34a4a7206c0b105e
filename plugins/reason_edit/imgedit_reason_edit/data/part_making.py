"""What the makers of all parts share: pictures are read, and each becomes a row or a reason."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from imgedit_reason_edit.data.instructions import Writer
from imgedit_reason_edit.data.records import Item, Left, LeftOutError, Row
from imgedit_reason_edit.data.settings import Settings
from imgedit_reason_edit.data.tools import Tools

Read = TypeVar("Read")


class PartMaker(ABC, Generic[Read]):
    """Makes rows of a part.

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
            EndpointError, WeightsError, PluginError: a model cannot be used.
        """
        found: dict[int, Row | Left] = {}
        read: list[Read] = []
        for item in items:
            self._check()
            try:
                read.append(self._read(folder, item))
            except LeftOutError as error:
                found[item.number] = Left(item, error.kind, error.reason)
        for one in self._made(folder, read):
            found[one.item.number] = one
        return [found[item.number] for item in items]

    @abstractmethod
    def _read(self, folder: Path, item: Item) -> Read:
        """What a row is made from; its pictures are in the folder then.

        Raises:
            LeftOutError: the picture will not do.
        """

    @abstractmethod
    def _made(self, folder: Path, read: Sequence[Read]) -> Iterator[Row | Left]:
        """What becomes of each, in any order; pictures of those left out are dropped."""
