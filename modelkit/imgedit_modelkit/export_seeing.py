"""A vision-language model of transformers that reads pictures, declared for the exporters.

`bundled_seeing` is the other side of it, without torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imgedit_exporters.runtime.tokens import described
from imgedit_modelkit.bundled_seeing import TOKENIZER
from imgedit_modelkit.export_parts import (
    Arrays,
    decoder_part,
    embeddings_part,
    linear_part,
    tower_part,
)
from imgedit_modelkit.picture_features import PictureReader, inputs_of, laid_out, picture_token
from imgedit_plugins.errors import OptionError
from imgedit_plugins.exporting import Part
from imgedit_plugins.pictures import RGB8

_SEEING = ("llava",)
"""Kinds of models whose way from a picture to its tokens is known: tower, then projector."""

_SAID = ("what is said", "another text")


class SeeingTower(nn.Module):
    """LLaVA's vision tower: pixels in, the patches' hidden states of some layers out.

    Args:
        tower: a vision model of transformers.
        layers: which; several are put side by side.
        whole: whether the token that stands for the whole picture is kept.
        size: height and width of the pictures.
    """

    def __init__(self, tower: Any, layers: Sequence[int], *, whole: bool, size: int) -> None:
        super().__init__()
        self.tower, self.layers, self.whole, self.image_size = tower, tuple(layers), whole, size

    def forward(self, pixels: Tensor) -> Tensor:
        """(pictures, patches, width)."""
        read = self.tower(pixels, output_hidden_states=True, return_dict=True)
        begin = 0 if self.whole else 1
        found = [read.hidden_states[layer][:, begin:] for layer in self.layers]
        return found[0] if len(found) == 1 else torch.cat(found, dim=-1)


def seeing_parts(reader: PictureReader, *, sees: bool) -> Iterator[Part]:
    """The parts 'tower' and 'projector' where it sees, 'embeddings' and 'decoder'.

    Raises:
        OptionError: it is of a class whose way of seeing cannot be exported.
    """
    if sees:
        _check(reader)
        tower = _tower(reader)
        with torch.no_grad():
            example = tower(torch.zeros(1, 3, tower.image_size, tower.image_size))
        _, tokens, width = example.shape
        yield tower_part(tower)
        yield linear_part("projector", reader.model.model.multi_modal_projector, tokens, width)
    yield embeddings_part(reader.model.get_input_embeddings())
    yield decoder_part(reader.model, reader.reading.layer)


def seeing_settings(
    reader: PictureReader, *, sees: bool
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What `bundled_seeing.BundledReader` needs to know, and its files.

    Raises:
        OptionError: its prompts, or its pictures, are laid out in a way that is not known here.
        WeightsError: the tokenizer is none that runs without transformers.
    """
    tokenizer, special = described(reader.processor.tokenizer)
    before, after = _around(reader, sees=sees)
    settings = {
        "special": special, "sees": sees, "before": before, "after": after,
        "tokens": reader.reading.tokens,
    }  # fmt: skip
    if sees:
        _check(reader)
        patch = picture_token(reader.model.config)
        pixels, blank = _pixels(reader), np.zeros((64, 64, 3), np.uint8)
        ids = inputs_of(reader.processor, blank, _SAID[0])["input_ids"]
        settings |= {
            "mark": reader.processor.image_token, "patch": patch,
            "patches": int((ids == patch).sum()), "pixels": pixels,
        }  # fmt: skip
    return settings, {TOKENIZER: tokenizer}


def golden_reading(reader: PictureReader, picture: RGB8 | None, text: str) -> Arrays:
    """As golden arrays: ``ids`` of a prompt, and ``pixels`` that the tower sees."""
    inputs = inputs_of(reader.processor, picture, text)
    arrays: Arrays = {"ids": inputs["input_ids"][0].numpy()}
    if picture is not None:
        arrays["pixels"] = inputs["pixel_values"][0].numpy()
    return arrays


def _check(reader: PictureReader) -> None:
    if reader.model.config.model_type not in _SEEING:
        raise OptionError(
            f"How {type(reader.model).__name__} sees cannot be exported yet.",
            hint="LlavaForConditionalGeneration can; of others what they read without the picture.",
        )


def _tower(reader: PictureReader) -> SeeingTower:
    model, config = reader.model, reader.model.config
    chosen = config.vision_feature_layer
    return SeeingTower(
        model.model.vision_tower,
        [chosen] if isinstance(chosen, int) else chosen,
        whole=config.vision_feature_select_strategy != "default",
        size=int(_pixels(reader)["crop"][0]),
    )


def _around(reader: PictureReader, *, sees: bool) -> tuple[str, str]:
    """What stands before and behind what the user says."""
    one, other = (laid_out(reader.processor, text, sees=sees) for text in _SAID)
    before, found, after = one.partition(_SAID[0])
    if not found or other != f"{before}{_SAID[1]}{after}":
        raise OptionError(
            "This model's chat template changes what is said, so it cannot be exported.",
            hint="A template that puts texts in as they are can.",
        )
    return before, after


def _pixels(reader: PictureReader) -> dict[str, Any]:
    """The processor's way from a picture to pixels, as `pixels.processed` takes it."""
    given = reader.processor.image_processor
    size = dict(given.size)
    wanted = [size["shortest_edge"]] if size.get("shortest_edge") else None
    if size.get("height") and size.get("width"):
        wanted = [size["height"], size["width"]]
    cropped = dict(given.crop_size) if given.do_center_crop else {}
    crop = [cropped["height"], cropped["width"]] if cropped else wanted
    known = given.do_resize and given.do_rescale and given.do_normalize and wanted is not None
    if not known or getattr(given, "do_pad", False) or crop is None or len({*crop}) != 1:
        raise OptionError(f"How {type(given).__name__} prepares pictures cannot be exported yet.")
    if len(crop) == 1 or crop[0] > min(wanted or crop):
        raise OptionError(f"{type(given).__name__} makes pictures of different sizes.")
    return {
        "size": wanted, "crop": crop, "resample": int(given.resample),
        "scale": float(given.rescale_factor), "mean": list(given.image_mean),
        "deviation": list(given.image_std),
    }  # fmt: skip
