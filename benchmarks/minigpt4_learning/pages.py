"""The figures as tables, for the terminal and between the markers of docs/reverse-design.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.documents import END, aligned, piped, put_between
from benchmarks.minigpt4_learning import curves
from benchmarks.minigpt4_learning.scoring import WITH, WITHOUT

BEGIN = "<!-- benchmark: written by `python -m benchmarks.minigpt4_learning --write-docs` -->"
__all__ = ["BEGIN", "END", "markdown", "text", "verdict", "write"]

_FIGURES = ("accuracy", "f1", "exact", "mse")
_HEADS = ("accuracy %", "F1 %", "exact set %", "MSE")
_VERIFIED = ("accuracy", "f1", "exact", "mse", "abstained")

Results = Mapping[str, Any]
Lines = list[list[str]]


def cell(figure: str, found: Mapping[str, float | None]) -> str:
    """A figure with its interval; shares in percent."""
    value, low, high = found["value"], found["low"], found["high"]
    if value is None:
        return "–"
    scale, digits = (1, 3) if figure == "mse" else (100, 1)
    if low is None or high is None:
        return f"{scale * value:.{digits}f}"
    return f"{scale * value:.{digits}f} ({scale * low:.{digits}f} to {scale * high:.{digits}f})"


def figures_table(results: Results, kind: str) -> Lines:
    """What each seed of each experiment answers to one kind of prompt, and who is compared."""
    lines = [["projection", *_HEADS]]
    for name, experiment in results["experiments"].items():
        for seed, kinds in experiment["seeds"].items():
            lines.append([f"experiment {name}, seed {seed}", *_cells(kinds[kind])])
    seen = set()
    for experiment in results["experiments"].values():
        twin = experiment["twin"]
        if twin["experiment"] not in seen:
            seen.add(twin["experiment"])
            for seed, kinds in enumerate(twin["seeds"]):
                name = f"twin of {twin['experiment']}, answers shuffled, seed {seed}"
                lines.append([name, *_cells(kinds[kind])])
    for name, kinds in results["baselines"].items():
        for number, found in enumerate(kinds[kind]):
            title = f"{name}, seed {number}" if len(kinds[kind]) > 1 else name
            lines.append([title, *_cells(found)])
    return lines


def _cells(found: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    return [cell(figure, found[figure]) for figure in _FIGURES]


def ahead_table(results: Results) -> Lines:
    """By how much each experiment is ahead of what it is compared with."""
    lines = [["experiment", "ahead of", *(f"{f}, {k}" for k in (WITHOUT, WITH) for f in _AHEAD)]]
    for name, experiment in results["experiments"].items():
        for other, kinds in experiment["ahead"].items():
            twin = f" (of {experiment['twin']['experiment']})" if "twin" in other else ""
            cells = [
                cell(figure, kinds[kind][figure]) for kind in (WITHOUT, WITH) for figure in _KEYS
            ]
            lines.append([name, f"{other}{twin}", *cells])
    return lines


_AHEAD, _KEYS = ("accuracy, points", "F1, points"), ("accuracy", "f1")


def verified_table(results: Results) -> Lines:
    """The model alone and with verification on the same pairs."""
    lines = [["experiment, seed", "method", *_HEADS, "abstained %"]]
    for name, experiment in results["experiments"].items():
        for seed, methods in experiment["verified"].items():
            for title, figures in methods.items():
                lines.append([f"{name}, seed {seed}", title, *_verified_cells(figures)])
    if results["search_alone"]:
        lines.append(["–", "search alone, no model", *_verified_cells(results["search_alone"])])
    return lines


def _verified_cells(figures: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    return [cell(figure, figures[figure]) for figure in _VERIFIED]


def text(results: Results) -> str:
    """All tables for the terminal."""
    parts = [f"{kind}\n{aligned(figures_table(results, kind))}" for kind in (WITHOUT, WITH)]
    parts.append(f"ahead\n{aligned(ahead_table(results))}")
    parts.append(f"verification\n{aligned(verified_table(results))}")
    parts.append(verdict(results))
    return "\n\n".join(parts)


def verdict(results: Results) -> str:
    """Which experiments are ahead of everything, and what is missing."""
    told = []
    for name, one in results["experiments"].items():
        behind = [
            f"{other} ({figure}, {kind})"
            for other, kinds in one["ahead"].items()
            for kind in kinds
            for figure in _KEYS
            if not kinds[kind][figure]["low"] > 0
        ]
        verdict_of = f"NOT ahead of {', '.join(behind)}" if behind else "ahead of all"
        told.append(f"experiment {name}: {verdict_of}")
    if results["missing"]:
        told.append(f"not run: {', '.join(results['missing'])}")
    return "; ".join(told) + "."


def same_bits(results: Results) -> str:
    """Which fine-tunings ended with the same projection as another one."""
    names: dict[str, list[str]] = {}
    for name, digest in results["projections"].items():
        names.setdefault(digest, []).append(name)
    alike = [" = ".join(group) for group in names.values() if len(group) > 1]
    return f"The same projection, to the last bit: {'; '.join(alike) or 'none'}."


def markdown(results: Results) -> str:
    """What stands between the markers."""
    where = results["machine"]
    seconds = sum(results["cpu_seconds"].values())
    about = (
        f"`{results['command']}`, {results['date']}; {where['processor']}, {where['cores']} cores, "
        f"{where['system']}; Python {where['python']}, torch {where['torch']}, transformers "
        f"{where['transformers']}. The fine-tunings took {seconds:.0f} s of processor time."
    )
    sizes = results["sizes"]
    made = (
        f"Encoder: {sizes['layers']} layers, {sizes['width']} wide, {sizes['image']} px in patches "
        f"of {sizes['patch']}, {sizes['joined']} joined to one token. Language model: "
        f"{sizes['language_layers']} layers, {sizes['language_width']} wide. "
        f"Pairs: {sizes['rows']} of {sizes['pictures']} scenes. Fine-tuning: {sizes['steps']} "
        f"steps of {sizes['batch']} pairs, learning rate {sizes['rate']:g}."
    )
    return "\n\n".join(
        [
            about,
            made,
            f"![Learning curves of all experiments and of the twin]({curves.FILE})",
            "Thin lines are seeds, bold ones their means; those of 1, 2 and 3 are one. "
            f"In validation {sizes['answers']} pairs are answered, the twin's with shuffled truth.",
            f"Test pairs **without** their command ({sizes['test_rows']}; 95 % intervals by "
            "bootstrap over pictures):",
            piped(figures_table(results, WITHOUT)),
            "The same pairs **with** their command:",
            piped(figures_table(results, WITH)),
            "Differences, means over the seeds (95 % intervals by bootstrap over pictures and "
            "seeds):",
            piped(ahead_table(results)),
            f"Model alone and model + verification, by `evaluate reverse_design` without commands "
            f"({sizes['verified_rows']} of the test pairs):",
            piped(verified_table(results)),
            same_bits(results),
            verdict(results)[0].upper() + verdict(results)[1:],
        ]
    )


def write(page: Path, results: Results) -> None:
    """Put the tables between the markers of a page, which must be there.

    Raises:
        ValueError: the page has no markers.
    """
    put_between(page, BEGIN, markdown(results))
