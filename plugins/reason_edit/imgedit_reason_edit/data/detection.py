"""Where in a picture the things of its caption are, by Grounding DINO (eq. 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image

from imgedit_modelkit.picture_answers import LocalModel
from imgedit_plugins.pictures import RGB8
from imgedit_reason_edit.data.squares import Box


@dataclass(frozen=True)
class Limits:
    """Which boxes will do.

    Attributes:
        threshold: least confidence of a box, 0..1.
        smallest, largest: share of the picture that a box may cover, 0..1.
    """

    threshold: float = 0.3
    smallest: float = 0.01
    largest: float = 0.8


@dataclass
class Detector:
    """Grounding DINO, or another zero-shot detector of transformers with its interface.

    Attributes:
        source: the model's folder; nothing is loaded before the first picture.
        limits: which boxes will do.
        batch_size: pictures, each with one category, that the model sees at the same time.
    """

    source: LocalModel
    limits: Limits = Limits()
    batch_size: int = 4
    _loaded: list[Any] = field(default_factory=list, init=False, repr=False)

    def __call__(
        self,
        pictures: Sequence[RGB8],
        categories: Sequence[Sequence[str]],
        on_batch: Callable[[], None] = lambda: None,
    ) -> list[dict[str, Box]]:
        """The best box of each category that has one, for each picture.

        Args:
            pictures: (height, width, 3), of any sizes.
            categories: what to look for in each picture; each is asked for alone.
            on_batch: called after each pass of the model; what it raises ends the work.

        Raises:
            WeightsError, OptionError: as `LocalModel.load`.
        """
        asked = [(n, name) for n, names in enumerate(categories) for name in names]
        found: list[dict[str, Box]] = [{} for _ in pictures]
        for start in range(0, len(asked), self.batch_size):
            some = asked[start : start + self.batch_size]
            shown = [pictures[n] for n, _ in some]
            boxes = self._boxes(shown, [name for _, name in some])
            for (n, name), box in zip(some, boxes, strict=True):
                if box is not None:
                    found[n][name] = box
            on_batch()
        return found

    def _boxes(self, pictures: Sequence[RGB8], names: Sequence[str]) -> list[Box | None]:
        model, processor = self._load()
        inputs = processor(
            images=[Image.fromarray(picture) for picture in pictures],
            text=[f"{name.lower()}." for name in names],  # as the model was trained
            padding=True,
            return_tensors="pt",
        ).to(model.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
        with torch.no_grad():
            out = model(**inputs)
        told = processor.post_process_grounded_object_detection(
            out,
            inputs["input_ids"],
            threshold=self.limits.threshold,
            text_threshold=self.limits.threshold,
            target_sizes=[picture.shape[:2] for picture in pictures],
        )
        return [self._best(one, picture) for one, picture in zip(told, pictures, strict=True)]

    def _best(self, told: Any, picture: RGB8) -> Box | None:
        """The most confident box that will do."""
        height, width = picture.shape[:2]
        order = torch.argsort(told["scores"], descending=True).tolist()
        for index in order:
            left, top, right, bottom = (round(value) for value in told["boxes"][index].tolist())
            box = max(0, left), max(0, top), min(width, right), min(height, bottom)
            covered = max(0, box[2] - box[0]) * max(0, box[3] - box[1]) / (height * width)
            if covered and self.limits.smallest <= covered <= self.limits.largest:
                return box
        return None

    def _load(self) -> tuple[Any, Any]:
        if not self._loaded:
            from transformers import AutoModelForZeroShotObjectDetection

            self._loaded = [*self.source.load_with_processor(AutoModelForZeroShotObjectDetection)]
        model, processor = self._loaded
        return model, processor
