"""The `evaluate` hook: data, rows and encoders in, tables and pictures out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from imgedit_mgie import models
from imgedit_mgie.evaluation.figures import NEEDS, RANKS, form_of, measure_of
from imgedit_mgie.evaluation.items import read_items
from imgedit_mgie.evaluation.model_answers import answering
from imgedit_mgie.evaluation.published import published_figures
from imgedit_mgie.evaluation.settings import Settings, settings_of
from imgedit_mgie.evaluation.tables import charts_of, further_tables, main_table
from imgedit_mgie.folders import FILE, read_config
from imgedit_modelkit.devices import choose_device
from imgedit_modelkit.evaluation.answers import Answering
from imgedit_modelkit.evaluation.cases import cases_of
from imgedit_modelkit.evaluation.details import encoder_details, sample_details, tell
from imgedit_modelkit.evaluation.encoders import Given, given_encoders, how_to_get
from imgedit_modelkit.evaluation.kept import kept, write_texts
from imgedit_modelkit.evaluation.methods import Method
from imgedit_modelkit.evaluation.outcomes import Done
from imgedit_modelkit.evaluation.summaries import (
    Point,
    Summary,
    differences_of,
    plain,
    plain_differences,
    summaries_of,
)
from imgedit_modelkit.evaluation.work import Evaluation
from imgedit_plugins.errors import OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import EvaluateReport, EvaluateRequest


def evaluate(request: EvaluateRequest, job: Job) -> EvaluateReport:
    """Make one of the paper's tables or figures of a data set.

    Returns:
        Tables, the trade-off curve where it is that figure, the worst and best edits as pictures,
        and in `details` everything behind them.

    Raises:
        OptionError: an option, or a row, is none.
        WeightsError: weights are missing, or an encoder is not what it is given as.
        DataError: the data is malformed, or nothing can be scored.
        JobCancelledError: cancelled; what was finished is kept where `keep` says so.
    """
    settings = settings_of(request)
    subject = settings.subject
    needed, form = NEEDS[subject.work], form_of(subject.work)
    given = given_encoders(request.options, needed, job)
    if [*needed] == ["clip"] and given.missing:
        raise OptionError(
            f"{subject.title} is measured with CLIP, which was not given.",
            hint=f"{how_to_get('clip')}.",
        )
    device = choose_device(str(settings.options["device"]))
    set_name, items = read_items(settings, job)
    rows = {method: answering(method, settings, job) for method in settings.methods}
    if request.baseline and not published_figures(settings.table, set_name):
        job.warn(f"No published figures are known here for this table and {set_name}.")
    with kept(settings, set_name) as (folder, journal):
        measure = measure_of(subject.work, given.to(device).encoders)
        work = Evaluation(settings, items, measure, given.stamp, folder, journal, job)
        try:
            done = work.run(rows)
        finally:
            models.release()
        write_texts(folder, done)
        tell(done, len(items), job)
        summaries = summaries_of(done, settings, form.names)
        return EvaluateReport(
            tables=(
                main_table(summaries, done, settings, set_name),
                *given.missing_tables(),
                *further_tables(summaries, done, settings, set_name, baseline=request.baseline),
                *given.tables(),
            ),
            details=_details(settings, set_name, rows, given, done, summaries, device),
            charts=charts_of(summaries, settings),
            cases=cases_of(summaries, settings, form, RANKS[subject.work], request.worst),
        )


# --- for programs -----------------------------------------------------------------------------


def _details(
    settings: Settings,
    set_name: str,
    rows: dict[Method, Answering],
    given: Given,
    done: Done,
    summaries: dict[Point, Summary],
    device: torch.device,
) -> dict[str, Any]:
    return {
        "table": settings.table,
        "data": set_name,
        "options": {
            "split": settings.split,
            "limit": settings.limit,
            "every_instruction": settings.every_instruction,
            "size": settings.size,
            "seed": settings.seed,
            "seeds": settings.seeds,
            "image_guidances": list(settings.image_guidances),
            **settings.options,
            "device": str(device),
        },
        "rows": [
            {**asdict(method), "parameters": found.parameters, "folders": _folders(found)}
            for method, found in rows.items()
        ],
        **encoder_details(given),
        "figures": plain(summaries),
        "differences": plain_differences(differences_of(summaries, settings)),
        "unreadable": done.unreadable,
        "samples": sample_details(done),
    }


def _folders(row: Answering) -> list[dict[str, Any]]:
    """Where a row comes from; model folders say what they were made of, with hashes."""
    return [{"path": str(path.resolve()), "lineage": _lineage(path)} for path in row.folders]


def _lineage(folder: Path) -> list[dict[str, str]]:
    if not (folder / FILE).is_file():
        return []
    return [
        {"part": part.part, "file": part.file, "sha256": part.sha256, "source": part.source}
        for part in read_config(folder).lineage
    ]
