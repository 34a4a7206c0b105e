"""Rows of instructions that nobody has to write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from imgedit_modelkit.evaluation.answers import Answer, Still
from imgedit_modelkit.evaluation.items import Item
from imgedit_modelkit.evaluation.methods import Method
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job


class Words(Still):
    """The instruction itself, or an expressive one that the data has."""

    def __init__(self, method: Method) -> None:
        self._form = method.given
        self.stamp = ["words", self._form]

    def answers(
        self, item: Item, source: Map, number: int, guidances: Sequence[float], job: Job
    ) -> Iterator[Answer]:
        """The instruction itself, or what the data tells in a form."""
        del source, number, job
        text = item.told.get(self._form, "") if self._form else item.instruction
        if not text:
            raise DataError(
                f"The data has no {self._form} instruction for {item.name}.",
                hint="`data mgie prepare` makes data that has.",
            )
        yield from (Answer(text) for _ in guidances)
