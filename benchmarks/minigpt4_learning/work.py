"""The steps of the benchmark in a folder; each can be done again, and goes on where it stopped.

::

    FOLDER/pretraining    run folder of the captioning        FOLDER/scenes, pairs, shuffled   data
    FOLDER/base           the frozen model folder             FOLDER/features                  cache
    FOLDER/runs/NAME      one fine-tuning, by `train reverse_design`; its scores.json, verified.json
    FOLDER/untrained.json the base and drawn projections, never fine-tuned
    FOLDER/searched.json  the verified search without a model
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.learning import telling
from benchmarks.minigpt4_learning import finetuning, pretraining, scoring
from benchmarks.minigpt4_learning.data import make_pairs, make_twin
from benchmarks.minigpt4_learning.finetuning import Features, Run, all_runs
from benchmarks.minigpt4_learning.sizes import Sizes
from benchmarks.minigpt4_learning.sources import sources
from imgedit_modelkit.readers.imad import ImadRow, read_imad
from imgedit_modelkit.readers.splits import split_by_image
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.jobs import Job
from imgedit_reverse_design.scores import Sample

SIZES = Sizes()
SCORES, VERIFIED, SEARCHED = "scores.json", "verified.json", "searched.json"
UNTRAINED = "untrained.json"
DRAWN = "drawn projection"
CAPTIONING = "captioning projection"

__all__ = ["SIZES", "all_runs", "prepare", "search", "to_verify", "verify", "work_on"]


def prepare(folder: Path, sizes: Sizes) -> None:
    """Pre-train, make the pairs and their twin, encode all pictures, score what is untrained."""
    folder.mkdir(parents=True, exist_ok=True)
    base = pretraining.pretrain(folder, sizes, telling("pre-training"))
    job = telling("data")
    pairs = make_pairs(folder, sizes, job)
    make_twin(pairs, folder / "shuffled", job)
    features = Features(folder / "features", base)
    features.fill(test_rows(folder, sizes), telling("encoding"))
    if not (folder / UNTRAINED).exists():
        rows = test_rows(folder, sizes)
        found = {CAPTIONING: [_scored(base, rows, features)]}
        found[DRAWN] = [_scored(base, rows, features, drawn=seed) for seed in sizes.seeds]
        _write(folder / UNTRAINED, found)


def work_on(folder: Path, name: str, sizes: Sizes = SIZES) -> None:
    """One fine-tuning with its scores; nothing where they are there already."""
    run = next(run for run in all_runs(sizes) if run.name == name)
    out = folder / "runs" / name
    if (out / SCORES).exists():
        return
    features = Features(folder / "features", folder / "base")
    data = folder / ("shuffled" if run.shuffled else "pairs")
    began = time.process_time()
    finetuning.fine_tune(folder, run, data, sizes, telling(name))
    seconds = time.process_time() - began
    rows = test_rows(folder, sizes)
    alone = _scored(out / "model", rows, features)
    found = {"sources": sources(), "cpu_seconds": seconds, "alone": alone}
    _write(out / SCORES, found)


def verify(folder: Path, name: str, sizes: Sizes = SIZES) -> None:
    """The answers of a fine-tuning with verification, once."""
    out = folder / "runs" / name
    if not (out / VERIFIED).exists():
        job = telling(f"{name}, verification")
        _write(out / VERIFIED, scoring.verified(folder / "pairs", out, sizes.verified_rows, job))


def search(folder: Path, name: str, sizes: Sizes = SIZES) -> None:
    """What the verified search answers without a model, once; into the file `name`."""
    if not (folder / name).exists():
        found = scoring.searched(folder / "pairs", sizes.verified_rows, telling("search alone"))
        _write(folder / name, found)


def to_verify(sizes: Sizes) -> list[Run]:
    """The fine-tunings that are verified: each experiment with the first seed."""
    return [run for run in all_runs(sizes) if run.seed == sizes.seeds[0] and not run.shuffled]


def test_rows(folder: Path, sizes: Sizes) -> Sequence[ImadRow]:
    """The test pairs that are answered: of pictures that no training has seen."""
    return split_by_image(read_imad(folder / "pairs", Job()))["test"][: sizes.test_rows]


def _scored(
    model: Path, rows: Sequence[ImadRow], features: Features, *, drawn: int | None = None
) -> dict[str, list[dict[str, Any]]]:
    found = scoring.scored(model, rows, features, drawn=drawn)
    return {kind: [_plain(one) for one in samples] for kind, samples in found.items()}


def _plain(sample: Sample) -> dict[str, Any]:
    return {"image": sample.image, "truth": sample.truth, "predicted": sample.predicted}


def samples_of(plain: Sequence[Mapping[str, Any]]) -> list[Sample]:
    """Samples as they were written."""
    return [
        Sample(one["truth"], one["predicted"], one["image"], abstained=not one["predicted"])
        for one in plain
    ]


def _write(path: Path, found: Mapping[str, Any]) -> None:
    write_text_atomic(path, json.dumps(found) + "\n")
