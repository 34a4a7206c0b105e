"""Table 4: how often people chose each row's picture as the best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgedit_modelkit.evaluation.bootstrap import mean
from imgedit_modelkit.evaluation.rows import choice
from imgedit_modelkit.evaluation.study import names_in
from imgedit_modelkit.evaluation.summaries import Point, Summary, plain
from imgedit_modelkit.evaluation.tables import Form, interval_table
from imgedit_modelkit.human_evaluation import read_results
from imgedit_plugins.errors import DataError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import EvaluateReport, EvaluateRequest, Table
from imgedit_reason_edit.evaluation.layout import DIRECT, REASONING
from imgedit_reason_edit.evaluation.study import Asked, read_asked
from imgedit_reason_edit.evaluation.subjects import SUBJECTS, TABLES
from imgedit_reason_edit.evaluation.tables import baseline_tables

STUDY = "study"

_FIGURE = "chosen as the best"

FORM = Form((_FIGURE,), percent=frozenset({_FIGURE}))


def is_study(request: EvaluateRequest) -> bool:
    """Whether votes are to be counted, for which nothing else is needed."""
    return choice(request.options, "table", TABLES) == STUDY


def count_votes(request: EvaluateRequest, job: Job) -> EvaluateReport:
    """Make table 4 of the answers of people.

    The data is what `data reason_edit study` wrote; the option 'votes' names the files of answers.

    Raises:
        OptionError: no file is named.
        DataError: the folder holds no study, or a file no answers to it.
    """
    asked = read_asked(request.data)
    files = [Path(name) for name in names_in(request.options, "votes")]
    if not files:
        raise OptionError(
            "table=study needs the files of answers.", hint="As in -O votes=ann.json,bob.json."
        )
    votes = _votes(asked, files)
    answered = {item for item, _ in votes}
    if missing := len(asked.groups) - len(answered):
        job.warn(f"{missing} of {len(asked.groups)} samples have no answer yet.")
    summaries = _summaries(asked, votes, request.seed)
    title = SUBJECTS[STUDY].title
    return EvaluateReport(
        tables=(
            _table(asked, votes, title),
            interval_table(summaries, FORM),
            *(baseline_tables(STUDY, STUDY, summaries, FORM) if request.baseline else ()),
        ),
        details={
            "table": STUDY,
            "figures": plain(summaries),
            "votes": [{"item": i, "instructions": asked.groups[i], "best": s} for i, s in votes],
            "samples": len(asked.groups),
            "answered": len(answered),
        },
    )


def _votes(asked: Asked, files: list[Path]) -> list[tuple[str, str]]:
    """(item, system) of each answer."""
    found: list[tuple[str, str]] = []
    seen: dict[tuple[str, str], Path] = {}
    for path in files:
        document = read_results(path)
        key = str(document["study"]), str(document["rater"])
        if key[0] not in asked.studies:
            raise DataError(f"{path} holds answers to another study.", path=path)
        if key in seen:
            raise DataError(
                f"{path} and {seen[key]} hold answers of one person ({key[1]!r}) to the same part.",
                path=path,
            )
        seen[key] = path
        found += [_vote(answer, asked, path) for answer in document["answers"]]
    if not found:
        raise DataError("These files hold no answers.", path=files[0])
    return found


def _vote(answer: dict[str, Any], asked: Asked, path: Path) -> tuple[str, str]:
    item, ranking = str(answer["item"]), answer["ranking"]
    if item not in asked.groups or not ranking or ranking[0] not in asked.systems:
        raise DataError(f"{path} has an answer that the study did not ask for.", path=path)
    return item, str(ranking[0])


def _groups(asked: Asked) -> list[str]:
    return [g for g in (DIRECT, REASONING) if g in asked.groups.values()]


def _table(asked: Asked, votes: list[tuple[str, str]], title: str) -> Table:
    rows: list[tuple[str | int, ...]] = []
    for group in _groups(asked):
        chosen = [system for item, system in votes if asked.groups[item] == group]
        rows.append((group, len(chosen), *(chosen.count(system) for system in asked.systems)))
    return Table(title=title, columns=("instructions", "answers", *asked.systems), rows=tuple(rows))


def _summaries(asked: Asked, votes: list[tuple[str, str]], seed: int) -> dict[Point, Summary]:
    """Shares with intervals; samples are drawn, since several people may see the same."""
    found: dict[Point, Summary] = {}
    for system in asked.systems:
        for group in _groups(asked):
            mine = [(item, best) for item, best in votes if asked.groups[item] == group]
            values = [float(best == system) for _, best in mine]
            estimate = mean(values, [item for item, _ in mine], seed=seed)
            known = {} if estimate.value is None else {_FIGURE: estimate}
            found[system, group] = Summary(known, ())
    return found
