"""Measurements for 07_exporters.py that need imgedit_plugins; each prints JSON.

python tests/acceptance/probes_exporters.py NAME ARGUMENTS...
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imgedit_exporters.runtime import bundles
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.weights import sha256_of

ROOT = Path(__file__).resolve().parents[2]

jsonschema: Any = importlib.import_module("jsonschema")


def document(folder: str) -> Any:
    """What a bundle says of itself."""
    return json.loads((Path(folder) / bundles.FILE).read_text("utf-8"))


def fits_schema(folder: str) -> str:
    """What the published schema has against a bundle's document; '' where nothing."""
    path = ROOT / "exporters/imgedit_exporters/schemas/imgedit-bundle-1.schema.json"
    schema = json.loads(path.read_text("utf-8"))
    fault = jsonschema.Draft202012Validator(schema).iter_errors(document(folder))
    return next((one.message for one in fault), "")


def hashes(folder: str) -> dict[str, str]:
    """Of every file but the document."""
    root = Path(folder)
    return {
        str(path.relative_to(root)): sha256_of(path, Job())
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != bundles.FILE
    }


def spoil(folder: str, name: str) -> None:
    """Overwrite some bytes in the middle of a bundle's file."""
    path = Path(folder) / name
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)


def pair(folder: str) -> None:
    """A photograph of the user's, one that is brighter, and one of 64 x 64 pixels."""
    from imgedit_plugins.authoring.samples import photograph

    photo = photograph(120, 90)
    save_picture(photo, Path(folder) / "photo.png")
    save_picture(photograph(64, 64), Path(folder) / "square.png")
    brighter = np.clip(photo.pixels[..., :3].astype(np.int64) + 40, 0, 255).astype(np.uint8)
    save_picture(Picture(brighter), Path(folder) / "brighter.png")


def changed(one: str, other: str) -> float:
    """The share of pixels that differ; 1 where not even the form is the same."""
    first, second = open_picture(Path(one)).pixels, open_picture(Path(other)).pixels
    if first.shape != second.shape:
        return 1.0
    return float((first != second).any(axis=2).mean())


def likeness(one: str, other: str) -> float:
    """PSNR of two pictures of the same size, in dB; 120 where they are equal."""
    first, second = (open_picture(Path(path)).rgb8().astype(np.float64) for path in (one, other))
    error = float(np.square((first - second) / 255).mean())
    return 120.0 if error == 0 else -10 * float(np.log10(error))


PROBES: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (document, fits_schema, hashes, spoil, pair, changed, likeness)
}

if __name__ == "__main__":
    print(json.dumps(PROBES[sys.argv[1]](*sys.argv[2:])))
