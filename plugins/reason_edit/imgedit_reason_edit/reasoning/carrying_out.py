"""Carrying a document out: operations are rendered, the rest is painted, each in a layer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgedit_plugins.errors import ImgeditError, JobCancelledError, PictureError
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan
from imgedit_plugins.render import render_plan
from imgedit_reason_edit.reasoning.document import Document, DocumentError, Layer
from imgedit_reason_edit.reasoning.regions import Mask, combined, mask_of

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job
    from imgedit_reason_edit.reasoning.painters import Painter


@dataclass(frozen=True)
class Work:
    """What layers are carried out on, and by whom.

    Attributes:
        picture: the original.
        selection: (height, width) uint8 mask that all layers keep to; None for everything.
        folder: where the document is, for masks that are pictures.
        painter: None where nothing can be painted.
        seed: of what is painted.
        job: progress, warnings, cancellation.
    """

    picture: Picture
    selection: Mask | None
    folder: Path | None
    painter: Painter | None
    seed: int
    job: Job


@dataclass(frozen=True)
class Done:
    """A layer that was carried out.

    Attributes:
        layer: which.
        picture: the whole picture after it.
        mask: where it was changed; None for everywhere.
    """

    layer: Layer
    picture: Picture
    mask: Mask | None


@dataclass(frozen=True)
class Carried:
    """A document that was carried out.

    Attributes:
        before: the original.
        done: its layers in their order, without those that failed.
        failed: why others could not be painted.
    """

    before: Picture
    done: tuple[Done, ...]
    failed: tuple[str, ...] = ()

    @property
    def picture(self) -> Picture:
        """The result."""
        return self.done[-1].picture if self.done else self.before

    @property
    def is_plan(self) -> bool:
        """Whether operations on the whole picture are all that was done."""
        return bool(self.done) and all(is_below(one.layer) for one in self.done)

    def apart(self) -> tuple[EditPlan, Picture] | None:
        """The result as a plan of the whole picture, and as what lies above that.

        Returns:
            The operations that the document begins with and that no region limits, and a picture
            with alpha: transparent where they alone give the result. None where there are none,
            where pixels were moved, since nothing lies beneath then, or where the picture is
            transparent somewhere, which a layer above cannot change.
        """
        below = [*itertools.takewhile(lambda one: is_below(one.layer), self.done)]
        moved = any(one.layer.moving for one in self.done)
        if not below or moved or not _is_opaque(self.picture) or not _is_opaque(self.before):
            return None
        if below[-1].picture.color.shape != self.picture.color.shape:  # grey that took colours
            return None
        plan = plan_of([one.layer for one in below])
        return plan, _above(below[-1].picture, self.picture)


def carry_out(document: Document, work: Work, earlier: Carried | None = None) -> Carried:
    """Carry out a document's layers.

    A layer that cannot be painted is passed over and told in `failed`, if anything else is there.

    Args:
        document: what to do.
        work: on what.
        earlier: of another document on the same picture; layers that begin both are not made again.

    Raises:
        DocumentError: a region has no pixels, its picture is missing, pixels are moved within a
            selection, or all lies outside of it.
        ImgeditError: nothing but painting was to be done, and it failed.
        JobCancelledError: cancelled.
    """
    _check(document, work)
    done, failed, told = list(_shared(document, earlier)), list[str](), list[ImgeditError]()
    current = done[-1].picture if done else work.picture
    total = len(document.layers)
    for number, layer in enumerate(document.layers[len(done) :], len(done)):
        work.job.report(f"layer {number + 1} of {total}: {layer.name[:60]}", number, total)
        mask = combined(mask_of(layer.region, _size(work.picture), work.folder), work.selection)
        if mask is not None and not mask.any():
            failed.append(f"“{layer.name}” lies outside of the selection and was left out.")
            continue
        try:
            if is_below(layer) and all(is_below(one.layer) for one in done):
                # As one plan, since that is what an editor gets: rounded once, not layer by layer.
                joined = plan_of([*(one.layer for one in done), layer])
                current = _rendered(work.picture, joined, layer.name, mask, work)
            else:
                current = _after(layer, current, mask, number, work)
        except JobCancelledError:
            raise
        except ImgeditError as error:
            if layer.operations:
                raise
            told.append(error)
            failed.append(f"“{layer.name}” could not be painted: {error}")
            continue
        done.append(Done(layer, current, mask))
    if told and not done:
        raise told[0]
    if failed and not done:
        raise DocumentError(
            f"Nothing of this edit lies within the selection: {failed[0]}",
            hint="Select more, or nothing.",
        )
    return Carried(work.picture, tuple(done), tuple(failed))


def plan_of(layers: Sequence[Layer], explanation: str = "") -> EditPlan:
    """The operations of layers for the whole picture, as one plan."""
    operations = [one for layer in layers for one in layer.operations if layer.region is None]
    return EditPlan(operations=tuple(operations), explanation=explanation)


def is_below(layer: Layer) -> bool:
    """Whether a layer is operations on the whole picture."""
    return bool(layer.operations) and layer.region is None


def _check(document: Document, work: Work) -> None:
    """Before anything that takes long."""
    moving = next(filter(None, (layer.moving for layer in document.layers)), "")
    if moving and work.selection is not None:
        raise DocumentError(
            f"{moving!r} moves pixels and cannot be limited to a selection.",
            hint="Leave out the selection, or take the step out of the document.",
        )
    for layer in document.layers:
        mask_of(layer.region, _size(work.picture), work.folder)


def _shared(document: Document, earlier: Carried | None) -> Sequence[Done]:
    """What an earlier one has in common with a document, from its beginning."""
    if earlier is None or earlier.failed:
        return ()
    count = 0
    for one, layer in zip(earlier.done, document.layers, strict=False):
        if one.layer != layer:
            break
        count += 1
    return earlier.done[:count]


def _after(layer: Layer, picture: Picture, mask: Mask | None, number: int, work: Work) -> Picture:
    if layer.operations:
        return _rendered(picture, layer.plan, layer.name, mask, work)
    if work.painter is None:
        raise DocumentError(
            "nothing that is installed here paints by an instruction.",
            hint="`imgedit-plugins list` shows the plugins; the option 'painter' names one.",
        )
    seed = (work.seed + number) % 2**63
    return work.painter.paint(picture, layer.paint, mask, seed, work.job)


def _rendered(
    picture: Picture, plan: EditPlan, name: str, mask: Mask | None, work: Work
) -> Picture:
    try:
        return render_plan(picture, plan, mask=mask, job=work.job)
    except PictureError as error:  # such as a crop that leaves nothing
        raise DocumentError(f"“{name}” cannot be carried out: {error}") from error


def _size(picture: Picture) -> tuple[int, int]:
    return picture.height, picture.width


def _is_opaque(picture: Picture) -> bool:
    return picture.alpha is None or bool((picture.alpha == _opaque(picture)).all())


def _opaque(picture: Picture) -> float:
    pixels = picture.pixels
    return 1.0 if pixels.dtype == np.float32 else float(np.iinfo(pixels.dtype).max)


def _above(below: Picture, whole: Picture) -> Picture:
    """What turns one picture into another when it lies above: the pixels that differ.

    They are those of the finished mixture, so that both together show exactly what was rendered, in
    whatever way an editor mixes.
    """
    differs = (below.color != whole.color).any(axis=2, keepdims=True)
    alpha = np.where(differs, _opaque(whole), 0).astype(whole.pixels.dtype)
    return whole.with_pixels(np.concatenate([whole.color, alpha], axis=2))
