"""A second, independent making of I-MAD's 14 operations, and a generator of labelled edits.

Nothing of the project is imported, on purpose: a solver measured on edits that its own renderer
made would be measured against its own mistakes. Everything works on 8-bit BGR arrays as
``cv2.imread`` gives them, one operation after another, with 8 bits after each.

Three families of definitions (``--definitions``):

* ``recipe``: the widely published OpenCV photo-filter recipes.
* ``shifted``: the same formulas with constants about 10 % off. Sepia: red and blue inputs x1.1,
  green x0.9 (a common factor would equal a contrast step); summer/winter: the curves' distance
  from the diagonal x1.1; hdr: both sigmas x1.1; blur: box width x1.1 (fractional end taps);
  bright: offset x1.1; sharp: sides -1.1 with the sum kept at 1.5; contrast: distance of the gain
  from 1 x1.1 (a gain x1.1 would be half a step and give a wrong label); saturate: factor x1.1;
  gaussian: standard deviation x1.1; grayscale: red weight x1.1, the others rescaled to sum 1.
  Invert, rotate and flip have no constants.
* ``pillow``: the same ideas by Pillow's mathematics. Grayscale by BT.709 weights; sepia by a
  three-colour ramp; summer/winter by gamma 0.8 and 1.25; hdr by a wide unsharp mask; sharp by a
  narrow one; bright by blending towards white (ImageEnhance.Brightness is a gain, which is the
  contrast operation of the recipe); contrast about the mean grey; saturate towards the luma;
  gaussian by Pillow's repeated boxes.

Command: ``python -m benchmarks.reference_edits --photographs FOLDER --out OUT --count 2000
--seed 7 --condition clean|jpeg90|half|half-jpeg90 [--definitions recipe|shifted|pillow]``.
A seed gives the same photographs, operations and values in every condition and family.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from benchmarks.arguments import positive

Picture = npt.NDArray[np.uint8]  # height x width x 3, blue-green-red, 0..255
Operation = Callable[[Picture, float], Picture]

CONDITIONS = ("clean", "jpeg90", "half", "half-jpeg90")
DEFINITIONS = ("recipe", "shifted", "pillow")
JPEG_QUALITY = 90  # of 100

# How often each number of operations (1..5) occurs in I-MAD-Dense.
OPERATIONS_PER_SAMPLE = (5000, 5000, 4993, 4687, 2451)

# Value of each level -> how often I-MAD-Dense has it. On/off operations have the value 1 alone.
LEVELS: Mapping[str, Mapping[float, int]] = {
    "grayscale": {1.0: 3983},
    "sepia": {1.0: 3983},
    "summer": {1.0: 3983},
    "winter": {1.0: 3983},
    "hdr": {1.0: 3983},
    "blur": {1: 918, 3: 1045, 5: 1103, 7: 1100, 9: 1050},  # box width, pixels
    "bright": {10: 918, 30: 1045, 50: 1103, 70: 1100, 90: 1050},  # offset, grey levels
    "sharp": {1.0: 3983},
    "contrast": {0.5: 935, 0.7: 1018, 0.9: 913, 1.1: 966, 1.3: 958},  # gain
    "saturate": {0.5: 1010, 1.0: 4, 1.5: 867, 2.0: 1046, 2.5: 974},  # factor on HSV saturation
    "gaussian": {5: 870, 9: 999, 13: 896, 17: 963, 21: 930},  # kernel width, pixels
    "invert": {1.0: 3983},
    "rotate": {90: 1775, 180: 1786, 270: 1775},  # degrees clockwise
    "flip": {1.0: 3983},
}

# Output B, G, R from input B, G, R: the order in which cv2.transform meets the channels.
SEPIA = ((0.131, 0.534, 0.272), (0.168, 0.686, 0.349), (0.189, 0.769, 0.393))
CURVE_INPUTS = (0, 64, 128, 256)
RAISED = (0, 80, 160, 256)
LOWERED = (0, 50, 100, 256)

_SENTENCES = {
    "grayscale": "turn it black and white",
    "sepia": "give it an old sepia tone",
    "summer": "make it feel like summer",
    "winter": "make it feel like winter",
    "hdr": "bring out the details",
    "blur": "blur it with a {value:g} pixel box",
    "bright": "brighten it by {value:g}",
    "sharp": "sharpen it",
    "contrast": "multiply the contrast by {value:g}",
    "saturate": "multiply the saturation by {value:g}",
    "gaussian": "soften it with a {value:g} pixel Gaussian",
    "invert": "invert the colours",
    "rotate": "rotate it clockwise by {value:g} degrees",
    "flip": "mirror it left to right",
}


class GenerationError(Exception):
    """The data set cannot be made; the message is one sentence for the user."""


@dataclass(frozen=True)
class Edit:
    """One operation: ``name`` is a key of LEVELS, ``value`` one of its levels (raw units)."""

    name: str
    value: float

    @property
    def normalised(self) -> float:
        """The value over the operation's largest value, above 0 and at most 1."""
        return float(self.value / max(LEVELS[self.name]))


@dataclass(frozen=True)
class Sample:
    """One row: the file name of a photograph and 1 to 5 distinct operations in order."""

    photograph: str
    edits: tuple[Edit, ...]

    @property
    def sentence(self) -> str:
        """A short English description of the edit."""
        parts = [_SENTENCES[edit.name].format(value=edit.value) for edit in self.edits]
        text = ", then ".join(parts)
        return f"{text[0].upper()}{text[1:]}."


def apply_edit(picture: Picture, edit: Edit, definitions: str = "recipe") -> Picture:
    """Apply one operation; only rotate by 90 or 270 degrees changes the shape."""
    result = _FAMILIES[definitions][edit.name](picture, edit.value)
    return np.ascontiguousarray(result, dtype=np.uint8)


def apply_edits(picture: Picture, edits: Sequence[Edit], definitions: str = "recipe") -> Picture:
    """Apply operations in order, with 8 bits after each."""
    for edit in edits:
        picture = apply_edit(picture, edit, definitions)
    return picture


# --- recipe -----------------------------------------------------------------------------------


def _u8(values: npt.ArrayLike) -> Picture:
    """Clip to 0..255 and cut the fraction off, as the recipes' ``astype(uint8)`` does."""
    whole: Picture = np.clip(np.asarray(values), 0, 255).astype(np.uint8)
    return whole


def curve(outputs: Sequence[float]) -> npt.NDArray[np.uint8]:
    """Look-up table (256 entries, 0..255) of the cubic through CURVE_INPUTS and ``outputs``.

    The recipes use ``scipy.interpolate.UnivariateSpline``, which for four points is this cubic.
    """
    table = [_cubic([Fraction(output) for output in outputs], x) for x in range(256)]
    # SciPy evaluates the raising curve a hair below its whole-number values, and the recipe then
    # cuts the fraction off; seen with SciPy's tables, for this curve only and not for x = 64.
    if tuple(outputs) == RAISED:
        for x in (96, 128, 160, 192, 224):
            table[x] -= 1
    return _u8([int(value) for value in table])


def _cubic(outputs: Sequence[Fraction], x: int) -> Fraction:
    # Exact fractions: floating-point noise at whole numbers would decide the truncation.
    total = Fraction(0)
    for i, xi in enumerate(CURVE_INPUTS):
        term = outputs[i]
        for j, xj in enumerate(CURVE_INPUTS):
            if i != j:
                term *= Fraction(x - xj, xi - xj)
        total += term
    return total


def _warm_cool(picture: Picture, blue: Sequence[float], red: Sequence[float]) -> Picture:
    result = picture.copy()
    result[:, :, 0] = curve(blue)[picture[:, :, 0]]
    result[:, :, 2] = curve(red)[picture[:, :, 2]]
    return result


def _grayscale(picture: Picture, _value: float) -> Picture:
    return np.repeat(_u8(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))[:, :, None], 3, axis=2)


def _sepia_with(picture: Picture, matrix: Sequence[Sequence[float]]) -> Picture:
    weights = np.asarray(matrix, dtype=np.float64)
    return _u8(cv2.transform(picture.astype(np.float64), weights))


def _sepia(picture: Picture, _value: float) -> Picture:
    return _sepia_with(picture, SEPIA)


def _summer(picture: Picture, _value: float) -> Picture:
    return _warm_cool(picture, blue=LOWERED, red=RAISED)


def _winter(picture: Picture, _value: float) -> Picture:
    return _warm_cool(picture, blue=RAISED, red=LOWERED)


def _hdr(picture: Picture, _value: float) -> Picture:
    return _u8(cv2.detailEnhance(picture, sigma_s=12, sigma_r=0.15))


def _blur(picture: Picture, value: float) -> Picture:
    return _u8(cv2.blur(picture, (int(value), int(value))))


def _bright(picture: Picture, value: float) -> Picture:
    return _u8(cv2.convertScaleAbs(picture, beta=value))


def _sharp_with(picture: Picture, centre: float, side: float) -> Picture:
    kernel = np.full((3, 3), side, dtype=np.float64)
    kernel[1, 1] = centre
    return _u8(cv2.filter2D(picture, -1, kernel))


def _sharp(picture: Picture, _value: float) -> Picture:
    return _sharp_with(picture, centre=9.5, side=-1.0)


def _contrast(picture: Picture, value: float) -> Picture:
    return _u8(cv2.convertScaleAbs(picture, alpha=value))


def _saturate(picture: Picture, value: float) -> Picture:
    hsv = _u8(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV))
    hsv[:, :, 1] = _u8(hsv[:, :, 1] * float(value))
    return _u8(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR))


def _gaussian(picture: Picture, value: float) -> Picture:
    return _u8(cv2.GaussianBlur(picture, (int(value), int(value)), 0))


def _invert(picture: Picture, _value: float) -> Picture:
    return _u8(255 - picture)


def _rotate(picture: Picture, value: float) -> Picture:
    return np.rot90(picture, k=-int(value) // 90)


def _flip(picture: Picture, _value: float) -> Picture:
    return _u8(cv2.flip(picture, 1))


# --- shifted ----------------------------------------------------------------------------------


def _off_diagonal(outputs: Sequence[float]) -> list[float]:
    pairs = zip(CURVE_INPUTS, outputs, strict=True)
    return [x + 1.1 * (y - x) for x, y in pairs]


def _shifted_grayscale(picture: Picture, _value: float) -> Picture:
    red = 0.299 * 1.1
    rest = (1 - red) / (0.114 + 0.587)
    gray = _u8(picture @ np.array([0.114 * rest, 0.587 * rest, red]) + 0.5)
    return np.repeat(gray[:, :, None], 3, axis=2)


def _shifted_sepia(picture: Picture, _value: float) -> Picture:
    return _sepia_with(picture, [[1.1 * b, 0.9 * g, 1.1 * r] for b, g, r in SEPIA])


def _shifted_summer(picture: Picture, _value: float) -> Picture:
    return _warm_cool(picture, blue=_off_diagonal(LOWERED), red=_off_diagonal(RAISED))


def _shifted_winter(picture: Picture, _value: float) -> Picture:
    return _warm_cool(picture, blue=_off_diagonal(RAISED), red=_off_diagonal(LOWERED))


def _shifted_hdr(picture: Picture, _value: float) -> Picture:
    return _u8(cv2.detailEnhance(picture, sigma_s=13.2, sigma_r=0.165))


def _shifted_blur(picture: Picture, value: float) -> Picture:
    width = 1.1 * value
    end = (width - value) / 2
    taps = np.array([end, *[1.0] * int(value), end]) / width
    return _u8(cv2.sepFilter2D(picture, -1, taps, taps))


def _shifted_bright(picture: Picture, value: float) -> Picture:
    return _bright(picture, 1.1 * value)


def _shifted_sharp(picture: Picture, _value: float) -> Picture:
    return _sharp_with(picture, centre=10.3, side=-1.1)


def _shifted_contrast(picture: Picture, value: float) -> Picture:
    return _contrast(picture, 1 + 1.1 * (value - 1))


def _shifted_saturate(picture: Picture, value: float) -> Picture:
    return _saturate(picture, 1.1 * value)


def _opencv_sigma(kernel: float) -> float:
    """Return the standard deviation (pixels) that OpenCV takes for a kernel width in pixels."""
    return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8


def _shifted_gaussian(picture: Picture, value: float) -> Picture:
    size = (int(value), int(value))
    return _u8(cv2.GaussianBlur(picture, size, 1.1 * _opencv_sigma(value)))


# --- pillow -----------------------------------------------------------------------------------


def _with_pillow(change: Callable[[Image.Image, float], Image.Image]) -> Operation:
    def operation(picture: Picture, value: float) -> Picture:
        rgb = Image.fromarray(np.ascontiguousarray(picture[:, :, ::-1]))
        return np.asarray(change(rgb, value).convert("RGB"), dtype=np.uint8)[:, :, ::-1]

    return operation


def _pillow_grayscale(rgb: Image.Image, _value: float) -> Image.Image:
    return rgb.convert("L", (0.2126, 0.7152, 0.0722, 0))


def _pillow_sepia(rgb: Image.Image, _value: float) -> Image.Image:
    return ImageOps.colorize(ImageOps.grayscale(rgb), "#140c04", "#fff4d8", mid="#a8865e")


def _gammas(rgb: Image.Image, red: float, blue: float) -> Image.Image:
    return rgb.point([round(255 * (x / 255) ** g) for g in (red, 1.0, blue) for x in range(256)])


def _pillow_summer(rgb: Image.Image, _value: float) -> Image.Image:
    return _gammas(rgb, red=0.8, blue=1.25)


def _pillow_winter(rgb: Image.Image, _value: float) -> Image.Image:
    return _gammas(rgb, red=1.25, blue=0.8)


def _pillow_hdr(rgb: Image.Image, _value: float) -> Image.Image:
    return rgb.filter(ImageFilter.UnsharpMask(radius=8, percent=90, threshold=0))


def _pillow_blur(rgb: Image.Image, value: float) -> Image.Image:
    return rgb.filter(ImageFilter.BoxBlur((value - 1) / 2))


def _pillow_bright(rgb: Image.Image, value: float) -> Image.Image:
    return Image.blend(rgb, Image.new("RGB", rgb.size, "white"), value / 160)


def _pillow_sharp(rgb: Image.Image, _value: float) -> Image.Image:
    return rgb.filter(ImageFilter.UnsharpMask(radius=1.5, percent=350, threshold=0))


def _pillow_contrast(rgb: Image.Image, value: float) -> Image.Image:
    return ImageEnhance.Contrast(rgb).enhance(value)


def _pillow_saturate(rgb: Image.Image, value: float) -> Image.Image:
    return ImageEnhance.Color(rgb).enhance(value)


def _pillow_gaussian(rgb: Image.Image, value: float) -> Image.Image:
    return rgb.filter(ImageFilter.GaussianBlur(_opencv_sigma(value)))


def _pillow_invert(rgb: Image.Image, _value: float) -> Image.Image:
    return ImageOps.invert(rgb)


def _pillow_rotate(rgb: Image.Image, value: float) -> Image.Image:
    return rgb.rotate(-value, expand=True)


def _pillow_flip(rgb: Image.Image, _value: float) -> Image.Image:
    return ImageOps.mirror(rgb)


_RECIPE: dict[str, Operation] = {
    "grayscale": _grayscale,
    "sepia": _sepia,
    "summer": _summer,
    "winter": _winter,
    "hdr": _hdr,
    "blur": _blur,
    "bright": _bright,
    "sharp": _sharp,
    "contrast": _contrast,
    "saturate": _saturate,
    "gaussian": _gaussian,
    "invert": _invert,
    "rotate": _rotate,
    "flip": _flip,
}
_SHIFTED: dict[str, Operation] = {
    **_RECIPE,
    "grayscale": _shifted_grayscale,
    "sepia": _shifted_sepia,
    "summer": _shifted_summer,
    "winter": _shifted_winter,
    "hdr": _shifted_hdr,
    "blur": _shifted_blur,
    "bright": _shifted_bright,
    "sharp": _shifted_sharp,
    "contrast": _shifted_contrast,
    "saturate": _shifted_saturate,
    "gaussian": _shifted_gaussian,
}
_PILLOW: dict[str, Operation] = {
    "grayscale": _with_pillow(_pillow_grayscale),
    "sepia": _with_pillow(_pillow_sepia),
    "summer": _with_pillow(_pillow_summer),
    "winter": _with_pillow(_pillow_winter),
    "hdr": _with_pillow(_pillow_hdr),
    "blur": _with_pillow(_pillow_blur),
    "bright": _with_pillow(_pillow_bright),
    "sharp": _with_pillow(_pillow_sharp),
    "contrast": _with_pillow(_pillow_contrast),
    "saturate": _with_pillow(_pillow_saturate),
    "gaussian": _with_pillow(_pillow_gaussian),
    "invert": _with_pillow(_pillow_invert),
    "rotate": _with_pillow(_pillow_rotate),
    "flip": _with_pillow(_pillow_flip),
}
_FAMILIES = {"recipe": _RECIPE, "shifted": _SHIFTED, "pillow": _PILLOW}


# --- drawing ----------------------------------------------------------------------------------


def draw_samples(photographs: Sequence[str], count: int, seed: int) -> list[Sample]:
    """Draw ``count`` rows (0 or more); the same arguments always give the same rows."""
    generator = random.Random(seed)
    return [_draw_sample(photographs, generator) for _ in range(count)]


def _draw_sample(photographs: Sequence[str], generator: random.Random) -> Sample:
    photograph = photographs[generator.randrange(len(photographs))]
    wanted = 1 + _pick(OPERATIONS_PER_SAMPLE, generator)
    left = {name: sum(levels.values()) for name, levels in LEVELS.items()}
    names: list[str] = []
    while len(names) < wanted:
        name = list(left)[_pick(list(left.values()), generator)]
        del left[name]
        names.append(name)
    # Frequent operations tend to be drawn first; the order of a sample should not show that.
    generator.shuffle(names)
    return Sample(photograph, tuple(Edit(name, _draw_value(name, generator)) for name in names))


def _draw_value(name: str, generator: random.Random) -> float:
    levels = LEVELS[name]
    return list(levels)[_pick(list(levels.values()), generator)]


def _pick(weights: Sequence[int], generator: random.Random) -> int:
    """Return an index drawn in proportion to whole weights, exactly and on every platform."""
    target = generator.randrange(sum(weights))
    return next(i for i, edge in enumerate(accumulate(weights)) if target < edge)


# --- writing ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What to generate: ``count`` rows at least 1, ``condition`` and ``definitions`` by name."""

    photographs: Path
    out: Path
    count: int
    seed: int
    condition: str = "clean"
    definitions: str = "recipe"


def generate(job: Job) -> list[Sample]:
    """Write the data set in the layout of I-MAD-Dense; the tables come last, when it is whole."""
    table = job.out / "imad_dense_data.csv"
    if table.exists():
        raise GenerationError(f"{job.out} already holds a data set; choose another folder.")
    files = _photograph_files(job.photographs)
    samples = draw_samples(sorted(files), job.count, job.seed)
    _write_pictures(job, files, samples)
    _write_provenance(job, files)
    normalised = [[[edit.normalised for edit in sample.edits]] for sample in samples]
    _write_table(job.out / "imad_dense_data_value_normalized.csv", ["value_normalized"], normalised)
    rows = [[s.photograph, [edit.name for edit in s.edits], s.sentence] for s in samples]
    _write_table(table, ["img_source", "action", "textv2"], rows)
    return samples


def _photograph_files(folder: Path) -> dict[str, Path]:
    # A hidden file is a download or a picture that is still being written.
    found = [p for p in folder.glob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg"}]
    files = {path.name: path for path in found if not path.name.startswith(".")}
    if not files:
        raise GenerationError(f"{folder} holds no PNG or JPEG photographs.")
    return files


def _write_pictures(job: Job, files: Mapping[str, Path], samples: Sequence[Sample]) -> None:
    for folder in ("input_images", "output_images"):
        (job.out / folder).mkdir(parents=True, exist_ok=True)
    suffix = ".jpg" if job.condition.endswith("jpeg90") else ".png"
    loaded: dict[str, Picture] = {}
    first_use: dict[str, Path] = {}
    for row, sample in enumerate(samples):
        picture = loaded.get(sample.photograph)
        if picture is None:
            picture = loaded[sample.photograph] = _read(files[sample.photograph])
        _write_input(job.out / "input_images" / f"{row}.png", picture, sample, first_use)
        edited = apply_edits(picture, sample.edits, job.definitions)
        result = _halved(edited) if job.condition.startswith("half") else edited
        _write(job.out / "output_images" / f"{row}{suffix}", result)


def _read(path: Path) -> Picture:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise GenerationError(f"{path} is not a readable picture.")
    return _u8(picture)


def _write_input(path: Path, picture: Picture, sample: Sample, first_use: dict[str, Path]) -> None:
    """Write the photograph once; later rows hard-link to it where the disk allows that."""
    path.unlink(missing_ok=True)  # writing through an older hard link would change other rows
    earlier = first_use.setdefault(sample.photograph, path)
    if earlier == path:
        _write(path, picture)
        return
    try:
        os.link(earlier, path)
    except OSError:
        shutil.copyfile(earlier, path)


def _halved(picture: Picture) -> Picture:
    return _u8(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def _write(path: Path, picture: Picture) -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else []
    if not cv2.imwrite(str(path), picture, options):
        raise GenerationError(f"{path} could not be written.")


def _write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    partial = path.with_name(f".{path.name}")
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    partial.replace(path)


def _write_provenance(job: Job, files: Mapping[str, Path]) -> None:
    facts = {
        "seed": job.seed,
        "count": job.count,
        "condition": job.condition,
        "definitions": job.definitions,
        "photographs": {name: _sha256(files[name]) for name in sorted(files)},
        "cv2": cv2.__version__,
        "numpy": np.__version__,
    }
    text = json.dumps(facts, indent=2) + "\n"
    (job.out / "provenance.json").write_text(text, encoding="utf-8")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 with one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reference_edits")
    parser.add_argument("--photographs", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT")
    parser.add_argument("--count", type=positive, default=2000, help="rows")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--condition", choices=CONDITIONS, default="clean")
    parser.add_argument("--definitions", choices=DEFINITIONS, default="recipe")
    job = Job(**vars(parser.parse_args(arguments)))
    try:
        samples = generate(job)
    except GenerationError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(samples)} edits ({job.condition}, {job.definitions}) in {job.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
