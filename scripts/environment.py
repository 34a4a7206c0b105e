"""Makes .venv with the project in it; nothing but Python is needed. Used by demo.py and test.py.

    python3 scripts/environment.py [EXTRAS]

installs the project with these extras ('dev,dev-torch' for the tests), and prints the Python of
.venv. Nothing happens when pyproject.toml, the constraints and the sources in C are those of the
last installation.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CONSTRAINTS = (ROOT / "constraints" / "dev.txt", ROOT / "constraints" / "torch.txt")

_OLDEST = (3, 11)
_DONE = "imgedit-plugins-installed.txt"
_LOG = "imgedit-plugins-pip.log"
# They would make the environment's Python find other packages than its own, or pip other places.
_FOREIGN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")
_INTERRUPTED = 130


class SetupError(Exception):
    """What is in the way; the message is for the user and says what to do."""


def prepare(extra: str = "") -> Path:
    """Make .venv if needed and install the project with `extra` (or several); returns its Python.

    Raises:
        SetupError: Python is too old, has no venv, or pip failed.
    """
    _check_python()
    python = python_of(VENV)
    if not _works(python):
        _make_venv()
    done, entry = VENV / _DONE, f"{_fingerprint()} {extra or 'base'}"
    entries = done.read_text("utf-8").splitlines() if done.is_file() else []
    if entry not in entries:
        _install(python, extra)
        kept = [old for old in entries if old.startswith(_fingerprint())]
        implied = [f"{_fingerprint()} base", entry]
        done.write_text("\n".join(sorted({*kept, *implied})) + "\n", "utf-8")
    return python


def python_of(venv: Path) -> Path:
    """The Python of a virtual environment."""
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def command_of(venv: Path, name: str) -> Path:
    """A command of a virtual environment."""
    folder = python_of(venv).parent
    return folder / (f"{name}.exe" if os.name == "nt" else name)


def clean_environment() -> dict[str, str]:
    """The surroundings for programs of .venv, which come first on the path."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    path = [str(python_of(VENV).parent), *filter(None, [kept.get("PATH")])]
    return {**kept, "PATH": os.pathsep.join(path)}


def exit_with(work: Callable[[], int]) -> None:
    """Run `work` and exit with its code; problems are one sentence, without a traceback."""
    try:
        code = work()
    except (SetupError, OSError) as error:
        print(error, file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        code = _INTERRUPTED
    sys.exit(code)


def _check_python() -> None:
    if sys.version_info < _OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(
            f"This is Python {found}, and imgedit-plugins needs 3.11 or newer: run this script "
            "with a newer Python, such as `python3.12 scripts/...`."
        )


def _works(python: Path) -> bool:
    """Whether there is a Python of the environment that starts, with pip."""
    if not python.exists() or not (VENV / "pyvenv.cfg").is_file():
        return False
    command = [str(python), "-m", "pip", "--version"]
    done = subprocess.run(command, capture_output=True, env=clean_environment(), check=False)
    return done.returncode == 0


def _make_venv() -> None:
    _check_venv_module()
    if VENV.exists() and not (VENV / "pyvenv.cfg").is_file():
        raise SetupError(f"{VENV} exists and is no virtual environment: move it away.")
    print(f"Making the virtual environment {VENV} ...", flush=True)
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    done = subprocess.run(command, capture_output=True, text=True, env=_outside(), check=False)
    if done.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)  # half an environment would look like a whole one
        raise SetupError(f"The virtual environment cannot be made: {_last(done.stdout)}.")


def _check_venv_module() -> None:
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    raise SetupError(
        "This Python cannot make virtual environments (the modules venv or ensurepip are "
        f"missing): on Debian and Ubuntu run `sudo apt install python{version}-venv`, elsewhere "
        "install Python from python.org."
    )


def _outside() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN}


def _fingerprint() -> str:
    """Changes when another installation is needed."""
    digest = hashlib.sha256(str(ROOT).encode())
    native = sorted((ROOT / "core" / "native").glob("*.*"))  # built by the installation
    for path in (ROOT / "pyproject.toml", *CONSTRAINTS, VENV / "pyvenv.cfg", *native):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _install(python: Path, extra: str) -> None:
    what = "the project and its test tools" if extra else "the project"
    time = "some minutes" if "torch" in extra else "about a minute"
    print(f"Installing {what} into {VENV} ({time} the first time) ...", flush=True)
    project = f"{ROOT}[{extra}]" if extra else str(ROOT)
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    command += [word for path in CONSTRAINTS for word in ("--constraint", str(path))]
    command += ["--editable", project]
    # What builds the project is installed apart, out of the reach of --constraint.
    pins = " ".join(path.as_uri() for path in CONSTRAINTS)
    env = {**clean_environment(), "PIP_CONSTRAINT": pins, "PIP_BUILD_CONSTRAINT": pins}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    (VENV / _LOG).write_text(done.stdout + done.stderr, "utf-8")
    if done.returncode != 0:
        raise SetupError(f"pip failed: {_complaint(done.stderr)}. All it said is in {VENV / _LOG}.")


def _complaint(stderr: str) -> str:
    """The last error that pip names, or its last words."""
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR:")]
    errors = [line for line in errors if "ResolutionImpossible" not in line]  # says no more
    return _last("\n".join(errors) or stderr).removeprefix("ERROR:").strip()


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "no reason given"


def main(arguments: Sequence[str]) -> int:
    """Prepare .venv and print its Python; returns 0."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print((__doc__ or "").strip())
        return 0 if arguments in (["-h"], ["--help"]) else 2
    print(prepare(*arguments))
    return 0


if __name__ == "__main__":
    exit_with(lambda: main(sys.argv[1:]))
