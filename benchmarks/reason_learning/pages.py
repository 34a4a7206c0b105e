"""The figures as tables, for the terminal and between the markers of docs/reason_edit.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.documents import aligned, piped, put_between
from benchmarks.reason_learning.puzzles import FAMILIES, NEED_THE_PICTURE
from benchmarks.tiny_editing import tables
from benchmarks.tiny_editing.figures import OVERALL
from benchmarks.tiny_editing.tables import Lines

BEGIN = "<!-- benchmark: written by `python -m benchmarks.reason_learning --write-docs` -->"
SHEET = "pictures/reason-learning.webp"
OURS = "model"

Results = Mapping[str, Any]
COLUMNS = (*FAMILIES, OVERALL)


def changed_table(results: Results) -> Lines:
    """How far each method's pictures are from the goal where it differs from the input."""
    return _table("error where something changes", results["changed_region"], 2)


def errors_table(results: Results) -> Lines:
    """How far each method's pictures are from the goal."""
    return _table("error of the whole picture", results["errors"], 2)


def reached_table(results: Results) -> Lines:
    """How often each method makes more than half of the way."""
    return _table("over half of the way, %", results["reached"], 0, 100)


def ahead_table(results: Results) -> Lines:
    """By how much the model's error is smaller where something changes."""
    found = {f"{OURS} ahead of {name}": one for name, one in results["ahead"].items()}
    return _table("difference of errors", found, 2)


def known_table(results: Results) -> Lines:
    """What the language model's states tell."""
    told = [f"{100 * results['known'][family]:.0f}" for family in FAMILIES]
    return [["", *FAMILIES], ["known, %", *told]]


def _table(head: str, found: Mapping[str, Any], digits: int, scale: float = 1.0) -> Lines:
    return tables.table(head, COLUMNS, found, digits, scale)


def verdict(results: Results) -> str:
    """What the model is ahead of, and what is missing."""
    return tables.verdict("The model", results, COLUMNS, "VAE, LLaVA and UNet")


def text(results: Results) -> str:
    """All tables for the terminal."""
    found = (changed_table, ahead_table, errors_table, reached_table, known_table)
    return "\n\n".join([*(aligned(table(results)) for table in found), verdict(results)])


def markdown(results: Results) -> str:
    """What stands between the markers."""
    where, sizes = results["machine"], results["sizes"]
    training, painting = results["training"], results["painting"]
    seconds = sum(results["cpu_seconds"].values())
    parts = results["parameters"]
    millions = ", ".join(f"{name} {count / 1e6:.2f}" for name, count in parts.items())
    about = (
        f"`{results['command']}`, {results['date']}; {where['processor']}, {where['cores']} cores, "
        f"{where['system']}; Python {where['python']}, torch {where['torch']}, transformers "
        f"{where['transformers']}, diffusers {where['diffusers']}. All of it took "
        f"{seconds / 60:.0f} minutes of processor time, tests included."
    )
    made = (
        f"Millions of weights: {millions}. Model and twin: {training['steps']} steps of "
        f"{training['batch']} pairs of {sizes['rows']}, learning rate {training['rate']:g}. Tests: "
        f"{painting['pictures']} pictures of each family, {painting['steps']} steps, guidance "
        f"{painting['guidance']:g}, image guidance {painting['image_guidance']:g}."
    )
    seeds = len(training["seeds"])
    return "\n\n".join(
        [
            about,
            made,
            f"![Input, instruction, goal and what was made of test pictures]({SHEET})",
            "The first two test pictures of each family, by the models of the first seed.",
            "Mean absolute difference from the goal over the pixels where goal and input differ, "
            f"in percent of the range (means of {seeds} seeds; 95 % intervals by bootstrap over "
            "pictures and seeds):",
            piped(changed_table(results)),
            "By how much the model's is smaller, on the same pictures:",
            piped(ahead_table(results)),
            "The same difference over whole pictures, of which copying has no error where nothing "
            "changes, and all others that of the VAE:",
            piped(errors_table(results)),
            "Pictures that come nearer than half of the input's distance to the goal where "
            "something changes:",
            piped(reached_table(results)),
            "Test pairs of which the frozen language model's states at the end of the prompt tell "
            "all words of the answer, thing, place and colour (read by the head that was trained "
            "with it):",
            piped(known_table(results)),
            f"The picture is needed in: {', '.join(NEED_THE_PICTURE)}. {verdict(results)}",
        ]
    )


def write(page: Path, results: Results) -> None:
    """Put the tables between the markers of a page, which must be there.

    Raises:
        ValueError: the page has no markers.
    """
    put_between(page, BEGIN, markdown(results))
