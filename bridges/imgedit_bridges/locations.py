"""Where worker and editors find each other: folders, state file, lock, installation record.

Everything lies in one folder that only its user can enter. A folder or file that belongs to
somebody else, is open to others, or is a link, is refused rather than used.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imgedit_bridges.errors import BridgeError

NAME = "imgedit-plugins"
_LARGEST_FILE = 65_536  # bytes; a state file or record has a few hundred
_LONGEST_SOCKET = 100  # characters of a Unix socket's path; systems take 104 to 108


@dataclass(frozen=True)
class Places:
    """The files of one user's worker, all in the folder `folder`."""

    folder: Path

    @property
    def socket(self) -> Path:
        """The Unix socket, where there is one."""
        return self.folder / "worker.sock"

    @property
    def state(self) -> Path:
        """Where the running worker is and its token; see `WorkerState`."""
        return self.folder / "worker.json"

    @property
    def lock(self) -> Path:
        """Locked by the one running worker, whose process id it holds."""
        return self.folder / "worker.lock"

    @property
    def log(self) -> Path:
        """What the worker has to say; older parts end in .1, .2 and so on."""
        return self.folder / "worker.log"

    @property
    def pixels(self) -> Path:
        """Pixel files, unless the worker says that they are elsewhere."""
        return self.folder / "pixels"


@dataclass(frozen=True)
class WorkerState:
    """What a running worker says about itself in its state file.

    Attributes:
        protocol: the newest that it speaks.
        pid: of its process.
        address: 'unix:PATH' or 'tcp:127.0.0.1:PORT'.
        token: whoever knows it may use the worker.
        version: of imgedit-plugins.
        python: the interpreter that runs it.
        pixels: folder of the pixel files.
        started: seconds since 1970.
    """

    protocol: int
    pid: int
    address: str
    token: str
    version: str
    python: str
    pixels: str
    started: float


@dataclass(frozen=True)
class Record:
    """What the installation into an editor wrote down: how the worker is started.

    Attributes:
        python: the interpreter that imgedit-plugins is installed in.
        version: of imgedit-plugins.
        prefix: words before it, such as those that lead out of a sandbox.
    """

    python: str
    version: str
    prefix: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """What a command line for this Python begins with."""
        return (*self.prefix, self.python)


# --- folders ----------------------------------------------------------------------------------


def find_places(environ: Mapping[str, str] = os.environ) -> Places:
    """The folder of this user's worker, made where it is missing.

    It is ``imgedit-plugins`` in XDG_RUNTIME_DIR, or ``imgedit-plugins-UID`` in the folder for
    temporary files; in Flatpak, in the part of XDG_RUNTIME_DIR that is the same outside.

    Raises:
        BridgeError: it cannot be made, or is not this user's alone.
    """
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime and (sandbox := environ.get("FLATPAK_ID")):
        runtime = f"{runtime}/app/{sandbox}"
    if runtime and Path(runtime).is_absolute() and Path(runtime).is_dir():
        return Places(private_folder(Path(runtime) / NAME))
    return Places(private_folder(Path(tempfile.gettempdir()) / f"{NAME}-{_user()}"))


def private_folder(folder: Path) -> Path:
    """`folder`, which nobody else can enter; made where it is missing.

    Raises:
        BridgeError: it cannot be made, belongs to somebody else, is a link or open to others.
    """
    hint = "Remove it, or set XDG_RUNTIME_DIR to a folder of your own."
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        why = error.strerror or str(error)
        raise BridgeError(f"The folder {folder} cannot be used: {why}.", hint=hint) from error
    if not stat.S_ISDIR(found.st_mode):
        raise BridgeError(f"{folder} is a link or a file, not a folder.", hint=hint)
    if fault := ownership_fault(found):
        raise BridgeError(f"The folder {folder} {fault}.", hint=hint)
    return folder


def ownership_fault(found: os.stat_result) -> str:
    """Why a file or folder is not this user's alone, as half a sentence; empty where it is."""
    if os.name != "posix":
        return ""  # permissions are inherited from the user's own folders there
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return "can be entered or read by others"
    return ""


def socket_fits(path: Path) -> bool:
    """Whether a Unix socket can have this path."""
    return len(os.fsencode(path)) <= _LONGEST_SOCKET


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's folder for what can be made again; it need not exist."""
    if os.name == "nt":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / NAME
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / NAME
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / NAME


def record_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the installation record is."""
    if os.name == "nt":
        folder = Path(environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / NAME / "bridge.json"


def _user() -> str:
    return str(os.getuid()) if os.name == "posix" else "user"


# --- files ------------------------------------------------------------------------------------


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read; it appears whole or not at all.

    Raises:
        OSError: as `open` and `rename` do.
    """
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}.part")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read_private(path: Path) -> dict[str, object] | None:
    """The JSON object in a file of this user's; None where there is no such file.

    Raises:
        BridgeError: it is a link, belongs to somebody else, can be read by others, or is no JSON.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        why = error.strerror or str(error)
        raise BridgeError(f"{path} cannot be read: {why}.", hint="Remove it.") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise BridgeError(f"{path} is no regular file.", hint="Remove it.")
        if fault := ownership_fault(found):
            raise BridgeError(f"{path} {fault}.", hint="Remove it.")
        text = file.read(_LARGEST_FILE)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise BridgeError(f"{path} holds something else than it should.", hint="Remove it.")
    return data


def write_state(places: Places, state: WorkerState) -> None:
    """Tell everybody of this user's where the worker is."""
    write_private(places.state, json.dumps(vars(state), indent=1))


def read_state(places: Places) -> WorkerState | None:
    """Where the worker is, or was; None where there is no state file.

    That the process lives is only known when it answers: process ids are used again.

    Raises:
        BridgeError: the file is not to be trusted, or no state file.
    """
    data = read_private(places.state)
    if data is None:
        return None
    kinds = {"protocol": int, "pid": int, "address": str, "token": str, "version": str,
             "python": str, "pixels": str, "started": float}  # fmt: skip
    values = {name: data.get(name) for name in kinds}
    if not all(isinstance(values[name], kind) for name, kind in kinds.items()):
        raise BridgeError(f"{places.state} is no state of a worker.", hint="Remove it.")
    return WorkerState(**values)  # type: ignore[arg-type]


def write_record(record: Record, path: Path | None = None) -> Path:
    """Write down which Python starts the worker; returns where.

    Raises:
        OSError: as `write_private`, and where the folder cannot be made.
    """
    path = path or record_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, json.dumps(vars(record), indent=1))
    return path


def read_record(path: Path | None = None) -> Record:
    """Which Python starts the worker.

    Raises:
        BridgeError: nothing was installed, or the record cannot be trusted.
    """
    path = path or record_path()
    data = read_private(path)
    if data is None:
        raise BridgeError(
            f"There is no installation record {path}.",
            hint="Run `imgedit-plugins install gimp` or `imgedit-plugins install krita` again.",
        )
    python, version, prefix = data.get("python"), data.get("version"), data.get("prefix", [])
    words = isinstance(prefix, list) and all(isinstance(word, str) for word in prefix)
    if not isinstance(python, str) or not isinstance(version, str) or not words:
        raise BridgeError(f"{path} is no installation record.", hint="Install the plug-in again.")
    return Record(python, version, tuple(prefix))  # type: ignore[arg-type]


# --- the lock ---------------------------------------------------------------------------------


class WorkerLock:
    """The lock of the one worker of a user; held until `release` or the process's end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, places: Places) -> WorkerLock | None:
        """The lock, with this process's id in its file; None where another process has it.

        Raises:
            OSError: the file cannot be opened.
        """
        descriptor = _open_lock(places)
        if not _try_lock(descriptor):
            os.close(descriptor)
            return None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode("ascii"))
        return cls(descriptor)

    def release(self) -> None:
        """Let the next worker have it."""
        os.close(self._descriptor)


def lock_holder(places: Places) -> int | None:
    """The process id of the running worker, whether it answers or not; None where there is none."""
    try:
        descriptor = _open_lock(places)
    except OSError:
        return None
    try:
        if _try_lock(descriptor):
            return None
        with contextlib.suppress(ValueError):
            return int(os.read(descriptor, 20))
        return None  # it has the lock but has not written yet
    finally:
        os.close(descriptor)


def _open_lock(places: Places) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    return os.open(places.lock, flags, 0o600)


if os.name == "posix":
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

else:
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        # A byte far beyond the process id: locked bytes cannot be read by others there.
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True
