"""What can be set about the worker: by the environment, or by options of `worker start`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from imgedit_plugins.errors import ImgeditError


class WorkerError(ImgeditError):
    """The worker cannot be started or used, or refuses something. `status` is HTTP's."""

    def __init__(self, message: str, *, hint: str = "", status: int = 400) -> None:
        super().__init__(message, hint=hint)
        self.status = status


@dataclass(frozen=True)
class Settings:
    """The worker's settings; each comes from IMGEDIT_WORKER_NAME, such as IMGEDIT_WORKER_IDLE.

    Attributes:
        idle: seconds without jobs and requests after which the worker ends.
        keep: seconds for which results and pixel files are kept when nobody asks for them.
        memory: MiB of address space that jobs may take; 0 for no limit.
        tcp: use loopback TCP although there are Unix sockets.
        pixels: folder for pixel files; by default the first one with room.
    """

    idle: float = 900.0
    keep: float = 600.0
    memory: int = 0
    tcp: bool = False
    pixels: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """The settings that the environment names, the usual ones for the others.

        Raises:
            WorkerError: a value is no number, negative, or no absolute path.
        """
        given = {f.name: environ.get(variable(f.name), "") for f in fields(cls)}
        usual = cls()
        return cls(
            idle=_number("idle", given["idle"], usual.idle),
            keep=_number("keep", given["keep"], usual.keep),
            memory=int(_number("memory", given["memory"], usual.memory)),
            tcp=given["tcp"] not in ("", "0"),
            pixels=_folder("pixels", given["pixels"]),
        )


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"IMGEDIT_WORKER_{name.upper()}"


def _number(name: str, text: str, usual: float) -> float:
    if not text:
        return usual
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1e9:
        raise WorkerError(f"{variable(name)} must be a number from 0 on, not {text!r}.")
    return value


def _folder(name: str, text: str) -> Path | None:
    if not text:
        return None
    if not Path(text).is_absolute():
        raise WorkerError(f"{variable(name)} must be an absolute path, not {text!r}.")
    return Path(text)
