"""A program in the root that says by marks in its log how it fares."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from editor_root import end_group

SIGN = "EDITOR-MARK "

Mark = dict[str, Any]


class EditorError(AssertionError):
    """What an editor did instead of carrying out its script."""


class Run:
    """A started program.

    Attributes:
        name: of the editor, for messages.
        log: everything it printed.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._began = time.monotonic()
        self._overdue: float | None = None

    @property
    def output(self) -> str:
        """All it has printed so far, its marks included."""
        return self.log.read_text("utf-8", "replace")

    @property
    def marks(self) -> list[Mark]:
        """The marks so far, in order; a line that is still being written is left out."""
        lines = self.output.split("\n")[:-1]
        return [json.loads(line.removeprefix(SIGN)) for line in lines if line.startswith(SIGN)]

    def events(self, event: str) -> list[Mark]:
        """The marks of one kind."""
        return [mark for mark in self.marks if mark["event"] == event]

    @property
    def is_running(self) -> bool:
        """Whether the program has not ended."""
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """Its exit code, which says little; negative for a signal, None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> None:
        """Wait for the end; the program is ended when it takes longer than `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._overdue = seconds
        finally:
            self.end()

    def wait_until(self, found: Callable[[], Any], what: str, seconds: float) -> Any:
        """The first true value of `found`; EditorError when the program ends or time is up."""
        until = time.monotonic() + seconds
        while True:
            running = self.is_running
            if value := found():
                return value
            if not running:
                raise EditorError(
                    f"{self.name} ended while the test waited for {what}{self._how()}"
                )
            if time.monotonic() > until:
                raise EditorError(
                    f"{self.name}: no {what} within {seconds:g} s\n{self._last_lines()}"
                )
            time.sleep(0.05)

    def wait_for(self, event: str, seconds: float = 60, **values: Any) -> Mark:
        """The first mark of a kind that has these values."""

        def found() -> Mark | None:
            fitting = (m for m in self.events(event) if values.items() <= m.items())
            return next(fitting, None)

        mark: Mark = self.wait_until(found, f"mark '{event}' {values or ''}".strip(), seconds)
        return mark

    def end(self) -> None:
        """Kill the program with its children; the log gets a last line."""
        ended_itself = not self.is_running
        end_group(self._process)
        seconds = time.monotonic() - self._began
        how = f"ended with code {self.code}" if ended_itself else "was ended"
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n[{self.name} {how} after {seconds:.1f} s]\n")

    def failure(self) -> str | None:
        """Why the script was not carried out, or None; to be asked when the program has ended."""
        if not self.events("started"):
            return f"{self.name} did not start the script{self._how()}"
        if raised := self.events("failed"):
            return f"the script in {self.name} failed:\n{raised[0]['traceback']}"
        if not self.events("done"):
            return f"{self.name} ended before the script did{self._how()}"
        if self._overdue or (self.code is not None and self.code != 0):
            return f"the script was done, and then {self.name} failed{self._how()}"
        return None

    def _how(self) -> str:
        """Such as ': Segmentation fault', with the last lines of the log."""
        fatal = re.search(r"^\S+: fatal error: (.+)$", self.output, re.MULTILINE)
        if self._overdue:
            reason = f"it took more than {self._overdue:g} s"
        elif fatal:  # GIMP catches signals and says so; its exit code is 1
            reason = fatal[1]
        elif self.code is not None and (number := _signal(self.code)):
            reason = signal.strsignal(number) or f"signal {number}"
        else:
            reason = f"exit code {self.code}"
        return f": {reason}\n{self._last_lines()}"

    def _last_lines(self) -> str:
        lines = [line for line in self.output.splitlines() if line.strip()]
        return "\n".join([f"last lines of {self.log}:", *lines[-25:]])


def _signal(code: int) -> int:
    """The signal in an exit code of a process, or of a shell or GIMP that passes it on; or 0."""
    if code < 0:
        return -code
    return code - 128 if 128 < code < 160 else 0
