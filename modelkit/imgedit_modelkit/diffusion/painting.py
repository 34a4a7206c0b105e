"""A `PictureEditor` at work on the user's picture, by way of `imgedit_modelkit.regions`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.diffusion.editor import OnPreview, PictureEditor, Sampling
from imgedit_modelkit.regions.boxes import Box, Fitting, region_of
from imgedit_modelkit.regions.editing import Edited, Mask, edit_region
from imgedit_modelkit.regions.resampling import Map
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import Picture

Condition = Callable[[Map], Conditioning]
"""What the UNet shall attend to, from what it sees: (height, width, 3), sRGB in 0..1."""


def edit_picture(  # noqa: PLR0913 (all but three are by name)
    editor: PictureEditor,
    picture: Picture,
    condition: Condition | Conditioning,
    sampling: Sampling | None = None,
    *,
    seeds: Sequence[int] = (0,),
    mask: Mask = None,
    fitting: Fitting | None = None,
    job: Job | None = None,
    on_preview: OnPreview | None = None,
) -> tuple[Edited, ...]:
    """Edit a picture of any size, depth and profile, or what is selected of it.

    Args:
        editor: the model.
        picture: any.
        condition: the instruction for the UNet; a function where it hangs on the part that is
            edited (a tile has another than the whole).
        sampling: steps, guidance, scheduler.
        seeds: one for each candidate.
        mask: (height, width) uint8; 0 keeps the picture bit for bit, None edits it all.
        fitting: `Fitting(editor.factor)` by default, about 512 x 512 pixels.
        job: progress of each pass of the model, cancellation between steps, warnings.
        on_preview: as for `PictureEditor.edit`; without it they go to the job, where that wants
            them: of the first seed, and of the whole region before its tiles.

    Returns:
        One for each seed.

    Raises:
        PictureError: the mask does not fit, or nothing is selected.
        ImgeditError: as `PictureEditor.edit`.
        JobCancelledError: the job was cancelled.
    """
    fitting = fitting or Fitting(editor.factor)
    if on_preview is None and job is not None:
        region = region_of((picture.height, picture.width), mask, fitting)
        first = previewing(job, region)
    else:
        first = on_preview
    listeners = itertools.chain([first], itertools.repeat(on_preview))

    def paint(seen: Map) -> NDArray[np.float32]:
        conditioning = condition if isinstance(condition, Conditioning) else condition(seen)
        made = editor.edit(
            to_tensor(seen),
            conditioning,
            sampling,
            seeds=seeds,
            job=job,
            on_preview=next(listeners),
        )
        return np.ascontiguousarray(made.permute(0, 2, 3, 1).numpy())

    def rebuild(seen: Map) -> Map:
        return np.ascontiguousarray(editor.rebuilt(to_tensor(seen))[0].permute(1, 2, 0).numpy())

    return edit_region(
        picture,
        paint,
        mask=mask,
        fitting=fitting,
        rebuild=rebuild,
        job=job,
    )


def previewing(job: Job, box: Box) -> OnPreview | None:
    """What shows a job's user the steps of an edit; None where nobody looks.

    Args:
        job: whose previews they are.
        box: the part of the user's picture that is edited.
    """
    if not job.wants_previews:
        return None
    place = (box.left, box.top, box.width, box.height)
    return lambda preview: job.preview(preview.pictures[0], place)


def to_tensor(seen: Map) -> Tensor:
    """(height, width, 3) as (1, 3, height, width)."""
    return torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1))[None])
