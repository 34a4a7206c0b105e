"""Figures by family as tables, and what a model is ahead of as a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.tiny_editing import figures
from benchmarks.tiny_editing.figures import Interval, Values

Lines = list[list[str]]
Told = dict[str, dict[str, float]]
"""Families -> value, low and high, for JSON."""


def told(found: Mapping[str, Interval]) -> Told:
    """Intervals for JSON."""
    return {family: asdict(interval) for family, interval in found.items()}


def means(values: Mapping[str, Values], families: Sequence[str]) -> dict[str, Told]:
    """Means of each method by family."""
    return {name: told(figures.by_family(one, families)) for name, one in values.items()}


def ahead(
    errors: Mapping[str, Values], ours: str, families: Sequence[str]
) -> dict[str, dict[str, Interval]]:
    """By how much one method's errors are smaller than each other's; nothing where it is absent."""
    if ours not in errors:
        return {}
    return {
        name: figures.ahead(errors[ours], theirs, families)
        for name, theirs in errors.items()
        if name != ours
    }


def claims(
    found: Mapping[str, Mapping[str, Interval]], wanted: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, bool]]:
    """Whether it is ahead by the whole interval, of what and in what it is to be so."""
    return {
        name: {family: found[name][family].low > 0 for family in where}
        for name, where in wanted.items()
        if name in found
    }


def cell(found: Mapping[str, float], digits: int = 2, scale: float = 1.0) -> str:
    """A figure with its interval."""
    value, low, high = (scale * found[name] for name in ("value", "low", "high"))
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(
    head: str, columns: Sequence[str], found: Mapping[str, Any], digits: int, scale: float = 1.0
) -> Lines:
    """Methods as rows, families as columns."""
    lines = [[head, *columns]]
    for name, families in found.items():
        lines.append([name, *(cell(families[family], digits, scale) for family in columns)])
    return lines


def verdict(ours: str, results: Mapping[str, Any], columns: Sequence[str], before: str) -> str:
    """What a model is ahead of, and what is missing.

    Args:
        ours: its name.
        results: with 'claims', 'missing', 'changed_before' and 'changed'.
        columns: all families.
        before: what was trained before it.
    """
    said = []
    for name, families in results["claims"].items():
        behind = [family for family, holds in families.items() if not holds]
        among = f" in {', '.join(families)}" if len(families) < len(columns) else ""
        said.append(
            f"NOT ahead of {name} in {', '.join(behind)}"
            if behind
            else f"ahead of {name}{among or ' in every family'}"
        )
    sentence = f"{ours} is {'; '.join(said)}." if said else f"{ours} was not run."
    if results["missing"]:
        sentence += f" Not run: {', '.join(results['missing'])}."
    if results["changed_before"]:
        names = ", ".join(results["changed_before"])
        sentence += f" {before} were trained by earlier versions of {names}."
    if results["changed"]:
        sentence += f" Changed since: {', '.join(results['changed'])}."
    return sentence
