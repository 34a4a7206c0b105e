"""Answers of any vision-language model of transformers to questions about pictures.

For models as they are published: the model's own processor lays out pictures and text. What trains
or changes a language model is in `vision_language`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from imgedit_modelkit import fingerprints
from imgedit_modelkit.devices import choose_device, choose_precision, stored_bytes
from imgedit_modelkit.model_folders import no_progress_bars
from imgedit_modelkit.vision_language import Watch
from imgedit_plugins.errors import WeightsError
from imgedit_plugins.pictures import RGB8

if TYPE_CHECKING:
    from imgedit_modelkit.json_decoding import JsonForm, JsonForms


@dataclass(frozen=True)
class LocalModel:
    """A model folder as transformers saves one, and where it runs.

    Attributes:
        folder: config.json, *.safetensors, the tokenizer and what else belongs to the model.
        device: 'auto', 'cpu', 'cuda', 'cuda:1', 'mps'.
        precision: 'auto', 'fp32', 'bf16' or 'fp16'.
    """

    folder: Path
    device: str = "auto"
    precision: str = "auto"

    @functools.cached_property
    def identity(self) -> str:
        """The folder's name and how the hash of its weights begins.

        Raises:
            WeightsError: there are no weights.
        """
        files = sorted(self.folder.glob("*.safetensors"))
        if not files:
            raise WeightsError(
                f"There is no model in {self.folder}.",
                path=self.folder,
                hint="It needs config.json and safetensors files, as transformers saves them.",
            )
        return f"{self.folder.name} {fingerprints.of_files(files, self.folder)[:12]}"

    def load(self, kind: Any) -> Any:
        """The model of one of transformers' auto classes, in eval mode on its device.

        Raises:
            WeightsError: it cannot be loaded, or is no model of that kind.
            OptionError: there is no such device.
        """
        device = choose_device(self.device)
        precision = choose_precision(self.precision, device, stored_bytes(self.folder))
        with _told(self.folder), no_progress_bars():
            return self._read(kind, dtype=precision, use_safetensors=True).to(device).eval()

    def read(self, kind: Any, **options: Any) -> Any:
        """The tokenizer or processor of one of transformers' auto classes; raises as `load`."""
        with _told(self.folder):
            return self._read(kind, **options)

    def load_with_processor(self, kind: Any) -> tuple[Any, Any]:
        """The model of one of transformers' auto classes, and its processor; raises as `load`."""
        from transformers import AutoProcessor

        processor = self.read(AutoProcessor, backend="pil")  # needs no torchvision
        return self.load(kind), processor

    def _read(self, kind: Any, **options: Any) -> Any:
        return kind.from_pretrained(
            self.folder, local_files_only=True, trust_remote_code=False, **options
        )


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        told = str(error).strip().splitlines()[0].rstrip(".")
        raise WeightsError(f"{folder} cannot be loaded: {told}.", path=folder) from error


@dataclass
class PictureAnswers:
    """A vision-language model that answers questions about one picture each, greedily.

    Attributes:
        source: the model's folder; nothing is loaded before the first question.
        max_new_tokens: where an answer is broken off.
        no_repeat: no sequence of that many tokens occurs twice in an answer; 0 allows it.
    """

    source: LocalModel
    max_new_tokens: int = 1024
    no_repeat: int = 0
    _loaded: list[Any] = field(default_factory=list, init=False, repr=False)
    _forms: JsonForms | None = field(default=None, init=False, repr=False)

    def __call__(
        self,
        pictures: Sequence[RGB8],
        questions: Sequence[str],
        on_token: Callable[[], None] = lambda: None,
        *,
        schema: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """The answers, without special tokens.

        Args:
            pictures: (height, width, 3), of any sizes.
            questions: one for each picture.
            on_token: called after each token; what it raises ends the work.
            schema: a JSON Schema that the answers are held to; they are written one after another
                then, and one that is broken off is no whole JSON.

        Raises:
            WeightsError, OptionError: as `LocalModel.load`.
            ImgeditError: the model's tokenizer cannot be held to a schema.
        """
        model, processor = self._load()
        if schema is None:
            return self._written(model, processor, pictures, questions, on_token)
        form = self._form(processor, schema)
        return [
            self._written(model, processor, [picture], [question], on_token, form)[0]
            for picture, question in zip(pictures, questions, strict=True)
        ]

    def _written(
        self,
        model: Any,
        processor: Any,
        pictures: Sequence[RGB8],
        questions: Sequence[str],
        on_token: Callable[[], None],
        form: JsonForm | None = None,
    ) -> list[str]:
        inputs = processor(
            images=[Image.fromarray(picture) for picture in pictures],
            text=[self._prompt(processor, question) for question in questions],
            padding=True,
            return_tensors="pt",
        )
        inputs = inputs.to(model.device, model.dtype)  # leaves whole numbers as they are
        length = inputs["input_ids"].shape[1]
        with torch.no_grad():
            out = model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=self.max_new_tokens,
                no_repeat_ngram_size=None if form else self.no_repeat or None,
                logits_processor=[form.processor(length)] if form else None,
                stopping_criteria=[Watch(on_token)],
            )
        found: list[str] = processor.batch_decode(out[:, length:], skip_special_tokens=True)
        return [text.strip() for text in found]

    def _form(self, processor: Any, schema: Mapping[str, Any]) -> JsonForm:
        from imgedit_modelkit.json_decoding import JsonForms

        self._forms = self._forms or JsonForms(processor.tokenizer)
        return self._forms.form(schema)

    def _load(self) -> tuple[Any, Any]:
        if not self._loaded:
            from transformers import AutoModelForImageTextToText

            model, processor = self.source.load_with_processor(AutoModelForImageTextToText)
            processor.tokenizer.padding_side = "left"
            if processor.tokenizer.pad_token_id is None:
                processor.tokenizer.pad_token = processor.tokenizer.eos_token
            self._loaded = [model, processor]
        model, processor = self._loaded
        return model, processor

    @staticmethod
    def _prompt(processor: Any, question: str) -> str:
        if processor.chat_template is None:  # as LLaVA's vicuna_v1 conversation has it
            return f"USER: {processor.image_token}\n{question} ASSISTANT:"
        said = [{"type": "image"}, {"type": "text", "text": question}]
        text: str = processor.apply_chat_template(
            [{"role": "user", "content": said}], add_generation_prompt=True
        )
        return text


@dataclass
class TextRewriter:
    """An encoder-decoder model such as Flan-T5 that answers prompts by beam search.

    Attributes:
        source: the model's folder; nothing is loaded before the first prompt.
        beams: width of the search.
        min_new_tokens, max_new_tokens: length of an answer.
        no_repeat: no sequence of that many tokens occurs twice in an answer.
    """

    source: LocalModel
    beams: int = 5
    min_new_tokens: int = 5
    max_new_tokens: int = 64
    no_repeat: int = 3
    _loaded: list[Any] = field(default_factory=list, init=False, repr=False)

    def __call__(
        self, prompts: Sequence[str], on_token: Callable[[], None] = lambda: None
    ) -> list[str]:
        """The answers, white space as single spaces; prompts are cut at the model's length.

        Raises:
            WeightsError, OptionError: as `LocalModel.load`.
        """
        if not self._loaded:
            from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

            self._loaded = [self.source.read(AutoTokenizer)]
            self._loaded.append(self.source.load(AutoModelForSeq2SeqLM))
        tokenizer, model = self._loaded
        inputs = tokenizer(list(prompts), padding=True, truncation=True, return_tensors="pt")
        with torch.no_grad():
            out = model.generate(
                **inputs.to(model.device),
                do_sample=False,
                num_beams=self.beams,
                min_new_tokens=self.min_new_tokens,
                max_new_tokens=self.max_new_tokens,
                no_repeat_ngram_size=self.no_repeat,
                stopping_criteria=[Watch(on_token)],
            )
        found: list[str] = tokenizer.batch_decode(out, skip_special_tokens=True)
        return [" ".join(text.split()) for text in found]
