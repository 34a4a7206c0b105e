"""Captions of pictures that have none, by BLIP-2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image

from imgedit_modelkit.picture_answers import LocalModel
from imgedit_modelkit.vision_language import Watch
from imgedit_plugins.pictures import RGB8


@dataclass
class Captioner:
    """BLIP-2, or another model of transformers that captions a picture without a prompt.

    Attributes:
        source: the model's folder; nothing is loaded before the first picture.
        beams: width of the search.
        max_new_tokens: where a caption is broken off.
    """

    source: LocalModel
    beams: int = 5
    max_new_tokens: int = 30
    _loaded: list[Any] = field(default_factory=list, init=False, repr=False)

    def __call__(
        self, pictures: Sequence[RGB8], on_token: Callable[[], None] = lambda: None
    ) -> list[str]:
        """A caption for each picture, white space as single spaces; some may be empty.

        Args:
            pictures: (height, width, 3), of any sizes.
            on_token: called after each token; what it raises ends the work.

        Raises:
            WeightsError, OptionError: as `LocalModel.load`.
        """
        model, processor = self._load()
        shown = [Image.fromarray(picture) for picture in pictures]
        inputs = processor(images=shown, return_tensors="pt").to(model.device, model.dtype)
        with torch.no_grad():
            out = model.generate(
                pixel_values=inputs["pixel_values"],
                do_sample=False,
                num_beams=self.beams,
                max_new_tokens=self.max_new_tokens,
                stopping_criteria=[Watch(on_token)],
            )
        found: list[str] = processor.batch_decode(out, skip_special_tokens=True)
        return [" ".join(text.split()) for text in found]

    def _load(self) -> tuple[Any, Any]:
        if not self._loaded:
            from transformers import AutoModelForImageTextToText

            self._loaded = [*self.source.load_with_processor(AutoModelForImageTextToText)]
        model, processor = self._loaded
        return model, processor
