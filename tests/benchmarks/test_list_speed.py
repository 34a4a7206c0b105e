"""The benchmark of `list` measures what it says (its limits are for quiet machines)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_measures_both_programs():
    paths = [ROOT / "core", ROOT / "plugins" / "reverse_design"]
    result = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "list_speed.py", "--runs", "2", "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    figures = json.loads(result.stdout)
    assert result.returncode == (0 if figures["passed"] else 1)
    assert figures["runs"] == 2
    for program in ("smallest", "list"):
        assert 0.005 < figures[program]["wall"] < 30
    assert figures["wall_ratio"] > 0.5
