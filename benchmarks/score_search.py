"""How well `predict` recovers edits that other code made, beside the goals set for it.

    python -m benchmarks.score_search [--count 2000] [--workers 0] [--work build/score-search]
                                      [-o RESULTS.json]

Takes the test photographs (never used for tuning), makes COUNT clean edits and COUNT with the
edited picture saved as JPEG 90 by `benchmarks.reference_edits`, runs `imgedit-plugins evaluate
reverse_design` on both, prints its tables and PASS, FAIL or NOT RUN for each goal. Quality and
processor time are from the same run. Run it from the root of the repository with the Python of an
environment that has imgedit-plugins; exits with 1 when a goal is missed.

RESULTS.json (default: WORK/results.json) says from which sources, photographs and machine the
figures are; the whole reports of `evaluate` lie beside it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from benchmarks import photographs, reference_edits
from benchmarks.arguments import positive
from benchmarks.machine import machine

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = "imgedit-search-scores/1"
SEED = 2026
GOAL_COUNT = 2000  # pairs of a condition below which no goal counts as reached
CONDITIONS = ("clean", "jpeg90")
SHOWN = ("f1", "macro_f1", "accuracy", "mse", "exact", "equivalent", "cpu_seconds")

Figures = dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class Goal:
    """A limit of the issue; `scale` turns the figure into the unit of the limit."""

    condition: str
    figure: str
    title: str
    limit: float
    at_most: bool = False
    scale: float = 100.0

    def reached(self, value: float) -> bool:
        """Whether a figure in the goal's unit keeps the limit."""
        return value <= self.limit if self.at_most else value >= self.limit


GOALS = (
    Goal("clean", "f1", "F1 (micro) %", 98),
    Goal("clean", "accuracy", "accuracy %", 97),
    Goal("clean", "mse", "MSE", 0.01, at_most=True, scale=1),
    Goal("clean", "exact", "exact set %", 93),
    Goal("clean", "equivalent", "equivalence-aware exact set %", 98),
    Goal("clean", "cpu_seconds", "CPU-seconds a pair", 0.5, at_most=True, scale=1),
    Goal("jpeg90", "f1", "F1 (micro) %", 97),
    Goal("jpeg90", "accuracy", "accuracy %", 96),
)


class ScoreError(Exception):
    """The run cannot go on; the message is one sentence for the user."""


# --- what is scored ---------------------------------------------------------------------------


def sources_sha256() -> str:
    """A hash of all files under core/, plugins/ and of what makes the test edits."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for folder in ("benchmarks", "core", "plugins"):
        for path in sorted((ROOT / folder).rglob("*")):
            parts = path.relative_to(ROOT).parts
            hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
            made = folder != "benchmarks" or path.stem in {"reference_edits", "test"}
            if path.is_file() and not hidden and made:
                yield path


# --- making the test edits --------------------------------------------------------------------


def made_edits(condition: str, pictures: Path, work: Path, count: int) -> Path:
    """The folder with the edits of a condition, made unless an earlier run made just these."""
    folder = work / f"{condition}-{count}"
    if not _is_made(folder, condition, pictures, count):
        shutil.rmtree(folder, ignore_errors=True)
        reference_edits.generate(reference_edits.Job(pictures, folder, count, SEED, condition))
    return folder


def _is_made(folder: Path, condition: str, pictures: Path, count: int) -> bool:
    """The table comes last, so a folder with it is whole."""
    if not (folder / "imad_dense_data.csv").is_file():
        return False
    told = json.loads((folder / "provenance.json").read_text("utf-8"))
    hashes = {path.name: _sha256(path) for path in sorted(pictures.glob("*.png"))}
    wanted = {"seed": SEED, "count": count, "condition": condition, "photographs": hashes}
    return all(told.get(name) == value for name, value in wanted.items())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- scoring them -----------------------------------------------------------------------------


def evaluated(data: Path, out: Path, workers: int) -> tuple[dict[str, Any], float]:
    """Run `evaluate` on a folder; returns its report and the seconds that it took."""
    command = [sys.executable, "-m", "imgedit_plugins.cli", "evaluate", "reverse_design"]
    command += ["--data", str(data), "-O", f"workers={workers}", "--seed", str(SEED)]
    started = time.perf_counter()
    done = subprocess.run([*command, "-o", str(out)], check=False)
    if done.returncode != 0:
        raise ScoreError(f"`evaluate` ended with exit code {done.returncode}.")
    return json.loads(out.read_text("utf-8")), time.perf_counter() - started


def scored(condition: str, pictures: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All that the results say of one condition."""
    data = made_edits(condition, pictures, options.work, options.count)
    print(f"\n=== {condition}: {options.count} pairs in {data} ===", flush=True)
    kept = options.work / f"{condition}-{options.count}.json"
    report, seconds = evaluated(data, kept, options.workers)
    samples = report["details"]["samples"]
    return {
        "n": len(samples),
        "wall_seconds": round(seconds, 1),
        "figures": report["details"]["figures"]["overall"]["reverse_design"],
        "by_number_of_operations": report["details"]["figures"]["by_number_of_operations"],
        "failures": sum(bool(sample["failure"]) for sample in samples),
        "report": kept.name,
    }


def judged(results: dict[str, Any]) -> list[dict[str, Any]]:
    """A verdict for each goal."""
    return [_verdict(goal, results["conditions"][goal.condition]) for goal in GOALS]


def _verdict(goal: Goal, condition: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, float | None] = condition["figures"][goal.figure]
    value, low, high = (_scaled(found[key], goal.scale) for key in ("value", "low", "high"))
    n = int(condition["n"])
    best = low if goal.at_most else high
    verdict, note = "FAIL", ""
    if n < GOAL_COUNT and best is not None and goal.reached(best):
        # Too few to tell: the goal is inside the interval, or on its right side.
        verdict, note = "NOT RUN", f"goal needs {GOAL_COUNT}"
    elif n >= GOAL_COUNT and value is not None and goal.reached(value):
        verdict = "PASS"
    figures = {"value": value, "low": low, "high": high, "n": n}
    return {**asdict(goal), **figures, "verdict": verdict, "note": note}


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def described(goal: dict[str, Any]) -> str:
    """One line: verdict, figure, interval, goal."""
    sign = "<=" if goal["at_most"] else ">="
    interval = f"{_number(goal['low'])} to {_number(goal['high'])}"
    text = f"{goal['condition']:6}  {goal['title']}: {_number(goal['value'])} ({interval})"
    note = f"  [{goal['note']}]" if goal["note"] else ""
    return f"{goal['verdict']:7}  {text}, goal {sign} {goal['limit']:g}, n={goal['n']}{note}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}" if value >= 1 else f"{value:.4f}"


# --- the command ------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fetch, make, evaluate, judge; returns what results.json holds."""
    if not entry_points(group="imgedit_plugins", name="reverse_design"):
        raise ScoreError("imgedit-plugins is not installed in this Python: pip install -e .")
    options.work.mkdir(parents=True, exist_ok=True)
    before = sources_sha256()
    pictures = options.work / "photographs"
    fetched = photographs.prepare(photographs.LISTS / "test.json", pictures)
    results: dict[str, Any] = {
        "schema": SCHEMA,
        "count": options.count,
        "seed": SEED,
        "sources_sha256": before,
        "machine": machine() | {"workers": options.workers or os.cpu_count()},
        "photographs": {path.name: _sha256(path) for path in fetched.paths},
        "photographs_skipped": fetched.skipped,
        "conditions": {name: scored(name, pictures, options) for name in CONDITIONS},
    }
    if sources_sha256() != before:
        print("The sources changed during the run: the figures are of no version.", file=sys.stderr)
        results["sources_sha256"] = None
    return results | {"goals": judged(results)}


def show(results: dict[str, Any]) -> None:
    """Print the figures of both conditions and the verdicts."""
    for name, condition in results["conditions"].items():
        figures: Figures = condition["figures"]
        row = "  ".join(f"{title} {_number(figures[title]['value'])}" for title in SHOWN)
        print(f"\n{name}, n={condition['n']}, {condition['wall_seconds']:.0f} s: {row}")
    told, skipped = results["photographs"], results["photographs_skipped"]
    print(f"\n{len(told)} photographs; skipped, no package here: {', '.join(skipped) or 'none'}")
    where = results["machine"]
    print(f"{where['processor']}, {where['cores']} cores, {where['workers']} workers")
    for goal in results["goals"]:
        print(described(goal))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 when a goal is missed or the run cannot go on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.score_search")
    parser.add_argument("--count", type=positive, default=GOAL_COUNT, help="pairs a condition")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: one per core")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "score-search")
    parser.add_argument("-o", "--out", type=Path, help="default: results.json in WORK")
    options = parser.parse_args(arguments)
    known = (ScoreError, photographs.PhotographError, reference_edits.GenerationError)
    try:
        results = run(options)
    except known as error:
        print(error, file=sys.stderr)
        return 1
    out = options.out or options.work / "results.json"
    partial = out.with_name(f".{out.name}")
    partial.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    partial.replace(out)
    show(results)
    print(f"Written: {out}")
    return int(any(goal["verdict"] == "FAIL" for goal in results["goals"]))


if __name__ == "__main__":
    raise SystemExit(main())
