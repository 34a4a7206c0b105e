"""Files that appear whole or not at all: written under another name, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

_REASONS = {
    errno.ENOENT: "its folder does not exist",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EISDIR: "it is a folder",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.EROFS: "the disk is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "it would be larger than the file size limit",
    errno.EEXIST: "it exists already",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ELOOP: "its path is a circle of links",
}

_unfinished: set[Path] = set()


def write_failure(error: OSError) -> str:
    """Why a file could not be written: a clause for the end of a sentence, without full stop."""
    if error.errno in _REASONS:
        return _REASONS[error.errno]
    return (error.strerror or str(error)).rstrip(".").lower()


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[Path]:
    """A temporary file beside `path`, which takes its place when the block ends well.

    The temporary file exists already, is empty and has the extension of `path`. When the block
    raises anything, KeyboardInterrupt included, it is removed and `path` is as it was. A process
    killed outright (SIGKILL, power cut) may leave a hidden file ``.NAME-xxxxxxxx.part.EXT``.

    An existing file keeps its permissions; a link is followed and stays a link.

    Args:
        path: where the file shall appear.
        overwrite: whether it may replace a file; if not, a file that appears meanwhile wins.

    Yields:
        The temporary file's path.

    Raises:
        OSError: the folder is missing, `path` is no regular file, permission is denied, the disk
            is full and so on; `write_failure` puts it in words. FileExistsError when `path`
            exists and `overwrite` is False.
        ValueError: `path` contains a null character.
    """
    target = Path(os.path.realpath(path))
    mode = _existing_mode(target, overwrite)
    temporary = _temporary_name(target)
    try:
        # Not mkstemp: its 0600 would outlive the rename; this honours the umask.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        _unfinished.add(temporary)
        yield temporary
        _sync(temporary)  # before chmod, which may take our right to open it
        if mode is not None:
            temporary.chmod(mode)
        _rename(temporary, target, overwrite)
    finally:
        # After the rename there is nothing left to remove.
        with contextlib.suppress(OSError):
            temporary.unlink()
        _unfinished.discard(temporary)
    _sync_folder(target.parent)


def discard_unfinished() -> None:
    """Remove the temporary files of other threads; only for a process that ends right now."""
    for temporary in tuple(_unfinished):
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_bytes_atomic(
    path: str | os.PathLike[str], data: bytes, *, overwrite: bool = True
) -> None:
    """Write bytes so that the file appears whole or not at all; raises as `atomic_write`."""
    with atomic_write(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(data)


def write_text_atomic(path: str | os.PathLike[str], text: str, *, overwrite: bool = True) -> None:
    """Write text as UTF-8, line ends as given; raises as `atomic_write`."""
    write_bytes_atomic(path, text.encode("utf-8"), overwrite=overwrite)


def _existing_mode(target: Path, overwrite: bool) -> int | None:
    """Permissions of the file to replace, None if there is none; raises if it must stay."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(found.st_mode):
        # A rename would put a plain file in the place of /dev/null or of a pipe.
        raise OSError(errno.EINVAL, "It is a device or a pipe, not a file", str(target))
    if not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    if not os.access(target, os.W_OK):
        # A rename only asks the folder; a file marked read-only should stay.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    return stat.S_IMODE(found.st_mode)


def _temporary_name(target: Path) -> Path:
    # At most 40 characters of the name, so that a long name leaves room for the rest.
    suffix = target.suffix[:20]
    return target.with_name(f".{target.stem[:40]}-{secrets.token_hex(4)}.part{suffix}")


def _sync(path: Path) -> None:
    """Wait until the content is on the disk: a rename may otherwise get there before it."""
    # Opened for writing since Windows cannot flush a file opened for reading.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    # Best effort: Windows and some network disks cannot do it, and the file is complete anyway.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _rename(temporary: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        temporary.replace(target)
        return
    try:
        # A link fails if the name is taken, a rename would not.
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        # FAT and some network disks have no links: a small gap between look and rename is left.
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        temporary.replace(target)
