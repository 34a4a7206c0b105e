"""Expressive instructions: what a multimodal language model is asked, and its answer, cleaned.

Questions, rules and lengths as in Fu et al. 2024, 'Guiding Instruction-based Image Editing via
Multimodal Large Language Models', and its data preparation. No torch here.
"""

from __future__ import annotations

import re

QUESTION = "what will this image be like if '{instruction}'"
"""What the model is asked about the picture, in use and in training."""

LONG_QUESTION = QUESTION + " (in a short paragraph)"
"""What a LLaVA is asked when the data is made."""

SUMMARY_PROMPT = "summarize the following paragraph in 32 words:\n\n{paragraph}"
"""What the summariser is asked."""

SENTENCES = 2
"""How many sentences of an answer are kept."""

_SPEAKER = "ASSISTANT:"
_ENDS = re.compile(r"</s>|\[IMG\d+\]|alternative", re.IGNORECASE)
# A full stop within a number, after one letter or in 'e.g.' and the like ends no sentence.
_ABBREVIATED = re.compile(r"(?:^|[\s(.])(?:[A-Za-z]|etc|vs|Mr|Mrs|Ms|Dr|St|approx)\.$")
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)|[。！？]+[」』]*")  # noqa: RUF001


def question(instruction: str, template: str = QUESTION) -> str:
    """The question about a picture for an instruction of the user's.

    Args:
        instruction: a line breaks the prompt of the model, so white space becomes single spaces.
        template: has `{instruction}` in it; other braces stay as they are.
    """
    return template.replace("{instruction}", " ".join(instruction.split()))


def clean(answer: str, sentences: int = SENTENCES) -> str:
    """The expressive instruction within a raw answer; empty if there is none.

    What follows the last `ASSISTANT:` counts, up to the end-of-text token, the first of the visual
    tokens `[IMG0]`... or the word 'alternative' (where the model starts to offer other edits), and
    of that the first sentences. A sentence that this, or the limit of tokens, has broken off is
    left out, unless it is the only one. White space becomes single spaces.
    """
    whole, rest = _sentences(so_far(answer))
    if whole:
        return " ".join(whole[:sentences])
    rest = rest.rstrip(" ,;:-–")
    return f"{rest}." if re.search(r"\w", rest) else ""


def so_far(answer: str) -> str:
    """What is shown of a raw answer while it is written: as `clean`, with all its sentences."""
    text = answer.rpartition(_SPEAKER)[2]
    end = _ENDS.search(text)
    return " ".join((text[: end.start()] if end else text).split())


def _sentences(text: str) -> tuple[list[str], str]:
    """The whole sentences of a text, and what is left after them."""
    found, start = [], 0
    for end in _SENTENCE_END.finditer(text):
        if _ABBREVIATED.search(text[: end.end()]) and end.end() < len(text):
            continue
        sentence = text[start : end.end()].strip()
        if re.search(r"\w", sentence):
            found.append(sentence)
        start = end.end()
    return found, text[start:].strip()
