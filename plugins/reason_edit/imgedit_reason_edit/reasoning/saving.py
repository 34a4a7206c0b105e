"""The folder in which a document is looked at and edited: itself, its masks, a preview of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from imgedit_plugins.atomic import write_failure, write_text_atomic
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import RGB8, Picture
from imgedit_reason_edit.reasoning.document import FILE, Document, DocumentError, Layer
from imgedit_reason_edit.reasoning.regions import Mask, mask_of
from imgedit_reason_edit.reasoning.views import view

PREVIEW = "preview.png"

_COLORS = ((255, 176, 0), (0, 170, 255), (255, 64, 129), (102, 220, 90))
_TINT = 0.35
_LONGEST = 1280


_REGION = "region-{}.png"


@dataclass(frozen=True)
class Folder:
    """Where a document goes; nothing that lies there already is replaced.

    Attributes:
        path: of the folder; None writes nothing.
    """

    path: Path | None
    _written: set[str] = field(default_factory=set, init=False, repr=False)

    @classmethod
    def of(cls, option: str) -> Folder:
        """The folder that an option names; '' for none.

        Raises:
            DocumentError: a document or what goes with it lies there already, or there can be no
                folder.
        """
        if not option.strip():
            return cls(None)
        path = Path(option)
        try:
            path.mkdir(parents=True, exist_ok=True)
            regions = sorted(path.glob(_REGION.format("*")))
        except (OSError, ValueError) as error:
            raise _unwritten(path, error) from error
        for file in (path / FILE, path / PREVIEW, *regions):
            _refuse_taken(file)
        return cls(path)

    def write(self, document: Document, picture: Picture, masks: Path | None = None) -> None:
        """Write, or write anew, what this folder got.

        Args:
            document: to be written.
            picture: that it is about.
            masks: the folder of masks that the document names.

        Raises:
            DocumentError: it cannot be written, a region cannot be drawn, or a file lies there.
        """
        if self.path is None:
            return
        drawn, marked = _drawn(document, (picture.height, picture.width), masks)
        files = {name: Picture(np.ascontiguousarray(mask[:, :, None])) for name, mask in drawn}
        if taken := {PREVIEW, FILE} & set(files):
            raise DocumentError(f"A region's mask cannot be called {taken.pop()!r}.")
        files[PREVIEW] = Picture(_preview(view(picture, _LONGEST), marked))
        for name in set(files) - self._written:
            _refuse_taken(self.path / name)
        stale = self._written - set(files)  # of regions that a correction did away with
        self._written.update(files)
        try:
            for name, made in files.items():
                save_picture(made, self.path / name)
            write_text_atomic(self.path / FILE, document.to_json())
            for name in stale:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritten(self.path, error) from error


def _drawn(
    document: Document, size: tuple[int, int], masks: Path | None
) -> tuple[list[tuple[str, Mask]], list[tuple[int, Layer, Mask]]]:
    """Masks by the names of their files, and which part each layer means."""
    named, marked = [], []
    given = {layer.region.mask for layer in document.layers if layer.region}
    for number, layer in enumerate(document.layers, 1):
        if layer.region is None:
            continue
        # As it is drawn: the document says whether what is outside of it is meant.
        inside = mask_of(layer.region.model_copy(update={"outside": False}), size, masks)
        assert inside is not None
        name = layer.region.mask or _REGION.format(number)
        if layer.region.mask or name not in given:  # another layer's mask may be called so
            named.append((name, inside))
        marked.append((number, layer, 255 - inside if layer.region.outside else inside))
    return named, marked


def _refuse_taken(file: Path) -> None:
    if file.exists():
        raise DocumentError(
            f"{file} exists already and may hold your changes.",
            hint="Name another folder with the option 'save-folder'.",
        )


def _unwritten(path: Path, error: OSError | ValueError) -> DocumentError:
    why = write_failure(error) if isinstance(error, OSError) else str(error)
    return DocumentError(f"The folder {str(path)!r} cannot be written: {why}.")


def _preview(shown: RGB8, marked: list[tuple[int, Layer, Mask]]) -> RGB8:
    """The picture with its regions tinted, outlined and named."""
    pixels = shown.astype(np.float32)
    height, width = shown.shape[:2]
    masks = [
        cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA) for _, _, mask in marked
    ]
    for place, mask in enumerate(masks):
        share = mask[:, :, None].astype(np.float32) / 255.0 * _TINT
        pixels += share * (np.array(_COLORS[place % len(_COLORS)], np.float32) - pixels)
    drawn = np.ascontiguousarray(np.rint(pixels).astype(np.uint8))
    for place, mask in enumerate(masks):
        _outline(drawn, np.asarray(mask, np.uint8), _COLORS[place % len(_COLORS)])
    image = Image.fromarray(drawn)
    for place, ((number, layer, _), mask) in enumerate(zip(marked, masks, strict=True)):
        _label(image, np.asarray(mask, np.uint8), f"{number}  {layer.name[:60]}", place)
    return np.asarray(image)


def _outline(pixels: RGB8, mask: Mask, color: tuple[int, int, int]) -> None:
    """The line along which half of the edit is seen, dark beneath so that it is seen on white."""
    half = (mask >= 128).astype(np.uint8)
    lines, _ = cv2.findContours(half, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    thick = max(2, round(max(pixels.shape[:2]) / 500))
    cv2.drawContours(pixels, lines, -1, (20, 20, 20), thick + 2, cv2.LINE_AA)
    cv2.drawContours(pixels, lines, -1, color, thick, cv2.LINE_AA)


def _label(image: Image.Image, mask: Mask, text: str, place: int) -> None:
    """The layer's number and name within its region, on its colour."""
    chosen = mask >= 128 if (mask >= 128).any() else mask > 0
    if not chosen.any():
        return
    rows, columns = np.flatnonzero(chosen.any(1)), np.flatnonzero(chosen.any(0))
    draw = ImageDraw.Draw(image)
    size = max(12, round(max(image.size) / 55))
    font = ImageFont.load_default(size)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    wide, tall = right - left + size, bottom - top + size * 0.8
    x = min(max((columns[0] + columns[-1] - wide) / 2, 0), max(image.width - wide, 0))
    y = min(rows[0] + size * (0.7 + 2.2 * place), max(image.height - tall, 0))
    color = _COLORS[place % len(_COLORS)]
    draw.rounded_rectangle((x, y, x + wide, y + tall), radius=size * 0.4, fill=color)
    draw.text((x + size / 2 - left, y + size * 0.4 - top), text, font=font, fill=(20, 20, 20))
