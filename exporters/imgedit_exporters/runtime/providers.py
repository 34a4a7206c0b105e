"""Which of onnxruntime's providers run a part: probed, chosen, and said aloud."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from imgedit_exporters.runtime.bundles import ENGINES, Engine
from imgedit_plugins.errors import OptionError, PluginError

CPU = "CPUExecutionProvider"
PROVIDERS = {
    "cpu": CPU,
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
"""Names of devices, and onnxruntime's for them."""

_PROBED = ("cuda", "rocm")
"""What is taken, where it is there, by who names no device."""

_TENSORRT = ("tensorrt-cu13", "tensorrt_cu13", "tensorrt")
TENSORRT_MAJOR = 10
"""Of TensorRT, that onnxruntime-gpu 1.31 is linked with; the newest TensorRT is 11."""

_PACKAGES = "pip install 'imgedit-plugins[runtime-gpu,tensorrt]' (not with [runtime])"


@dataclass(frozen=True)
class Card:
    """A graphics card as its driver tells of it."""

    name: str
    capability: str
    driver: str


def chosen_providers(device: str, warn: Callable[[str], None]) -> tuple[str, ...]:
    """The names that onnxruntime has for a device and what stands in for it.

    Raises:
        OptionError: there is no such device.
    """
    name = device.partition(":")[0]
    if name == "auto":
        there = set(onnxruntime().get_available_providers())
        found = [PROVIDERS[one] for one in _PROBED if PROVIDERS[one] in there]
        return (*found[:1], CPU)
    if name not in PROVIDERS:
        raise OptionError(
            f"A bundle does not run on {device!r}.", hint=f"Use auto, {', '.join(PROVIDERS)}."
        )
    if PROVIDERS[name] not in onnxruntime().get_available_providers():
        warn(f"The installed onnxruntime has no {name}; the CPU is used instead.")
        return (CPU,)
    if name == "tensorrt":
        if fault := tensorrt_fault(card(), tensorrt_version()):
            warn(f"TensorRT cannot be used: {fault} CUDA is used instead.")
            return (PROVIDERS["cuda"], CPU)
        with contextlib.suppress(ImportError):
            importlib.import_module("tensorrt_libs")  # loads the libraries that pip has installed
        return (PROVIDERS["tensorrt"], PROVIDERS["cuda"], CPU)
    return (CPU,) if name == "cpu" else (PROVIDERS[name], CPU)


def options_of(
    provider: str, part: Path, warn: Callable[[str], None] = lambda _: None
) -> dict[str, str]:
    """What a provider is told for one part.

    Args:
        provider: by onnxruntime's name.
        part: its file.
        warn: told where a part is compiled for the first time, which takes minutes.
    """
    if provider != PROVIDERS["tensorrt"] or part.parent.name == ENGINES:
        return {}
    found, release = card(), tensorrt_version()
    assert found is not None, "chosen_providers has looked"
    folder = engine_folder(found, release, _key(part))
    if not any(folder.glob("*.engine")):
        warn(f"TensorRT compiles {part.name} for {found.name}; this takes minutes, once.")
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder.parent),
        # Parts in fp16 say so themselves, by their weights.
        "trt_fp16_enable": "False",
    }


def engine_folder(found: Card, release: str, part: str) -> Path:
    """Where the engines of a part lie: an engine is good for one card, driver and version.

    Args:
        found: the card.
        release: of TensorRT.
        part: what tells it from others.
    """
    key = "-".join((found.name, f"sm{found.capability}", found.driver, f"trt{release}"))
    safe = "".join(one if one.isalnum() or one in "-." else "_" for one in key)
    return cache_folder() / "tensorrt" / safe / part


def timing_cache(found: Card, release: str) -> Path:
    """Where the builder of engines keeps what it has timed, for a card and a version."""
    return engine_folder(found, release, "timing.cache")


def engine_here(engines: Sequence[Engine]) -> Engine | None:
    """The engine that runs on this machine's card with its TensorRT; None where none does."""
    found, release = card(), tensorrt_version()
    for one in engines:
        same = found and (one.card, one.capability) == (found.name, found.capability)
        if same and one.tensorrt == release:
            return one
    return None


def tensorrt_fault(found: Card | None, release: str) -> str:
    """Why TensorRT cannot be used, as a sentence with what to do; '' where it can."""
    if found is None:
        return "nvidia-smi finds no NVIDIA card."
    if not release:
        return f"TensorRT is not installed; run {_PACKAGES}."
    if release.partition(".")[0] != str(TENSORRT_MAJOR):
        return (
            f"TensorRT {release} is installed, and onnxruntime wants {TENSORRT_MAJOR}; run "
            f"{_PACKAGES}."
        )
    return ""


@functools.cache
def card() -> Card | None:
    """The first NVIDIA card; None where there is none."""
    asked = "--query-gpu=name,compute_cap,driver_version"
    try:
        told = subprocess.run(
            ["nvidia-smi", asked, "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return parsed(told.stdout)


def parsed(text: str) -> Card | None:
    """The first card in the answer of nvidia-smi; None where it names none."""
    fields = [field.strip() for field in text.partition("\n")[0].split(",")]
    return Card(*fields) if len(fields) == 3 and all(fields) else None


def tensorrt_version() -> str:
    """Of the installed TensorRT; '' where there is none."""
    for name in _TENSORRT:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def _key(part: Path) -> str:
    """Tells a part from others, and from what it was before it was written anew."""
    stat = part.stat()
    told = f"{part.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    return f"{part.stem}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def cache_folder() -> Path:
    """The user's cache folder of this project: what can be made again, and may be deleted."""
    user = Path.home()
    if sys.platform == "darwin":
        base = user / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or user / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or user / ".cache")
    return base / "imgedit-plugins"


def require_onnxruntime() -> None:
    """Say in one sentence what is missing.

    Raises:
        PluginError: onnxruntime is not installed.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise PluginError(
            "Bundles are run by onnxruntime, which is not installed.",
            hint="Run: pip install 'imgedit-plugins[runtime]' (or [runtime-gpu], not both).",
        )


@functools.cache
def onnxruntime() -> Any:
    """The module.

    Raises:
        PluginError: it is not installed.
    """
    require_onnxruntime()
    import onnxruntime as module

    return module
