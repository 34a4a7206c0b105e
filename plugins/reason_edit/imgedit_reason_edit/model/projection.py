"""From the language model's hidden states to what the UNet attends to."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_modelkit.tensor_files import misfits, open_checkpoint
from imgedit_plugins.errors import DataError


class Projection(nn.Module):
    """A normalised linear map, and the vector that stands for no instruction.

    Hidden states are normalised first, since their scale differs by orders between language models
    and layers. The map begins so that what comes out has a variance near 1, as the text
    embeddings of CLIP have that Stable Diffusion was trained with.

    Args:
        width: of the hidden states.
        features: of what the UNet attends to.
    """

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, features)
        nn.init.normal_(self.linear.weight, std=width**-0.5)
        nn.init.zeros_(self.linear.bias)
        self.null = nn.Parameter(torch.randn(1, features))

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Conditioning:
        """What guides the UNet (eq. 9).

        Args:
            states: (batch, tokens, width).
            mask: (batch, tokens), non-zero where there is a token; None where all are.
        """
        learnt = self.linear(self.norm(states.to(self.norm.weight.dtype)))
        return Conditioning(learnt, self.null[None], mask)


def load_projection(path: Path) -> Projection:
    """The projection of a file, in float32 on the CPU.

    Raises:
        DataError: the file does not hold one.
    """
    tensors = open_checkpoint(path)
    shape = tuple(tensors["linear.weight"].shape) if "linear.weight" in tensors else ()
    if len(shape) != 2:
        raise DataError(f"{path} holds no projection: it has no linear.weight.", path=path)
    made = Projection(width=shape[1], features=shape[0])
    missing, unexpected = misfits(made, tensors)
    if missing or unexpected:
        raise DataError(
            f"{path} does not fit the projection: missing {', '.join(missing) or 'nothing'}, "
            f"unexpected {', '.join(unexpected) or 'nothing'}.",
            path=path,
        )
    made.load_state_dict(tensors)
    return made.float().eval()
