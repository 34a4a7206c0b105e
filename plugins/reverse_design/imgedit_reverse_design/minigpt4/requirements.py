"""What the MiniGPT-4 family needs and the rest of the plugin does not."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator

from imgedit_plugins.errors import PluginError

_PACKAGES = ("torch", "transformers", "safetensors", "accelerate")


def require_torch() -> None:
    """Say in one sentence what is missing.

    Raises:
        PluginError: PyTorch or a package beside it is not installed.
    """
    absent = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if absent:
        raise PluginError(
            f"MiniGPT-4 needs packages that are not installed: {', '.join(absent)}.",
            plugin="reverse_design",
            hint="Run: pip install 'imgedit-plugins[torch]'",
        )


@contextlib.contextmanager
def memory_told() -> Iterator[None]:
    """Turn 'out of memory' into a sentence."""
    import torch

    try:
        yield
    except RuntimeError as error:
        short = isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        if not short:
            raise
        raise PluginError(
            "There is not enough memory for MiniGPT-4 here.",
            plugin="reverse_design",
            hint="Try the option precision=bf16 or fp16, bits=8 or 4, a smaller batch-size when "
            "training, or device=cpu when predicting.",
        ) from error
