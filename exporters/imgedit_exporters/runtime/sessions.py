"""A bundle at work: its parts as onnxruntime sessions, loaded when they are needed."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from imgedit_exporters.runtime import bundles
from imgedit_exporters.runtime.idle import SECONDS, Idle
from imgedit_exporters.runtime.providers import (
    CPU,
    PROVIDERS,
    chosen_providers,
    engine_here,
    onnxruntime,
    options_of,
    require_onnxruntime,
)
from imgedit_exporters.runtime.results import Results
from imgedit_exporters.runtime.threads import usual
from imgedit_plugins import large_pages
from imgedit_plugins.errors import ImgeditError, WeightsError
from imgedit_plugins.exporting import Array, Arrays
from imgedit_plugins.jobs import Job

Made = TypeVar("Made")

_LEFT_OUT = ("NchwcTransformer",)
"""Of onnxruntime's optimisers, in float16: it knows only convolutions in float32, and ends the
process at some graphs of float16 (seen in 1.31, at an encoder of pre-norm transformer layers)."""


class Bundle:
    """A bundle's parts, run by name.

    Args:
        folder: of the bundle.
        device: one of `PROVIDERS`, or 'auto'. What is not there is said aloud, and the CPU takes
            its place.
        threads: of each part's arithmetic; 0 for `threads.usual`.
        idle: seconds without use after which all parts are let go of, until they are needed again;
            0 for never.
        warn: told, in a sentence, where another device is used, or the bundle failed its checks.

    Raises:
        WeightsError: there is no bundle, or it is malformed.
        PluginError: onnxruntime is not installed.
        OptionError: there is no such device.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "auto",
        threads: int = 0,
        idle: float = SECONDS,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        require_onnxruntime()
        self.folder, self.document = folder, bundles.read(folder)
        self._threads, self._warn = threads, warn
        self._providers = chosen_providers(device, warn)
        self._sessions: dict[str, Any] = {}
        self._made: dict[str, Any] = {}
        self._results = Results()
        self._lock = threading.RLock()
        self._jobs = threading.local()
        ours = weakref.ref(self)
        self._idle = Idle(idle, lambda: bundle.release() if (bundle := ours()) else None)
        if not self.document.certificate.passed:
            warn(
                f"The bundle in {folder} did not pass its checks when it was exported: "
                f"{self.document.certificate.faults[0]}"
            )

    def check_plugin(self, name: str) -> None:
        """Make sure that a plugin can use the bundle.

        Raises:
            WeightsError: it is another plugin's.
        """
        if self.document.plugin != name:
            raise WeightsError(
                f"The bundle in {self.folder} is one of {self.document.plugin!r}, not of {name}.",
                path=self.folder,
                hint=f"`imgedit-plugins export {name} --to onnx -o FOLDER` makes one.",
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What the plugin has told its composition."""
        return self.document.settings

    def follow(self, job: Job) -> None:
        """Ask a job before each part that this thread has to load, until it follows another."""
        self._jobs.last = job

    def session(self, name: str) -> Any:
        """The onnxruntime session of a part.

        Raises:
            WeightsError: the bundle has no such part, or it cannot be loaded.
            JobCancelledError: the job that is followed was cancelled before it was loaded.
        """
        self._idle.used()
        with self._lock:
            if name not in self._sessions:
                part = self.document.part(name)
                if job := getattr(self._jobs, "last", None):
                    job.report(f"loading {name}")
                self._sessions[name] = open_session(
                    self._file(name),
                    self._providers,
                    self._threads,
                    self._warn,
                    half=part.precision == "fp16",
                )
                # A decoder's weights are read for each token; on a card they lie elsewhere.
                if part.role == "decoder" and self._providers[0] == CPU:
                    large_pages.gather()
            return self._sessions[name]

    def _file(self, name: str) -> Path:
        """What is loaded of a part: an engine for this machine, or its ONNX file."""
        part = self.document.part(name)
        if not part.engines or self._providers[0] != PROVIDERS["tensorrt"]:
            return self.folder / part.file
        if engine := engine_here(part.engines):
            return self.folder / engine.file
        built = ", ".join(f"{one.card} with TensorRT {one.tensorrt}" for one in part.engines)
        self._warn(f"The engine of {name} is for {built}, so onnxruntime compiles the part anew.")
        return self.folder / part.file

    def made_of(self, name: str, make: Callable[[Any], Made]) -> Made:
        """What is made once of the session of a part, and let go of with it; raises as both."""
        with self._lock:
            if name not in self._made:
                self._made[name] = make(self.session(name))
            made: Made = self._made[name]
            return made

    def run(self, name: str, inputs: Arrays | Sequence[Array]) -> list[Array]:
        """What a part makes of arrays.

        Args:
            name: of the part.
            inputs: by name, or in the part's order.

        Raises:
            ImgeditError: the arrays do not fit the part.
        """
        found = run(self.session(name), self._named(name, inputs), name)
        self._idle.used()
        return found

    def remembered(self, name: str, inputs: Arrays | Sequence[Array]) -> list[Array]:
        """As `run`, for what is asked again of the same arrays, such as a tower of a picture.

        The last few results are kept (see `Results`); nobody may write into them.
        """
        given = self._named(name, inputs)
        return self._results.of(name, given, lambda: self.run(name, given))

    def _named(self, name: str, inputs: Arrays | Sequence[Array]) -> Arrays:
        if isinstance(inputs, Mapping):
            return inputs
        names = [port.name for port in self.document.part(name).inputs]
        return dict(zip(names, inputs, strict=True))

    def release(self, *names: str) -> None:
        """Let go of parts, by default of all: their memory is free until they are needed again."""
        with self._lock:
            for name in names or tuple(self._sessions):
                self._sessions.pop(name, None)
                self._made.pop(name, None)
        self._results.forget(*names)


def run(session: Any, inputs: Arrays, name: str = "") -> list[Array]:
    """One run of a session; raises as `Bundle.run`."""
    try:
        return [np.asarray(array) for array in session.run(None, dict(inputs))]
    except Exception as error:  # onnxruntime's own errors share no base
        if isinstance(error, MemoryError):
            raise
        told = " ".join(str(error).split())[:400]
        raise ImgeditError(f"The part {name or 'of the bundle'} cannot be run: {told}") from error


def open_session(
    path: Path,
    providers: Sequence[str] = (CPU,),
    threads: int = 0,
    warn: Callable[[str], None] = lambda _: None,
    *,
    half: bool = False,
) -> Any:
    """An onnxruntime session.

    Args:
        path: of the part.
        providers: by onnxruntime's names, the first one first.
        threads: of its arithmetic; 0 for `threads.usual`.
        warn: told, in a sentence, where another provider is used.
        half: whether the part computes in float16.

    Raises:
        WeightsError: the file cannot be loaded.
    """
    ort = onnxruntime()
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads or usual()
    settings.log_severity_level = 3
    # Threads that wait for more work keep a core busy for a while, when another part is at work.
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    # A pattern holds the memory of a run for the next one of the same sizes, and few are.
    settings.enable_mem_pattern = False
    try:
        with warnings.catch_warnings():
            # onnxruntime warns of providers that are not there; that is said below, in one way.
            warnings.simplefilter("ignore", UserWarning)
            chosen = [(one, options_of(one, path, warn)) for one in providers]
            session = ort.InferenceSession(
                str(path), settings, providers=chosen, disabled_optimizers=_LEFT_OUT if half else ()
            )
    except Exception as error:  # onnxruntime's own errors share no base
        told = " ".join(str(error).split())[:400]
        raise WeightsError(f"{path} cannot be loaded: {told}", path=path) from error
    if providers[0] not in session.get_providers():
        warn(f"{path.name} runs on the CPU, as {providers[0]} could not be started.")
    return session
