"""Errors of the model kit, in the one tree of `imgedit_plugins.errors`."""

from __future__ import annotations

from pathlib import Path

from imgedit_plugins.errors import ImgeditError


class RunError(ImgeditError):
    """A run folder is missing, damaged, in use, or of another run. `path` names the place."""

    def __init__(self, message: str, *, path: Path, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class TrainingError(ImgeditError):
    """A training cannot begin or go on: a setting, the model, figures that are no numbers."""


class MissingPackageError(ImgeditError):
    """A package that is only needed for this is not installed. `package` is its name on PyPI."""

    def __init__(self, package: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed.",
            hint=f"Install it with `pip install {package}`.",
        )
        self.package = package
