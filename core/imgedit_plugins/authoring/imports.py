"""What listing and importing a plugin drags in, seen in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

from imgedit_plugins.authoring.verdicts import FailedCheckError
from imgedit_plugins.plugins import PluginInfo

HEAVY_FOR_LISTING = (
    "cv2",
    "diffusers",
    "jax",
    "numpy",
    "onnxruntime",
    "pydantic",
    "scipy",
    "tensorflow",
    "torch",
    "transformers",
)
"""Packages that `imgedit-plugins list` must not import."""

HEAVY_FOR_IMPORT = (
    "cv2",
    "diffusers",
    "jax",
    "onnxruntime",
    "scipy",
    "tensorflow",
    "torch",
    "transformers",
)
"""Packages that a plugin imports inside its hooks, not when its module is imported."""

_LIST = "from imgedit_plugins.plugins import PluginManager; PluginManager.discover().plugins"
_IMPORT = "import importlib; importlib.import_module({module!r})"
_TELL = "import json, sys; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
_TIMEOUT_S = 120.0


def listing(info: PluginInfo) -> str:
    """Check that listing imports neither the plugin nor anything heavy.

    Raises:
        FailedCheckError: it does.
    """
    own = info.module.partition(".")[0]
    heavy = sorted({own, *HEAVY_FOR_LISTING} & modules_after(_LIST))
    if heavy:
        raise FailedCheckError(f"listing imports {', '.join(heavy)}")
    return "neither the plugin's own code nor a large library"


def importing(info: PluginInfo) -> str:
    """Check that importing the entry-point module imports no large library.

    Raises:
        FailedCheckError: it does, or it cannot be imported.
    """
    heavy = sorted(set(HEAVY_FOR_IMPORT) & modules_after(_IMPORT.format(module=info.module)))
    if heavy:
        raise FailedCheckError(
            f"importing {info.module} imports {', '.join(heavy)}; import that inside the hooks"
        )
    return "large libraries wait for the first call"


def modules_after(code: str) -> set[str]:
    """The top-level modules that a new Python has imported after running `code`.

    Raises:
        FailedCheckError: `code` raises, or takes longer than two minutes.
    """
    # What `code` prints must not mix with the answer, which is the last line.
    command = [sys.executable, "-c", f"{code}\n{_TELL}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise FailedCheckError(f"importing took longer than {_TIMEOUT_S:g} s") from None
    if done.returncode != 0 or not done.stdout:
        last = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise FailedCheckError(f"importing failed: {last[-1]}")
    return set(json.loads(done.stdout.splitlines()[-1]))
