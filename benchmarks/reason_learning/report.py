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
from benchmarks.reason_learning import data, knowing, pages
from benchmarks.reason_learning.finetuning import KINDS, SEES, TEXT, Run, Training, all_runs
from benchmarks.reason_learning.pages import OURS
from benchmarks.reason_learning.puzzles import FAMILIES, NEED_THE_PICTURE
from benchmarks.reason_learning.scoring import Painting
from benchmarks.reason_learning.sizes import Sizes
from benchmarks.reason_learning.work import APART, IN_TURN, OWN, SHUFFLED, SIZES, TEST
from benchmarks.tiny_editing import figures, sheet, tables
from benchmarks.tiny_editing.figures import OVERALL
from benchmarks.tiny_editing.scoring import chosen, family_of
from benchmarks.tiny_editing.stages import SCORES, all_changed, cpu_seconds, scores_of
from imgedit_modelkit import fingerprints
from imgedit_plugins.atomic import write_text_atomic

DOCS = ROOT / "docs"
SCHEMA = "imgedit-reason-learning/1"
COPY, TWIN, MIXED = "the input, copied", "text twin", "model, instructions shuffled"
TITLES = {SEES: OURS, TEXT: TWIN}
_SHOWN = 2  # of each family
_HEADS = ("input", "instruction", "goal", TWIN, OURS, "shuffled")
TRAINING, PAINTING = Training(), Painting()

CLAIMS: Mapping[str, tuple[str, ...]] = {
    COPY: (*FAMILIES, OVERALL),
    MIXED: (*FAMILIES, OVERALL),
    TWIN: (*NEED_THE_PICTURE, OVERALL),
}
"""What the model is to be ahead of, and where."""


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
    results["command"] = " ".join(["python -m benchmarks.reason_learning", *given])
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(json_file, json.dumps(results, indent=1) + "\n")
    print(pages.text(results))
    if write_docs:
        sheet.draw(shown(folder, training), _HEADS, docs / pages.SHEET)
        pages.write(docs / "reason_edit.md", results)
    return 0 if results["passed"] else 1


def collected(folder: Path, sizes: Sizes, training: Training, painting: Painting) -> dict[str, Any]:
    """Everything that is known of a folder's runs.

    Raises:
        FileNotFoundError: what comes before the plugin's training is not done.
    """
    stages = (*APART, *IN_TURN)
    made = {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in stages}
    found = {run: scores_of(folder, run.name) for run in all_runs(training)}
    missing = [run.name for run, scores in found.items() if scores is None]
    there = {run: scores for run, scores in found.items() if scores is not None}
    named = {run.name: scores for run, scores in there.items()}
    sources = {name: one["sources"] for name, one in made.items()}
    trained = {name: scores["sources"] for name, scores in named.items()}
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
        "known": knowing.known(folder, sizes, painting.pictures),
        "parameters": next((scores["parameters"] for scores in there.values()), {}),
        "cpu_seconds": cpu_seconds(made, named),
        **figures_of(there, outdated=bool(missing or stale)),
    }


def figures_of(there: Mapping[Run, Mapping[str, Any]], *, outdated: bool) -> dict[str, Any]:
    """Tables of all methods that were run, what the model is ahead of, and whether it should be.

    Args:
        there: runs -> what `work.work_on` wrote of them.
        outdated: whether a run is missing or a source has changed.
    """
    scores = {
        TITLES[kind]: [one["scores"][OWN] for run, one in there.items() if run.kind == kind]
        for kind in KINDS
    }
    scores[MIXED] = [one["scores"][SHUFFLED] for run, one in there.items() if run.kind == SEES]
    scores = {name: seeds for name, seeds in scores.items() if seeds}
    if not scores:
        return {"changed_region": {}, "errors": {}, "reached": {}, "ahead": {}, "claims": {},
                "passed": False}  # fmt: skip
    first = next(iter(scores.values()))
    families = [one["family"] for one in first[0]]
    whole = {COPY: figures.copied(first)}
    whole |= {name: figures.errors(seeds) for name, seeds in scores.items()}
    region = {COPY: figures.copied(first, "unchanged")}
    region |= {name: figures.errors(seeds, "changed") for name, seeds in scores.items()}
    reached = {n: figures.reached(seeds, "changed", "unchanged") for n, seeds in scores.items()}
    ahead = tables.ahead(region, OURS, families)
    claims = tables.claims(ahead, CLAIMS)
    held = len(claims) == len(CLAIMS) and all(all(one.values()) for one in claims.values())
    return {
        "changed_region": tables.means(region, families),
        "errors": tables.means(whole, families),
        "reached": tables.means(reached, families),
        "ahead": {name: tables.told(one) for name, one in ahead.items()},
        "claims": claims,
        "passed": held and not outdated,
    }


def shown(folder: Path, training: Training) -> list[sheet.Shown]:
    """The first test pictures of each family, as the models of the first seed edit them."""
    runs = {kind: folder / "runs" / Run(kind, training.seeds[0]).name for kind in KINDS}
    if not all((run / SCORES).exists() for run in runs.values()):
        return []
    mixed = json.loads((runs[SEES] / SCORES).read_text("utf-8"))["scores"][SHUFFLED]
    instead = {one["id"]: one["instruction"] for one in mixed}
    return [
        sheet.Shown(
            family_of(row),
            row.instruction,
            (f"that is: {row.direct_instruction}", f"shuffled: {instead[row.id]}"),
            (
                Path(str(row.source)),
                Path(str(row.edited)),
                *(
                    run / what / f"{row.id}.png"
                    for run, what in ((runs[TEXT], OWN), (runs[SEES], OWN), (runs[SEES], SHUFFLED))
                ),
            ),
        )
        for row in chosen(data.read_pairs(folder / TEST), _SHOWN)
    ]
