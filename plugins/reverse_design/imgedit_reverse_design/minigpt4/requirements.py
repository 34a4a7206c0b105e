"""What the MiniGPT-4 family needs and the rest of the plugin does not."""

from __future__ import annotations

from contextlib import AbstractContextManager

from imgedit_modelkit import requirements

_MODEL, _PLUGIN = "MiniGPT-4", "reverse_design"


def require_torch() -> None:
    """Say in one sentence what is missing.

    Raises:
        PluginError: PyTorch or a package beside it is not installed.
    """
    requirements.require_torch(_MODEL, _PLUGIN)


def memory_told() -> AbstractContextManager[None]:
    """Turn 'out of memory' into a sentence."""
    hint = (
        "Try the option precision=bf16 or fp16, bits=8 or 4, a smaller batch-size when training, "
        "or device=cpu when predicting."
    )
    return requirements.memory_told(_MODEL, _PLUGIN, hint)
