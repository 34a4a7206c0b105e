"""Measurements for 01_core.py that need imgedit_plugins; each prints JSON.

python tests/acceptance/probes_core.py NAME ARGUMENTS...
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks.photographs import LISTS, load_list
from benchmarks.reference_edits import LEVELS, Edit, apply_edit
from imgedit_plugins.operations import DEFAULT_PROFILE, default_vocabulary, load_profile
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_rgb

RGB8 = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
HUGE = (8000, 6000)


def renderers(folder: str) -> dict[str, int]:
    """Largest difference to the second implementation at each level, over all photographs."""
    profile, vocabulary = load_profile(DEFAULT_PROFILE), default_vocabulary()
    found: dict[str, int] = {}
    for path in sorted(Path(folder).glob("*.png")):
        rgb = open_picture(path).rgb8()
        for name, value in ((n, v) for n, values in LEVELS.items() for v in values):
            operation = vocabulary[name]
            given = operation.check({p.name: value for p in operation.parameters})
            ours = render_rgb(rgb, operation, given, profile)
            theirs = apply_edit(np.ascontiguousarray(rgb[..., ::-1]), Edit(name, value))
            distance = np.abs(ours.astype(int) - theirs[..., ::-1].astype(int)).max()
            level = f"{name} {value:g}"
            found[level] = max(found.get(level, 0), int(distance))
    return found


def odd_pairs(photograph: str, other: str, folder: str) -> dict[str, str]:
    """Write the pairs of point 9 into a folder."""
    out = Path(folder)
    rgb, unrelated = open_picture(Path(photograph)).rgb8(), open_picture(Path(other)).rgb8()
    edited = _reference(rgb, Edit("sepia", 1.0), Edit("bright", 30))
    height, width = rgb.shape[:2]
    fitted = np.asarray(cv2.resize(unrelated, (width, height)), np.uint8)
    alpha = np.full((height, width, 1), 255, np.uint8)
    alpha[: height // 4] = 0
    huge = np.asarray(cv2.resize(rgb, HUGE, interpolation=cv2.INTER_CUBIC), np.uint8)
    pictures: dict[str, Any] = {
        "source": rgb,
        "edited": edited,
        "unrelated": fitted,
        "cropped": edited[: height // 2],
        "pixel": rgb[:1, :1],
        "pixel-edited": edited[:1, :1],
        "deep": rgb.astype(np.uint16) * 257,
        "alpha": np.concatenate([edited, alpha], axis=2),
        "huge": huge,
        "huge-edited": _reference(huge, Edit("sepia", 1.0), Edit("bright", 30)),
    }
    for name, pixels in pictures.items():
        save_picture(Picture(np.ascontiguousarray(pixels)), out / f"{name}.png")
    half = Image.fromarray(edited).resize((width // 2, height // 2), Image.Resampling.BOX)
    half.save(out / "half.jpg", quality=75)
    return {name: f"{name}.png" for name in pictures}


def _reference(rgb: RGB8, *edits: Edit) -> RGB8:
    picture = np.ascontiguousarray(rgb[..., ::-1])
    for edit in edits:
        picture = apply_edit(picture, edit)
    return np.ascontiguousarray(picture[..., ::-1])


def carrying(folder: str) -> dict[str, str]:
    """Write a JPEG with orientation, EXIF and ICC profile, and a PNG with alpha."""
    from PIL import ImageCms

    pixels = np.random.default_rng(0).integers(0, 200, (40, 60, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a picture"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(pixels)
    image.convert("RGB").save(Path(folder) / "camera.jpg", exif=exif, icc_profile=profile)
    image.save(Path(folder) / "alpha.png")
    return {}


def carried(folder: str) -> dict[str, Any]:
    """What is left of it in camera-out.jpg and alpha-out.png."""
    with Image.open(Path(folder) / "camera-out.jpg") as image:
        exif, profile, size = image.getexif(), image.info.get("icc_profile"), image.size
    with Image.open(Path(folder) / "camera.jpg") as image:
        same = image.info.get("icc_profile") == profile
    with Image.open(Path(folder) / "alpha-out.png") as image:
        alpha = np.asarray(image)[..., 3]
    with Image.open(Path(folder) / "alpha.png") as image:
        kept = bool((np.asarray(image)[..., 3] == alpha).all())
    upright = size == (40, 60) and exif.get(0x0112, 1) == 1
    told = exif.get(0x010E) == "a picture"
    return {"upright": upright, "EXIF": told, "ICC profile": same, "alpha": kept}


def plan_names(path: str) -> list[str]:
    """The operations of a plan file, in order, with their values."""
    plan = parse_plan(Path(path).read_text("utf-8"))
    return [" ".join([s.name, *(f"{v:g}" for v in s.parameters.values())]) for s in plan.operations]


def lists() -> dict[str, Any]:
    """Sizes of both photograph lists and what they share."""
    entries = {name: load_list(LISTS / f"{name}.json") for name in ("tuning", "test")}
    tuning, test = ({entry.sha256 for entry in entries[name]} for name in ("tuning", "test"))
    code = (LISTS.parent / "reference_edits.py").read_text("utf-8")
    imports = [line for line in code.splitlines() if line.startswith(("import ", "from "))]
    return {
        "tuning": len(tuning),
        "test": len(test),
        "shared": len(tuning & test),
        "imports_ours": [line for line in imports if "imgedit" in line],
        "hash": hashlib.sha256(code.encode()).hexdigest()[:12],
    }


def sources() -> str:
    """The hash that results of score_search carry."""
    from benchmarks.score_search import sources_sha256

    return sources_sha256()


PROBES = (renderers, odd_pairs, carrying, carried, plan_names, lists, sources)

if __name__ == "__main__":
    probe = {function.__name__: function for function in PROBES}[sys.argv[1]]
    print(json.dumps(probe(*sys.argv[2:])))
