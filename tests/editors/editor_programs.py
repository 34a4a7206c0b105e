"""What the two editors have in common: a throw-away profile, runs without and with a window."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from editor_root import PROJECT, Root
from editor_run import EditorError, Run
from editor_screen import Screen

INSIDE = f"/src/{(Path(__file__).parent / 'inside').relative_to(PROJECT)}"


class Program:
    """An editor with a profile of its own, which one test uses.

    Attributes:
        root: where it runs.
        folder: of the test, at the same path outside and inside; logs are in it.
        home: the profile's folder in the root.
        environment: variables of every run; a test may add some.
    """

    name: str

    def __init__(self, root: Root, folder: Path, home: str | None = None) -> None:
        self.root = root
        self.folder = folder
        self.home = home or self._warm_home()
        self.environment: dict[str, str] = {"PYTHONPATH": INSIDE, "HOME": self.home}
        self._numbers = itertools.count(1 if home is None else 0)

    def _warm_home(self) -> str:
        """A copy of a profile that the editor has filled once: it starts in a third of the time."""
        warm = f"/tmp/warm-{self.name}"
        if not self.root.outside(warm).is_dir():
            part = self.root.call(["mktemp", "-d", f"{warm}-XXXXXX"]).strip()
            self._prepare_home(part)
            type(self)(self.root, self.folder, part).run("", seconds=300)
            self.root.call(["mv", part, warm])
        home = self.root.call(["mktemp", "-d", f"/tmp/{self.name}-XXXXXX"]).strip()
        self.root.call(["cp", "-a", f"{warm}/.", home])
        return home

    def _prepare_home(self, home: str) -> None:
        """Write the settings that a fresh profile needs."""

    def _headless(self) -> list[str]:
        """The command line that runs the script EDITOR_SCRIPT without a window."""
        raise NotImplementedError

    def run(self, script: str, *, seconds: float = 120, check: bool = True) -> Run:
        """Run a Python script in the editor without a window and wait for the end.

        The script has the editor's usual names and `mark(event, **values)`.

        Raises:
            EditorError: unless the script ran to its end and the editor ended well (only with
                `check`; otherwise see `Run.failure`).
        """
        number = next(self._numbers)
        path = self.folder / f"{self.name}-{number}.py"
        path.write_text(script, "utf-8")
        run = self._start(self._headless(), path.with_suffix(".log"), {"EDITOR_SCRIPT": str(path)})
        run.wait(seconds)
        reason = run.failure()
        self.describe(run)
        if check and reason:
            raise EditorError(reason)
        return run

    def close(self) -> None:
        """Remove the profile."""
        self.root.call(["rm", "-rf", self.home])

    def describe(self, run: Run) -> None:
        """Print which editor ran, for the test's report."""
        for mark in run.events("started"):
            print(f"{mark['editor']} {mark['version']}, process {mark['pid']}: {run.log}")

    def _start(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Run:
        surroundings = {**self.environment, **environment}
        told = " ".join(f"{key}={value}" for key, value in surroundings.items())
        log.write_text(f"[{told} {' '.join(command)}]\n", "utf-8")
        process = self.root.start(command, log=log, environment=surroundings)
        return Run(self.name, process, log)


class Window:
    """An editor with windows, on a display of its own; also runs scripts.

    Attributes:
        screen: its windows, keys and screenshots.
        running: the editor's run.
    """

    def __init__(
        self,
        program: Program,
        command: Sequence[str],
        environment: Mapping[str, str],
        size: tuple[int, int] = (1600, 1000),
    ) -> None:
        self.program = program
        self._requests = program.folder / f"{program.name}-requests"
        self._requests.mkdir(exist_ok=True)
        self._numbers = itertools.count(1)
        self.screen = Screen(program.root, program.folder, *size)
        surroundings = {
            **self.screen.environment,
            "EDITOR_REQUESTS": str(self._requests),
            **environment,
        }
        log = program.folder / f"{program.name}-window.log"
        self.running = program._start(command, log, surroundings)

    def wait_for_window(self, pattern: str, seconds: float = 60) -> str:
        """Wait for a window whose title fits and give it the keyboard; its number."""
        what = f"window titled {pattern!r}"
        found: str = self.running.wait_until(lambda: self.screen.find(pattern), what, seconds)
        self.screen.activate(found)
        return found

    def wait_until_gone(self, pattern: str, seconds: float = 30) -> None:
        """Wait until no window has such a title."""
        what = f"end of the window titled {pattern!r}"
        self.running.wait_until(lambda: not self.screen.find(pattern), what, seconds)

    def run(self, script: str, *, seconds: float = 60) -> None:
        """Run a script in the editor that shows the windows; its marks are in `running`.

        Raises:
            EditorError: the script raised, or was not done in time, or the editor ended.
        """
        request = f"{next(self._numbers):04}.taken"
        path = (self._requests / request).with_suffix(".py")
        unfinished = path.with_suffix(".part")
        unfinished.write_text(script, "utf-8")
        unfinished.rename(path)

        def ended() -> list[dict[str, object]]:
            ends = self.running.events("done") + self.running.events("failed")
            return [mark for mark in ends if mark["request"] == request]

        end = self.running.wait_until(ended, f"end of script {request}", seconds)[0]
        if end["event"] == "failed":
            raise EditorError(f"the script in {self.program.name} failed:\n{end['traceback']}")

    def close(self) -> None:
        """End the editor and the display; on the way a last screenshot."""
        try:
            if self.running.is_running:
                self.screen.screenshot(f"{self.program.name}-last")
        finally:
            self.running.end()
            self.screen.close()
            self.program.describe(self.running)
