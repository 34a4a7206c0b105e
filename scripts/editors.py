"""A Debian root with the real GIMP and Krita, for tests; needs root on Debian or Ubuntu.

    python3 scripts/editors.py build [--suite SUITE] [--root FOLDER]
    python3 scripts/editors.py run [--share FOLDER]... [--bind PATH]... [--] COMMAND...
    python3 scripts/editors.py up | down | status | check

build makes the root once and finds it again afterwards, in IMGEDIT_EDITORS or the user's cache.
run executes a command in it: the project is at /src, read-only, folders named by --share keep
what is written to them, and everything else is thrown away when the command ends. up keeps one
session open for the runs that follow, until down. check says in a sentence why a root can be
neither built nor entered here, and exits with 1.

Mounts are made in a mount namespace of the command, so that they end with it however it ends:
nothing is ever mounted on this machine, and a root can be removed at any time.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from editor_sessions import (
    NAMESPACES,
    complaint,
    entering,
    joining,
    surroundings,
    wait_for_session,
)
from environment import SetupError, exit_with

_TOOLS = ("python3-venv", "ca-certificates", "procps")
_WINDOWS = ("xvfb", "xauth", "xdotool", "x11-utils", "openbox", "imagemagick", "fonts-dejavu-core")
# Krita's own Python plug-ins need PyQt5, which Debian only recommends.
_KRITA = ("krita", "python3-pyqt5")
_NOT_UNPACKED = ("doc/*", "man/*", "locale/*/LC_MESSAGES/*")
_MIRROR = "http://deb.debian.org/debian"
_PART = ".part-"
_SESSION = "session.json"


@dataclass(frozen=True)
class Suite:
    """A Debian release, and which editors of it are used; `is_testing`: it is not released yet."""

    name: str
    editors: tuple[str, ...]
    is_testing: bool = False

    @property
    def packages(self) -> tuple[str, ...]:
        """What is installed, with what it depends on and without what it recommends."""
        krita = _KRITA if "krita" in self.editors else ()
        others = tuple(editor for editor in self.editors if editor != "krita")
        return (*others, *krita, *_TOOLS, *_WINDOWS)


SUITES = {
    suite.name: suite
    for suite in (
        Suite("trixie", ("gimp", "krita")),
        Suite("bookworm", ("krita",)),  # its GIMP is 2.10
        Suite("forky", ("gimp", "krita"), is_testing=True),
    )
}


@dataclass(frozen=True)
class Place:
    """The folder of one root: the system, a mount point, and a note of what was built."""

    folder: Path
    suite: Suite

    @property
    def system(self) -> Path:
        """The root itself."""
        return self.folder / "root"

    @property
    def mount(self) -> Path:
        """Where a session's namespace sees the root; empty outside."""
        return self.folder / "mount"

    @property
    def note(self) -> Path:
        """Written last: a root with it is whole."""
        return self.folder / "editors.json"

    def built(self) -> dict[str, str] | None:
        """Versions of the packages, or None where nothing has been built."""
        if not self.note.is_file():
            return None
        versions: dict[str, str] = json.loads(self.note.read_text("utf-8"))["versions"]
        return versions


def place(suite: str = "trixie", folder: Path | None = None) -> Place:
    """Where the root of `suite` is or will be; other packages get another folder."""
    wanted = SUITES[suite]
    if folder:
        return Place(folder.absolute(), wanted)
    digest = hashlib.sha256("\n".join((suite, *wanted.packages, *_NOT_UNPACKED)).encode())
    return Place(_cache() / f"{suite}-{digest.hexdigest()[:12]}", wanted)


def build(where: Place) -> Place:
    """Build the root unless it is there; returns `where`.

    Raises:
        SetupError: not root, not Debian, or a package could not be fetched.
    """
    check_machine()
    where.folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(where):
        if where.built() is None:
            _install_mmdebstrap()
            _build_beside(where)
    return where


def check_machine() -> None:
    """Raise SetupError, one sentence, where a root can be neither built nor entered."""
    system = _os_release()
    if not {"debian", "ubuntu"} & {system.get("ID", ""), *system.get("ID_LIKE", "").split()}:
        name = system.get("PRETTY_NAME", sys.platform)
        raise SetupError(
            f"This is {name}, and the root with the editors needs Debian or Ubuntu: use a "
            "container such as `docker run --privileged -it debian:trixie`."
        )
    if os.geteuid() != 0:
        raise SetupError(
            "The root with the editors needs root: run `sudo python3 scripts/editors.py build`."
        )


def check_namespaces() -> None:
    """Raise SetupError, one sentence, where sessions cannot be opened.

    It opens one of its own, in which a folder in memory is mounted and forgotten.
    """
    with tempfile.TemporaryDirectory() as folder:
        line = [*NAMESPACES, "mount", "-t", "tmpfs", "editors", folder]
        code, said = _said(line)
    if code != 0:
        raise SetupError(
            f"The root with the editors needs mount namespaces, which are refused here "
            f"({complaint(said)}): in a container, start it with --privileged."
        )


def _cache() -> Path:
    chosen = os.environ.get("IMGEDIT_EDITORS")
    if chosen:
        return Path(chosen).absolute()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home).absolute() / "imgedit-editors"


def _os_release() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text("utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key: value.strip("\"'") for key, _, value in pairs}


@contextlib.contextmanager
def _alone(where: Place) -> Iterator[None]:
    """Wait for another build of the same root, and keep others waiting."""
    import fcntl  # not on Windows, where `check_machine` has something to say first

    with Path(f"{where.folder}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install_mmdebstrap() -> None:
    if shutil.which("mmdebstrap"):
        return
    print("Installing mmdebstrap with apt ...", flush=True)
    install = ["apt-get", "install", "-y", "--no-install-recommends"]
    install += ["mmdebstrap", "debian-archive-keyring"]
    if _said(install)[0] != 0:  # mostly because apt has no lists yet
        _said(["apt-get", "update"])
        code, said = _said(install)
        if code != 0:
            raise SetupError(f"apt cannot install mmdebstrap: {complaint(said)}.")


def _said(command: Sequence[str]) -> tuple[int, str]:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    return done.returncode, done.stdout + done.stderr


def _build_beside(where: Place) -> None:
    """Build under another name and rename; what is unfinished is removed however this ends."""
    where.folder.mkdir(exist_ok=True)
    if where.system.exists():
        raise SetupError(f"{where.system} exists and was not built by this script: move it away.")
    where.mount.mkdir(exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=_PART, dir=where.folder))
    try:
        part.chmod(0o755)
        _bootstrap(part, where)
        versions = _finish(part, where.suite)
        part.rename(where.system)
        note = where.folder / ".note"
        note.write_text(json.dumps({"suite": where.suite.name, "versions": versions}), "utf-8")
        note.rename(where.note)
    finally:
        if part.exists():
            _remove_part(part, where)


def _bootstrap(part: Path, where: Place) -> None:
    suite = where.suite
    print(f"Building Debian {suite.name} with {' and '.join(suite.editors)} in {where.folder}")
    print("(about 1.3 GB; one to four minutes) ...", flush=True)
    log = where.folder / "build.log"
    # In namespaces of its own, so that mmdebstrap's mounts and processes end with it.
    line = [*NAMESPACES, "mmdebstrap", "--mode=root", "--variant=minbase"]
    line += ["--components=main", '--aptopt=APT::Install-Recommends "false"']
    line += ['--aptopt=Acquire::Retries "3"', "--dpkgopt=force-unsafe-io"]
    line += [f"--dpkgopt=path-exclude=/usr/share/{what}" for what in _NOT_UNPACKED]
    line += [f"--include={','.join(suite.packages)}", suite.name, str(part)]
    if suite.is_testing:
        # Without a security archive, which it hardly uses. Its list of packages is signed for one
        # week; a mirror that lags behind is good enough here.
        line += [_MIRROR, "--aptopt=Acquire::Check-Valid-Until false"]
    with log.open("wb") as out:
        builder = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            code = builder.wait()
        finally:
            builder.kill()  # unshare's, which ends all the others; no harm when it is done
            builder.wait()
    if code != 0:
        reason = complaint(log.read_text("utf-8", "replace"))
        raise SetupError(f"mmdebstrap failed: {reason}. All it said is in {log}.")


def _finish(part: Path, suite: Suite) -> dict[str, str]:
    no_services = part / "usr/sbin/policy-rc.d"
    no_services.write_text("#!/bin/sh\nexit 101\n", "ascii")
    no_services.chmod(0o755)
    query = ["dpkg-query", f"--admindir={part / 'var/lib/dpkg'}", "--show"]
    query += ["--showformat=${Package}=${Version}\n", *suite.packages]
    done = subprocess.run(query, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def _remove_part(part: Path, where: Place) -> None:
    """Remove an unfinished root: only a folder that `_build_beside` made, with no mount below."""
    if part.parent != where.folder or not part.name.startswith(_PART) or part.is_symlink():
        raise SetupError(f"{part} is no unfinished root: it is left alone.")
    mounts = Path("/proc/mounts").read_text("utf-8").splitlines()
    points = [Path(line.split()[1]) for line in mounts]
    if inside := [point for point in points if point.is_relative_to(part)]:
        raise SetupError(f"{inside[0]} is mounted: unmount it, then remove {part}.")
    shutil.rmtree(part)


def up(where: Place, shares: Sequence[Path], binds: Sequence[Path]) -> int:
    """Open a session that `run` uses until `down`; returns its process id."""
    _need(where)
    pid = session_of(where)
    if pid is None:
        note = where.folder / _SESSION
        note.unlink(missing_ok=True)
        idle = ["sleep", "infinity"]
        line = entering(where.folder, idle, shares=shares, binds=binds, pid_file=note)
        log = where.folder / "session.log"
        with log.open("wb") as told:
            started = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                env=surroundings(),
                start_new_session=True,
            )
        pid = wait_for_session(started, note, log)
    return pid


def session_of(where: Place) -> int | None:
    """The process id of the session that `up` opened, or None."""
    note = where.folder / _SESSION
    if not note.is_file():
        return None
    pid = int(note.read_text("ascii"))
    try:  # the number may be another process's by now
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return pid if str(where.folder).encode() in command else None


def down(where: Place) -> bool:
    """End the session that `up` opened, with every process in it; whether there was one."""
    pid = session_of(where)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)  # the first process of its namespace: all others end too
    (where.folder / _SESSION).unlink(missing_ok=True)
    return pid is not None


def _need(where: Place) -> None:
    check_machine()
    if where.built() is None:
        raise SetupError(
            f"There is no root in {where.folder}: run `python3 scripts/editors.py build --suite "
            f"{where.suite.name}` first."
        )


def _status(where: Place) -> None:
    versions, pid = where.built(), session_of(where)
    names = where.suite.editors
    known = ", ".join(f"{name} {versions[name]}" for name in names) if versions else "not built"
    print(f"{where.suite.name}: {known}")
    print(f"folder: {where.folder}")
    print(f"session: {f'process {pid}' if pid else 'none'}")


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/editors.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name in ("build", "up", "down", "run", "status", "check"):
        action = actions.add_parser(name)
        action.add_argument("--suite", choices=SUITES, default="trixie")
        action.add_argument("--root", type=Path, metavar="FOLDER", help="default: in the cache")
        if name in ("up", "run"):
            _add_session_options(action)
        if name == "run":
            action.add_argument("command", nargs="+")
    return parser.parse_args(given)


def _add_session_options(parser: argparse.ArgumentParser) -> None:
    for option, about in (
        ("--share", "a folder that stands at the same path and keeps what is written to it"),
        ("--bind", "a file or folder that can be read at the same path"),
    ):
        parser.add_argument(option, type=Path, action="append", default=[], help=about)


def _run(where: Place, wanted: argparse.Namespace) -> int:
    _need(where)
    pid = session_of(where)
    if pid is not None and (wanted.share or wanted.bind):
        raise SetupError("A session is up and its folders are fixed: run `down` first.")
    command = wanted.command
    line = (
        joining(pid, command)
        if pid is not None
        else entering(where.folder, command, shares=wanted.share, binds=wanted.bind)
    )
    os.execvpe(line[0], line, surroundings())  # noqa: S606  # the arguments are a list


def main(arguments: Sequence[str]) -> int:
    """Carry out one action; returns the exit code."""
    wanted = _arguments(arguments)
    where = place(wanted.suite, wanted.root)
    if wanted.action == "run":
        return _run(where, wanted)
    if wanted.action == "build":
        print(build(where).folder)
    elif wanted.action == "up":
        print(f"Up, process {up(where, wanted.share, wanted.bind)}.")
    elif wanted.action == "check":
        check_machine()
        check_namespaces()
    elif wanted.action == "down":
        print("Down." if down(where) else "Nothing was up.")
    else:
        _status(where)
    return 0


if __name__ == "__main__":
    exit_with(lambda: main(sys.argv[1:]))
