"""All runs of a folder as figures, verdicts, a page's tables and a drawing of the curves."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.loaded_sources import ROOT, common
from benchmarks.machine import machine
from benchmarks.minigpt4_learning import curves, pages, scoring
from benchmarks.minigpt4_learning.finetuning import EXPERIMENTS, WITH_TWIN, Run, all_runs
from benchmarks.minigpt4_learning.scoring import WITH, WITHOUT
from benchmarks.minigpt4_learning.sizes import Sizes
from benchmarks.minigpt4_learning.work import (
    CAPTIONING,
    DRAWN,
    SCORES,
    SEARCHED,
    SIZES,
    UNTRAINED,
    VERIFIED,
    samples_of,
    test_rows,
)
from imgedit_modelkit import fingerprints
from imgedit_plugins.atomic import write_text_atomic
from imgedit_reverse_design.minigpt4.config import MODEL, PROJECTION
from imgedit_reverse_design.scores import Sample

DOCS = ROOT / "docs"
SCHEMA = "imgedit-minigpt4-learning/1"
KINDS = (WITHOUT, WITH)
MEAN, TWIN = "always the mean", "twin with shuffled answers"

Answers = dict[str, list[list[Sample]]]
"""By kind of prompt, for each seed."""


def report(
    folder: Path,
    given: Sequence[str],
    json_file: Path | None,
    *,
    write_docs: bool = False,
    sizes: Sizes = SIZES,
    docs: Path = DOCS,
) -> int:
    """Print, and write where asked; 1 where a run is missing or an experiment is not ahead."""
    results = collected(folder, sizes)
    results["command"] = " ".join(["python -m benchmarks.minigpt4_learning", *given])
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(json_file, json.dumps(results, indent=1) + "\n")
    print(pages.text(results))
    if write_docs:
        drawing = curves.drawn(curves_of(folder, sizes))
        write_text_atomic(docs / curves.FILE, drawing)
        pages.write(docs / "reverse-design.md", results)
    return 0 if results["passed"] else 1


def collected(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """Everything that is known of a folder's runs."""
    found = {run: _scores(folder, run) for run in all_runs(sizes)}
    missing = [run.name for run, scores in found.items() if scores is None]
    there = {run: scores for run, scores in found.items() if scores is not None}
    plain = _baselines(folder, sizes)
    experiments = {
        name: _experiment(name, there, plain)
        for name in EXPERIMENTS
        if any(run.experiment == name and not run.shuffled for run in there)
    }
    complete = not missing
    return {
        "schema": SCHEMA,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine() | fingerprints.versions(),
        "sources": common(scores.get("sources", {}) for scores in there.values()),
        "sizes": asdict(sizes),
        "missing": missing,
        "baselines": {
            name: {kind: [scoring.told(one) for one in seeds] for kind, seeds in answers.items()}
            for name, answers in plain.items()
        },
        "experiments": experiments,
        "search_alone": _read(folder / SEARCHED),
        "projections": {
            run.name: fingerprints.of_file(folder / "runs" / run.name / MODEL / PROJECTION)
            for run in there
            if not run.shuffled
        },
        "cpu_seconds": {run.name: scores["cpu_seconds"] for run, scores in there.items()},
        "passed": complete and all(one["passed"] for one in experiments.values()),
    }


def _scores(folder: Path, run: Run) -> dict[str, Any] | None:
    path = folder / "runs" / run.name
    if not (path / SCORES).exists():
        return None
    return {**_read(path / SCORES), "verified": _read(path / VERIFIED)}


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def _answers(seeds: Sequence[Mapping[str, Any]]) -> Answers:
    return {kind: [samples_of(one[kind]) for one in seeds] for kind in KINDS}


def _baselines(folder: Path, sizes: Sizes) -> dict[str, Answers]:
    untrained = json.loads((folder / UNTRAINED).read_text("utf-8"))
    mean = scoring.always_the_mean(test_rows(folder, sizes))
    return {
        MEAN: {kind: [mean] for kind in KINDS},
        DRAWN: _answers(untrained[DRAWN]),
        CAPTIONING: _answers(untrained[CAPTIONING]),
    }


def _experiment(
    name: str, there: Mapping[Run, Mapping[str, Any]], plain: Mapping[str, Answers]
) -> dict[str, Any]:
    ours = {run: found for run, found in there.items() if run.experiment == name}
    seeds = {run.seed: found for run, found in ours.items() if not run.shuffled}
    answers = _answers([found["alone"] for found in seeds.values()])
    twin = name if name in WITH_TWIN else "1"
    shuffled = [
        found["alone"] for run, found in there.items() if run.shuffled and run.experiment == twin
    ]
    others = {**plain, **({TWIN: _answers(shuffled)} if shuffled else {})}
    ahead = {
        other: {
            kind: {
                figure: asdict(interval)
                for figure, interval in scoring.ahead(answers[kind], theirs[kind]).items()
            }
            for kind in KINDS
        }
        for other, theirs in others.items()
    }
    return {
        "seeds": {
            str(seed): {kind: scoring.told(samples_of(found["alone"][kind])) for kind in KINDS}
            for seed, found in seeds.items()
        },
        "twin": {
            "experiment": twin,
            "seeds": [
                {kind: scoring.told(samples_of(one[kind])) for kind in KINDS} for one in shuffled
            ],
        },
        "ahead": ahead,
        "verified": {
            str(seed): found["verified"] for seed, found in seeds.items() if found["verified"]
        },
        "passed": TWIN in ahead and all(map(_is_ahead, ahead.values())),
    }


def _is_ahead(kinds: Mapping[str, Mapping[str, Mapping[str, float]]]) -> bool:
    """Whether accuracy and F1 are better with and without commands, by whole intervals."""
    return all(kinds[kind][figure]["low"] > 0 for kind in KINDS for figure in ("accuracy", "f1"))


def curves_of(folder: Path, sizes: Sizes) -> dict[str, list[list[dict[str, Any]]]]:
    """The figures of each finished run, by experiment (and twin), for each seed."""
    found: dict[str, list[list[dict[str, Any]]]] = {}
    for run in all_runs(sizes):
        path = folder / "runs" / run.name
        if (path / SCORES).exists():
            lines = (path / "metrics.jsonl").read_text("utf-8").splitlines()
            told = list(map(json.loads, lines))
            title = f"{run.experiment}, shuffled" if run.shuffled else run.experiment
            found.setdefault(title, []).append(told)
    return found
