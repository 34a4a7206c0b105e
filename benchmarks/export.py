"""How fast bundles run, beside PyTorch, onnxruntime-genai and llama.cpp: full sizes, drawn weights.

    python -m benchmarks.export [--quick] [--only TEXT] [--threads N] [--rounds 3] [--llama PYTHON]
                                [--json FILE] [--write-docs]

Texts by LLaMA shapes of 110M, 1.1B and 7B numbers, a step of Stable Diffusion 1.5's UNet as an
editor, a CLIP ViT-L/14, MGIE's edit head, and a whole edit. Everybody gets the same number of
threads and equal precision (4 bits: 32 weights share a scale, arithmetic in int8, the output layer
too); bfloat16 is told apart. Each engine is a process of its own, engines work by turns in an order
that changes, each round has another input, and the median counts; quick work has up to 15 rounds in
20 seconds. The first round is not counted: it is what a cold start takes. Files of more than 110M
numbers are made of three layers, the middle one repeated with weights of its own.

llama.cpp is measured where a Python is named that has llama-cpp-python, gguf and numpy
(`python -m venv llama && llama/bin/pip install llama-cpp-python gguf`). Needs 15 GB of disk in the
folder for temporary files and 20 GB of memory; a row that the machine is too small for is not run.
Run it from the root of the repository, on a machine that does nothing else, for half an hour.

--quick takes tiny models: it shows that everything works, and judges no goal.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.arguments import positive
from benchmarks.documents import aligned, put_between
from benchmarks.exporting import installed, tables
from benchmarks.exporting.goals import Verdict, judged
from benchmarks.exporting.results import Result, ran, sources
from benchmarks.exporting.rows import Setting, has_llama, rows
from benchmarks.machine import machine
from imgedit_exporters.runtime.threads import usual
from imgedit_plugins.atomic import write_text_atomic

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "export.md"
SCHEMA = "imgedit-export-benchmark/1"

_PACKAGES = ("torch", "transformers", "diffusers", "onnxruntime", "onnxruntime-genai")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything; returns what the file of results holds, and prints as it goes."""
    started = time.perf_counter()
    llama = options.llama if has_llama(options.llama) else ""
    if options.llama != sys.executable and not llama:
        print(f"{options.llama} has no llama-cpp-python and gguf.", file=sys.stderr)
    setting = Setting(options.threads or usual() or 1, options.quick, llama)
    rounds = options.rounds or (1 if options.quick else 3)
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": " ".join(["python -m benchmarks.export", *options.given]),
        "machine": machine(),
        "threads": setting.threads,
        "rounds": rounds,
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }
    results = _measured(setting, rounds, options.only)
    verdicts = [] if options.quick else judged(results)
    sizes = installed.sizes() if options.only in "installed size" else {}
    _show(results, verdicts, sizes)
    if (modules := sources(results)) is None:
        print("The sources changed during the run: the figures are of no version.", file=sys.stderr)
    if options.write_docs:
        put_between(DOCS, tables.BEGIN, tables.for_docs(told, results, verdicts, sizes))
    return told | {
        "seconds": round(time.perf_counter() - started, 1),
        "sources": modules,
        "rows": [one.as_json() for one in results],
        "installed": sizes,
        "goals": [one.as_json() for one in verdicts],
    }


def _measured(setting: Setting, rounds: int, only: str) -> list[Result]:
    results = []
    folder = Path(tempfile.mkdtemp(prefix="export-benchmark-"))
    try:
        made: set[str] = set()
        for row in rows(setting, folder):
            if only not in row.name:
                continue
            results.append(ran(row, folder, rounds, setting.threads, made))
            _show_row(results[-1])
            if row.kind == "text":  # the next one needs the disk
                shutil.rmtree(Path(str(row.makers[0].task["folder"])), ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return results


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _show_row(result: Result) -> None:
    if result.not_run:
        print(f"NOT RUN  {result.row}: {result.not_run}", flush=True)
        return
    unit = "tokens/s" if result.kind == "text" else "per second"
    speeds = ", ".join(f"{n} {result.speed(n) or 0:.3g}" for n in result.figures)
    print(f"{result.row}, {unit}: {speeds}", flush=True)


def _show(results: Sequence[Result], verdicts: Sequence[Verdict], sizes: dict[str, float]) -> None:
    for table in (tables.texts(results), tables.pictures(results), tables.goals(verdicts)):
        if len(table) > 1:
            print(f"\n{aligned(table)}")
    print("\n".join(["", *tables.notes(results)]))
    for extras, size in sizes.items():
        print(f"installed with [{extras}]: {size / 1e6:.0f} MB")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 when a goal is missed or an engine failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export")
    parser.add_argument("--quick", action="store_true", help="tiny models, no goals")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name has this")
    parser.add_argument("--threads", type=positive, help="of everybody [one for each core]")
    parser.add_argument("--rounds", type=positive, help="of each engine [3]")
    parser.add_argument(
        "--llama",
        default=sys.executable,
        metavar="PYTHON",
        help="an interpreter with llama-cpp-python, gguf and numpy [this one]",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into {DOCS.name}")
    options = parser.parse_args(arguments)
    options.given = list(sys.argv[1:] if arguments is None else arguments)
    told = run(options)
    if options.json:
        write_text_atomic(options.json, json.dumps(told, indent=2) + "\n")
    faults = any(f["fault"] for row in told["rows"] for f in row["figures"].values())
    return int(faults or any(goal["verdict"] == "FAIL" for goal in told["goals"]))


if __name__ == "__main__":
    sys.exit(main())
