"""Draws docs/operations/NAME.webp, before and after, and the entries in docs/operations.md.

    python scripts/operation_pictures.py

Each operation of the vocabulary is rendered on a drawn scene. What the entries say of parameters,
inverses and other editors comes from the declarations; definitions are written by hand, below the
entries. Run it again after a change of an operation; a test tells when it was forgotten.
"""

from __future__ import annotations

import argparse
import functools
import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import scene
from numpy.typing import NDArray
from PIL import Image

from imgedit_plugins.atomic import write_bytes_atomic, write_text_atomic
from imgedit_plugins.cli.op_syntax import format_operation, parse_operation
from imgedit_plugins.operations import (
    Operation,
    Parameter,
    colour,
    default_vocabulary,
    detail,
    effects,
    frame,
    haze,
    imad,
    tone,
)
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan
from imgedit_plugins.render import render_plan

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "operations.md"
PICTURES = DOCS / "operations"
LARGEST = 15_000  # bytes of a picture
HALF, GAP = (238, 159), 4  # px: width and height of each side, and between them
QUALITIES = (76, 68, 60, 52)  # of WebP: the first that makes the picture small enough
_MANY = 8  # parameters; more are told by the first and the last of a kind
GROUPS = {
    "imad": imad.OPERATIONS,
    "tone": tone.OPERATIONS,
    "colour": colour.OPERATIONS,
    "detail": (*detail.OPERATIONS, *haze.OPERATIONS, *effects.OPERATIONS),
    "frame": frame.OPERATIONS,
}


@dataclass(frozen=True)
class Shown:
    """How an operation is shown.

    Attributes:
        step: as after `--op`.
        before: operations that prepare the scene, as after `--op`.
        noise, haze: of the scene; more of them where the operation is to take it away.
        part: left, top, width and height in px where the whole would hide what happens.
        same_scale: the result is shown as large as it is beside the scene, not fitted.
    """

    step: str
    before: tuple[str, ...] = ()
    noise: float = 1.2
    haze: float = 0.0
    part: tuple[int, int, int, int] | None = None
    same_scale: bool = False


# Pixel by pixel: the star and the cloth; trees, two balls and the table; hills and trees.
_STAR = (652, 348, 238, 159)
_BALLS = (395, 345, 238, 159)
_HILLS = (5, 240, 238, 159)
SHOWN = {
    "grayscale": Shown("grayscale"),
    "sepia": Shown("sepia"),
    "summer": Shown("summer"),
    "winter": Shown("winter"),
    "hdr": Shown("hdr"),
    "blur": Shown("blur=9", part=_STAR),
    "bright": Shown("bright=50"),
    "sharp": Shown("sharp", part=_BALLS),
    "contrast": Shown("contrast=1.3"),
    "saturate": Shown("saturate=2"),
    "gaussian": Shown("gaussian=21", part=_STAR),
    "invert": Shown("invert"),
    "rotate": Shown("rotate=90"),
    "flip": Shown("flip"),
    "exposure": Shown("exposure=1", before=("exposure=-1",)),
    "gamma": Shown("gamma=1.4"),
    "lightness": Shown("lightness=40"),
    "highlights": Shown("highlights=-80"),
    "shadows": Shown("shadows=80"),
    "whites": Shown("whites=60"),
    "blacks": Shown("blacks=-60"),
    "levels": Shown("levels=in_black:25,in_white:225,gamma:1.2"),
    "curves": Shown("curves=all:0/0,0.25/0.15,0.75/0.87,1/1,blue:0/0.12,1/0.9"),
    "hue": Shown("hue=40"),
    "temperature": Shown("temperature=45"),
    "tint": Shown("tint=12"),
    "vibrance": Shown("vibrance=60"),
    "split-tone": Shown(
        "split-tone=shadow_hue:210,shadow_saturation:90,highlight_hue:40,highlight_saturation:90"
    ),
    "hsl": Shown("hsl=blue_hue:-25,blue_lightness:-40,red_hue:25,green_saturation:-80"),
    "clarity": Shown("clarity=80"),
    "texture": Shown("texture=100", part=_HILLS),
    "denoise": Shown("denoise=luminance:6,chroma:15", noise=8, part=_BALLS),
    "dehaze": Shown("dehaze=70", haze=0.5),
    "vignette": Shown("vignette=-45"),
    "grain": Shown("grain=amount:8,size:1.5", part=_BALLS),
    "crop": Shown("crop=left:0.1,top:0.4,right:0.35,bottom:0.03"),
    "straighten": Shown("straighten=4", before=("straighten=-4",)),
    "resize": Shown("resize=480", same_scale=True),
    "perspective": Shown("perspective=vertical:13", before=("perspective=vertical:-16",)),
}


def main() -> int:
    """Draw all pictures and write the entries; 0 when done."""
    told = "Draws the pictures of docs/operations.md and writes its entries."
    argparse.ArgumentParser(prog="operation_pictures.py", description=told).parse_args()
    PICTURES.mkdir(exist_ok=True)
    for path in PICTURES.glob("*.webp"):
        if path.stem not in SHOWN:
            path.unlink()
    for operation in default_vocabulary():
        data = encoded(pair(SHOWN[operation.name]))
        write_bytes_atomic(PICTURES / f"{operation.name}.webp", data)
        print(f"{operation.name}: {len(data)} bytes")
    text = PAGE.read_text(encoding="utf-8")
    write_text_atomic(PAGE, with_entries(text))
    return 0


# --- pictures ---------------------------------------------------------------------------------


def pair(shown: Shown) -> NDArray[np.uint8]:
    """Before and after beside each other, (159, 480, 4), nothing around them."""
    before = _rendered(_scene(shown.noise, shown.haze), shown.before)
    after = _rendered(before, (shown.step,))
    canvas = np.zeros((HALF[1], 2 * HALF[0] + GAP, 4), np.uint8)
    scale = min(HALF[0] / before.width, HALF[1] / before.height)
    for number, picture in enumerate((before, after)):
        pixels = picture.rgb8()
        if shown.part is not None:
            left, top, width, height = shown.part
            pixels = pixels[top : top + height, left : left + width]
        pixels = _fitted(pixels, scale if shown.same_scale else None)
        height, width = pixels.shape[:2]
        x = number * (HALF[0] + GAP) + (HALF[0] - width) // 2
        y = (HALF[1] - height) // 2
        canvas[y : y + height, x : x + width, :3] = pixels
        canvas[y : y + height, x : x + width, 3] = 255
    return canvas


def encoded(canvas: NDArray[np.uint8]) -> bytes:
    """The picture as a WebP file of at most 15 kB.

    Raises:
        ValueError: no quality that still looks well makes it so small.
    """
    for quality in QUALITIES:
        buffer = io.BytesIO()
        Image.fromarray(canvas).save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= LARGEST:
            return buffer.getvalue()
    raise ValueError(f"A picture takes {buffer.tell()} bytes, more than {LARGEST}.")


@functools.cache
def _scene(noise: float, haze: float) -> Picture:
    return Picture(scene.draw(noise=noise, haze=haze))


def _rendered(picture: Picture, steps: tuple[str, ...]) -> Picture:
    parsed = tuple(parse_operation(step, default_vocabulary()) for step in steps)
    return render_plan(picture, EditPlan(operations=parsed))


def _fitted(pixels: NDArray[np.uint8], scale: float | None) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    scale = scale or min(HALF[0] / width, HALF[1] / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8)


# --- entries ----------------------------------------------------------------------------------


def with_entries(page: str) -> str:
    """The page with the entries between its markers made anew.

    Raises:
        ValueError: a group has no place on the page, or more than one.
    """
    for group, operations in GROUPS.items():
        index = " · ".join(f"[{operation.name}](#{operation.name})" for operation in operations)
        made = "\n\n".join(["", index, *map(_entry, operations), ""])[1:]
        place = re.compile(rf"(<!-- made: {group} -->\n).*?(<!-- end: {group} -->\n)", re.DOTALL)
        parts = place.split(page)
        if len(parts) != 4:
            places = len(parts) // 3
            raise ValueError(f"{PAGE.name} has {places} places for the group {group!r}.")
        before, begin, end, after = parts
        page = before + begin + made + end + after
    return page


def _entry(operation: Operation) -> str:
    name = operation.name
    told = [*_parameters(operation), _caption(operation, SHOWN[name])]
    if operation.compares:
        told.append(f"Elsewhere: {operation.compares}")
    picture = f"![{name}, before and after](operations/{name}.webp)"
    lines = "\n".join(f"- {line}" for line in told)
    return f"#### {name}\n\n{picture}\n\n{operation.summary}\n\n{lines}"


def _parameters(operation: Operation) -> list[str]:
    """A line for each range; parameters that share one share the line."""
    many = len(operation.parameters) > _MANY
    lines: dict[tuple[str, str], list[str]] = {}
    for parameter in operation.parameters:
        alike = parameter.name.rpartition("_")[2] if many else ""
        lines.setdefault((_range(parameter), alike), []).append(f"`{parameter.name}`")
    return [
        f"{', '.join([names[0], '…', names[-1]] if many else names)}: {told}"
        for (told, _), names in lines.items()
    ]


def _range(parameter: Parameter) -> str:
    if parameter.points:
        return "points x/y, 0 to 1, x rising; a straight line if left out"
    if parameter.choices:
        return f"{', '.join(str(c) for c in parameter.choices)} {parameter.unit}"
    told = f"{_number(parameter.minimum)} to {_number(parameter.maximum)} {parameter.unit}"
    if parameter.odd:
        told += ", odd"
    if parameter.neutral is not None:
        ends = " if left out" if parameter.optional else " changes nothing"
        told += f"; {_number(float(parameter.neutral))}{ends}"  # type: ignore[arg-type]
    return told


def _number(value: float) -> str:
    return f"{value:.10g}".replace("-", "−")


def _caption(operation: Operation, shown: Shown) -> str:
    step = parse_operation(shown.step, default_vocabulary())
    inverse = operation.inverse(step.parameters)
    told = f"Shown: `{shown.step}`"
    if shown.before:
        told += f" after `{shown.before[0]}`"
    if inverse is None:
        return f"{told}; cannot be undone"
    back = default_vocabulary()[inverse.name]
    values = format_operation(back, back.check(inverse.parameters))
    shorter = re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.4g}", values)
    return f"{told}; undone {'exactly ' if inverse.exact else ''}by `{shorter}`"


if __name__ == "__main__":
    sys.exit(main())
