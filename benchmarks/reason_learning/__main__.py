"""Prepare, train every model with every seed, test, and tell.

    python -m benchmarks.reason_learning [prepare|train|report] [--json FILE] [--write-docs]
                                         [--folder FOLDER] [--processes N]

Without a step all three are done; `train` prepares what is not there. A killed or cancelled command
goes on where it stopped. Exits with 1 where a run is missing, where a source has changed since it
was made, or where the model is not ahead of what it is to be ahead of.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arguments import positive

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "reason_learning"
STEPS = ("prepare", "train", "report")


def prepare(folder: Path, processes: int) -> None:
    """VAE, LLaVA and UNet, the model folder that the trainings begin with, and the pairs."""
    from benchmarks.reason_learning import work
    from benchmarks.tiny_editing.stages import in_processes

    in_processes(processes, work.prepare, [(folder, stage) for stage in work.APART])
    in_processes(1, work.prepare, [(folder, stage) for stage in work.IN_TURN])


def train(folder: Path, processes: int) -> None:
    """Every training with its test, in so many processes."""
    from benchmarks.reason_learning import finetuning, work
    from benchmarks.tiny_editing.stages import in_processes

    names = [run.name for run in finetuning.all_runs(finetuning.Training())]
    in_processes(processes, work.work_on, [(folder, name) for name in names])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reason_learning")
    parser.add_argument("step", nargs="?", choices=STEPS, help="by default all of them")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of models and runs")
    parser.add_argument("--processes", type=positive, default=1, help="trainings at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--write-docs", action="store_true", help="put tables and sheet into docs")
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # small models; before torch is imported
    chosen = (options.step,) if options.step else STEPS
    if "prepare" in chosen or "train" in chosen:
        prepare(options.folder, options.processes)
    if "train" in chosen:
        train(options.folder, options.processes)
    if "report" not in chosen:
        return 0
    from benchmarks.reason_learning import report

    given = list(sys.argv[1:] if arguments is None else arguments)
    return report.report(options.folder, given, options.json, write_docs=options.write_docs)


if __name__ == "__main__":
    sys.exit(main())
