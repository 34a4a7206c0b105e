"""RISEBench's and UniREditBench's way of scoring: a vision-language model grades each edit.

Both have three grades from 1 to 5, asked for one by one, and put them together alike (RISEBench's
gpt_eval.py, UniREditBench's eval/gpt_eval_uniredit.py; Zhao et al. 2025, Han et al. 2025). The
prompts are ours, so that no figure is comparable to a published one, whatever the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from imgedit_modelkit.evaluation.answers import Answer
from imgedit_modelkit.evaluation.items import Item
from imgedit_modelkit.evaluation.tables import Form
from imgedit_modelkit.evaluation.work import Measure
from imgedit_modelkit.language.structured import form_of
from imgedit_modelkit.readers.pairs import InstructedPair
from imgedit_modelkit.readers.risebench import read_cases
from imgedit_modelkit.readers.unireditbench import read_unireditbench
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture
from imgedit_reason_edit.prompting import load_prompt
from imgedit_reason_edit.reasoning.asking import Asker, ReasoningError
from imgedit_reason_edit.reasoning.views import side_by_side

REASONING, CONSISTENCY, PLAUSIBILITY = "reasoning", "consistency", "plausibility"

GRADES = (REASONING, CONSISTENCY, PLAUSIBILITY)

FORM = Form(
    (*GRADES, "score", "solved"),
    percent=frozenset({"solved"}),
    decimals=dict.fromkeys((*GRADES, "score"), 2),
)
"""Grades and score from 1 to 5, and whether all grades are 5."""

JUDGED = ("risebench", "unireditbench")

_LOGICAL = "logical_reasoning"

_EXAMPLE = json.dumps({"reason": "The banana is brown, but not rotten.", "score": 3})


_ONE = "You see a picture that a program made."
_TWO = "You see two pictures side by side: on the left before an edit, on the right after it."
_THREE = (
    "You see three pictures side by side: on the left before an edit, in the middle after it, and "
    "on the right how the result should be."
)
_UNSAID = "what the instruction leads to."


@dataclass(frozen=True)
class Case:
    """What a judge must know beside the pictures.

    Attributes:
        group: of the table.
        reference: what the result should show; '' where only a picture says it.
        has_goal: whether there is a picture of the result.
        keeps: whether all else must stay as it was.
        plausible: whether it is graded how the picture is made.
    """

    group: str
    reference: str
    has_goal: bool
    keeps: bool = True
    plausible: bool = True


def read_judged(
    folder: Path, name: str, job: Job
) -> tuple[tuple[InstructedPair, ...], dict[str, Case]]:
    """All cases of a benchmark, and by its id what the judge of each must know.

    A case without a picture of its result has its source in that place.

    Raises:
        DataError: the benchmark is malformed, or another data set is given.
    """
    if name == "risebench":
        cases = read_cases(folder, job)
        pairs = tuple(
            InstructedPair(
                id=case.index,
                img_source=case.source.name,
                source=case.source,
                edited=case.reference_picture or case.source,
                instructions=(case.instruction,),
            )
            for case in cases
        )
        return pairs, {
            case.index: Case(
                case.category.partition("_")[0],
                case.reference,
                case.reference_picture is not None,
                case.keeps,
                case.category != _LOGICAL,
            )
            for case in cases
        }
    if name == "unireditbench":
        pairs = read_unireditbench(folder, job)
        return pairs, {
            pair.id: Case(pair.id.rpartition("/")[0], pair.captions[1], has_goal=True)
            for pair in pairs
        }
    raise DataError(
        f"table=judged is of {' and '.join(JUDGED)}, and {folder} holds {name!r}.", path=folder
    )


@dataclass(frozen=True)
class Judge:
    """A vision-language model that grades.

    Attributes:
        asker: the model.
        cases: by the id of the pair.
    """

    asker: Asker
    cases: Mapping[str, Case]

    @property
    def stamp(self) -> list[Any]:
        """What changes when grades may."""
        prompts = [load_prompt(f"judge-{what}").identity for what in GRADES]
        return [self.asker.model.identity, *prompts]

    def measure(self) -> Measure:
        """Grades of an answer; those of a case that got an unusable answer are left out."""

        def grades(item: Item, source: Map, goal: Map, answer: Answer) -> dict[str, float]:
            assert answer.pixels is not None  # every row of this table makes pictures
            case = self.cases[item.pair.id]
            before, after, wanted = map(_picture, (source, answer.pixels, goal))
            found = {REASONING: self._reasoning(item, case, before, after, wanted)}
            if case.keeps:
                found[CONSISTENCY] = self._grade(CONSISTENCY, item, _TWO, "", before, after)
            if case.plausible:
                found[PLAUSIBILITY] = self._grade(PLAUSIBILITY, item, _ONE, "", after)
            known = {name: float(grade) for name, grade in found.items() if grade is not None}
            return known | (put_together(known, case) if len(known) == len(found) else {})

        return grades

    def _reasoning(
        self, item: Item, case: Case, before: Picture, after: Picture, wanted: Picture
    ) -> int | None:
        if not case.has_goal:
            return self._grade(REASONING, item, _TWO, case.reference or _UNSAID, before, after)
        reference = f"what the picture on the right shows. {case.reference}".strip()
        return self._grade(REASONING, item, _THREE, reference, before, after, wanted)

    def _grade(
        self, what: str, item: Item, shown: str, reference: str, *pictures: Picture
    ) -> int | None:
        values = {
            "shown": shown,
            "instruction": item.instruction,
            "reference": reference,
            "example": _EXAMPLE,
        }
        messages = load_prompt(f"judge-{what}").messages(values, (side_by_side(*pictures),))
        try:
            grade, _ = self.asker.ask(messages, _GRADE, what="grade", stage=f"judging {what}")
        except ReasoningError as error:
            if error.__cause__ is not None:  # the server, and not what it said
                raise
            self.asker.job.warn(f"{item.name}, {what}: {error.message}")
            return None
        return grade.score


def put_together(grades: Mapping[str, float], case: Case) -> dict[str, float]:
    """The score of an edit, and whether it is solved.

    Reasoning counts 0.5, consistency 0.3 and plausibility 0.2; where one of the last two is not
    asked for, reasoning takes its share. A score with a reasoning of 1 is halved, 1 at the least.

    Args:
        grades: from 1 to 5, all that the case has.
        case: with a picture of its result in UniREditBench, which halves nothing.
    """
    shares = {CONSISTENCY: 0.3, PLAUSIBILITY: 0.2}
    score = sum(share * grades[name] for name, share in shares.items() if name in grades)
    rest = 1.0 - sum(share for name, share in shares.items() if name in grades)
    score += rest * grades[REASONING]
    if case.group in _RISE_GROUPS and grades[REASONING] == 1:
        score = max(1.0, score / 2)
    return {"score": score, "solved": float(min(grades.values()) == 5)}


_RISE_GROUPS = ("temporal", "causal", "spatial", "logical")


class _Grade(msgspec.Struct):
    reason: str
    score: int


_GRADE = form_of(_Grade, {"score": range(1, 6)})


def _picture(pixels: Map) -> Picture:
    return Picture(np.rint(pixels * 255).astype(np.uint8))
