"""The configuration file of a model folder, and what it says of the model's parts.

Nothing here imports torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from imgedit_plugins import manifest
from imgedit_plugins.atomic import write_bytes_atomic
from imgedit_plugins.errors import DataError
from imgedit_plugins.jobs import Job
from imgedit_plugins.weights import sha256_of

Configuration = TypeVar("Configuration", bound=msgspec.Struct)


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a part of a model came from.

    Attributes:
        part: 'llava', 'projection' and so on.
        file: the name of the file or folder that was imported.
        sha256: of that file; '' for a folder, whose files are listed in ``weights.json``.
        licence, source: as the manifest gives them.
    """

    part: str
    file: str
    sha256: str
    licence: str
    source: str


class Based(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A configuration of a model that may hold only some of its parts.

    Attributes:
        base: the folder of the parts that are not in this one; '' where there are none.
        nearby: the way there from this folder, for when both have been moved.
    """

    base: str = ""
    nearby: str = ""


def read(path: Path, kind: type[Configuration], *, called: str, made_by: str) -> Configuration:
    """The configuration in a model folder.

    Where a base has gone from its place, and one lies where it was as seen from this folder, `base`
    is that one.

    Args:
        path: the file.
        kind: what it holds.
        called: what the folder should be, such as 'model folder of MGIE'.
        made_by: the command that makes one.

    Raises:
        DataError: there is none, or it is malformed.
    """
    try:
        config = msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise DataError(
            f"{path.parent} is no {called}: it has no {path.name}.",
            path=path,
            hint=f"`{made_by}` makes one.",
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", path=path) from error
    if isinstance(config, Based) and config.nearby and not Path(config.base).is_dir():
        moved = (path.parent / config.nearby).resolve()
        if moved.is_dir():
            return msgspec.structs.replace(config, base=str(moved))
    return config


def write(path: Path, config: msgspec.Struct) -> Path:
    """Write the configuration; the folder is complete once it is there."""
    if isinstance(config, Based):
        config = msgspec.structs.replace(config, nearby=_way(path.parent, config.base))
    write_bytes_atomic(path, msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n")
    return path


def _way(folder: Path, base: str) -> str:
    """The way from a folder to its base; '' without one, and to another drive of Windows."""
    if not base:
        return ""
    try:
        return Path(os.path.relpath(Path(base).resolve(), folder.resolve())).as_posix()
    except ValueError:
        return ""


def with_bases(folder: Path, base_of: Callable[[Path], str]) -> Iterator[Path]:
    """A model folder, the one that it was trained from, and so on; a circle ends where it closes.

    Args:
        folder: of the model.
        base_of: what a folder's configuration names as its base; '' for none.
    """
    seen: set[Path] = set()
    while folder not in seen:
        seen.add(folder)
        yield folder
        if not (base := base_of(folder)):
            return
        folder = Path(base)


def part(folder: Path, name: str, base_of: Callable[[Path], str]) -> Path:
    """Where a part of a model lies: in its folder, or in that of its base.

    Args:
        folder: of the model.
        name: of the file or folder.
        base_of: see `with_bases`.

    Raises:
        DataError: in neither.
    """
    for place in with_bases(folder, base_of):
        if (place / name).exists():
            return place / name
    raise DataError(
        f"The model in {folder} has no {name}, here or in what it was trained from.",
        path=folder / name,
        hint="`imgedit-plugins weights verify FOLDER` says what else is missing.",
    )


def lineage(package: Path, weights: str, files: Mapping[str, Path], job: Job) -> Iterator[Part]:
    """Where each given part of imported weights came from: file, hash, licence, address.

    Args:
        package: the folder with the plugin's manifest.
        weights: the id of the weights in it.
        files: the file or folder of each part; parts that are not there are left out.
        job: progress and cancellation of the hashing.
    """
    listed = manifest.load(package / manifest.FILE_NAME).weights
    for part in next(one for one in listed if one.id == weights).parts:
        given = files.get(part.name)
        if given is not None and given.exists():
            digest = "" if given.is_dir() else sha256_of(given, job)
            yield Part(part.name, given.name, digest, part.licence, part.source)
