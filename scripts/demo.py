"""Recovers a few edits of real photographs and leaves a report; nothing but Python is needed.

    python3 scripts/demo.py [--out FOLDER]

makes .venv beside this folder when it is missing, installs the project there (exact versions:
constraints/dev.txt), takes photographs out of the packages scikit-image and scikit-learn (fetched
by pip, not installed), edits them with a second implementation of the operations, runs
`imgedit-plugins predict` and `apply`, and writes FOLDER/index.html (default: demo-report).
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from environment import ROOT, clean_environment, exit_with, prepare


def main() -> int:
    """Prepare .venv, run the demonstration there, and return its exit code."""
    parser = argparse.ArgumentParser(prog="scripts/demo.py", description="Recovers a few edits.")
    parser.add_argument("--out", type=Path, default=ROOT / "demo-report", metavar="FOLDER")
    out = parser.parse_args().out.absolute()
    python = prepare()
    command = [str(python), "-m", "scripts.demo_report", str(out)]
    return subprocess.run(command, cwd=ROOT, env=clean_environment(), check=False).returncode


if __name__ == "__main__":
    exit_with(main)
