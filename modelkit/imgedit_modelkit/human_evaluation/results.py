"""The answers of one person in a JSON file, and figures of several such files."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_modelkit.human_evaluation.study import BEST, Study
from imgedit_plugins.atomic import write_text_atomic
from imgedit_plugins.errors import DataError

SCHEMA = "imgedit-study-results/1"


class Results:
    """What one person has answered; written to the file after each answer.

    Args:
        path: the file; one that is there is gone on with.
        study: what is asked.
        rater: who answers.

    Raises:
        DataError: the file holds something else, another study's or another person's answers.
    """

    def __init__(self, path: Path, study: Study, rater: str) -> None:
        self._path, self._study, self._rater = path, study, rater
        self._answers: dict[tuple[str, str], dict[str, Any]] = {}
        if path.exists():
            document = read_results(path)
            for what, wanted in (("study", study.sha256), ("rater", rater)):
                if document[what] != wanted:
                    raise DataError(
                        f"{path} holds the answers to another study or of another person "
                        f"({what} {document[what]!r}, not {wanted!r}).",
                        path=path,
                        hint="Choose another file.",
                    )
            for answer in document["answers"]:
                self._answers[answer["item"], answer["criterion"]] = answer

    def ranking(self, item: str, criterion: str) -> tuple[str, ...]:
        """The systems from best to worst as answered; empty where there is no answer."""
        return tuple(self._answers.get((item, criterion), {}).get("ranking", ()))

    def put(
        self,
        item: str,
        criterion: str,
        ranking: Sequence[str],
        shown: Sequence[str],
        seconds: float,
    ) -> None:
        """Keep an answer, in the place of an earlier one.

        Args:
            item: what it is about.
            criterion: what was asked.
            ranking: all systems of the item, from best to worst, or the best one if no more is
                asked.
            shown: the systems in the order in which they were shown.
            seconds: that it took.

        Raises:
            DataError: it is no ranking of the item's systems by one of the study's criteria.
            OSError: the file cannot be written.
        """
        systems = {i.id: {c.system for c in i.candidates} for i in self._study.items}
        if criterion not in {c.name for c in self._study.criteria} or item not in systems:
            raise DataError(f"The study does not ask for {criterion!r} of {item!r}.")
        if self._study.asks == BEST:
            if len(ranking) != 1 or ranking[0] not in systems[item]:
                raise DataError(f"{list(ranking)} is not one of {sorted(systems[item])}.")
        elif set(ranking) != systems[item] or len(ranking) != len(systems[item]):
            raise DataError(f"{list(ranking)} does not rank {sorted(systems[item])}.")
        self._answers[item, criterion] = {
            "item": item,
            "criterion": criterion,
            "ranking": list(ranking),
            "shown": list(shown),
            "seconds": round(seconds, 1),
        }
        document = {
            "schema": SCHEMA,
            "title": self._study.title,
            "study": self._study.sha256,
            "rater": self._rater,
            "answers": list(self._answers.values()),
        }
        write_text_atomic(self._path, json.dumps(document, indent=1) + "\n")


def read_results(path: Path) -> dict[str, Any]:
    """The content of a results file.

    Raises:
        DataError: it is missing or something else.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
        for name in ("study", "rater", "answers"):
            document[name]
        complete = all({"item", "criterion", "ranking"} <= set(a) for a in document["answers"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} holds no answers: {error}.", path=path) from error
    if document.get("schema") != SCHEMA or not complete:
        raise DataError(f"{path} holds no answers to a study.", path=path)
    return dict(document)


@dataclass(frozen=True)
class Summary:
    """Figures of one system by one criterion.

    Attributes:
        criterion, system: which.
        answers: how many.
        score: mean, from 1 for the worst to the number of systems for the best; where only the best
            was asked for, 1 for that one and 0 for the others.
        interval: half of the 95 % interval of that mean (normal approximation); 0 for one answer.
        first: share of answers that put it first.
    """

    criterion: str
    system: str
    answers: int
    score: float
    interval: float
    first: float


def summarise(documents: Sequence[dict[str, Any]]) -> tuple[Summary, ...]:
    """Figures over the answers of several people, as `read_results` gives them; best first.

    Raises:
        DataError: they answered different studies, or nothing.
    """
    if len({document["study"] for document in documents}) != 1:
        raise DataError("These files hold answers to different studies, or there are none.")
    scores: dict[tuple[str, str], list[int]] = {}
    firsts: dict[tuple[str, str], int] = {}
    for answer in (answer for document in documents for answer in document["answers"]):
        ranking = answer["ranking"]
        others = [system for system in answer.get("shown", ()) if system not in ranking]
        for place, system in enumerate([*ranking, *others]):
            key = answer["criterion"], system
            scores.setdefault(key, []).append(max(0, len(ranking) - place))
            firsts[key] = firsts.get(key, 0) + (place == 0)
    order = list(dict.fromkeys(criterion for criterion, _ in scores))
    found = [
        Summary(
            criterion=criterion,
            system=system,
            answers=len(values),
            score=statistics.fmean(values),
            interval=_half_interval(values),
            first=firsts[criterion, system] / len(values),
        )
        for (criterion, system), values in scores.items()
    ]
    return tuple(sorted(found, key=lambda s: (order.index(s.criterion), -s.score, s.system)))


def _half_interval(values: Sequence[int]) -> float:
    return 1.96 * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
