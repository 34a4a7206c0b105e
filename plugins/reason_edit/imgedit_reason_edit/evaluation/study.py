"""`data reason_edit study`: who made the best of four pictures (section 4.3, table 4)?

The folder has a file for each person, `person-1.json` and so on, all pictures, and `votes.json`, by
which `evaluate reason_edit -O table=study` counts. No torch here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_modelkit.evaluation.items import Item
from imgedit_modelkit.evaluation.kept import read_kept
from imgedit_modelkit.evaluation.study import Source, names_in, rows_of, write_study
from imgedit_modelkit.folders import appearing
from imgedit_modelkit.human_evaluation.study import BEST, Criterion, read_study
from imgedit_plugins.errors import DataError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import DataReport, DataRequest
from imgedit_reason_edit.evaluation.items import items_of
from imgedit_reason_edit.evaluation.layout import DIRECT, LAYOUT, REASONING

FILE, SCHEMA = "votes.json", "imgedit-reason-edit-votes/1"

CRITERION = Criterion("best", "Which picture is the best edit by this instruction?")


@dataclass(frozen=True)
class Asked:
    """What a study asks.

    Attributes:
        studies: the file of each part, by the hash of what it asks.
        groups: of instructions: that of each item, by its id.
        systems: that are compared.
    """

    studies: dict[str, str]
    groups: dict[str, str]
    systems: tuple[str, ...]


def make_study(request: DataRequest, job: Job) -> DataReport:
    """Draw samples of each kind of instruction, and share them out among people.

    Raises:
        OptionError: a row is unknown, or there are too few or too many.
        DataError: the folder keeps no evaluation, the target is there already, or no sample is
            left.
    """
    options = request.options
    folder, people = Path(str(options["results"])), int(options["people"])
    if request.out.exists():
        raise DataError(f"{request.out} is there already.", path=request.out)
    found = _source(folder, names_in(options, "rows"), job)
    wanted = int(options["items"])
    groups = [g for g in (DIRECT, REASONING) if any(item.group == g for item in found.items)]
    chosen = {group: found.drawn(wanted, request.seed, group) for group in groups}
    for group, items in chosen.items():
        if len(items) < wanted:
            job.warn(f"Only {len(items)} {group} instructions have a picture of every row.")
    if max(map(len, chosen.values())) < people:
        raise OptionError(f"There are fewer samples than the {people} people.")
    with appearing(request.out) as out:
        _write(found, chosen, people, request.seed, out, job)
    count = sum(map(len, chosen.values()))
    return DataReport(folder=request.out, rows=count, details={"people": people})


def _source(folder: Path, wanted: tuple[str, ...], job: Job) -> Source:
    about = read_kept(folder, LAYOUT)
    if about["work"] != "edits":
        raise OptionError(
            f"{folder} keeps no edits by direct and reasoning instructions.",
            hint="`evaluate reason_edit -O table=results -O keep=FOLDER` makes some.",
        )
    rows = rows_of(folder, about, wanted, texts=False)
    name = str(about["set"])
    items = items_of(Path(about["data"]), name, str(about["split"]), "", job)
    return Source(folder, name, rows, items, int(about["size"]))


def _write(
    found: Source, chosen: dict[str, list[Item]], people: int, seed: int, out: Path, job: Job
) -> None:
    shares: list[list[dict[str, Any]]] = [[] for _ in range(people)]
    groups: dict[str, str] = {}
    total = sum(map(len, chosen.values()))
    for group, items in chosen.items():
        for number, item in enumerate(items):
            job.report("drawing", len(groups), total)
            groups[item.name] = group
            # Dealt out one by one: all have as many of each kind.
            shares[number % people].append(found.laid_out(item, item.name, out))
    names = [f"person-{number}.json" for number in range(1, people + 1)]
    for name, share in zip(names, shares, strict=True):
        write_study(out / name, "Edited pictures", (CRITERION,), share, seed, asks=BEST)
    record = {
        "schema": SCHEMA,
        "systems": [row.title for row in found.rows],
        "studies": names,
        "items": groups,
    }
    (out / FILE).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_asked(folder: Path) -> Asked:
    """What a study asks.

    Raises:
        DataError: the folder holds none.
    """
    path = folder / FILE
    try:
        record = json.loads(path.read_text("utf-8"))
        schema, names, groups = record["schema"], record["studies"], dict(record["items"])
        systems = tuple(map(str, record["systems"]))
    except FileNotFoundError:
        raise DataError(
            f"{folder} holds no study: it has no {FILE}.",
            path=path,
            hint="`data reason_edit study` makes one.",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error!r}.", path=path) from error
    if schema != SCHEMA:
        raise DataError(f"{path} is of {schema!r}, not {SCHEMA!r}.", path=path)
    studies = {read_study(folder / name).sha256: str(name) for name in names}
    return Asked(studies, groups, systems)
