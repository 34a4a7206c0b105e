"""Where results go, and which of them are there already."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imgedit_plugins.batch.inputs import Source
from imgedit_plugins.batch.journal import Journal
from imgedit_plugins.errors import OptionError, PictureError
from imgedit_plugins.picture_files import EXTENSIONS

SUFFIXES = {
    "jpeg": ".jpg",
    "png": ".png",
    "tiff": ".tif",
    "webp": ".webp",
    "avif": ".avif",
    "heic": ".heic",
    "jxl": ".jxl",
}
"""The extension of each format that results can be saved in."""

_SHOWN = 3


@dataclass(frozen=True)
class Task:
    """One picture to edit.

    Attributes:
        source: the picture's file.
        target: where the result goes.
        name: what to call it: `Source.name`.
        replace: whether a file may be there already.
    """

    source: Path
    target: Path
    name: Path
    replace: bool = False


def plan_tasks(sources: Sequence[Source], out: Path, form: str | None = None) -> list[Task]:
    """A task for each picture, results below `out` under their names.

    Args:
        sources: the pictures.
        out: a folder.
        form: a key of `SUFFIXES`: save as this; a picture that has the format keeps its extension.

    Raises:
        OptionError: two pictures would have the same result.
    """
    tasks: list[Task] = []
    owners: dict[str, Path] = {}
    for source in sources:
        target = out / _renamed(source.name, form)
        owner = owners.setdefault(os.path.normcase(target), source.path)
        if owner is not source.path:
            raise OptionError(
                f"{owner} and {source.path} would both become {target}.",
                hint="Apply them one after another, into two folders.",
            )
        tasks.append(Task(source.path, target, source.name))
    return tasks


def _renamed(name: Path, form: str | None) -> Path:
    if form is None or EXTENSIONS.get(name.suffix.lower()) == EXTENSIONS.get(SUFFIXES[form]):
        return name
    return name.with_suffix(SUFFIXES[form])


def to_do(
    tasks: Sequence[Task], journal: Journal | None, *, overwrite: bool, resume: bool
) -> tuple[list[Task], list[Task]]:
    """What has to be done, and what is done already.

    Without `resume`, a result that exists is refused unless `overwrite` says otherwise. With it:

    - made from this source by this edit: kept, even where somebody has worked on it since;
    - made by another edit, or before the source changed: done again;
    - made from another file, changed since, or not made here: refused unless `overwrite`.

    Args:
        tasks: all of them.
        journal: what was done in the output folder; needed for `resume`.
        overwrite: whether any existing file may be replaced.
        resume: whether to go on with an earlier run.

    Returns:
        The tasks to do, with `replace` set, and those to keep.

    Raises:
        PictureError: a result exists and must not be replaced.
        OptionError: `resume`, and a result would replace its own source.
    """
    doing: list[Task] = []
    kept: list[Task] = []
    refused: list[Path] = []
    for task in tasks:
        verdict = "new"
        if task.target.exists():
            verdict = "refused"
            if resume and journal is not None:
                _refuse_in_place(task)
                verdict = journal.verdict(task.source, task.target)
        if verdict == "kept":
            kept.append(task)
        elif verdict == "refused" and not overwrite:
            refused.append(task.target)
        else:
            doing.append(replace(task, replace=overwrite or verdict == "stale"))
    if refused:
        raise _exist(refused, resume=resume)
    return doing, kept


def _refuse_in_place(task: Task) -> None:
    if task.source.exists() and task.source.samefile(task.target):
        raise OptionError(
            f"{task.source} would be replaced by its own result, so that nobody can tell "
            "whether it was edited already.",
            hint="Use --resume with another folder for --out.",
        )


def _exist(targets: list[Path], *, resume: bool) -> PictureError:
    shown = ", ".join(map(str, targets[:_SHOWN]))
    more = f" and {len(targets) - _SHOWN} more" if len(targets) > _SHOWN else ""
    one = len(targets) == 1
    if resume:
        return PictureError(
            f"{shown}{more} {'was' if one else 'were'} made from another file, changed since, or "
            "not made by `apply`.",
            path=targets[0],
            hint="Add --overwrite to replace, or choose another --out.",
        )
    return PictureError(
        f"{shown}{more} exist{'s' if one else ''} already.",
        path=targets[0],
        hint="Add --overwrite to replace, --resume to go on with an earlier run, or choose "
        "another --out.",
    )
