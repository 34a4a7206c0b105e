"""Frozen picture encoders: tensors of pixels in, a few tokens for a language model out.

`VisionTower` wraps a vision model of transformers and says how its patch tokens are drawn
together: concatenated by neighbours (as MiniGPT-4 does for LLaMA-2), read by a Q-Former's queries
(as BLIP-2, and MiniGPT-4 for Vicuna), or left as they are (as LLaVA).

EVA ViT-g/14 is transformers' `Blip2VisionModel` (`InstructBlipVisionModel` has the same
parameters): its defaults are that model, and its `post_layernorm` is the layer norm that BLIP-2 and
MiniGPT-4 put behind the encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from imgedit_plugins.errors import ImgeditError

if TYPE_CHECKING:
    from imgedit_plugins.pictures import RGB8

Kind = Literal["eva", "clip"]

MEAN = (0.48145466, 0.4578275, 0.40821073)
"""Of red, green and blue in 0..1: CLIP's statistics, which EVA ViT-g/14 and CLIP share."""

DEVIATION = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class TowerConfig:
    """Everything that makes a tower.

    Attributes:
        kind: 'eva' (EVA ViT as in BLIP-2) or 'clip'.
        vision: fields of the vision model's configuration that differ from its defaults.
        joined: neighbouring patch tokens that are concatenated to one; 1 leaves them as they are.
            Not used with a Q-Former.
        queries: number of Q-Former queries; 0 for no Q-Former.
        qformer: fields of the Q-Former's configuration that differ from its defaults.
        layer: which hidden states of a CLIP model are taken, as in LLaVA (-2); -1 is the last.
    """

    kind: Kind = "eva"
    vision: Mapping[str, Any] = field(default_factory=dict)
    joined: int = 1
    queries: int = 0
    qformer: Mapping[str, Any] = field(default_factory=dict)
    layer: int = -1


class VisionTower(nn.Module):
    """A vision model with, or without, a Q-Former behind it; without gradients.

    Args:
        config: what to build; weights are random until they are loaded.
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = _vision_model(config)
        self.qformer: Any = None
        self.queries: nn.Parameter | None = None
        if config.queries:
            self.qformer = _qformer(config, self.vision.config.hidden_size)
            width = int(self.qformer.config.hidden_size)
            self.queries = nn.Parameter(torch.zeros(1, config.queries, width))
            nn.init.normal_(self.queries, std=0.02)
        self._check_joined()
        self.requires_grad_(requires_grad=False)
        self.eval()

    @property
    def image_size(self) -> int:
        """Height and width of the pixels that go in."""
        return int(self.vision.config.image_size)

    @property
    def tokens(self) -> int:
        """How many tokens one picture becomes."""
        return self.config.queries or self._patches // self.config.joined

    @property
    def width(self) -> int:
        """Width of one token."""
        if self.qformer is not None:
            return int(self.qformer.config.hidden_size)
        return int(self.vision.config.hidden_size) * self.config.joined

    @property
    def _patches(self) -> int:
        return int((self.image_size // self.vision.config.patch_size) ** 2)

    def train(self, mode: bool = True) -> VisionTower:  # noqa: ARG002
        """Stay as in use, whatever the model around does: a frozen tower has no dropout."""
        return super().train(mode=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Tokens of pictures.

        Args:
            pixels: (n, 3, image_size, image_size), normalised as `to_pixels` does.

        Returns:
            (n, tokens, width) in the tower's own precision.
        """
        with torch.no_grad():
            hidden = self._hidden(pixels)
            if self.qformer is not None and self.queries is not None:
                queries = self.queries.expand(len(hidden), -1, -1)
                read = self.qformer(query_embeds=queries, encoder_hidden_states=hidden)
                return torch.as_tensor(read.last_hidden_state)
            patches = hidden[:, 1:]  # without the class token
            return patches.reshape(len(patches), self.tokens, self.width)

    def _hidden(self, pixels: Tensor) -> Tensor:
        pixels = pixels.to(next(self.vision.parameters()).dtype)
        if self.config.layer == -1:
            return torch.as_tensor(self.vision(pixel_values=pixels).last_hidden_state)
        states = self.vision(pixel_values=pixels, output_hidden_states=True).hidden_states
        return torch.as_tensor(states[self.config.layer])

    def _check_joined(self) -> None:
        if not self.config.queries and self._patches % self.config.joined:
            raise ImgeditError(
                f"{self._patches} patch tokens cannot be joined by {self.config.joined}."
            )


def to_pixels(pictures: Sequence[RGB8], size: int) -> Tensor:
    """Pictures as a tower wants them: stretched to a square, then CLIP's normalisation.

    Args:
        pictures: (height, width, 3) codes, each of any size.
        size: height and width of the result.

    Returns:
        (n, 3, size, size) float32. The aspect ratio is not kept: both pictures of a pair must show
        their edges, and this is how the published models were trained.
    """
    from PIL import Image

    squares = [
        np.asarray(Image.fromarray(p).resize((size, size), Image.Resampling.BICUBIC), np.float32)
        for p in pictures
    ]
    pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2) / 255.0
    mean, deviation = torch.tensor(MEAN), torch.tensor(DEVIATION)
    return ((pixels - mean[:, None, None]) / deviation[:, None, None]).contiguous()


# --- building ---------------------------------------------------------------------------------


def _vision_model(config: TowerConfig) -> Any:
    if config.kind == "clip":
        from transformers import CLIPVisionConfig, CLIPVisionModel

        return CLIPVisionModel(CLIPVisionConfig(**config.vision))
    from transformers import Blip2VisionConfig, Blip2VisionModel

    # BLIP-2's own initialisation (1e-10) makes every picture look alike.
    made = Blip2VisionModel(Blip2VisionConfig(**{"initializer_range": 0.02, **config.vision}))
    # The layer norm behind the encoder is PyTorch's own in BLIP-2 and MiniGPT-4, with its epsilon.
    made.post_layernorm.eps = 1e-5
    return made


def _qformer(config: TowerConfig, width: int) -> Any:
    from transformers import Blip2QFormerConfig, Blip2QFormerModel

    return Blip2QFormerModel(Blip2QFormerConfig(**{"encoder_hidden_size": width, **config.qformer}))


# --- published checkpoints --------------------------------------------------------------------

_EVA_NAMES = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj": "embeddings.patch_embedding",
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attn.qkv": "self_attn.qkv",
    "attn.proj": "self_attn.projection",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}

_QFORMER_NAMES = {
    "attention.self.query": "attention.attention.query",
    "attention.self.key": "attention.attention.key",
    "attention.self.value": "attention.attention.value",
    "crossattention.self.query": "crossattention.attention.query",
    "crossattention.self.key": "crossattention.attention.key",
    "crossattention.self.value": "crossattention.attention.value",
}


def from_eva(checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An EVA ViT checkpoint (LAVIS's names) under the names of `Blip2VisionModel`.

    The query and value biases become one with zeros for the keys between them, which have none.
    Names that EVA has and the tower has no place for (a fortieth block, the classifier) keep
    their own name, so that whoever loads the result can tell of them.

    Args:
        checkpoint: names and tensors, as `torch.load` gives them.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in checkpoint.items():
        if name.endswith("attn.q_bias"):
            values = checkpoint.get(name.replace("q_bias", "v_bias"))
            if values is not None:
                bias = torch.cat([tensor, torch.zeros_like(values), values])
                found[_eva_name(name.replace("q_bias", "qkv.bias"))] = bias
                continue
        elif name.endswith("attn.v_bias") and name.replace("v_bias", "q_bias") in checkpoint:
            continue
        found[_eva_name(name)] = tensor
    return found


def _eva_name(name: str) -> str:
    block, _, rest = name.partition(".")
    number, _, inner = rest.partition(".")
    if block == "blocks" and number.isdecimal():
        return f"encoder.layers.{number}.{_renamed(inner, _EVA_NAMES)}"
    return _renamed(name, _EVA_NAMES)


def from_blip2(checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a BLIP-2 checkpoint (LAVIS's names) has for a tower, under the tower's names.

    Taken are the Q-Former, its queries and the layer norm behind the vision model; everything else,
    such as the language projection and the Q-Former's text branch, is left out.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in checkpoint.items():
        if name == "query_tokens":
            found["queries"] = tensor
        elif name.startswith("ln_vision."):
            found[f"vision.post_layernorm.{name.removeprefix('ln_vision.')}"] = tensor
        elif name.startswith("Qformer.bert.embeddings.LayerNorm."):
            found[f"qformer.layernorm.{name.rpartition('.')[2]}"] = tensor
        elif name.startswith("Qformer.bert.encoder.layer."):
            inner = name.removeprefix("Qformer.bert.")
            if ".intermediate." not in inner and not _is_text_output(inner):
                found[f"qformer.{_renamed(inner, _QFORMER_NAMES)}"] = tensor
    return found


def _is_text_output(name: str) -> bool:
    """Whether it is the text branch's `output`, a sibling of `attention`, not a part of it."""
    parts = name.split(".")
    return len(parts) > 3 and parts[3] == "output"


def _renamed(name: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        if name == old or name.startswith(f"{old}.") or f".{old}." in f".{name}":
            return f".{name}".replace(f".{old}", f".{new}", 1)[1:]
    return name


def misfits(
    module: nn.Module | Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> tuple[list[str], list[str]]:
    """Names that a module, or its tensors, misses, and names that it has no place for.

    A tensor of another shape is in both: `name` is missing, `name (found, wanted)` is unexpected.
    """
    places = module.state_dict() if isinstance(module, nn.Module) else module
    wanted = {name: tensor.shape for name, tensor in places.items()}
    missing, unexpected = [], []
    for name, shape in wanted.items():
        if name not in tensors:
            missing.append(name)
        elif tensors[name].shape != shape:
            missing.append(name)
            unexpected.append(f"{name} ({tuple(tensors[name].shape)}, not {tuple(shape)})")
    return missing, unexpected + [name for name in tensors if name not in wanted]
