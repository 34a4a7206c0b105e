"""The cases of a judged benchmark, and who judges them."""

from __future__ import annotations

from imgedit_modelkit.evaluation.items import Item, items_of_pairs
from imgedit_modelkit.readers.instructed import set_of
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import EvaluateRequest
from imgedit_reason_edit.evaluation.items import limited
from imgedit_reason_edit.evaluation.judging import Judge, read_judged
from imgedit_reason_edit.evaluation.settings import Settings
from imgedit_reason_edit.reasoning.settings import asker_of


def judged_items(
    settings: Settings, request: EvaluateRequest, job: Job
) -> tuple[str, tuple[Item, ...], Judge]:
    """The name of the benchmark, what is judged of it, and the judge.

    Raises:
        OptionError: no model is named, or a server elsewhere may not see pictures.
        DataError: it is another data set, malformed, or its split is empty.
    """
    asker = asker_of(request.options, settings.seed, job)
    name = settings.set_name or set_of(settings.data)
    pairs, cases = read_judged(settings.data, name, job)
    items = items_of_pairs(
        pairs,
        settings.split,
        settings.data,
        every=True,
        group=lambda pair, _: cases[pair.id].group,
    )
    return name, limited(items, settings), Judge(asker, cases)
