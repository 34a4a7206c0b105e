"""Parts that many models have, declared for the exporters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import DynamicCache

from imgedit_modelkit import configurations
from imgedit_plugins.exporting import Array, Part, Precision, Source

_CACHED, _READ = 6, 3
"""Positions in the cache and behind it, of the decoder's example."""

FEW_MATRICES: dict[Precision, float] = {"int8": 0.02, "int4": 0.2}
"""Limits of parts that are one quantised matrix, or two in a row: in blocks of 32, normally
distributed weights in 4 bits change a product by 8 % of its standard deviation and two by 12 %, in
8 bits by 0.6 and 0.8 %; in 3 bits it is 19 and 26 %."""

Arrays = dict[str, Array]


def sources(lineage: Iterable[configurations.Part]) -> tuple[Source, ...]:
    """The lineage of a model and of those that it was trained from, each entry once."""
    return tuple(dict.fromkeys(Source(**msgspec.to_builtins(part)) for part in lineage))


def tower_part(tower: Any) -> Part:
    """A vision tower of the model kit: pixels in, tokens out."""
    size = tower.image_size

    def draw(rng: np.random.Generator) -> Arrays:
        return {"pixels": smooth(rng, int(rng.integers(1, 3)), size, size) * 4 - 2}

    return Part(
        name="tower", role="vision-tower", module=tower, draw=draw, outputs=("tokens",),
        example={"pixels": np.zeros((2, 3, size, size), np.float32)},
        dynamic={"pixels": {0: "pictures"}},
    )  # fmt: skip


def linear_part(name: str, module: nn.Module, tokens: int, width: int) -> Part:
    """A projection of picture tokens."""

    def draw(rng: np.random.Generator) -> Arrays:
        shape = (int(rng.integers(1, 4)), tokens, width)
        return {"tokens": rng.standard_normal(shape, np.float32)}

    return Part(
        name=name, role="projection", module=module, draw=draw, outputs=("embeds",),
        example={"tokens": np.zeros((2, tokens, width), np.float32)},
        dynamic={"tokens": {0: "pictures"}}, limits=FEW_MATRICES,
    )  # fmt: skip


class Decoder(nn.Module):
    """A causal language model of transformers, from embeddings on; see `runtime.decoding`.

    Args:
        language_model: with what is in front of it, or alone.
        layer: whose hidden states are given, as transformers counts them; -1 is the last one.
    """

    def __init__(self, language_model: Any, layer: int = -1) -> None:
        super().__init__()
        last = int(language_model.config.get_text_config().num_hidden_layers)
        self.layer = None if layer in (-1, last) else layer
        self.decoder = language_model.get_decoder()
        self.output = language_model.get_output_embeddings()

    def forward(self, embeds: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """Logits of the last position, hidden states, and the longer cache."""
        cache = DynamicCache(list(zip(past[::2], past[1::2], strict=True)))
        read = self.decoder(
            inputs_embeds=embeds,
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=self.layer is not None,
        )
        last = read.last_hidden_state
        states = last if self.layer is None else read.hidden_states[self.layer]
        grown = [one for layer in read.past_key_values.layers for one in (layer.keys, layer.values)]
        return (self.output(last[:, -1]), states, *grown)


def decoder_part(language_model: Any, layer: int = -1) -> Part:
    """The decoder of a causal language model; its states are those of a layer, see `Decoder`."""
    config = language_model.config.get_text_config()
    table = language_model.get_input_embeddings().weight
    width, scale = int(table.shape[1]), float(table.detach().std())
    heads = int(config.num_key_value_heads)
    each = int(getattr(config, "head_dim", None) or width // config.num_attention_heads)
    layers = range(int(config.num_hidden_layers))
    past = [f"past_{kind}_{layer}" for layer in layers for kind in ("key", "value")]

    def arrays(rng: np.random.Generator, length: int, cached: int) -> Arrays:
        embeds = rng.standard_normal((1, length, width), np.float32) * np.float32(scale)
        shape = (1, heads, cached, each)
        return {"embeds": embeds, **{n: rng.standard_normal(shape, np.float32) for n in past}}

    def draw(rng: np.random.Generator) -> Arrays:
        # A prompt, a token behind it, and more of a text that is read.
        length, cached = ((8, 0), (1, 7), (4, 9))[int(rng.integers(3))]
        return arrays(rng, length + int(rng.integers(3)) * (length > 1), cached)

    module = Decoder(language_model, layer)
    return Part(
        name="decoder", role="decoder", module=module, draw=draw,
        example=arrays(np.random.default_rng(0), _READ, _CACHED),
        outputs=("logits", "states", *(name.removeprefix("past_") for name in past)),
        dynamic={"embeds": {1: "length"}, **{name: {2: "cached"} for name in past}},
        # Who builds it from there gives the states of the last layer.
        language_model=language_model if module.layer is None else None,
    )  # fmt: skip


def embeddings_part(table: nn.Embedding) -> Part:
    """The input embeddings of a language model."""

    def draw(rng: np.random.Generator) -> Arrays:
        shape = (1, int(rng.integers(1, 9)))
        return {"ids": rng.integers(0, len(table.weight), shape, np.int64)}

    return Part(
        name="embeddings", role="embeddings", module=table, draw=draw, outputs=("embeds",),
        example={"ids": np.arange(4, dtype=np.int64)[None]}, dynamic={"ids": {1: "length"}},
    )  # fmt: skip


def smooth(rng: np.random.Generator, count: int, height: int, width: int) -> NDArray[np.float32]:
    """Pictures in 0..1 that differ as photographs do, in their large forms too."""
    import cv2

    made = []
    for _ in range(count):
        coarse = rng.uniform(0, 1, (4, 4, 3)).astype(np.float32)
        large = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 0.05, (height, width, 3))
        made.append(np.clip(large + grain, 0, 1).transpose(2, 0, 1))
    return np.stack(made).astype(np.float32)
