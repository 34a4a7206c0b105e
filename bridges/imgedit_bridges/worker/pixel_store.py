"""The pixel files that the worker knows: made, looked at again before use, and removed in time."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from imgedit_bridges import pixels
from imgedit_bridges.errors import BridgeError
from imgedit_bridges.locations import Places, cache_folder, private_folder
from imgedit_bridges.pixels import PixelFileError
from imgedit_bridges.protocol import PictureRef, is_id
from imgedit_bridges.worker.settings import Settings, WorkerError

MAX_FILES = 256
_RESERVE = 256 << 20  # bytes of the disk that are left to others
_ROOMY = 2 << 30  # bytes free in a folder that is taken without looking further
_WORTH_KEEPING = 16 << 20  # bytes; smaller files are made anew in no time
_SPARES = 2  # a picture and its result
_SPARE_SECONDS = 60.0


@dataclass
class _Known:
    size: int
    identity: tuple[int, int]
    last_used: float
    holders: int = 0
    unwanted: bool = False
    lasting: bool = False  # somebody may look into it for longer than a job


@dataclass(frozen=True)
class Spare:
    """A file that was removed, under a new name, for the next picture of its size.

    To take it saves what costs most about a new file: finding and clearing its memory.
    """

    id: str
    size: int
    identity: tuple[int, int]
    since: float


class PixelStore:
    """All pixel files of one worker, in a folder that is its alone.

    Large files that are removed are kept for a minute, two at most, to be used again.

    Args:
        folder: private; what is left in it from an earlier worker is removed.
        keep: seconds after its last use for which a file is kept.
        clock: seconds; replaced in tests.
    """

    def __init__(
        self, folder: Path, keep: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder = folder
        self._keep = keep
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._spares: list[Spare] = []
        self._remove_left_over()

    def __len__(self) -> int:
        return len(self._known)

    def create(self, size: int) -> str:
        """Make a file of that many bytes, whatever they are; returns its id.

        Raises:
            WorkerError: there are too many, or there is no room.
        """
        if len(self._known) >= MAX_FILES:
            raise WorkerError(
                f"There are {MAX_FILES} pixel files already.",
                hint="Close some previews, or wait until old results expire.",
                status=429,
            )
        if spare := self.take_spare(size):
            self._known[spare.id] = _Known(size, spare.identity, self._clock())
            return spare.id
        if not self._has_room(size):
            raise WorkerError(
                f"There is no room for {size / 1e6:.0f} MB of pixels in {self.folder}.",
                hint="Free some space there, or set IMGEDIT_WORKER_PIXELS to another folder.",
                status=507,
            )
        file_id = secrets.token_hex(16)
        try:
            identity = pixels.create(self.folder, file_id, size)
        except PixelFileError as error:
            raise WorkerError(error.message, hint=error.hint, status=507) from error
        self._known[file_id] = _Known(size, identity, self._clock())
        return file_id

    def check(self, ref: PictureRef) -> tuple[int, int]:
        """Make sure that a picture's file is the one that was made, and how it was made.

        Returns:
            Its device and inode number.

        Raises:
            WorkerError: there is no such file (any more), it was replaced, or has another size
                than the picture.
        """
        known = self._known.get(ref.pixels)
        if known is None:
            raise WorkerError(
                f"There is no pixel file {ref.pixels}.",
                hint="It has expired, or the worker was started anew: run the action again.",
                status=404,
            )
        if known.size != ref.file_bytes:
            raise WorkerError(
                f"The pixel file {ref.pixels} has {known.size} bytes, "
                f"a picture of this form {ref.file_bytes}."
            )
        try:
            os.close(
                pixels.open_checked(self.folder, ref.pixels, known.size, identity=known.identity)
            )
        except PixelFileError as error:
            raise WorkerError(error.message, hint=error.hint) from error
        known.last_used = self._clock()
        return known.identity

    def hold(self, ids: Iterable[str], *, lasting: bool = False) -> None:
        """Keep files while a job needs them.

        Args:
            ids: of the files.
            lasting: whether somebody may look into them even after the job, as plugins can.
        """
        for file_id in ids:
            self._known[file_id].holders += 1
            self._known[file_id].lasting |= lasting

    def release(self, ids: Iterable[str]) -> None:
        """The opposite of `hold`; their time begins anew."""
        for file_id in ids:
            if known := self._known.get(file_id):
                known.holders -= 1
                known.last_used = self._clock()
                if known.unwanted:
                    self.remove(file_id)

    def adopt(self, ref: PictureRef) -> None:
        """Take over a file that the executor made.

        Raises:
            PixelFileError: it is not there as it should be.
        """
        descriptor = pixels.open_checked(self.folder, ref.pixels, ref.file_bytes)
        found = os.fstat(descriptor)
        os.close(descriptor)
        identity = (found.st_dev, found.st_ino)
        self._known[ref.pixels] = _Known(ref.file_bytes, identity, self._clock())

    def remove(self, file_id: str) -> bool:
        """Remove a file; one that a job holds is removed when the job ends. Returns if known."""
        known = self._known.get(file_id)
        if known is None:
            return False
        if known.holders > 0:
            known.unwanted = True
            return True
        del self._known[file_id]
        if not self._spared(file_id, known):
            pixels.remove(self.folder, file_id)
        return True

    def discard(self, file_id: str) -> None:
        """Remove a file that an executor announced, known or not."""
        if not self.remove(file_id):
            pixels.remove(self.folder, file_id)

    def expire(self) -> None:
        """Remove the files that nobody has used for their time."""
        limit = self._clock() - self._keep
        for file_id, known in list(self._known.items()):
            if known.holders <= 0 and known.last_used < limit:
                self.remove(file_id)
        limit = self._clock() - _SPARE_SECONDS
        while self._spares and self._spares[0].since < limit:
            self._drop_spare()

    def take_spare(self, size: int) -> Spare | None:
        """A file of that size that nobody uses any more, or None. It is the caller's now."""
        for spare in self._spares:
            if spare.size == size:
                self._spares.remove(spare)
                try:
                    os.close(
                        pixels.open_checked(self.folder, spare.id, size, identity=spare.identity)
                    )
                except PixelFileError:
                    pixels.remove(self.folder, spare.id)
                    return None
                return spare
        return None

    def _spared(self, file_id: str, known: _Known) -> bool:
        if known.size < _WORTH_KEEPING or known.lasting:
            return False
        name = secrets.token_hex(16)
        try:  # by its old name nobody shall find it
            (self.folder / file_id).rename(self.folder / name)
        except OSError:
            return False
        self._spares.append(Spare(name, known.size, known.identity, self._clock()))
        if len(self._spares) > _SPARES:
            self._drop_spare()
        return True

    def _drop_spare(self) -> None:
        pixels.remove(self.folder, self._spares.pop(0).id)

    def _has_room(self, size: int) -> bool:
        while size > shutil.disk_usage(self.folder).free - _RESERVE:
            if not self._spares:
                return False
            self._drop_spare()
        return True

    def clear(self) -> None:
        """Remove all files."""
        while self._spares:
            self._drop_spare()
        for file_id in self._known:
            pixels.remove(self.folder, file_id)
        self._known.clear()

    def _remove_left_over(self) -> None:
        for path in self.folder.iterdir():
            if is_id(path.name):
                pixels.remove(self.folder, path.name)


def pixel_folder(places: Places, settings: Settings) -> Path:
    """Where pixel files shall be: as set, or in the runtime folder, or in the cache folder.

    The runtime folder is memory on most systems, and often small; the first of the two with 2 GiB
    free is taken, else the one with more room.

    Raises:
        WorkerError: none of them can be used.
    """
    try:
        if settings.pixels is not None:
            return private_folder(settings.pixels)
        folders = [private_folder(places.pixels)]
        if shutil.disk_usage(folders[0]).free < _ROOMY:
            cache = cache_folder()
            cache.mkdir(parents=True, exist_ok=True)
            folders.append(private_folder(cache / "pixels"))
    except BridgeError as error:
        raise WorkerError(error.message, hint=error.hint) from error
    except OSError as error:
        raise WorkerError(f"There is no folder for pixel files: {error}.") from error
    return max(folders, key=lambda folder: shutil.disk_usage(folder).free)
