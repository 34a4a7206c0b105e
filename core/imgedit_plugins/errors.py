"""One tree of errors for everything that can be told to a user.

Each error is one sentence that says what was wrong, with the offending value, and, where
there is something to do, a second one that says what to do next (`hint`). Errors carry their
data as attributes, so that callers need not parse messages.
"""

from __future__ import annotations

from pathlib import Path


class ImgeditError(Exception):
    """Base of all errors that a user is meant to read.

    Args:
        message: what was wrong, with the offending value.
        hint: what to do next; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class OptionError(ImgeditError):
    """An option of a hook or command has an unknown name or a value out of range."""

    exit_code = 2


class JobCancelledError(ImgeditError):
    """The user cancelled the job; nothing was written."""

    def __init__(self) -> None:
        super().__init__("The job was cancelled.")


# --- pictures ---------------------------------------------------------------------------------


class PictureError(ImgeditError):
    """A picture, or its file, cannot be used. `path` is None for pictures without a file."""

    def __init__(self, message: str, *, path: Path | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class PictureReadError(PictureError):
    """A file cannot be opened or decoded as a picture."""


class PictureWriteError(PictureError):
    """A picture cannot be written; whatever was at the path is untouched."""


# --- operations and plans ---------------------------------------------------------------------


class OperationError(ImgeditError):
    """Base of errors about operations and their parameters."""


class UnknownOperationError(OperationError):
    """No operation of that name is registered. `close` lists similar names."""

    def __init__(self, name: str, close: tuple[str, ...] = ()) -> None:
        hint = (
            f"Did you mean {' or '.join(repr(c) for c in close)}?"
            if close
            else ("`imgedit-plugins operations` lists all of them.")
        )
        super().__init__(f"There is no operation {name!r}.", hint=hint)
        self.name = name
        self.close = close


class ParameterError(OperationError):
    """A parameter is missing, unknown or out of its range.

    `parameter` is empty where it is several that do not go together.
    """

    def __init__(self, operation: str, parameter: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.operation = operation
        self.parameter = parameter


class ProfileError(OperationError):
    """A definition profile is unknown or malformed."""


class PlanError(ImgeditError):
    """An edit plan is malformed or cannot be used so.

    `problems` has one entry for each fault: (place such as ``operations[1].name``, what is wrong).
    """

    def __init__(
        self, message: str, *, problems: tuple[tuple[str, str], ...] = (), hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class PlanNotInvertibleError(PlanError):
    """The plan contains operations that lose information."""


# --- plugins ----------------------------------------------------------------------------------


class PluginError(ImgeditError):
    """Base of errors about plugins. `plugin` is its name, empty where none is concerned."""

    def __init__(self, message: str, *, plugin: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.plugin = plugin


class ManifestError(PluginError):
    """A plugin's ``imgedit_plugin.toml`` is missing or malformed. `path` is the file.

    `problems` has one entry for each fault: (place such as ``options[2].default``, what is wrong).
    """

    def __init__(
        self,
        message: str,
        *,
        plugin: str = "",
        path: Path | None = None,
        problems: tuple[tuple[str, str], ...] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, plugin=plugin, hint=hint)
        self.path = path
        self.problems = problems


class UnknownPluginError(PluginError):
    """No plugin of that name is installed, or loading it is switched off."""


class NoPluginError(PluginError):
    """No installed plugin accepts these inputs for this hook."""


class AmbiguousPluginError(PluginError):
    """Several plugins accept the inputs with the same rank. `choices` are their names."""

    def __init__(self, message: str, *, choices: tuple[str, ...], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.choices = choices


class PluginQuarantinedError(PluginError):
    """The plugin cannot be imported, has a bad manifest or broke its contract; `reason` says."""

    def __init__(self, plugin: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"The plugin {plugin!r} was set aside: {reason}", plugin=plugin, hint=hint)
        self.reason = reason


class DataError(ImgeditError):
    """A data set is missing files, malformed or already complete. `path` names the place."""

    def __init__(self, message: str, *, path: Path | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class WeightsError(ImgeditError):
    """Weights are missing, damaged or cannot be had. `path` names the place, if there is one."""

    def __init__(self, message: str, *, path: Path | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path
