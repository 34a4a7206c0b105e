"""Sessions in a root: a command in namespaces of its own, with mounts that end with it.

Used by editors.py; executed by itself as the first process of a session.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from environment import ROOT, SetupError, exit_with

PROJECT = Path("/src")
NAMESPACES = (
    *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
    *("--propagation=private", "--"),
)

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PASSED_ON = ("TERM", "http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "HTTP_PROXY")


def entering(
    folder: Path,
    command: Sequence[str],
    *,
    shares: Sequence[Path] = (),
    binds: Sequence[Path] = (),
    pid_file: Path | None = None,
) -> list[str]:
    """The command line that runs `command` in a session of its own.

    Args:
        folder: of a root that is built (`root` and `mount` are in it).
        command: program and arguments, as seen in the root.
        shares: folders that stand at the same path in the root and keep what is written there.
        binds: files and folders that can be read at the same path in the root.
        pid_file: gets the session's process id as soon as it can be joined (see `joining`).
    """
    line = [*NAMESPACES, sys.executable, str(Path(__file__).resolve())]
    line += ["--folder", str(folder.absolute())]
    for option, paths in (("--share", shares), ("--bind", binds)):
        for path in paths:
            line += [option, str(path.absolute())]
    line += ["--pid-file", str(pid_file.absolute())] if pid_file else []
    return [*line, "--", *command]


def joining(pid: int, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` in the session of process `pid`."""
    return ["nsenter", f"--target={pid}", "--mount", "--pid", "--root", "--wd", "--", *command]


def surroundings() -> dict[str, str]:
    """Variables for commands in the root: the network's and pip's, nothing else of the caller's."""
    kept = {k: v for k, v in os.environ.items() if k in _PASSED_ON or k.startswith("PIP_")}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {**kept, "PATH": path, "HOME": "/root", "LANG": "C.UTF-8", "SHELL": "/bin/sh"}


def wait_for_session(started: subprocess.Popen[bytes], note: Path, log: Path) -> int:
    """The process id of a session that is just being opened; SetupError when it does not open."""
    for _ in range(300):
        if note.is_file() and (number := note.read_text("ascii")):
            return int(number)
        if started.poll() is not None:
            break
        time.sleep(0.1)
    started.kill()
    raise SetupError(f"The root cannot be entered: {complaint(log.read_text('utf-8'))}.")


def complaint(said: str) -> str:
    """The first error that apt, mmdebstrap or mount names, or their last words."""
    lines = [line.strip().rstrip(".") for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:")]
    return (errors or lines[-1:] or ["no reason given"])[0].removeprefix("E:").strip()


def main(arguments: Sequence[str]) -> int:
    """As the first process of new namespaces: mount, change root, run the command, reap."""
    wanted = _arguments(arguments)
    host_pid = (
        Path("/proc/self").readlink().name
    )  # in the caller's /proc: its number for this process
    with contextlib.ExitStack() as stack:
        told = stack.enter_context(wanted.pid_file.open("w")) if wanted.pid_file else None
        top = _mount_all(wanted.folder, wanted.share, wanted.bind)
        os.chroot(top)
        os.chdir("/")
        child = os.fork()
        if child == 0:
            _become(wanted.command)
        if told:
            told.write(host_pid)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(child, received))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the command itself
    return _reap_until(child)


def _mount_all(folder: Path, shares: Sequence[Path], binds: Sequence[Path]) -> Path:
    """The root under a layer in memory, with the system's folders, the project and the shares."""
    os.chdir(folder)  # relative names: no character of the folder's name can break the options
    _mount("-t", "tmpfs", "-o", "size=75%,mode=755", "editors", "mount")
    for name in ("layer", "work", "root"):
        Path("mount", name).mkdir()
    layers = "lowerdir=root,upperdir=mount/layer,workdir=mount/work"
    _mount("-t", "overlay", "-o", layers, "editors", "mount/root")
    top = folder / "mount" / "root"
    _mount("-t", "proc", "proc", str(top / "proc"))
    _mount("--rbind", "/sys", str(top / "sys"))
    _mount("--rbind", "/dev", str(top / "dev"))
    _mount("-t", "tmpfs", "-o", "mode=1777", "shm", str(top / "dev/shm"))
    _copy_network(top)
    _bind(ROOT, top, at=PROJECT, writable=False)
    for path in binds:
        _bind(path, top, at=path, writable=False)
    for path in shares:  # last: they may lie in the project or in a bound folder
        _bind(path, top, at=path, writable=True)
    return top


def _bind(path: Path, top: Path, *, at: Path, writable: bool) -> None:
    target = top / at.relative_to("/")
    if path.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount("--bind", str(path), str(target))
    if not writable:
        _mount("-o", "remount,bind,ro", str(target))


def _copy_network(top: Path) -> None:
    """Names and certificates as on this machine, so that pip works in the root."""
    for path in (Path("/etc/resolv.conf"), Path("/etc/hosts"), _CERTIFICATES):
        if path.is_file():
            target = top / path.relative_to("/")
            target.unlink(missing_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(
            f"The root cannot be entered, mounting is refused ({complaint(done.stderr)}): in a "
            "container, start it with --privileged."
        )


def _become(command: Sequence[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execvp(command[0], list(command))  # noqa: S606  # the arguments are a list
    except OSError as error:
        print(f"{command[0]} cannot be run in the root: {error.strerror}.", file=sys.stderr)
        os._exit(127)


def _reap_until(child: int) -> int:
    """Wait for every process that ends, strays included, until it is `child`; its exit code."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pid-file", type=Path)
    parser.add_argument("--share", type=Path, action="append", default=[])
    parser.add_argument("--bind", type=Path, action="append", default=[])
    parser.add_argument("command", nargs="+")
    return parser.parse_args(given)


if __name__ == "__main__":
    exit_with(lambda: main(sys.argv[1:]))
