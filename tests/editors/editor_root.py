"""The root with the editors, as the tests use it: one session, in which everything runs."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "scripts"))

import editor_sessions as sessions  # noqa: E402
import editors  # noqa: E402

_PIP_FILES = (Path("/etc/pip.conf"), Path("~/.config/pip/pip.conf"), Path("~/.pip/pip.conf"))


class Root:
    """An open session. Its files can be changed freely: they are gone when it is closed.

    Attributes:
        editors: names of those it has.
        versions: of the packages the root was built from.
        shared: the folder at the same path outside and inside; what is written there stays.
    """

    def __init__(self, place: editors.Place, shared: Path, binds: Sequence[Path] = ()) -> None:
        self.editors = place.suite.editors
        self.versions = place.built() or {}
        self.shared = shared
        log, note = shared / "session.log", shared / "session.pid"
        note.unlink(missing_ok=True)
        line = sessions.entering(
            place.folder,
            ["sh", "-c", "read end"],  # ends with this process: its input is closed then
            shares=[shared],
            binds=[*_what_pip_reads(), *binds],
            pid_file=note,
        )
        with log.open("wb") as told:
            self._session = subprocess.Popen(
                line, stdin=subprocess.PIPE, stdout=told, stderr=told, env=sessions.surroundings()
            )
        try:
            self._pid = sessions.wait_for_session(self._session, note, log)
        except BaseException:
            self.close()
            raise
        self._own = set(self.processes())

    def close(self) -> None:
        """End every process of the session; its mounts and files end with them."""
        self._session.kill()
        self._session.communicate()

    def outside(self, path: str | Path) -> Path:
        """Where this machine sees an absolute path of the root."""
        return Path(f"/proc/{self._pid}/root{path}")

    def start(
        self, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program in the root, in a process group of its own; output goes to `log`."""
        with log.open("ab") as told:
            return subprocess.Popen(
                sessions.joining(self._pid, command),
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                env={**sessions.surroundings(), **(environment or {})},
                start_new_session=True,
            )

    def call(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        seconds: float = 60,
        check: bool = True,
    ) -> str:
        """Run a program in the root and return what it printed.

        Raises:
            AssertionError: with the output, when it fails (unless not `check`) or takes too long.
        """
        process = subprocess.Popen(
            sessions.joining(self._pid, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**sessions.surroundings(), **(environment or {})},
            start_new_session=True,
            text=True,
            errors="replace",
        )
        try:
            said = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            end_group(process)
            raise AssertionError(f"{command} took more than {seconds} s") from None
        except BaseException:
            end_group(process)
            raise
        if check and process.returncode != 0:
            raise AssertionError(f"{command} failed with code {process.returncode}:\n{said}")
        return said

    def processes(self) -> dict[int, str]:
        """The processes of the session, ended ones left out: this machine's number and command."""
        space = Path(f"/proc/{self._pid}/ns/pid").readlink()
        return {pid: name for pid, name in _all_processes() if _space_of(pid) == space}

    def end_strays(self) -> list[str]:
        """Kill what tests left behind; returns the commands."""
        strays = {pid: name for pid, name in self.processes().items() if pid not in self._own}
        for pid in strays:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return list(strays.values())


def open_root(shared: Path, binds: Sequence[Path] = ()) -> Root:
    """Build the root if it is missing and open a session; IMGEDIT_EDITORS_SUITE names another.

    What `binds` names can be read in it, at the same path.
    """
    shared.mkdir(parents=True, exist_ok=True)
    suite = os.environ.get("IMGEDIT_EDITORS_SUITE", "trixie")
    return Root(editors.build(editors.place(suite)), shared, binds)


def end_group(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Kill a program with its children, and wait for them."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 10
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < until:
            os.killpg(process.pid, 0)  # until there is no such group
            time.sleep(0.01)


def _all_processes() -> list[tuple[int, str]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue
        if command:  # one that has ended has none
            found.append((int(folder.name), command))
    return found


def _space_of(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/ns/pid").readlink()
    except OSError:
        return None


def _what_pip_reads() -> list[Path]:
    """pip's settings on this machine and the local folders they name, for pip in the root."""
    files = [path.expanduser() for path in _PIP_FILES]
    files = [path for path in files if path.is_file()]
    words = [value for name, value in os.environ.items() if name.startswith("PIP_")]
    for file in files:
        settings = configparser.RawConfigParser()
        settings.read(file, "utf-8")
        words += [value for section in settings.sections() for _, value in settings.items(section)]
    paths = re.findall(r"(?:^|\s)(?:file://)?(/[^\s/]+/[^\s]*)", "\n".join(words))
    folders = [Path(path) for path in paths if Path(path).is_dir()]
    # The pages of an index in files name packages beside it, such as ../../files/NAME.whl.
    folders = [path.parent if path.name == "simple" else path for path in folders]
    return sorted({*files, *folders})
