"""Reader of V3Det (Wang et al. 2023), the detection data set of 13,204 categories.

Layout, as published (v3det.openxlab.org.cn) and as people keep it::

    annotations/v3det_2023_v1_SPLIT.json    as COCO's, for train and val; or beside `images`
    images/CATEGORY/NAME.jpg                the pictures of train and val
    test/...                                those of test, whose annotations are not published

Only the list of pictures is read: `images`, each with its `file_name`, which begins with `images/`
or with the category's folder.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from imgedit_plugins.errors import DataError

SPLITS = ("train", "val", "test")

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_LAYOUT = "V3Det holds annotations/v3det_2023_v1_SPLIT.json and images; test for its test split."


class _Entry(msgspec.Struct):
    file_name: str


class _List(msgspec.Struct):
    images: list[_Entry]


def list_v3det(folder: Path, split: str) -> tuple[str, ...]:
    """The pictures of a split, by their path below the folder, sorted; none is opened.

    Args:
        folder: of the data set.
        split: 'train', 'val' or 'test'.

    Raises:
        DataError: the list is missing or malformed, or there are no pictures.
    """
    if split not in SPLITS:
        raise ValueError(f"V3Det has no split {split!r}")
    path = _annotations(folder, split)
    if path is None and split == "test":
        names = _below(folder, folder / "test")
    elif path is None:
        raise DataError(
            f"There is no v3det_2023_v1_{split}.json in {folder}.", path=folder, hint=_LAYOUT
        )
    else:
        names = _listed(folder, path)
    if not names:
        raise DataError(
            f"There are no pictures of V3Det's {split} split in {folder}.",
            path=folder,
            hint=_LAYOUT,
        )
    return tuple(sorted(names))


def _annotations(folder: Path, split: str) -> Path | None:
    name = f"v3det_2023_v1_{split}.json"
    places = (folder / "annotations" / name, folder / name)
    return next((place for place in places if place.is_file()), None)


def _listed(folder: Path, path: Path) -> list[str]:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_List)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path} cannot be read: {error}.", path=path, hint=_LAYOUT) from error
    names = [entry.file_name.replace("\\", "/") for entry in found.images]
    for name in names:
        if not name or name.startswith("/") or ".." in name.split("/"):
            raise DataError(f"{path} names a picture outside of the data set: {name!r}.", path=path)
    # People unpack the pictures with the folder `images` in front, or into one.
    if names and not (folder / names[0]).exists() and (folder / "images" / names[0]).exists():
        return [f"images/{name}" for name in names]
    return names


def _below(folder: Path, place: Path) -> list[str]:
    return [
        path.relative_to(folder).as_posix()
        for path in place.rglob("*")
        if path.suffix.lower() in _SUFFIXES
    ]
