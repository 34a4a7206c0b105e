"""Plans in files, read by the core's own Python: an editor's Python has no core."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.locations import Record
from imgedit_bridges.starting import clean_environment

_READ_SECONDS = 60


def read_plan(
    path: Path, python: str, *, editor: str, prefix: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The plan in a JSON file, or in a picture's metadata; checked by the core.

    Args:
        path: of the file.
        python: that imgedit-plugins is installed in.
        editor: 'gimp' or 'krita', for what to do when that Python is gone.
        prefix: words before the Python; see `Record`.

    Raises:
        BridgeError: there is none, it is not valid, or the core's Python is gone.
    """
    done = _core(["plan", "show", "--json", "--", str(path)], Record(python, "", prefix), editor)
    if done.returncode != 0:
        raise BridgeError(_last_line(done.stderr) or f"{path.name} cannot be read.")
    plan = json.loads(done.stdout)
    if not isinstance(plan, dict):
        raise BridgeError(f"There is no plan in {path.name}.")
    return plan


def _core(arguments: list[str], record: Record, editor: str) -> subprocess.CompletedProcess[str]:
    hint, python = f"Run `imgedit-plugins install {editor}` again.", record.python
    # Outside of a sandbox there may be what cannot be seen from within.
    if not record.prefix and not Path(python).is_file():
        raise BridgeError(f"The Python that runs the worker is gone: {python}.", hint=hint)
    # -P: nothing is imported from the folder that the editor was started in.
    line = [*record.command, "-P", "-m", "imgedit_plugins.cli", *arguments]
    environ = {**clean_environment(os.environ), "PYTHONIOENCODING": "utf-8"}
    try:
        return subprocess.run(
            line, capture_output=True, encoding="utf-8", errors="replace", env=environ,
            timeout=_READ_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BridgeError(f"{python} cannot be run: {error}.", hint=hint) from error


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else ""
