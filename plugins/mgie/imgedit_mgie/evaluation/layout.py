"""Names in the folder that keeps an evaluation, and in folders of results.

::

    evaluation.json          what it is of: data, table, rows
    journal.jsonl            answers and figures, as they were finished
    ROW/NAME.png             edited pictures; such a folder is also what the row 'results' takes
    ROW/expressive.jsonl     a line for each item: `name`, and `expressive`, its instruction
"""

from __future__ import annotations

FILE, JOURNAL, TEXTS = "evaluation.json", "journal.jsonl", "expressive.jsonl"

SCHEMA, JOURNAL_SCHEMA = "imgedit-mgie-evaluation/1", "imgedit-mgie-journal/1"

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""Of pictures in folders of results."""
