"""Builds the compiled kernels when the project is installed or a wheel is made.

With a C compiler at hand (`CC`, cc, gcc or clang) the wheel holds a library of plain C functions,
without a line of Python's own interface, so that one wheel of a platform serves every Python.
Without one, for another processor, or with IMGEDIT_KERNELS=off, the wheel is pure Python as it
would be without this file, and renders the same bytes. No installation fails over it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
PLACE = "imgedit_plugins/compiled/kernels.so"
"""In the wheel, and below `core` in a checkout that is installed to be edited."""

_LEVELS: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": {
        "avx2_": ("-mavx2", "-mfma"),
        "avx512_": (
            *("-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"),
            *("-mavx512vbmi", "-mavx512vnni", "-mprefer-vector-width=512"),
        ),
    },
    "aarch64": {"neon_": ()},
}
_FLAGS = (
    *("-std=c11", "-O3", "-Wall", "-Wextra", "-fPIC", "-fvisibility=hidden"),
    # Sums keep their order and are fused where the sources say so, nowhere else.
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
)
_LIMIT = 120.0  # seconds for one call of the compiler


class NotBuiltError(Exception):
    """Why there are no compiled kernels, as half a sentence."""


class KernelsHook(BuildHookInterface[Any]):
    """Adds the library to the wheel, or puts it into a checkout that is installed to be edited."""

    _folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and say what kind of wheel it becomes."""
        try:
            if version == "editable":
                build(HERE.parent / PLACE)
                return
            self._folder = tempfile.TemporaryDirectory(prefix="imgedit-kernels-")
            library = Path(self._folder.name) / "kernels.so"
            build(library)
        except (NotBuiltError, OSError) as error:
            self.app.display_info(f"Without compiled kernels: {error}.")
            return
        build_data["force_include"][str(library)] = PLACE
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was built; the wheel has it."""
        del version, build_data, artifact_path
        if self._folder is not None:
            self._folder.cleanup()


def platform_tag() -> str:
    """The platform that a library built here is for, as wheels name it."""
    if sys.platform == "darwin":
        return f"macosx_11_0_{platform.machine()}"  # Python itself may be built for both kinds
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def digest() -> str:
    """A hash of the sources and of how they are built."""
    found = hashlib.sha256()
    for path in (*sorted(HERE.glob("*.[ch]")), Path(__file__).resolve()):
        found.update(f"{path.name}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def build(library: Path) -> None:
    """Build the library, and put it into its place once it loads.

    Raises:
        NotBuiltError: no compiler, another processor, or the compiler failed.
        OSError: no place to write.
    """
    if os.environ.get("IMGEDIT_KERNELS") == "off":
        raise NotBuiltError("IMGEDIT_KERNELS is off")
    compiler = _compiler()
    with tempfile.TemporaryDirectory(prefix="imgedit-build-") as folder:
        made = Path(folder) / "kernels.so"
        objects = [
            _compiled(compiler, path, folder, level, flags)
            for level, flags in _levels(compiler).items()
            for path in sorted(HERE.glob("*.c"))
            if path.name != "levels.c"
        ]
        told = (f'-DSOURCES="{digest()}"',)
        objects.append(_compiled(compiler, HERE / "levels.c", folder, "", told))
        _run([*compiler, *_platform_flags(), "-shared", *objects, "-lm", "-o", str(made)])
        _check(made)
        library.parent.mkdir(parents=True, exist_ok=True)
        partial = library.with_name(f".{library.name}-{os.getpid()}")
        shutil.copyfile(made, partial)
        partial.replace(library)  # at once: somebody may have the old one loaded


def _compiler() -> list[str]:
    if chosen := os.environ.get("CC", "").split():
        return chosen
    found = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if found is None:
        raise NotBuiltError("there is no C compiler (cc, gcc or clang)")
    return [found]


def _levels(compiler: list[str]) -> dict[str, tuple[str, ...]]:
    """Names and flags of the builds for this processor."""
    here = _plain(platform.machine())
    there = _plain(_run([*compiler, "-dumpmachine"]).partition("-")[0])
    if here != there or here not in _LEVELS or sys.maxsize < 1 << 32:
        raise NotBuiltError(f"{compiler[0]} makes programs for {there}, and Python runs on {here}")
    return _LEVELS[here]


def _plain(machine: str) -> str:
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine.lower(), machine.lower())


def _platform_flags() -> tuple[str, ...]:
    return ("-mmacosx-version-min=11.0",) if sys.platform == "darwin" else ()


def _compiled(
    compiler: list[str], path: Path, folder: str, level: str, flags: tuple[str, ...]
) -> str:
    made = str(Path(folder) / f"{level}{path.stem}.o")
    options = (*_FLAGS, *_platform_flags(), *flags, f"-DLEVEL={level}")
    _run([*compiler, *options, "-c", str(path), "-o", made])
    return made


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_LIMIT, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotBuiltError(f"{command[0]} does not run ({error})") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        worst = next((line for line in lines if "error" in line), lines[-1])
        raise NotBuiltError(f"{command[0]} failed ({worst.strip()})")
    return done.stdout.strip()


def _check(library: Path) -> None:
    try:
        made = ctypes.CDLL(str(library))
        made.imgedit_sources.restype = ctypes.c_char_p
        told = made.imgedit_sources().decode()
    except (OSError, AttributeError) as error:
        raise NotBuiltError(f"the library does not load ({error})") from error
    if told != digest():
        raise NotBuiltError("the library is of other sources")
