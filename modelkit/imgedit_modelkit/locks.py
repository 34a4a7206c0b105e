"""A lock on a file that ends with the process that holds it, however it ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def hold(path: Path) -> Iterator[bool]:
    """Hold the lock of a file during a block, if nobody else does; the file stays.

    Yields:
        Whether it is held.
    """
    with path.open("ab+") as file:
        held = _take(file)
        try:
            yield held
        finally:
            if held:
                _give_back(file)


if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _give_back(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    # Not flock: forked children, such as a loader's workers, would keep it after a kill.

    def _take(file: IO[bytes]) -> bool:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _give_back(file: IO[bytes]) -> None:
        fcntl.lockf(file, fcntl.LOCK_UN)
