"""A model's edit brought to the user's picture, where it was to be and nowhere else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgedit_modelkit.regions.boxes import Box, Fitting, model_size, region_of, tiles_of, window
from imgedit_modelkit.regions.change import Change
from imgedit_modelkit.regions.colors import Colors
from imgedit_modelkit.regions.drift import Drift, without_drift
from imgedit_modelkit.regions.resampling import Map, resized
from imgedit_plugins.errors import ImgeditError, PictureError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations.resampling import resized as picture_resized
from imgedit_plugins.pictures import Picture, mask_fault

Paint = Callable[[Map], NDArray[np.float32]]
"""(height, width, 3), sRGB in 0..1 -> (candidates, height, width, 3), edited."""

Rebuild = Callable[[Map], Map]
"""(height, width, 3) -> the same picture as the model holds it, such as through its VAE."""

Mask = NDArray[np.uint8] | None

_NEAR = 9  # pixels of the model: edits reach a little beyond a selection

_TONES = 0.2
"""Of a tile's side: how wide the blur is that tells its tones from its detail."""


@dataclass(frozen=True, eq=False)
class Edited:
    """One edited picture.

    Attributes:
        picture: the whole one, of the size, type, profile and alpha that it had.
        box: the part that may differ.
        drift: what the model changed without meaning to.
    """

    picture: Picture
    box: Box
    drift: Drift


def edit_region(
    picture: Picture,
    paint: Paint,
    *,
    mask: Mask = None,
    fitting: Fitting | None = None,
    rebuild: Rebuild | None = None,
    job: Job | None = None,
) -> tuple[Edited, ...]:
    """Edit a picture, or what is selected of it, by a model that takes small ones.

    The result is the picture bit for bit where the mask is 0, where it is fully transparent, and
    where `paint` changes nothing. What the edit leaves keeps its full resolution (`change`).

    Args:
        picture: any; it is converted to sRGB for the model, and back.
        paint: the model; called once, or once for the whole and once a tile.
        mask: (height, width) uint8; 0 keeps the picture, 255 takes the edit; None edits it all.
        fitting: how large the model's pictures are, and what it sees.
        rebuild: lets one tell what the model loses from what it edits. Without it all that
            differs from what `paint` was given counts as its edit.
        job: warnings, and cancellation between tiles.

    Returns:
        One for each candidate.

    Raises:
        PictureError: the mask does not fit, or nothing is selected.
        ImgeditError: `paint` returned another shape.
        JobCancelledError: the job was cancelled.
    """
    if mask is not None and (fault := mask_fault(picture, mask)):
        raise PictureError(f"This selection cannot be used: {fault}.")
    job, fitting = job or Job(), fitting or Fitting()
    box = region_of((picture.height, picture.width), mask, fitting)
    work = _Work(picture, Colors.of(picture, job), mask, fitting, paint, rebuild)
    parts = work.edited(box)
    if fitting.tiled:
        tiles = tiles_of(box, fitting)
        if len(tiles) > 1:
            wholes, drifts = parts
            parts = work.in_tiles(box, tiles, wholes, job), drifts
    return tuple(
        Edited(work.put_back(box, total, job), box, drift)
        for total, drift in zip(*parts, strict=True)
    )


@dataclass(frozen=True, eq=False)
class _Work:
    picture: Picture
    colors: Colors
    mask: Mask
    fitting: Fitting
    paint: Paint
    rebuild: Rebuild | None

    def edited(self, box: Box, wholes: list[Map] | None = None) -> tuple[list[Map], list[Drift]]:
        """What the edit adds to a box, in 0..1 of the picture's own values, by candidate.

        Args:
            box: to edit in one piece.
            wholes: what an edit of a larger part adds to this box, whose tones are to be kept.
        """
        size = model_size(box, self.fitting)
        own = self.colors.seen(box, size)
        shown = self.colors.to_srgb(own)
        before = shown if self.rebuild is None else _checked(self.rebuild(shown), shown.shape)
        candidates = np.asarray(self.paint(shown), np.float32)
        if candidates.ndim != 4 or candidates.shape[1:] != shown.shape:
            raise ImgeditError(
                f"The model made {candidates.shape} of a picture of {shown.shape}; "
                f"(candidates, {', '.join(map(str, shown.shape))}) was expected."
            )
        noise, rebuilding = None, None
        if self.rebuild is not None:
            noise = np.square(before - shown)
            rebuilding = float(np.sqrt(noise.mean()))
        start = self.colors.from_srgb(before)
        totals, drifts = [], []
        for number, candidate in enumerate(candidates):
            after, drift = without_drift(before, candidate, *self._sides(box, size))
            drifts.append(dataclasses.replace(drift, rebuilding=rebuilding))
            goal = self.colors.from_srgb(np.clip(after, 0.0, 1.0))
            if wholes is not None:
                goal = _with_tones(goal, start + resized(wholes[number], size), size)
            change = Change.of(own, start, goal, noise=noise)
            total = np.zeros((box.height, box.width, 3), np.float32)
            change.add_to(total, self.colors.pixels(box), self.colors.white, None)
            totals.append(total)
        return totals, drifts

    def in_tiles(self, box: Box, tiles: list[Box], wholes: list[Map], job: Job) -> list[Map]:
        """The same, tile by tile; where no tile has anything to do, the whole's."""
        totals = [np.zeros_like(whole) for whole in wholes]
        weights = np.zeros((box.height, box.width, 1), np.float32)
        for tile in tiles:
            job.check()
            if self.mask is not None and not self.mask[tile.rows, tile.columns].any():
                continue
            inner = (
                slice(tile.top - box.top, tile.top - box.top + tile.height),
                slice(tile.left - box.left, tile.left - box.left + tile.width),
            )
            weight = window(tile.height, tile.width, self.fitting.overlap)
            weights[inner] += weight
            found, _ = self.edited(tile, [whole[inner] for whole in wholes])
            for total, part in zip(totals, found, strict=True):
                total[inner] += part * weight
        for total in totals:
            np.divide(total, weights, out=total, where=weights > 0)
        return totals

    def put_back(self, box: Box, total: Map, job: Job) -> Picture:
        """The picture with what the edit adds to a box; `total` is overwritten."""
        pixels = self.picture.pixels.copy()
        if self.mask is not None:
            total *= self.mask[box.rows, box.columns, None] * np.float32(1.0 / 255)
        self.colors.add(pixels[box.rows, box.columns], total, job)
        return self.picture.with_pixels(pixels)

    def _sides(
        self, box: Box, size: tuple[int, int]
    ) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
        """Where the model sees nothing selected, nor anything near it, and where it does."""
        if self.mask is None:
            return None, None
        import cv2

        selected = (self.mask[box.rows, box.columns, None] > 0).astype(np.float32)
        small = picture_resized(selected, size)[:, :, 0]
        near = np.asarray(cv2.dilate(small, np.ones((_NEAR, _NEAR), np.uint8)))
        return np.asarray(near < 1e-3), np.asarray(small > 0.5)


def _checked(made: Map, wanted: tuple[int, ...]) -> Map:
    if made.shape != wanted:
        raise ImgeditError(f"The model rebuilt a picture of {wanted} as {made.shape}.")
    return np.asarray(made, np.float32)


def _with_tones(detail: Map, tones: Map, size: tuple[int, int]) -> Map:
    """The detail of one picture with the tones of another."""
    import cv2

    blurred = cv2.GaussianBlur(tones - detail, (0, 0), _TONES * min(size) / 2)
    return np.asarray(detail + np.asarray(blurred).reshape(detail.shape), np.float32)
