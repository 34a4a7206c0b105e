"""Checks and their verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["pass", "fail", "not-applicable"]


@dataclass(frozen=True)
class Check:
    """One check of one plugin.

    Attributes:
        plugin: its name.
        name: what was checked, a few words.
        verdict: 'pass', 'fail' or 'not-applicable'.
        reason: why it failed or does not apply; what was seen where it passed.
        seconds: how long it took.
    """

    plugin: str
    name: str
    verdict: Verdict
    reason: str
    seconds: float


@dataclass(frozen=True)
class Report:
    """All checks of a package; `passed` means that none failed."""

    package: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.verdict != "fail" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON."""
        checks = [asdict(check) for check in self.checks]
        return {"package": self.package, "passed": self.passed, "checks": checks}


class NotApplicableError(Exception):
    """The check does not apply; the message is the reason."""


class FailedCheckError(Exception):
    """The check failed; the message is the reason."""


def run_check(plugin: str, name: str, check: Callable[[], str]) -> Check:
    """Run one check, which returns what it saw or raises one of the two errors above."""
    started = time.perf_counter()
    verdict: Verdict = "pass"
    try:
        reason = check()
    except NotApplicableError as error:
        verdict, reason = "not-applicable", str(error)
    except FailedCheckError as error:
        verdict, reason = "fail", str(error)
    return Check(plugin, name, verdict, reason, time.perf_counter() - started)
