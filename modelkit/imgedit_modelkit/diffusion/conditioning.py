"""What the UNet attends to: any sequence of vectors, and the one that stands for no text."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from imgedit_plugins.errors import ImgeditError


@dataclass(frozen=True, eq=False)
class Conditioning:
    """A batch of sequences, with or without text.

    Attributes:
        embeddings: (batch, tokens, width), whatever stands for the instruction.
        null: (batch or 1, tokens, width), what stands for no instruction; it may have another
            number of tokens.
        mask: (batch, tokens), non-zero where there is a token; None where all are.
        null_mask: the same for `null`.

    Raises:
        ImgeditError: the shapes do not go together.
    """

    embeddings: Tensor
    null: Tensor
    mask: Tensor | None = None
    null_mask: Tensor | None = None

    def __post_init__(self) -> None:
        text, null = tuple(self.embeddings.shape), tuple(self.null.shape)
        if len(text) != 3 or 0 in text:
            raise ImgeditError(f"A conditioning has the shape (batch, tokens, width), not {text}.")
        if len(null) != 3 or 0 in null or null[2] != text[2] or null[0] not in (1, text[0]):
            raise ImgeditError(
                f"The null conditioning is {null} and the conditioning {text}: their widths must "
                "be equal, and their batches too (or that of the null 1)."
            )
        for name, mask, shape in (("mask", self.mask, text), ("null mask", self.null_mask, null)):
            if mask is not None and tuple(mask.shape) != shape[:2]:
                raise ImgeditError(
                    f"The {name} of the conditioning is {tuple(mask.shape)}, not {shape[:2]}."
                )
            if mask is not None and not bool(mask.bool().any(1).all()):
                raise ImgeditError(f"The {name} of the conditioning has a row without any token.")

    @property
    def batch(self) -> int:
        """Number of sequences."""
        return int(self.embeddings.shape[0])

    @property
    def width(self) -> int:
        """Width of the vectors."""
        return int(self.embeddings.shape[2])

    def to(self, device: torch.device, dtype: torch.dtype) -> Conditioning:
        """The same on a device, in a precision."""
        return replace(
            self,
            embeddings=self.embeddings.to(device, dtype),
            null=self.null.to(device, dtype),
            mask=None if self.mask is None else self.mask.to(device),
            null_mask=None if self.null_mask is None else self.null_mask.to(device),
        )

    def expanded(self, batch: int) -> Conditioning:
        """The same for a batch of that size: one sequence is repeated.

        Raises:
            ImgeditError: there are several, and not that many.
        """
        if self.batch not in (1, batch):
            raise ImgeditError(
                f"There are {self.batch} conditionings for {batch} pictures.",
                hint="Give one for all, or one for each.",
            )
        grown = [
            None if tensor is None else tensor.expand(batch, *tensor.shape[1:])
            for tensor in (self.embeddings, self.null, self.mask, self.null_mask)
        ]
        assert grown[0] is not None
        assert grown[1] is not None
        return Conditioning(grown[0], grown[1], grown[2], grown[3])

    def padded(self) -> Conditioning:
        """The same with as many tokens in `null` as in `embeddings`, and both masks or none.

        Padding is masked out; where nothing needs a mask there is none, which is faster.
        """
        tokens = max(self.embeddings.shape[1], self.null.shape[1])
        alike = self.embeddings.shape[1] == self.null.shape[1]
        if alike and self.mask is None and self.null_mask is None:
            return self
        return Conditioning(
            _lengthened(self.embeddings, tokens),
            _lengthened(self.null, tokens),
            _lengthened(_mask_of(self.embeddings, self.mask), tokens),
            _lengthened(_mask_of(self.null, self.null_mask), tokens),
        )


def _mask_of(sequence: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return torch.ones(sequence.shape[:2], dtype=torch.bool, device=sequence.device)
    return mask.bool()


def _lengthened(sequence: Tensor, tokens: int) -> Tensor:
    missing = tokens - sequence.shape[1]
    if not missing:
        return sequence
    padding = sequence.new_zeros(sequence.shape[0], missing, *sequence.shape[2:])
    return torch.cat([sequence, padding], dim=1)
