"""From a picture and an instruction to its expressive and its summarised instruction."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgedit_mgie.expressive import SUMMARY_PROMPT, clean, question
from imgedit_modelkit.language.endpoint import Endpoint
from imgedit_modelkit.picture_answers import LocalModel, PictureAnswers, TextRewriter

if TYPE_CHECKING:
    from imgedit_plugins.pictures import RGB8


@dataclass(frozen=True)
class Described:
    """What the models make of one pair.

    Attributes:
        answer: of the vision-language model, as it came.
        expressive: the same, cleaned; empty where nothing usable was in it.
        summarised: the expressive instruction in a few words; empty where that is empty.
    """

    answer: str
    expressive: str
    summarised: str


@dataclass(frozen=True)
class Models:
    """Where the two models are.

    Attributes:
        describer: a folder, or a server that runs the model.
        summariser: a folder.
        max_new_tokens: where the first one's answer is broken off.
    """

    describer: LocalModel | Endpoint
    summariser: LocalModel
    max_new_tokens: int


class Describer:
    """The two models at work; they are loaded when the first pairs come."""

    def __init__(self, models: Models, template: str) -> None:
        self._template = template
        if isinstance(models.describer, Endpoint):
            self._answers: Callable[..., list[str]] = functools.partial(
                models.describer.answers, max_new_tokens=models.max_new_tokens
            )
        else:
            self._answers = PictureAnswers(models.describer, models.max_new_tokens)
        self._summaries = TextRewriter(models.summariser)

    def __call__(
        self,
        pictures: Sequence[RGB8],
        instructions: Sequence[str],
        on_token: Callable[[], None] = lambda: None,
    ) -> list[Described]:
        """Expressive instructions of some pairs.

        Args:
            pictures: before the edit, (height, width, 3).
            instructions: one for each.
            on_token: called often; what it raises ends the work.

        Raises:
            WeightsError, OptionError: a model cannot be loaded.
            EndpointError: the server does not answer.
        """
        asked = [question(instruction, self._template) for instruction in instructions]
        answers = self._answers(pictures, asked, on_token=on_token)
        expressive = [clean(answer) for answer in answers]
        paragraphs = [text for text in expressive if text]
        prompts = [SUMMARY_PROMPT.replace("{paragraph}", text) for text in paragraphs]
        found = self._summaries(prompts, on_token) if prompts else []
        summaries = dict(zip(paragraphs, found, strict=True))
        return [
            Described(answer, text, summaries.get(text, ""))
            for answer, text in zip(answers, expressive, strict=True)
        ]
