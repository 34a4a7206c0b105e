"""What the model is asked: two sets of eight questions, wrapped as a language model wants them.

One set carries the command, the other does not; in half of each set both pictures come first, in
the other half they stand inside the sentence (the paper's section 4). The forms are the paper's,
the sentences are our own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Literal

Wrap = Literal["llama-2", "vicuna", "plain"]

FIRST = "<Img1><ImageHere1></Img1>"
SECOND = "<Img2><ImageHere2></Img2>"
BREAK = "<break>"

_BOTH = FIRST + SECOND

WITHOUT_COMMAND = (
    f"{_BOTH} which edits lead from Img1 to Img2, and with what value each?",
    f"{_BOTH} name every edit between Img1 and Img2 together with its value.",
    f"{_BOTH} what was done to Img1 to get Img2? Give the values too.",
    f"{_BOTH} list the edits, with values, that make Img2 out of Img1.",
    f"Someone edited {FIRST} until it looked like {SECOND}. Which edits were made, and how strong?",
    f"How does one get from {FIRST} to {SECOND}? Name the edits and their values.",
    f"Compare {FIRST} with {SECOND} and say which edits, at which values, separate them.",
    f"Starting from {FIRST}, which edits and values give {SECOND}?",
)

WITH_COMMAND = (
    f"{_BOTH} the command below was carried out on Img1. Which edits, at which values, gave Img2?",
    f"{_BOTH} Img2 follows from Img1 and the command below. Name the edits and their values.",
    f"{_BOTH} read the command below: what was done to Img1, and how strong, to get Img2?",
    f"{_BOTH} list the edits, with values, by which the command below made Img2 of Img1.",
    f"The command below made {SECOND} out of {FIRST}. Which edits and values does it come to?",
    f"By the command below {FIRST} became {SECOND}. Name every edit with its value.",
    f"Given {FIRST}, the command below and the result {SECOND}, which edits and values were used?",
    f"What did the command below do to {FIRST} so that it became {SECOND}? Give the values too.",
)

COMMAND = "\nCommand:\n"
"""Stands between a question and its command."""

_WRAPS: dict[Wrap, tuple[str, str]] = {
    "llama-2": ("[INST] ", " [/INST] "),
    "vicuna": ("###Human: ", " ###Assistant: "),
    "plain": ("", "\n"),
}

_SLOT = re.compile(r"<ImageHere([12])>")


def questions(*, command: bool, breaks: bool = False) -> tuple[str, ...]:
    """The eight questions of a set.

    Args:
        command: the set that goes with a command.
        breaks: with `<break>` at each change between text and picture (experiment 4).
    """
    chosen = WITH_COMMAND if command else WITHOUT_COMMAND
    return tuple(map(_with_breaks, chosen)) if breaks else chosen


def prompt(question: str, command: str | None, wrap: Wrap) -> tuple[str | int, ...]:
    """A question as pieces of a prompt: text, and 0 and 1 for the two pictures.

    Args:
        question: one of `questions`.
        command: the edit in words, for a question of the set with commands.
        wrap: what the language model was trained to read: 'llama-2' ([INST] ... [/INST]),
            'vicuna' (###Human: ... ###Assistant:) or 'plain'.
    """
    before, after = _WRAPS[wrap]
    # Only the question has places for pictures, whatever the user's command says.
    parts = _SLOT.split(f"{before}{question}")
    parts[-1] += after if command is None else f"{COMMAND}{command.strip()}{after}"
    pieces = [int(part) - 1 if i % 2 else part for i, part in enumerate(parts)]
    return tuple(piece for piece in pieces if piece != "")


def draw(
    rng: random.Random, command: str | None, wrap: Wrap, *, breaks: bool = False
) -> tuple[str | int, ...]:
    """A prompt with a question drawn from the set that fits."""
    chosen: Sequence[str] = questions(command=command is not None, breaks=breaks)
    return prompt(chosen[int(rng.random() * len(chosen))], command, wrap)


def _with_breaks(question: str) -> str:
    """As in the paper's figure 6: behind pictures that come first, on both sides of others."""
    if question.startswith(_BOTH):
        rest = question.removeprefix(_BOTH).lstrip()
        return f"{FIRST} {BREAK} {SECOND} {BREAK} {rest}"
    for picture in (FIRST, SECOND):
        question = question.replace(picture, f"{BREAK} {picture} {BREAK}")
    return question
