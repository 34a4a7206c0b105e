"""What any vision-language model of transformers makes of a picture and words: its hidden states.

For models as they are published, frozen: their own processor and chat template lay out the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from imgedit_modelkit.picture_answers import LocalModel
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.pictures import RGB8

_PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(frozen=True)
class Reading:
    """Which hidden states are taken.

    Attributes:
        layer: as transformers counts them: 0 is the embeddings, -1 the last layer (after its norm,
            in most models).
        tokens: 'text' leaves out the tokens of the picture itself; those of the words, which come
            after it, have seen it all the same. 'all' has both.
    """

    layer: int = -1
    tokens: Literal["text", "all"] = "text"


class PictureReader(nn.Module):
    """A frozen vision-language model that reads a picture with words.

    Args:
        model: for conditional generation, of transformers.
        processor: that belongs to it.
        reading: which hidden states are taken.

    Raises:
        ImgeditError: the model has no such layer.
    """

    def __init__(self, model: Any, processor: Any, reading: Reading | None = None) -> None:
        super().__init__()
        self.model, self.processor = model, processor
        self._device: torch.device | None = None
        self.reading = reading or Reading()
        self.requires_grad_(requires_grad=False)
        check_layer(model.config, self.reading.layer)

    @classmethod
    def load(
        cls, folder: Path, dtype: torch.dtype, reading: Reading | None = None
    ) -> PictureReader:
        """The model of a folder as transformers saves it, on the CPU.

        Raises:
            WeightsError: it cannot be loaded.
            ImgeditError: the model has no such layer.
        """
        from transformers import AutoModelForImageTextToText, AutoProcessor

        source = LocalModel(folder, "cpu", _PRECISIONS[dtype])
        processor = source.read(AutoProcessor, backend="pil")  # needs no torchvision
        return cls(source.load(AutoModelForImageTextToText), processor, reading)

    @property
    def width(self) -> int:
        """Of the hidden states."""
        return int(self.model.config.get_text_config().hidden_size)

    @torch.no_grad()
    def read(self, picture: RGB8 | None, text: str) -> Tensor:
        """Hidden states over the tokens of the prompt: (tokens, width), in the model's precision.

        One prompt at a time, so that nothing hangs on what else is in a batch.

        Args:
            picture: (height, width, 3), or None for a prompt without one.
            text: what the user says.

        Raises:
            ImgeditError: the model lays out its prompt in a way that is not known here.
        """
        self.eval()
        device = self._device or self.model.device
        inputs = self._inputs(picture, text, device)
        # The precision is the model's own, also where a training computes in a mixed one.
        with torch.autocast(device.type, enabled=False):
            out = self.model(**inputs, output_hidden_states=True, use_cache=False)
        if out.get("hidden_states") is None:
            raise ImgeditError(f"{type(self.model).__name__} does not tell its hidden states.")
        states = torch.as_tensor(out.hidden_states[self.reading.layer])[0]
        ids = inputs["input_ids"][0]
        if self.reading.tokens == "all" or picture is None:
            return states
        if len(states) != len(ids):
            raise ImgeditError(
                f"{type(self.model).__name__} reads {len(states)} tokens where its prompt has "
                f"{len(ids)}, so those of the picture cannot be told from the others.",
                hint="Take the tokens of both: tokens=all.",
            )
        return states[ids != picture_token(self.model.config)]

    def offload(self, device: torch.device) -> None:
        """Keep all layers in the machine's memory; each is on the device while it works."""
        from accelerate import cpu_offload

        offload: Any = cpu_offload
        offload(self.model, execution_device=device)
        self._device = device

    def _inputs(self, picture: RGB8 | None, text: str, device: torch.device) -> Any:
        inputs = inputs_of(self.processor, picture, text)
        if picture is None:
            return inputs.to(device)
        return inputs.to(device, self.model.dtype)  # leaves whole numbers as they are


def check_layer(config: Any, layer: int) -> None:
    """Refuse a layer that a model of this configuration does not have.

    Raises:
        ImgeditError: so it is.
    """
    layers = int(config.get_text_config().num_hidden_layers)
    if not -layers - 1 <= layer <= layers:
        raise ImgeditError(
            f"The language model has layers {-layers - 1} to {layers}, and none of number {layer}."
        )


def picture_token(config: Any) -> int:
    """The token that stands for a part of a picture in the prompts of a model.

    Raises:
        ImgeditError: its configuration names none.
    """
    for name in ("image_token_id", "image_token_index"):
        if (found := getattr(config, name, None)) is not None:
            return int(found)
    raise ImgeditError(
        f"The configuration of {config.model_type} names no token for pictures.",
        hint="Take the tokens of both: tokens=all.",
    )


def inputs_of(processor: Any, picture: RGB8 | None, text: str) -> Any:
    """A prompt as a model takes it, on the CPU: 'input_ids' and what else there is.

    Args:
        processor: of transformers.
        picture: (height, width, 3), or None.
        text: what the user says.
    """
    prompt = laid_out(processor, text, sees=picture is not None)
    if picture is None:  # some processors insist on one
        return processor.tokenizer([prompt], return_tensors="pt")
    shown = Image.fromarray(np.ascontiguousarray(picture))
    return processor(images=[shown], text=[prompt], return_tensors="pt")


def laid_out(processor: Any, text: str, *, sees: bool = True) -> str:
    """What the user says as a prompt: by the chat template, or as LLaVA has it without one.

    Args:
        processor: of transformers.
        text: what the user says.
        sees: whether a picture comes first.
    """
    if processor.chat_template is None:  # LLaVA's vicuna_v1 conversation
        picture = f"{processor.image_token}\n" if sees else ""
        return f"USER: {picture}{text} ASSISTANT:"
    said: list[dict[str, str]] = [{"type": "image"}] if sees else []
    said.append({"type": "text", "text": text})
    written: str = processor.apply_chat_template(
        [{"role": "user", "content": said}], add_generation_prompt=True
    )
    return written
