"""All runs of a folder as figures, a verdict, a page's tables and a sheet of pictures."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.loaded_sources import ROOT, common, sha256_of
from benchmarks.machine import machine
from benchmarks.mgie_learning import data, pages
from benchmarks.mgie_learning.finetuning import KINDS, LGIE, MGIE, Run, Training, all_runs
from benchmarks.mgie_learning.scoring import Painting
from benchmarks.mgie_learning.sizes import Sizes
from benchmarks.mgie_learning.work import (
    APART,
    EDITED,
    FIRST,
    IN_TURN,
    OWN,
    SHUFFLED,
    SIZES,
    TEST,
)
from benchmarks.tiny_editing import figures, sheet, tables
from benchmarks.tiny_editing.edits import FAMILIES, NEED_THE_PICTURE
from benchmarks.tiny_editing.figures import OVERALL
from benchmarks.tiny_editing.scoring import chosen, family_of
from benchmarks.tiny_editing.stages import SCORES, all_changed, cpu_seconds, scores_of
from imgedit_modelkit import fingerprints
from imgedit_plugins.atomic import write_text_atomic

DOCS = ROOT / "docs"
SCHEMA = "imgedit-mgie-learning/1"
COPY, MIXED = "the input, copied", "MGIE, instructions shuffled"
TITLES = {MGIE: "MGIE", LGIE: "LGIE"}
_SHOWN = 2  # of each family
_HEADS = ("input", "instruction, and what is made of it", "MGIE", "LGIE", "goal")
TRAINING, PAINTING = Training(), Painting()

CLAIMS: Mapping[str, tuple[str, ...]] = {
    COPY: (*FAMILIES, OVERALL),
    MIXED: (*FAMILIES, OVERALL),
    TITLES[LGIE]: NEED_THE_PICTURE,
}
"""What MGIE is to be ahead of, and where."""


def report(
    folder: Path,
    given: Sequence[str],
    json_file: Path | None,
    *,
    write_docs: bool = False,
    sizes: Sizes = SIZES,
    training: Training = TRAINING,
    painting: Painting = PAINTING,
    docs: Path = DOCS,
) -> int:
    """Print, and write where asked; 1 where a run is missing, outdated or behind."""
    results = collected(folder, sizes, training, painting)
    results["command"] = " ".join(["python -m benchmarks.mgie_learning", *given])
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(json_file, json.dumps(results, indent=1) + "\n")
    print(pages.text(results))
    if write_docs:
        sheet.draw(shown(folder, training), _HEADS, docs / pages.SHEET)
        pages.write(docs / "mgie.md", results)
    return 0 if results["passed"] else 1


def collected(folder: Path, sizes: Sizes, training: Training, painting: Painting) -> dict[str, Any]:
    """Everything that is known of a folder's runs.

    Raises:
        FileNotFoundError: what comes before MGIE's training is not done.
    """
    stages = (*APART, *IN_TURN)
    made = {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in stages}
    found = {run: scores_of(folder, run.name) for run in all_runs(training)}
    missing = [run.name for run, scores in found.items() if scores is None]
    there = {run: scores for run, scores in found.items() if scores is not None}
    sources = {name: one["sources"] for name, one in made.items()}
    trained = {run.name: s["sources"] for run, s in there.items()} | {FIRST: sources.pop(FIRST)}
    stale = all_changed(trained.values())
    return {
        "schema": SCHEMA,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine() | fingerprints.versions(),
        "sources": common(trained.values()),
        "sources_sha256": {name: sha256_of(one) for name, one in (sources | trained).items()},
        "changed": stale,
        "changed_before": all_changed(sources.values()),
        "sizes": asdict(sizes),
        "training": asdict(training),
        "painting": asdict(painting),
        "missing": missing,
        "parameters": next((scores["parameters"] for scores in there.values()), {}),
        "cpu_seconds": cpu_seconds(made, {run.name: scores for run, scores in there.items()}),
        **_figures(there, outdated=bool(missing or stale)),
    }


def _figures(there: Mapping[Run, Mapping[str, Any]], *, outdated: bool) -> dict[str, Any]:
    """Tables of all methods that were run, what MGIE is ahead of, and whether it should be."""
    scores = {
        TITLES[kind]: [one["scores"][OWN] for run, one in there.items() if run.kind == kind]
        for kind in KINDS
    }
    scores[MIXED] = [one["scores"][SHUFFLED] for run, one in there.items() if run.kind == MGIE]
    scores = {name: seeds for name, seeds in scores.items() if seeds}
    families = [one["family"] for one in next(iter(scores.values()), [[]])[0]]
    errors = {name: figures.errors(seeds) for name, seeds in scores.items()}
    if errors:
        errors = {COPY: figures.copied(next(iter(scores.values()))), **errors}
    ahead = tables.ahead(errors, TITLES[MGIE], families)
    claims = tables.claims(ahead, CLAIMS)
    held = len(claims) == len(CLAIMS) and all(all(one.values()) for one in claims.values())
    said = {name: figures.said_right(seeds) for name, seeds in scores.items() if name != MIXED}
    reached = {name: figures.reached(seeds) for name, seeds in scores.items()}
    return {
        "errors": tables.means(errors, families),
        "reached": tables.means(reached, families),
        "said": tables.means(said, families),
        "ahead": {name: tables.told(one) for name, one in ahead.items()},
        "claims": claims,
        "passed": held and not outdated,
    }


def shown(folder: Path, training: Training) -> list[sheet.Shown]:
    """The first test pictures of each family, as the models of the first seed edit them."""
    runs = {kind: folder / "runs" / Run(kind, training.seeds[0]).name for kind in KINDS}
    if not all((run / SCORES).exists() for run in runs.values()):
        return []
    said = {kind: _said(run) for kind, run in runs.items()}
    return [
        sheet.Shown(
            family_of(row),
            row.instruction,
            tuple(f"{TITLES[kind]}: {said[kind][row.id] or '–'}" for kind in KINDS),
            (row.source, *(runs[kind] / EDITED / f"{row.id}.png" for kind in KINDS), row.edited),
        )
        for row in chosen(data.read_pairs(folder / TEST), _SHOWN)
    ]


def _said(run: Path) -> dict[int, str]:
    """What a run's language model wrote, by the number of the row."""
    scores = json.loads((run / SCORES).read_text("utf-8"))["scores"][OWN]
    return {one["id"]: one["said"] for one in scores}
