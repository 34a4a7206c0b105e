"""What acceptance scripts share: lines with a verdict, commands run in an environment, test counts.

Standard library only, so that a script can start on a machine with Python alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PASS, FAIL, NOT_RUN = "PASS", "FAIL", "NOT RUN"
ROOT = Path(__file__).resolve().parents[2]

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "TEMP", "SYSTEMROOT", "USERPROFILE", "APPDATA")


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    command: str
    code: int
    out: str
    err: str
    seconds: float

    @property
    def last(self) -> str:
        """The last line of its result, or of its complaint."""
        told = self.out if self.code == 0 and self.out.strip() else self.err or self.out
        lines = [line for line in told.splitlines() if line.strip()]
        return lines[-1].strip() if lines else "(nothing printed)"

    @property
    def is_one_sentence(self) -> bool:
        """Whether all that stands on stderr is an answer for people (with a hint, two lines)."""
        lines = self.err.strip().splitlines()
        return 1 <= len(lines) <= 2 and "Traceback" not in self.err


@dataclass
class Session:
    """The tree under test, its environment, and the verdicts so far.

    Attributes:
        root: the tree that is tested, a clone or the working tree.
        work: an empty folder for files.
        environ: variables for every command.
        probes: file name of the script with the measurements that need imgedit_plugins.
        tests: outcome of each test by module, from the run of the suite; None before it.
    """

    root: Path
    work: Path
    environ: dict[str, str] = field(default_factory=dict)
    probes: str = "probes_core.py"
    verdicts: list[str] = field(default_factory=list)
    tests: dict[str, list[tuple[str, str, str]]] | None = None
    point: int = 0

    @property
    def bin(self) -> Path:
        """Where the environment's commands are."""
        return self.root / ".venv" / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> str:
        """The environment's Python."""
        return str(self.bin / "python")

    def begin(self, point: int, title: str) -> None:
        """Print a point's title."""
        self.point = point
        print(f"\n{point}. {title}", flush=True)

    def say(self, verdict: str, what: str, figure: str = "", command: str = "") -> None:
        """Print one line with a verdict, and the command under it."""
        self.verdicts.append(verdict)
        print(f"   {verdict:7}  {self.point}  {what}{': ' if figure else ''}{figure}", flush=True)
        if command:
            print(f"               $ {command}", flush=True)

    def check(self, good: object, what: str, figure: str = "", command: str = "") -> bool:
        """PASS or FAIL."""
        self.say(PASS if good else FAIL, what, figure, command)
        return bool(good)

    def run(
        self, *command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Ran:
        """Run a command in the tree under test."""
        words = [str(word) for word in command]
        started = time.perf_counter()
        done = subprocess.run(
            words,
            cwd=cwd or self.root,
            env={**self.environ, **(env or {})},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        shown = self._shown(words, env or {})
        seconds = time.perf_counter() - started
        return Ran(shown, done.returncode, done.stdout, done.stderr, seconds)

    def cli(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Ran:
        """Run `imgedit-plugins` of the environment."""
        return self.run(self.bin / "imgedit-plugins", *arguments, env=env)

    def _shown(self, words: Sequence[str], env: Mapping[str, str]) -> str:
        text = shlex.join([*(f"{name}={value}" for name, value in env.items()), *words])
        for folder, short in ((self.bin, ""), (self.root, ""), (self.work, "$WORK/")):
            text = text.replace(f"{folder}{os.sep}", short)
        return text

    def probe(self, name: str, *arguments: str | Path) -> Any:
        """What a function of the probes' script found, from its JSON."""
        script = self.root / "tests" / "acceptance" / self.probes
        done = self.run(self.python, script, name, *arguments, env={"PYTHONPATH": str(self.root)})
        if done.code != 0:
            raise ProbeError(f"{name}: {done.last}")
        return json.loads(done.out)

    def run_tests(self, files: Sequence[str], *, here: bool, shown: str) -> None:
        """Install, run test modules whose counts other points print, and say how it went.

        Args:
            files: all of which must be there.
            here: whether this is the working tree.
            shown: what stands for them where the command is printed.
        """
        there = [name for name in files if (self.root / name).is_file()]
        missing = ", ".join(name for name in files if name not in there)
        figure = f"{len(there)} of {len(files)}" + (f"; missing: {missing}" if missing else "")
        self.check(not missing, "test modules", figure)
        junit = self.work / "junit.xml"
        env = {"PYTEST_ADDOPTS": f"--junitxml={junit}", "OMP_NUM_THREADS": "1"}
        words = ("python3", "scripts/test.py", "-n", "auto", "--maxprocesses", "8", *there)
        done = self.run(*words, env=env)
        self.tests = read_tests(junit) if junit.is_file() else None
        where = "this working tree" if here else "a fresh clone, bare environment"
        self.check(done.code == 0, f"tests of this part in {where}", done.last.strip("= "))
        print(f"               $ python3 scripts/test.py {shown}")

    def run_slow(self, what: str, file: str) -> None:
        """PASS where the tests of a module pass that the suite leaves out as slow."""
        done = self.run(self.python, "-m", "pytest", "-m", "slow", "-q", file)
        good = done.code == 0 and "passed" in done.last
        self.check(good, what, done.last.strip("= "), done.command)

    def suite(self, *modules: str) -> None:
        """One line for what the suite's run said about these modules; `*` at the end is allowed."""
        if self.tests is None:
            self.say(NOT_RUN, f"tests of {', '.join(modules)}", "the suite was not run")
            return
        for module in modules:
            self._module(module)

    def _module(self, module: str) -> None:
        assert self.tests is not None
        found = [
            test
            for name, tests in self.tests.items()
            if name == module or (module.endswith("*") and name.startswith(module[:-1]))
            for test in tests
        ]
        passed = sum(outcome == PASS for _, outcome, _ in found)
        bad = [name for name, outcome, _ in found if outcome == FAIL]
        figure = f"{passed} of {len(found)} passed" + (f"; failed: {', '.join(bad)}" if bad else "")
        self.check(found and not bad, f"tests {module.replace('.', '/')}", figure)
        for name, outcome, reason in found:
            if outcome == NOT_RUN:
                self.say(NOT_RUN, f"test {name}", reason)

    def finish(self) -> int:
        """Print the sum; returns 0 if nothing failed."""
        counts = {verdict: self.verdicts.count(verdict) for verdict in (PASS, FAIL, NOT_RUN)}
        print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
        return 1 if counts[FAIL] else 0


class ProbeError(Exception):
    """A probe ended with an error."""


class Options(argparse.Namespace):
    """What every script's command line has; scripts add their own."""

    here: bool
    only: list[int] | None


def bare_environment() -> dict[str, str]:
    """What a fresh shell has, and nothing that this one set."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def read_tests(junit: Path) -> dict[str, list[tuple[str, str, str]]]:
    """(name, verdict, reason) of each test by module, from pytest's XML (our own file)."""
    tests: dict[str, list[tuple[str, str, str]]] = {}
    for case in ET.parse(junit).getroot().iter("testcase"):
        kinds = {child.tag: child for child in case}
        skipped = kinds.get("skipped")
        bad = "failure" in kinds or "error" in kinds
        outcome = FAIL if bad else PASS if skipped is None else NOT_RUN
        reason = "" if skipped is None else skipped.get("message", "")
        named = (case.get("name", ""), outcome, reason)
        tests.setdefault(case.get("classname", ""), []).append(named)
    return tests


def walk(session: Session, points: Sequence[Callable[[Session], None]]) -> int:
    """Run all points; one that breaks down is a FAIL, and the others still run."""
    for point in points:
        try:
            point(session)
        except Exception as error:
            session.say(FAIL, f"{point.__name__} broke down", f"{type(error).__name__}: {error}")
    return session.finish()


def clone(into: Path) -> Path:
    """The last commit, cloned."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(into)], check=True)
    state = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    if state.stdout.strip():
        print("There are uncommitted changes: they are not in the clone that is tested.")
    return into


def run_script(
    part: int,
    parser: argparse.ArgumentParser,
    options: Options,
    points: Sequence[Callable[[Session], None]],
    probes: str,
) -> int:
    """Read the command line into `options` and walk through the points; returns the exit code.

    Args:
        part: number of the issue.
        parser: with the script's own arguments.
        options: filled.
        points: functions named ``point_1`` and so on, in the order in which they run.
        probes: see `Session`.
    """
    parser.add_argument("--here", action="store_true", help="this tree instead of a fresh clone")
    parser.add_argument("--only", type=int, nargs="+", metavar="POINT", help="just these")
    parser.parse_args(namespace=options)
    # In the background of a shell SIGINT is ignored, also by the commands that are interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="acceptance-") as name:
        work = Path(name).resolve()
        root = ROOT if options.here else clone(work / "clone")
        files = work / "files"
        files.mkdir()
        told = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        version = re.sub("[^0-9a-f]", "", told.stdout)
        print(f"imgedit-plugins, part {part}, at {version}: {root}")
        chosen = [p for p in points if options.only is None or _number(p) in options.only]
        return walk(Session(root, files, bare_environment(), probes), chosen)


def _number(point: Callable[[Session], None]) -> int:
    return int(point.__name__.removeprefix("point_"))


if __name__ == "__main__":
    sys.exit("This is a library: run 01_core.py or 02_render.py.")
