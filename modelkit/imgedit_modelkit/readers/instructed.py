"""Data sets of edits with instructions, by their name or by their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from imgedit_modelkit.readers import evr, gier, ma5k, magicbrush, risebench, unireditbench
from imgedit_modelkit.readers.instruct_pix2pix import read_instruct_pix2pix
from imgedit_modelkit.readers.pairs import InstructedPair
from imgedit_modelkit.readers.splits import SPLITS, split_by_image
from imgedit_modelkit.readers.stored import columns_of, parquet_files
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job


def _read_gier(folder: Path, job: Job) -> tuple[InstructedPair, ...]:
    pairs = gier.as_pairs(gier.read_gier(folder, job))
    if not pairs:
        raise DataError(f"No pair of {folder} has an instruction.", path=folder)
    return pairs


_READERS: dict[str, Callable[[Path, Job], tuple[InstructedPair, ...]]] = {
    "evr": evr.read_evr,
    "gier": _read_gier,
    "ma5k": ma5k.read_ma5k,
    "magicbrush": magicbrush.read_magicbrush,
    "instructpix2pix": read_instruct_pix2pix,
    "risebench": risebench.read_risebench,
    "unireditbench": unireditbench.read_unireditbench,
}

SETS = tuple(_READERS)
"""The names of the data sets."""

REASONED = ("risebench", "unireditbench")
"""Those whose instructions leave to the reader what is meant."""

_PARTS = {"train": "train", "valid": "validation", "val": "validation", "dev": "validation",
          "test": "test"}  # fmt: skip


def _has_turns(folder: Path) -> bool:
    turns = (folder / name / magicbrush.TURNS for name in ("", *magicbrush.SPLITS))
    return any(path.is_file() for path in turns)


def _has_turn_column(folder: Path) -> bool:
    files = parquet_files(folder)
    return bool(files) and "turn_index" in columns_of(files[0])


def _has_prompts(folder: Path) -> bool:
    return any(folder.glob("*/prompt.json")) or any(folder.glob("*/*/prompt.json"))


_SIGNS: tuple[tuple[str, Callable[[Path], bool]], ...] = (
    ("gier", lambda folder: (folder / gier.GIER_JSON).is_file()),
    ("ma5k", lambda folder: (folder / "FiveK.json").is_file()),
    ("magicbrush", _has_turns),
    ("risebench", lambda folder: risebench.list_of(folder) is not None),
    ("unireditbench", unireditbench.is_unireditbench),
    ("magicbrush", _has_turn_column),
    ("instructpix2pix", lambda folder: bool(parquet_files(folder))),
    ("evr", lambda folder: any((folder / f"{split}.json").is_file() for split in evr.SPLITS)),
    ("instructpix2pix", _has_prompts),
)
"""By what a data set is told; the first that is there counts."""


def set_of(folder: Path) -> str:
    """Which data set a folder holds.

    Raises:
        DataError: there is no such folder, or none can be told.
        PluginError: telling needs pyarrow.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.", path=folder)
    for name, is_there in _SIGNS:
        if is_there(folder):
            return name
    raise DataError(
        f"{folder} is in the layout of none of {', '.join(SETS)}.",
        path=folder,
        hint="docs/data.md shows the layouts.",
    )


def read_instructed(folder: Path, name: str, job: Job) -> tuple[InstructedPair, ...]:
    """The pairs of a data set.

    Args:
        folder: where it is.
        name: one of `SETS`.
        job: progress, and warnings about what is left out.

    Raises:
        DataError: it is missing or malformed.
        PluginError: it is Parquet, and pyarrow is not installed.
    """
    return _READERS[name](folder, job)


def part_of(pairs: tuple[InstructedPair, ...], part: str) -> tuple[InstructedPair, ...]:
    """The pairs of a part: 'all', or 'train', 'validation', 'test'.

    The published split counts where there is one; otherwise pairs are split by picture.
    """
    if part == "all":
        return pairs
    if any(pair.split for pair in pairs):
        return tuple(pair for pair in pairs if _PARTS.get(pair.split) == part)
    assert part in SPLITS
    return split_by_image(pairs)[part]
