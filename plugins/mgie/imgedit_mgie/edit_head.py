"""The edit head: from eight visual tokens to the sequence that the UNet attends to.

After Fu et al. 2024 and apple/ml-mgie; the names in the state dict are those of the released
weights (CC-BY-NC-4.0), below 'edit_head.'.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imgedit_mgie.folders import Head


class EditHead(nn.Module):
    """A transformer whose learnt queries read the visual tokens.

    Args:
        sizes: of its layers.
    """

    def __init__(self, sizes: Head) -> None:
        super().__init__()
        self.sizes = sizes
        self.llm2hid = nn.Linear(sizes.width, sizes.hidden)
        self.query = nn.Parameter(torch.randn(1, sizes.queries, sizes.hidden))
        self.mapper = _transformer(sizes)
        self.hid2feat = nn.Linear(sizes.hidden, sizes.features)

    def forward(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """What the UNet attends to.

        Args:
            states: (batch, visual tokens, width): hidden states that predict the visual tokens.
            embeddings: (visual tokens, width): the input embeddings of these tokens.

        Returns:
            (batch, queries, features).
        """
        read = self.llm2hid(states + embeddings)
        queries = self.query.expand(len(states), -1, -1)
        return torch.as_tensor(self.hid2feat(self.mapper(read, queries)))

    def null(self, embeddings: Tensor, batch: int = 1) -> Tensor:
        """What stands for no instruction: the same of hidden states that are all zero."""
        return torch.as_tensor(self(embeddings.new_zeros(batch, *embeddings.shape), embeddings))


def _transformer(sizes: Head) -> nn.Transformer:
    layer = nn.TransformerEncoderLayer(
        sizes.hidden, sizes.heads, sizes.feedforward, dropout=0.0, batch_first=True, norm_first=True
    )
    # Its own encoder would warn of nested tensors, which pre-norm layers cannot have.
    encoder = nn.TransformerEncoder(
        layer, sizes.layers, nn.LayerNorm(sizes.hidden), enable_nested_tensor=False
    )
    return nn.Transformer(
        sizes.hidden,
        sizes.heads,
        num_decoder_layers=sizes.layers,
        dim_feedforward=sizes.feedforward,
        dropout=0.0,
        batch_first=True,
        norm_first=True,
        custom_encoder=encoder,
    )


def sizes_of(tensors: dict[str, Tensor]) -> Head | None:
    """The sizes that an edit head's tensors tell; None where the names are others.

    The number of heads is in no shape; it is 4, as in the released head.
    """
    names = ("llm2hid.weight", "query", "hid2feat.weight", "mapper.encoder.layers.0.linear1.weight")
    if any(name not in tensors for name in names):
        return None
    hidden, width = tensors["llm2hid.weight"].shape
    return Head(
        width=width,
        hidden=hidden,
        layers=layers_of(tensors),
        feedforward=tensors[names[3]].shape[0],
        queries=tensors["query"].shape[1],
        features=tensors["hid2feat.weight"].shape[0],
    )


def layers_of(tensors: dict[str, Tensor]) -> int:
    """How many layers each side of the transformer has, by the names of its tensors."""
    begins = "mapper.encoder.layers."
    return len({n.removeprefix(begins).partition(".")[0] for n in tensors if n.startswith(begins)})
