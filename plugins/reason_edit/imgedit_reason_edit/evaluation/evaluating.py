"""The `evaluate` hook: data, rows and encoders in, tables and pictures out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from imgedit_modelkit.devices import choose_device
from imgedit_modelkit.evaluation.answers import Answering
from imgedit_modelkit.evaluation.cases import cases_of, sheets_of
from imgedit_modelkit.evaluation.details import encoder_details, sample_details, tell
from imgedit_modelkit.evaluation.encoders import Given, given_encoders, how_to_get
from imgedit_modelkit.evaluation.kept import kept, write_texts
from imgedit_modelkit.evaluation.methods import Method
from imgedit_modelkit.evaluation.outcomes import Done
from imgedit_modelkit.evaluation.summaries import (
    differences_of,
    plain,
    plain_differences,
    summaries_of,
    with_all,
)
from imgedit_modelkit.evaluation.tables import Form, Summaries
from imgedit_modelkit.evaluation.work import Evaluation
from imgedit_plugins.errors import OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import Case, EvaluateReport, EvaluateRequest
from imgedit_reason_edit.evaluation.answers import answering
from imgedit_reason_edit.evaluation.figures import RANKS, form_of, measure_of, needs_of
from imgedit_reason_edit.evaluation.items import read_items
from imgedit_reason_edit.evaluation.judged_items import judged_items
from imgedit_reason_edit.evaluation.settings import Settings, settings_of
from imgedit_reason_edit.evaluation.tables import (
    baseline_tables,
    charts_of,
    further_tables,
    judged_table,
    main_table,
)


def evaluate(request: EvaluateRequest, job: Job) -> EvaluateReport:
    """Make one of the paper's tables or figures of a data set.

    Returns:
        Tables, the chart where it is figure 15, edits as pictures, and in `details` everything
        behind them.

    Raises:
        OptionError: an option, or a row, is none.
        WeightsError: weights are missing, or an encoder is not what it is given as.
        DataError: the data is malformed, or nothing can be scored.
        JobCancelledError: cancelled; what was finished is kept where `keep` says so.
    """
    settings = settings_of(request)
    work, form = settings.subject.work, form_of(settings.subject.work)
    given = given_encoders(request.options, needs_of(work), job)
    if settings.subject.charted and "clip" in given.missing:
        raise OptionError(
            f"{settings.subject.title} is measured with CLIP, which was not given.",
            hint=f"{how_to_get('clip')}.",
        )
    device = choose_device(str(settings.options["device"]))
    rows = {method: answering(method, settings) for method in settings.methods}
    judged = work == "judged"
    if judged:
        set_name, items, judge = judged_items(settings, request, job)
        measure, measured_with = judge.measure(), judge.stamp
    else:
        set_name, items = read_items(settings, job)
        measure, measured_with = measure_of(work, given.to(device).encoders), given.stamp
    with kept(settings, set_name) as (folder, journal):
        done = Evaluation(settings, items, measure, measured_with, folder, journal, job).run(rows)
        write_texts(folder, done)
        tell(done, len(items), job)
        summaries = (with_all if judged else summaries_of)(done, settings, form.names)
        differences = differences_of(summaries, settings)
        published = baseline_tables(settings.table, set_name, summaries, form)
        if request.baseline and not published:
            job.warn(f"The paper has no figures for this table and {set_name}.")
        return EvaluateReport(
            tables=(
                (judged_table if judged else main_table)(
                    summaries, form, f"{settings.subject.title}: {set_name}"
                ),
                *given.missing_tables(),
                *further_tables(summaries, differences, done, form),
                *(published if request.baseline else ()),
                *given.tables(),
            ),
            details={
                **_details(settings, set_name, rows, given, device),
                "figures": plain(summaries),
                "differences": plain_differences(differences),
                "unreadable": done.unreadable,
                "samples": sample_details(done),
                **({"judge": measured_with} if judged else {}),
            },
            charts=charts_of(summaries, settings.subject),
            cases=_cases(summaries, done, settings, form, request.worst),
        )


def _cases(
    summaries: Summaries, done: Done, settings: Settings, form: Form, number: int
) -> tuple[Case, ...]:
    if settings.subject.sheets:
        return sheets_of(done, settings.size, form, number, goals=not settings.sentence)
    return cases_of(summaries, settings, form, RANKS, number)


def _details(
    settings: Settings,
    set_name: str,
    rows: dict[Method, Answering],
    given: Given,
    device: torch.device,
) -> dict[str, Any]:
    return {
        "table": settings.table,
        "data": set_name,
        "options": {
            "split": settings.split,
            "limit": settings.limit,
            "instructions": settings.group,
            "sentence": settings.sentence,
            "size": settings.size,
            "seed": settings.seed,
            "seeds": settings.seeds,
            **settings.options,
            "device": str(device),
        },
        "rows": [
            {**asdict(method), "folders": [str(path.resolve()) for path in found.folders]}
            for method, found in rows.items()
        ],
        **encoder_details(given),
    }
