"""What was measured, as text and as a section of docs/mgie.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.documents import piped, put_between

Results = Mapping[str, Any]

BEGIN = "<!-- benchmark: written by `python -m benchmarks.mgie_full_size --write-docs` -->"

_NAMES = {
    "create": "all weights drawn, in place",
    "see": "CLIP sees the picture",
    "read": "the prompt is read, and the first token written",
    "token": "each further token",
    "head": "the edit head, for the instruction and for none",
    "encode": "the VAE encodes (twice an edit)",
    "step": "a step of the UNet, three branches",
    "decode": "the VAE decodes (twice an edit)",
}


def stages_table(results: Results) -> list[list[str]]:
    """Seconds of each stage, beside the numbers that were measured for whole edits."""
    lines = [["stage", "seconds"]]
    lines += [[text, _seconds(results["stages"][name])] for name, text in _NAMES.items()]
    whole = f"the edit: {results['tokens']} tokens, {results['steps']} steps"
    return [*lines, [whole, _seconds(results["seconds"])]]


def forecast_table(results: Results) -> list[list[str]]:
    """What the forecast said beside what was measured, and beside what follows from it."""
    told, memory = results["forecast"], results["memory"]
    lines = [["", "measured", "forecast"]]
    lines.append(["memory, GB", _gigabytes(memory["peak"]), _gigabytes(told["memory"])])
    lines.append(["that edit, seconds", _seconds(results["seconds"]), _seconds(told["seconds"])])
    for steps, one in results["extrapolated"].items():
        name = f"96 tokens, {steps} steps, seconds: **extrapolated, not run**"
        lines.append([name, _seconds(one["seconds"]), _seconds(one["forecast"])])
    return lines


def markdown(results: Results) -> str:
    """The section."""
    machine = results["machine"]
    numbers = ", ".join(f"{name} {_millions(n)}" for name, n in results["numbers"].items())
    about = (
        f"Random weights in bf16 in the sizes of scale `{results['scale']}` ({numbers}; "
        f"{_gigabytes(results['memory']['weights'])} GB), made in place, and one edit of "
        f"{results['side']} x {results['side']} pixels through the plugin's own path. "
        f"{machine['processor']}, {machine['threads']} threads, PyTorch {machine['torch']}."
    )
    parts = (about, piped(stages_table(results)), piped(forecast_table(results)))
    return "\n\n".join(parts)


def write(page: Path, results: Results) -> None:
    """Put the tables between the markers of a page, which must be there.

    Raises:
        ValueError: the page has no markers.
    """
    put_between(page, BEGIN, markdown(results))


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _gigabytes(value: float) -> str:
    return f"{value / 1e9:.1f}" if value > 1e9 else f"{value / 1e9:.2f}"


def _millions(value: int) -> str:
    return f"{value / 1e6:,.0f} M" if value >= 1e6 else f"{value / 1e6:.2f} M"
