"""What the plugin needs and the rest of the installation does not."""

from __future__ import annotations

from contextlib import AbstractContextManager

from imgedit_modelkit import requirements

NAME = "reason_edit"
_MODEL = "ReasonPix2Pix"


def require_torch() -> None:
    """Say in one sentence what is missing.

    Raises:
        PluginError: PyTorch or a package beside it is not installed.
    """
    requirements.require_torch(_MODEL, NAME, (*requirements.TORCH, "diffusers"))


def memory_told() -> AbstractContextManager[None]:
    """Turn 'out of memory' into a sentence."""
    hint = "Try the option precision=bf16 or fp16, or a smaller batch-size."
    return requirements.memory_told(_MODEL, NAME, hint)
