"""Finding the running worker, or starting one and waiting until it answers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgedit_bridges import transport
from imgedit_bridges.errors import BridgeError
from imgedit_bridges.locations import Places, Record, WorkerState, lock_holder, read_state
from imgedit_bridges.protocol import PROTOCOLS

START_SECONDS = 30.0
_LOOK_AGAIN = 0.02  # seconds
_END_SECONDS = 5.0
_LOG_TAIL = 3  # lines

_DETACHED = 0x00000208 if os.name == "nt" else 0  # DETACHED_PROCESS, CREATE_NEW_PROCESS_GROUP

_FOREIGN = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")
_BUNDLED = ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES",
            "SSL_CERT_FILE")  # fmt: skip


FLATPAK = ("flatpak-spawn", "--host")
"""Leads out of Flatpak's sandbox, where that is allowed."""

_FLATPAK_HINT = (
    "Flatpak has to allow it: run `flatpak override --user --talk-name=org.freedesktop.Flatpak "
    "org.gimp.GIMP` and start GIMP again."
)


def find_worker(places: Places) -> tuple[WorkerState, dict[str, Any]] | None:
    """The worker that answers and its greeting; None where none does.

    Raises:
        BridgeError: its state file is not to be trusted, or the two share no protocol.
    """
    state = read_state(places)
    if state is None:
        return None
    try:
        hello = transport.request(state, "GET", "/v1/hello")
    except transport.WorkerGoneError:
        return None
    except transport.RefusedError as error:
        if error.status == 401:
            return None  # another program has got the port of a worker that died
        raise
    check_protocols(hello.get("protocols"), str(hello.get("version", "?")))
    return state, hello


def check_protocols(theirs: object, version: str, ours: tuple[int, ...] | None = None) -> int:
    """The newest protocol that both sides speak.

    Raises:
        BridgeError: there is none; says which side is older and what mends it.
    """
    ours = PROTOCOLS if ours is None else ours
    spoken = [p for p in theirs if isinstance(p, int)] if isinstance(theirs, list) else []
    if shared := set(spoken) & set(ours):
        return max(shared)
    if not spoken:
        raise BridgeError(
            "What answers in the worker's place is no worker of imgedit-plugins.",
            hint="Run `imgedit-plugins worker stop` and try again.",
        )
    if max(spoken) > max(ours):
        raise BridgeError(
            f"The plug-in in the editor is older than the worker (version {version}).",
            hint="Run `imgedit-plugins install gimp` or `imgedit-plugins install krita` and "
            "start the editor again.",
        )
    raise BridgeError(
        f"The worker (version {version}) is older than the plug-in in the editor.",
        hint="Run `imgedit-plugins worker stop`; if that is not enough, update imgedit-plugins.",
    )


def ensure_worker(
    places: Places,
    python: str,
    *,
    prefix: tuple[str, ...] = (),
    environ: Mapping[str, str] = os.environ,
) -> tuple[WorkerState, dict[str, Any]]:
    """The running worker, started where there is none; one that hangs is ended first.

    Args:
        places: of this user.
        python: the interpreter that imgedit-plugins is installed in.
        prefix: words before it; see `Record`.
        environ: of the new worker.

    Raises:
        BridgeError: it cannot be started or does not answer; says why.
    """
    deadline = time.monotonic() + START_SECONDS
    process: subprocess.Popen[bytes] | None = None
    asked = False
    while time.monotonic() < deadline:
        if found := find_worker(places):
            return found
        holder = lock_holder(places)
        if process is None and holder is not None:
            _wait_for_other(places, holder, prefix)
            continue
        if process is None:
            process = _spawn(places, Record(python, "", prefix), environ)
        elif process.poll() is not None and holder is None:
            if asked:
                raise _died(places, process.returncode, prefix)
            asked = True  # it may have lost a race against one that is ending
            process = None
        time.sleep(_LOOK_AGAIN)
    raise BridgeError(
        f"The worker did not answer within {START_SECONDS:.0f} seconds.",
        hint="`imgedit-plugins worker logs` may tell why.",
    )


def end_process(
    places: Places, pid: int, *, hangs: bool = False, prefix: tuple[str, ...] = ()
) -> bool:
    """End the worker of that id; returns whether it is gone.

    Only a process that holds the worker's lock is touched: ids are used again by others.

    Args:
        places: of this user.
        pid: its process id.
        hangs: whether asking it first is of no use.
        prefix: words before a command that reach it; in a sandbox its id is somebody else's.
    """
    kill = getattr(signal, "SIGKILL", signal.SIGTERM)
    for number in (kill,) if hangs else (signal.SIGTERM, kill):
        if lock_holder(places) != pid:
            return True
        with contextlib.suppress(OSError):
            if prefix:
                subprocess.run([*prefix, "kill", f"-{number:d}", str(pid)], check=False)
            else:
                os.kill(pid, number)
        deadline = time.monotonic() + _END_SECONDS / 2
        while time.monotonic() < deadline:
            if lock_holder(places) != pid:
                return True
            time.sleep(_LOOK_AGAIN)
    return lock_holder(places) != pid


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for another Python than the editor's own.

    Editors that bring their own Python point its variables at it; AppImage and Snap also point
    the loader at their own libraries.
    """
    bundled = any(name in environ for name in ("APPIMAGE", "APPDIR", "SNAP"))
    left_out = {*_FOREIGN, *(_BUNDLED if bundled else ())}
    return {name: value for name, value in environ.items() if name not in left_out}


def _wait_for_other(places: Places, holder: int, prefix: tuple[str, ...]) -> None:
    """Give a worker that is starting or ending its time; end one that hangs."""
    deadline = time.monotonic() + _END_SECONDS
    while time.monotonic() < deadline:
        time.sleep(_LOOK_AGAIN)
        if lock_holder(places) != holder:
            return
        state = read_state(places)
        if state is None or state.pid != holder:
            continue  # it has not written its state yet
        if find_worker(places):
            return
        break  # it had its time to answer just now
    end_process(places, holder, hangs=True, prefix=prefix)


def _spawn(places: Places, record: Record, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # Outside of a sandbox there may be what cannot be seen from within.
    if not record.prefix and not Path(record.python).is_file():
        raise BridgeError(
            f"The Python that runs the worker is gone: {record.python}.",
            hint="Install imgedit-plugins and its plug-in for the editor again.",
        )
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    try:
        log = os.open(places.log, flags, 0o600)
    except OSError as error:
        why = error.strerror or str(error)
        raise BridgeError(f"The log {places.log} cannot be written: {why}.") from error
    try:
        process = subprocess.Popen(
            # -P: nothing is imported from the folder that the process starts in.
            [*record.command, "-P", "-m", "imgedit_bridges.worker", str(places.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=places.folder,
            env=dict(environ),
            start_new_session=True,
            creationflags=_DETACHED,
        )
    except OSError as error:
        why = error.strerror or str(error)
        first = record.command[0]
        raise BridgeError(f"The worker cannot be started with {first}: {why}.") from error
    finally:
        os.close(log)
    # It outlives this call and perhaps this process; without a wait it would end as a zombie.
    threading.Thread(target=process.wait, daemon=True, name="worker-end").start()
    return process


def _died(places: Places, code: int, prefix: tuple[str, ...]) -> BridgeError:
    told = " ".join(tail(places, _LOG_TAIL)[-1:])
    more = "`imgedit-plugins worker logs` shows more."
    return BridgeError(
        f"The worker ended right after its start (code {code}){': ' if told else ''}{told}.",
        hint=_FLATPAK_HINT if prefix == FLATPAK else more,
    )


def tail(places: Places, lines: int) -> list[str]:
    """The last lines of the log; none where there is no log."""
    try:
        with places.log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 500 * lines))
            text = file.read()
    except OSError:
        return []
    return text.decode("utf-8", "replace").splitlines()[-lines:]
