"""`data mgie study`: what an evaluation made, as a study for people to judge. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgedit_mgie.evaluation.items import items_of
from imgedit_mgie.evaluation.layout import LAYOUT
from imgedit_modelkit.evaluation.kept import read_kept
from imgedit_modelkit.evaluation.study import Source, names_in, rows_of, write_study
from imgedit_modelkit.folders import appearing
from imgedit_modelkit.human_evaluation.study import INSTRUCTION_CRITERIA, RESULT_CRITERIA
from imgedit_plugins.errors import DataError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import DataReport, DataRequest

STUDY = "study.json"


def make_study(request: DataRequest, job: Job) -> DataReport:
    """Draw items that every row has, and lay them out for `imgedit_modelkit.human_evaluation`.

    The folder holds `study.json` and all the pictures, so that it can be sent to who judges.

    Raises:
        OptionError: a row is unknown, or there are too few or too many.
        DataError: a folder keeps no evaluation, the target is there already, or no item is left.
    """
    options = request.options
    judged = str(options["judge"])
    folders = [Path(name) for name in names_in(options, "results")]
    if not folders:
        raise OptionError("Option 'results' names no folder.")
    if request.out.exists():
        raise DataError(f"{request.out} is there already.", path=request.out)
    with appearing(request.out) as out:
        items: list[dict[str, Any]] = []
        for number, folder in enumerate(folders):
            job.report("drawing", number, len(folders))
            found = _source(folder, judged, names_in(options, "rows"), job)
            chosen = found.drawn(int(options["items"]), request.seed)
            prefix = (
                f"{found.set_name}-" if len(folders) == 1 else f"{number + 1}-{found.set_name}-"
            )
            items += [found.laid_out(item, f"{prefix}{item.name}", out) for item in chosen]
        results = judged == "results"
        title = "Edited pictures" if results else "Expressive instructions"
        criteria = RESULT_CRITERIA if results else INSTRUCTION_CRITERIA
        write_study(out / STUDY, title, criteria, items, request.seed)
    return DataReport(folder=request.out, rows=len(items), details={"judge": judged})


def _source(folder: Path, judged: str, wanted: tuple[str, ...], job: Job) -> Source:
    about = read_kept(folder, LAYOUT)
    pictures = judged == "results"
    if about["work"] == "trade-off" or (pictures and about["work"] == "texts"):
        raise OptionError(
            f"{folder} keeps no {'pictures' if pictures else 'instructions'} of one edit for each "
            "row.",
            hint="Evaluate with table=results, or judge=instructions.",
        )
    set_name = str(about["set"])
    rows = rows_of(folder, about, wanted, texts=not pictures)
    every = about["instructions"] == "all"
    items = items_of(Path(about["data"]), set_name, str(about["split"]), job, every=every)
    return Source(folder, set_name, rows, items, int(about["size"]), texts=not pictures)
