"""Names in the folder that keeps an evaluation, and in folders of results.

::

    evaluation.json          what it is of: data, table, rows
    journal.jsonl            answers and figures, as they were finished
    ROW/NAME.png             edited pictures; such a folder is also what the row 'results' takes
    ROW/expressive.jsonl     a line for each item: `name`, and `expressive`, its instruction
"""

from __future__ import annotations

from dataclasses import dataclass

FILE, JOURNAL, TEXTS = "evaluation.json", "journal.jsonl", "expressive.jsonl"

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""Of pictures in folders of results."""


@dataclass(frozen=True)
class Layout:
    """Whose evaluations a folder keeps.

    Attributes:
        plugin: that evaluates.
        version: of what is kept.
    """

    plugin: str
    version: int = 1

    @property
    def schema(self) -> str:
        """Of `FILE`."""
        return f"imgedit-{self.plugin.replace('_', '-')}-evaluation/{self.version}"

    @property
    def journal_schema(self) -> str:
        """Of `JOURNAL`."""
        return f"imgedit-{self.plugin.replace('_', '-')}-journal/{self.version}"
