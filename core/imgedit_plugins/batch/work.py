"""One picture of a batch: opened, edited, measured, saved, noted."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgedit_plugins.atomic import write_failure
from imgedit_plugins.batch.edits import Edit, Edited, Mask, geometry_of
from imgedit_plugins.batch.journal import Journal, stamp_of
from imgedit_plugins.batch.outliers import Figures, measure
from imgedit_plugins.errors import ImgeditError, PictureError
from imgedit_plugins.picture_files import open_picture, read_header, save_picture
from imgedit_plugins.pictures import Picture, to_8_bits
from imgedit_plugins.render import render_plan

if TYPE_CHECKING:
    from imgedit_plugins.batch.running import Turn
    from imgedit_plugins.batch.tasks import Task


@dataclass(frozen=True)
class PictureWork:
    """What `run_batch` does with each picture.

    Attributes:
        edit: the edit.
        mask: a grey picture of the same size as every picture.
        quality, flatten: as `save_picture` takes them.
        embed: whether the plan goes into the file.
        folders: whether to make the folders that a result needs.
        measured: whether to say how hard the edit hit.
        journal: where to note what is done.
    """

    edit: Edit
    mask: Path | None = None
    quality: int | None = None
    flatten: str | None = None
    embed: bool = False
    folders: bool = False
    measured: bool = False
    journal: Journal | None = None

    def __call__(self, task: Task, turn: Turn) -> Figures | None:
        """Edit one picture.

        Raises:
            ImgeditError: it cannot be read, edited or written; nothing is at the target then that
                was not there before.
            JobCancelledError: the run was stopped.
        """
        stamp = stamp_of(task.source)
        turn.job.report("opening")
        header = read_header(task.source)
        with turn.room(header.width * header.height):
            edited, figures = self._edited(task.source, turn)
            plain = _with_plan(edited, turn) if self.embed else edited.picture
            turn.job.report("saving")
            if self.folders:
                make_folder(task.target.parent)
            if self.journal is not None:
                self.journal.begin(task.source, stamp, task.target, figures)
            self._save(plain, task.target, turn, overwrite=task.replace)
            self._save_further(edited, task, turn)
        if self.journal is not None:
            self.journal.add(task.source, stamp, task.target, figures)
        return figures

    def _save(self, picture: Picture, target: Path, turn: Turn, *, overwrite: bool) -> None:
        save_picture(
            picture,
            target,
            quality=self.quality,
            flatten=self.flatten,
            overwrite=overwrite,
            on_warning=turn.job.warn,
        )

    def _save_further(self, edited: Edited, task: Task, turn: Turn) -> None:
        """Save the other candidates beside the result, under its name with numbers from 2 on."""
        names = (task.target.with_stem(f"{task.target.stem}-{n}") for n in itertools.count(2))
        free = names if task.replace else (name for name in names if not name.exists())
        paths = tuple(itertools.islice(free, len(edited.further)))
        for path, picture in zip(paths, edited.further, strict=True):
            self._save(picture, path, turn, overwrite=task.replace)
        turn.told = dataclasses.replace(turn.told, further=paths)

    def _edited(self, source: Path, turn: Turn) -> tuple[Edited, Figures | None]:
        """The edited picture; the original is given back to the system when this returns."""
        picture = open_picture(source, on_warning=turn.job.warn)
        mask = _open_mask(self.mask, picture) if self.mask else None
        edited = self.edit(picture, mask, turn)
        figures = _measured(picture, edited) if self.measured else None
        return edited, figures


def _measured(picture: Picture, edited: Edited) -> Figures | None:
    moves = geometry_of(edited.plan) if edited.plan else None
    before = render_plan(picture, moves) if moves and moves.operations else picture
    return measure(before, edited.picture)


def _with_plan(edited: Edited, turn: Turn) -> Picture:
    from imgedit_plugins.picture_files import with_plan

    if edited.plan is None:
        turn.job.warn("The plugin made a picture without a plan, so there is none to embed.")
        return edited.picture
    return with_plan(edited.picture, edited.plan, on_warning=turn.job.warn)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it.

    Raises:
        ImgeditError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = write_failure(error)
        raise ImgeditError(f"The folder {folder} cannot be made: {reason}.") from error


def _open_mask(path: Path, picture: Picture) -> Mask:
    """The mask as (height, width) uint8."""
    mask = open_picture(path)
    if not mask.is_grey and np.ptp(mask.color, axis=2).any():
        raise PictureError(
            f"The mask {path} has colours.", path=path, hint="Make it a grey picture."
        )
    if (mask.width, mask.height) != (picture.width, picture.height):
        raise PictureError(
            f"The mask {path} is {mask.width} x {mask.height} pixels, "
            f"the picture is {picture.width} x {picture.height}.",
            path=path,
            hint="Make the mask as large as the picture.",
        )
    return np.ascontiguousarray(to_8_bits(mask.color)[:, :, 0])
