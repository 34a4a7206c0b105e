"""Steps of a benchmark in a folder: each is done once, in a process of its own, and recorded.

::

    FOLDER/STAGE.json           time and sources of a finished stage
    FOLDER/STAGE.seconds        the processor time of one that is not finished, or was not
    FOLDER/runs/NAME/scores.json    of a training with its test
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.learning import Watch, telling
from benchmarks.loaded_sources import changed, loaded_sources
from imgedit_modelkit.runs import RunFolder
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.jobs import Job

SCORES = "scores.json"
SHARED = ("benchmarks/learning.py", "benchmarks/tiny_editing", "modelkit")
"""Where the sources lie that every such benchmark hangs on."""

TELLING = tuple(f"benchmarks/tiny_editing/{name}.py" for name in ("figures", "sheet", "tables"))
"""Modules that only tell what was found."""


def in_processes(
    processes: int, do: Callable[[Path, str], None], todo: Sequence[tuple[Path, str]]
) -> None:
    """Each in a process of its own, so that it records the modules that it loaded, not others'."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawned, max_tasks_per_child=1) as pool:
        for done in [pool.submit(do, *given) for given in todo]:
            done.result()


def once(
    folder: Path,
    stage: str,
    do: Callable[[Job], None],
    places: Sequence[str],
    without: Collection[str],
) -> None:
    """A stage; nothing where it is done already, and gone on with where it was begun.

    Args:
        folder: of all stages.
        stage: its name.
        do: the stage itself, which goes on where it was begun.
        places: where its sources lie, as for `loaded_sources`.
        without: files that do not count among them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / f"{stage}.json"
    if record.exists():
        return
    watch = Watch(folder / f"{stage}.seconds")
    do(telling(stage, watch.keep))
    sources = loaded_sources(places, without=without)
    write(record, {"sources": sources, "cpu_seconds": watch.seconds})


def write(path: Path, found: Mapping[str, Any]) -> None:
    """JSON in one line."""
    write_text_atomic(path, json.dumps(found) + "\n")


def weights_of(run: Path) -> Path:
    """The file with the best weights of a finished training."""
    best = RunFolder.open(run).best()
    assert best is not None  # a finished training has a checkpoint
    return best.weights


def scores_of(folder: Path, name: str) -> dict[str, Any] | None:
    """What is known of a run with its test; None where it was not done."""
    path = folder / "runs" / name / SCORES
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else None


def all_changed(sources: Iterable[Mapping[str, str]]) -> list[str]:
    """The names of all sources that changed since any of these was made."""
    return sorted({name for one in sources for name in changed(one)})


def cpu_seconds(
    made: Mapping[str, Mapping[str, Any]], runs: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """Processor time of stages, and of each part of runs."""
    found = {name: float(one["cpu_seconds"]) for name, one in made.items()}
    for name, scores in runs.items():
        found |= {f"{name}, {what}": float(s) for what, s in scores["cpu_seconds"].items()}
    return found
