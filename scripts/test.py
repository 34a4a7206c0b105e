"""Runs the tests; nothing but Python is needed.

    python3 scripts/test.py [PYTEST ARGUMENTS]

makes .venv beside this folder when it is missing, installs the project with its test tools there
(exact versions: constraints), and runs pytest. Without arguments the whole suite runs, on all
cores; with arguments pytest gets just these: `scripts/test.py tests/core -k plan`.

Among the test tools is PyTorch. Where pip would take the build with CUDA, which is gigabytes, and
the CPU's is enough, set PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from environment import ROOT, clean_environment, exit_with, prepare

WHOLE_SUITE = ["-n", "auto", "--maxprocesses", "8"]


def main(arguments: Sequence[str]) -> int:
    """Prepare .venv, run pytest there, and return its exit code."""
    python = prepare("dev,dev-torch")
    command = [str(python), "-m", "pytest", *(arguments or WHOLE_SUITE)]
    environ = clean_environment()
    # Each of the many processes of the tests would compile the project anew.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode


if __name__ == "__main__":
    exit_with(lambda: main(sys.argv[1:]))
