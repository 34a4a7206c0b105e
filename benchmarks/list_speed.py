"""How long `imgedit-plugins list` takes beside a script that does the least it could do.

Both run alternately in the same Python, with a broken third-party plugin installed, after a warm-up
that writes their bytecode. The smallest script imports pluggy and click and reads the entry points.

    python benchmarks/list_speed.py [--runs 21] [--json]

Run it with the Python of an environment that has imgedit-plugins and, for the figure that counts,
torch. Exits with 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

LIMIT_SECONDS = 0.200
LIMIT_RATIO = 1.5

BASELINE = """
import click
import pluggy
from importlib.metadata import entry_points

for entry_point in entry_points(group="imgedit_plugins"):
    click.echo(entry_point.name)
"""
LIST = "from imgedit_plugins.cli import main; main()"

BROKEN_MANIFEST = 'schema = "imgedit-plugin/1"\nname = "broken_one"\nhooks = ["no_such_hook"]\n'


@dataclass(frozen=True)
class Figures:
    """Medians of one program, in seconds."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Result:
    """Both programs side by side; ratios are medians of the ratios of neighbouring runs."""

    runs: int
    torch: str | None
    distributions: int
    smallest: Figures
    list: Figures
    wall_ratio: float
    cpu_ratio: float

    @property
    def passed(self) -> bool:
        """Whether both limits are kept."""
        return self.list.wall <= LIMIT_SECONDS and self.wall_ratio <= LIMIT_RATIO


def install_broken_plugin(folder: Path) -> None:
    """A third-party distribution whose manifest is wrong and whose module cannot be imported."""
    package = folder / "broken_one"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "imgedit_plugin.toml").write_text(BROKEN_MANIFEST)
    info = folder / "broken_one-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-one\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[imgedit_plugins]\nbroken_one = broken_one\n")


def environment(folder: Path) -> dict[str, str]:
    """The child's environment: the broken plugin is found, bytecode is kept."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": path}


def measured(code: str, arguments: list[str], environ: dict[str, str]) -> Figures:
    """Seconds of one run, from start to exit."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environ,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Figures(wall, cpu)


def compare(runs: int) -> Result:
    """Run both alternately, `runs` times each, after two that do not count."""
    with tempfile.TemporaryDirectory() as name:
        install_broken_plugin(Path(name))
        environ = environment(Path(name))
        pairs = [
            (measured(BASELINE, [], environ), measured(LIST, ["list"], environ))
            for _ in range(runs + 2)
        ][2:]
    return Result(
        runs=runs,
        torch=_torch(),
        distributions=len(list(importlib.metadata.distributions())),
        smallest=_median([smallest for smallest, _ in pairs]),
        list=_median([ours for _, ours in pairs]),
        wall_ratio=statistics.median(ours.wall / smallest.wall for smallest, ours in pairs),
        cpu_ratio=statistics.median(ours.cpu / max(smallest.cpu, 1e-6) for smallest, ours in pairs),
    )


def _median(figures: list[Figures]) -> Figures:
    return Figures(
        statistics.median(f.wall for f in figures), statistics.median(f.cpu for f in figures)
    )


def _torch() -> str | None:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = compare(arguments.runs)
    if arguments.json:
        print(json.dumps({**asdict(result), "passed": result.passed}, indent=2))
    else:
        _print(result)
    return 0 if result.passed else 1


def _print(result: Result) -> None:
    torch = f"torch {result.torch}" if result.torch else "no torch installed"
    print(f"{result.runs} runs each, alternating; {result.distributions} distributions, {torch}")
    print("                       wall      CPU   (medians)")
    for name, figures in (("smallest script", result.smallest), ("list", result.list)):
        print(f"  {name:16} {figures.wall * 1e3:7.1f} ms {figures.cpu * 1e3:5.1f} ms")
    print(f"  {'ratio':16} {result.wall_ratio:7.2f}    {result.cpu_ratio:5.2f}")
    verdict = "PASS" if result.passed else "FAIL"
    print(f"{verdict}: limits {LIMIT_SECONDS * 1e3:.0f} ms and {LIMIT_RATIO} x")


if __name__ == "__main__":
    sys.exit(main())
