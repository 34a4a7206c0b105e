"""Pixel files: pictures that travel between processes through memory-mapped files.

A file is made by one side, opened by the other by its name in a folder of the user's own, and
never by a path that came in a message. What is opened must be the very file that was made: no
link of any kind, this user's, of the announced size.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import stat
from pathlib import Path
from types import TracebackType

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.locations import ownership_fault
from imgedit_bridges.protocol import is_id

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class PixelFileError(BridgeError):
    """A pixel file cannot be made, or is not what it should be."""


class PixelFile:
    """A mapped pixel file; a context manager that ends the mapping, not the file.

    Attributes:
        id: its name.
        size: in bytes.
        data: the bytes, shared with the other side.
    """

    def __init__(self, file_id: str, data: mmap.mmap, descriptor: int = -1) -> None:
        self.id = file_id
        self.size = len(data)
        self.data = data
        self._descriptor = descriptor

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Put bytes into a file that was opened for writing.

        Faster than into `data`, whose pages would be cleared one by one before they are filled.

        Raises:
            PixelFileError: the disk does not take them.
            ValueError: they do not fit.
        """
        view = memoryview(data).cast("B")
        if not 0 <= offset <= self.size - len(view):
            raise ValueError(f"{len(view)} bytes at {offset} do not fit into {self.size}")
        if not hasattr(os, "pwrite"):  # Windows
            self.data[offset : offset + len(view)] = view
            return
        while view:
            try:
                written = os.pwrite(self._descriptor, view, offset)
            except OSError as error:
                raise PixelFileError(
                    f"A pixel file cannot be written: {error.strerror or error}.",
                    hint="Free some space, or set IMGEDIT_WORKER_PIXELS to another folder.",
                ) from error
            offset, view = offset + written, view[written:]

    def __enter__(self) -> PixelFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the mapping; one that somebody still looks into ends when nobody does."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        with contextlib.suppress(BufferError):
            self.data.close()


def create(folder: Path, file_id: str, size: int) -> tuple[int, int]:
    """Make a pixel file that only this user can open, with its room on the disk reserved.

    Without that, writing into a mapping on a full disk would end the process.

    Args:
        folder: where pixel files are.
        file_id: 32 hexadecimal digits.
        size: in bytes, at least 1.

    Returns:
        Device and inode number, by which `open_file` knows the file again.

    Raises:
        PixelFileError: the disk is full, the file is there already, or cannot be made.
    """
    path = _path(folder, file_id)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600)
    except OSError as error:
        raise _cannot(error, "made", folder) from error
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:
            os.ftruncate(descriptor, size)
        found = os.fstat(descriptor)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise _cannot(error, "made", folder, size) from error
    finally:
        os.close(descriptor)
    return found.st_dev, found.st_ino


def open_file(
    folder: Path,
    file_id: str,
    size: int,
    *,
    writable: bool = False,
    identity: tuple[int, int] | None = None,
) -> PixelFile:
    """Map a pixel file.

    Args:
        folder: where pixel files are.
        file_id: its name.
        size: that it must have, in bytes.
        writable: whether it shall be written to.
        identity: what `create` returned, where that is known.

    Raises:
        PixelFileError: it is gone, a link, somebody else's, has another size, or is another file
            than the one that was made.
    """
    descriptor = open_checked(folder, file_id, size, writable=writable, identity=identity)
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    try:
        data = mmap.mmap(descriptor, size, access=access)
    except (OSError, ValueError) as error:
        os.close(descriptor)
        if getattr(error, "errno", None) == errno.ENOMEM:
            raise PixelFileError(
                f"There is not enough memory for {size / 1e6:.0f} MB of pixels.",
                hint="Try a smaller picture, or a higher memory limit.",
            ) from error
        raise PixelFileError(f"The pixel file {file_id} cannot be mapped: {error}.") from error
    if not writable:
        os.close(descriptor)
        return PixelFile(file_id, data)
    return PixelFile(file_id, data, descriptor)


def open_checked(
    folder: Path,
    file_id: str,
    size: int,
    *,
    writable: bool = False,
    identity: tuple[int, int] | None = None,
) -> int:
    """The descriptor of a pixel file, with everything looked at on the open file itself.

    Raises:
        PixelFileError: as `open_file`.
    """
    path = _path(folder, file_id)
    # Not waiting for the other end, should somebody have put a pipe there.
    flags = (os.O_RDWR if writable else os.O_RDONLY) | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise _cannot(error, "opened", folder) from error
    found = os.fstat(descriptor)
    if fault := _fault(found, size, identity):
        os.close(descriptor)
        raise PixelFileError(f"The pixel file {file_id} was refused: it {fault}.")
    return descriptor


def remove(folder: Path, file_id: str) -> None:
    """Remove a pixel file, or whatever stands in its place; nothing where there is none."""
    with contextlib.suppress(OSError):
        _path(folder, file_id).unlink()


def _path(folder: Path, file_id: str) -> Path:
    if not is_id(file_id):
        raise PixelFileError(f"{file_id!r:.60} is no id of a pixel file.")
    return folder / file_id


def _fault(found: os.stat_result, size: int, identity: tuple[int, int] | None) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file"
    if fault := ownership_fault(found):
        return fault
    if found.st_nlink != 1:
        return "has a second name"
    if found.st_size != size:
        return f"has {found.st_size} bytes, not {size}"
    if identity is not None and (found.st_dev, found.st_ino) != identity:
        return "is not the file that was made"
    return ""


def _cannot(error: OSError, what: str, folder: Path, size: int = 0) -> PixelFileError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return PixelFileError(
            f"There is no room for {size / 1e6:.0f} MB of pixels in {folder}.",
            hint="Free some space there, or set IMGEDIT_WORKER_PIXELS to another folder.",
        )
    why = "it is a link" if error.errno == errno.ELOOP else (error.strerror or str(error))
    return PixelFileError(f"A pixel file cannot be {what} in {folder}: {why}.")
