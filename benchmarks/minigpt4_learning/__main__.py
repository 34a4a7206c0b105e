"""Pre-train, fine-tune every experiment with every seed, score, and tell.

    python -m benchmarks.minigpt4_learning [pretrain|train|report] [--json FILE] [--write-docs]
                                           [--folder FOLDER] [--processes N]

Without a step all three are done. A killed or cancelled command goes on where it stopped. Exits
with 1 where a run is missing, or where an experiment is not ahead of all it is compared with.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.arguments import positive

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "minigpt4_learning"
STEPS = ("pretrain", "train", "report")


def pretrain(folder: Path) -> None:
    """The encoder and the language model, and the pairs."""
    from benchmarks.minigpt4_learning import work

    work.prepare(folder, work.SIZES)


def train(folder: Path, processes: int) -> None:
    """Every fine-tuning with its scores, in so many processes."""
    from benchmarks.minigpt4_learning import work

    todo = [(work.work_on, run.name) for run in work.all_runs(work.SIZES)]
    todo += [(work.verify, run.name) for run in work.to_verify(work.SIZES)]
    todo.append((work.search, work.SEARCHED))
    if processes == 1:
        for do, name in todo:
            do(folder, name)
        return
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawned) as pool:
        for done in [pool.submit(do, folder, name) for do, name in todo]:
            done.result()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.minigpt4_learning")
    parser.add_argument("step", nargs="?", choices=STEPS, help="all of them by default, in turn")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of models and runs")
    parser.add_argument("--processes", type=positive, default=1, help="fine-tunings at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--write-docs", action="store_true", help="put tables and curves into docs")
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # small models; before torch is imported
    chosen = (options.step,) if options.step else STEPS
    if "pretrain" in chosen:
        pretrain(options.folder)
    if "train" in chosen:
        train(options.folder, options.processes)
    if "report" not in chosen:
        return 0
    from benchmarks.minigpt4_learning import report

    given = list(sys.argv[1:] if arguments is None else arguments)
    return report.report(options.folder, given, options.json, write_docs=options.write_docs)


if __name__ == "__main__":
    sys.exit(main())
