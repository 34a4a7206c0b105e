"""Pictures where data sets keep them: in files of their own, in tar files or Parquet files.

Hub-style Parquet has a picture as a struct of `bytes` (the encoded file) and `path` (its name).
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_plugins.errors import DataError, PluginError
from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.pictures import Picture

_KINDS = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"RIFF", ".webp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
)


@dataclass(frozen=True)
class ParquetPicture:
    """A picture in a Parquet file.

    Attributes:
        path: the file.
        column: of the picture.
        row: number of the row in the file, from 0.
    """

    path: Path
    column: str
    row: int

    def read_bytes(self) -> bytes:
        """The encoded picture.

        Raises:
            DataError: the file is missing or damaged, or holds no picture there.
        """
        cell = read_cells(self.path, (self.column,), self.row)[self.column]
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(data, bytes):
            place = f"{self.path}, row {self.row}"
            raise DataError(f"{place}: {self.column!r} holds no picture.", path=self.path)
        return data


@dataclass(frozen=True)
class TarPicture:
    """A picture in a tar file that is not compressed.

    Attributes:
        path: the tar file.
        name: of the member.
        offset: where its bytes begin.
        size: how many they are.
    """

    path: Path
    name: str
    offset: int
    size: int

    def read_bytes(self) -> bytes:
        """The encoded picture.

        Raises:
            DataError: the file is missing or ends before.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be read: {error.strerror}.", path=self.path
            ) from error
        if len(data) < self.size:
            raise DataError(f"{self.path} ends within {self.name}.", path=self.path)
        return data


Stored = Path | ParquetPicture | TarPicture
"""A picture as a file, or in a Parquet or tar file; all have `read_bytes`."""


def bytes_of(stored: Stored) -> bytes:
    """The encoded picture.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return stored.read_bytes()
    except OSError as error:
        raise DataError(f"{stored} cannot be read: {error.strerror}.") from error


def open_stored(stored: Stored) -> Picture:
    """The picture, as `open_picture` opens it from a file.

    Raises:
        PictureReadError: it cannot be decoded.
        DataError: a Parquet file is missing or damaged.
        OSError: there is no room for a passing copy, which is no fault of the picture.
    """
    if isinstance(stored, Path):
        return open_picture(stored)
    data = stored.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"picture{suffix_of(data)}"
        path.write_bytes(data)
        return open_picture(path)


def suffix_of(data: bytes) -> str:
    """The extension that goes with an encoded picture, by its first bytes; '.bin' for others."""
    return next((suffix for head, suffix in _KINDS if data.startswith(head)), ".bin")


# --- Parquet ----------------------------------------------------------------------------------


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder and of its `data`, by path."""
    return sorted([*folder.glob("*.parquet"), *folder.glob("data/*.parquet")])


def columns_of(path: Path) -> list[str]:
    """The names of a Parquet file's columns; raises DataError as `read_cells`."""
    return [str(name) for name in _open(path).schema_arrow.names]


def rows_of(path: Path) -> int:
    """The number of a Parquet file's rows; raises DataError as `read_cells`."""
    return int(_open(path).metadata.num_rows)


def read_cells(path: Path, columns: Sequence[str], row: int) -> dict[str, Any]:
    """The cells of one row. Reading rows in their order is quick: a row group is kept.

    Raises:
        DataError: the file is missing, damaged, or has no such row.
        PluginError: pyarrow is not installed.
    """
    start = 0
    for group, count in enumerate(_groups(path)):
        if start <= row < start + count:
            table = _table(path, group, tuple(columns))
            return {name: table[name][row - start].as_py() for name in columns}
        start += count
    raise DataError(f"{path} has {start} rows and no row {row}.", path=path)


def each_row(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """All rows of some columns, for columns of texts and numbers; raises as `read_cells`."""
    for group in range(len(_groups(path))):
        yield from _table(path, group, tuple(columns)).to_pylist()


@functools.lru_cache(maxsize=8)
def _open(path: Path) -> Any:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise PluginError(
            "Reading Parquet files needs the package pyarrow, which is not installed.",
            hint="Run: pip install 'imgedit-plugins[scale]'",
        ) from None
    try:
        return ParquetFile(path)
    except (OSError, ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}.", path=path) from error


@functools.lru_cache(maxsize=8)
def _groups(path: Path) -> tuple[int, ...]:
    metadata = _open(path).metadata
    return tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))


@functools.lru_cache(maxsize=4)
def _table(path: Path, group: int, columns: tuple[str, ...]) -> Any:
    from pyarrow import ArrowException

    try:
        return _open(path).read_row_group(group, columns=list(columns))
    except (OSError, ArrowException) as error:
        raise DataError(f"{path} is damaged: {error}.", path=path) from error
