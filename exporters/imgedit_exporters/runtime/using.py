"""What a plugin's hooks need where the option 'weights' names a bundle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from imgedit_exporters.runtime.bundles import FILE, is_bundle
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_plugins import weights
from imgedit_plugins.errors import OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import Options

Model = TypeVar("Model")


def bundle_of(options: Options, *usual: str) -> Path | None:
    """The bundle that the option 'weights' names; None where it names something else.

    Args:
        options: of a request.
        usual: the folder in `weights.home()` where the model is looked for when the option is
            empty, which may hold a bundle as well.
    """
    given = str(options.get("weights", ""))
    folder = Path(given) if given else weights.home().joinpath(*usual)
    return folder if is_bundle(folder) else None


def refuse(options: Options, usual: Mapping[str, Any]) -> None:
    """Options that a bundle has settled must stay as they are by default.

    Args:
        options: of a request.
        usual: names -> defaults; an option that is not there counts as left alone.

    Raises:
        OptionError: one is set.
    """
    for name, value in usual.items():
        if (given := options.get(name, value)) != value:
            raise OptionError(
                f"A bundle's {name} is that of its parts, and not {given}.",
                hint=f"Leave it at {value}; `imgedit-plugins bundle show FOLDER` tells what it is.",
            )


class Kept(Generic[Model]):
    """A family's model of the bundle that was used last.

    Args:
        make: the family's composition.
    """

    def __init__(self, make: Callable[[Bundle], Model]) -> None:
        self._make = make
        self._key: tuple[Path, int, str] | None = None
        self._kept: tuple[list[str], Bundle, Model] | None = None
        self._lock = threading.Lock()

    def of(self, folder: Path, device: str, job: Job) -> Model:
        """The model of a bundle; it is loaded anew where the bundle was written anew.

        Args:
            folder: of the bundle.
            device: see `Bundle`.
            job: warned each time of what `Bundle` warns of, and asked before parts are loaded.

        Raises:
            WeightsError, PluginError, OptionError: as `Bundle`, and as the composition.
        """
        key = (folder.resolve(), (folder / FILE).stat().st_mtime_ns, device)
        with self._lock:
            if self._kept is None or self._key != key:
                self._kept = None  # its memory is free before the next one is loaded
                warnings: list[str] = []
                bundle = Bundle(key[0], device=device, warn=warnings.append)
                self._kept, self._key = (warnings, bundle, self._make(bundle)), key
            told, bundle, model = self._kept
            bundle.follow(job)
        for warning in tuple(told):
            job.warn(warning)
        return model

    def release(self) -> None:
        """Let go of it."""
        with self._lock:
            self._kept = None
