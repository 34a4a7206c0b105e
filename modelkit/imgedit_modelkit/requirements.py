"""What a model needs that the base installation has not: packages, and memory."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Iterator, Sequence

from imgedit_plugins.errors import PluginError

TORCH = ("torch", "transformers", "safetensors", "accelerate")


def require_torch(model: str, plugin: str, packages: Sequence[str] = TORCH) -> None:
    """Say in one sentence what is missing.

    Args:
        model: its name, for the sentence.
        plugin: the plugin's name.
        packages: what the model imports.

    Raises:
        PluginError: PyTorch or a package beside it is not installed.
    """
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    if absent:
        raise PluginError(
            f"{model} needs packages that are not installed: {', '.join(absent)}.",
            plugin=plugin,
            hint="Run: pip install 'imgedit-plugins[torch]'",
        )
    # Where it is installed, each start would tell of a kernel for 4 bits that few have or need.
    logging.getLogger("bitsandbytes.backends").setLevel(logging.ERROR)


@contextlib.contextmanager
def memory_told(model: str, plugin: str, hint: str) -> Iterator[None]:
    """Turn 'out of memory' into a sentence; `hint` says what to try."""
    import torch

    try:
        yield
    except RuntimeError as error:
        short = isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        if not short:
            raise
        raise PluginError(
            f"There is not enough memory for {model} here.", plugin=plugin, hint=hint
        ) from error
