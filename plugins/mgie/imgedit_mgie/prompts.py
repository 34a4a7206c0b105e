"""What the language model is asked: a question in the conversation that LLaVA was trained on."""

from __future__ import annotations

from typing import Literal

from imgedit_mgie.expressive import QUESTION, question

Asked = Literal["what", "how"]

TEMPLATES: dict[Asked, str] = {"what": QUESTION, "how": "how to edit this image if '{instruction}'"}

# Published weights answer to these very words (LLaVA's conversation vicuna_v1_1).
_BEGIN = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions. "
    "USER: "
)
_ANSWER = " ASSISTANT:"


def prompt(instruction: str, picture: str, asked: Asked = "what") -> str:
    """The whole prompt, up to where the answer begins.

    Args:
        instruction: of the user, as it is.
        picture: the tokens that stand for the picture; '' where the model shall not see it.
        asked: which of the two questions.
    """
    return conversation(question(instruction, TEMPLATES[asked]), picture)


def conversation(told: str, picture: str) -> str:
    """A conversation up to where the first answer begins.

    Args:
        told: what the user says, in one line.
        picture: as for `prompt`.
    """
    return _BEGIN + (f"{told}\n{picture}" if picture else told) + _ANSWER
