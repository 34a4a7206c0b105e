"""`imgedit-plugins` in processes that begin at once, forked from a server with its libraries.

A command that uses a model imports PyTorch, transformers and diffusers first, which takes several
times as long as what the tests' tiny models do then; `torchrun` does it in three processes. Here
commands have processes, environments, output and exit codes of their own, too, and import the
plugins themselves. Each plugin has some real ones (`python -m imgedit_plugins.cli`) besides.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from forked import PROCESSES, TOO_LONG, in_two, tell_into


def begin(
    arguments: Sequence[object], environ: Mapping[str, str], told: Path | None = None
) -> ForkServerProcess:
    """Start a command.

    Args:
        arguments: its own.
        environ: all of its environment.
        told: a folder for `stdout` and `stderr`; without it nobody hears what it says.
    """
    process = PROCESSES.Process(target=_command, args=([*map(str, arguments)], {**environ}, told))
    process.start()
    return process


def run(
    arguments: Sequence[object], environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with tempfile.TemporaryDirectory() as folder:
        process = begin(arguments, environ, Path(folder))
        process.join(TOO_LONG)
        if process.exitcode is None:
            process.kill()
            process.join()
        out, error = ((Path(folder) / n).read_text("utf-8") for n in ("stdout", "stderr"))
        return subprocess.CompletedProcess([*arguments], process.exitcode or 0, out, error)


def run_in_two(arguments: Sequence[object], environ: Mapping[str, str]) -> str:
    """Run a command in two processes that find each other as torchrun's do; what both printed.

    Where one fails the other is ended, and that is an AssertionError.
    """
    codes, out, error = in_two(lambda more, told: begin(arguments, {**environ, **more}, told))
    assert codes == [0, 0], error[-3000:]
    return out


def _command(arguments: list[str], environ: dict[str, str], told: Path | None) -> None:
    """In the process: be `imgedit-plugins`."""
    from imgedit_plugins.cli import main

    os.environ.clear()
    os.environ.update(environ)
    tell_into(told)
    sys.argv = ["imgedit-plugins", *arguments]
    main()
