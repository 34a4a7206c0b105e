"""Texts of the pre-training: captions of pictures, and the language of commands and answers.

No text says what leads from one picture to another: a caption is about one picture, also where two
are shown, and texts about edits come without pictures.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from imgedit_modelkit.vision_language import Prompt
from imgedit_plugins.operations import load_profile
from imgedit_reverse_design import imad_sentences
from imgedit_reverse_design.imad_distribution import OPERATION_NAMES
from imgedit_reverse_design.minigpt4 import prompts, targets

WRAP: prompts.Wrap = "llama-2"

_NAMES = ("Img1", "Img2")
_LOOK_QUESTIONS = (
    "what does {picture} look like?",
    "describe the look of {picture}.",
    "which words fit {picture}?",
    "list the looks of {picture}, and how strong each is.",
    "name every look of {picture} together with its value.",
    "how does {picture} look? Give the values too.",
)
_INSIDE = (
    "Look at {first} and at {second}. Which looks, and how strong, has {picture}?",
    "Beside {first} there is {second}. Name the looks of {picture} and their values.",
)
_LOOK_LEADS = ("It looks like this\n", "These words fit the picture\n", "Its look\n")
_PLAIN = "It looks plain."
_MEASURE_QUESTION = "measure {names} of {picture}."


def caption_of_looks(looks: Mapping[str, float], rng: random.Random) -> str:
    """The looks of a picture in any order, each with its strength.

    Half of the captions begin with a sentence of the answers, so that the language model knows
    them beside pictures too.
    """
    if not looks:
        return _PLAIN
    order = sorted(looks, key=lambda _: rng.random())
    leads = targets.LEADS_FOR_ONE if len(looks) == 1 else targets.LEADS_FOR_SEVERAL
    return rng.choice(rng.choice((_LOOK_LEADS, leads))) + _listed(
        {name: looks[name] for name in order}
    )


def question_of_looks(picture: int, rng: random.Random) -> Prompt:
    """Both pictures, or only the one, and a question about one."""
    if rng.random() < 0.3:
        names = {"first": prompts.FIRST, "second": prompts.SECOND, "picture": _NAMES[picture]}
        return prompts.prompt(rng.choice(_INSIDE).format(**names), None, WRAP)
    asked = rng.choice(_LOOK_QUESTIONS).format(picture=_NAMES[picture])
    if rng.random() < 0.3:
        place = (prompts.FIRST, prompts.SECOND)[picture]
        return prompts.prompt(f"{place} {asked}", None, WRAP)
    return _about_both(asked)


def measuring(
    picture: int, measures: Mapping[str, float], rng: random.Random
) -> tuple[Prompt, str]:
    """A question for some of the measures of one picture, and the answer in numbers."""
    names = rng.sample(list(measures), rng.randint(1, 3))
    asked = _MEASURE_QUESTION.format(names=", ".join(names), picture=_NAMES[picture])
    return _about_both(asked), _listed({name: measures[name] for name in names})


def _about_both(asked: str) -> Prompt:
    return prompts.prompt(f"{prompts.FIRST}{prompts.SECOND} {asked}", None, WRAP)


def _listed(values: Mapping[str, float]) -> str:
    pairs = [f"{name}{targets.ASSIGNED}{value:.2f}" for name, value in values.items()]
    return targets.SEPARATOR.join(pairs)


# --- without pictures -------------------------------------------------------------------------


def text_only(rng: random.Random) -> tuple[Prompt, str]:
    """A command and what it comes to, a bare answer, or a question that is only to be read."""
    kind = rng.random()
    names = rng.sample(OPERATION_NAMES, rng.randint(1, 5))
    answer = targets.target([(name, _value(name, rng)) for name in names], rng).text
    if kind < 0.6:
        told = f"[INST] Command:\n{imad_sentences.command(names, rng)} [/INST] "
        return (told,), answer
    if kind < 0.85:
        return ("[INST] [/INST] ",), answer
    return ("[INST] ",), rng.choice(prompts.WITH_COMMAND + prompts.WITHOUT_COMMAND)


def _value(name: str, rng: random.Random) -> float:
    levels = load_profile().levels(name)
    return float(rng.choice(levels) / levels[-1]) if levels else 1.0


def everything_said(rng: random.Random, measures: tuple[str, ...]) -> list[str]:
    """What a tokenizer is trained on: each form of text, often enough."""
    said = [*prompts.WITH_COMMAND, *prompts.WITHOUT_COMMAND] * 8
    said += [prompts.BREAK, prompts.COMMAND] * 4
    for _ in range(1500):
        prompt, answer = text_only(rng)
        said += [*(piece for piece in prompt if isinstance(piece, str)), answer]
    for _ in range(300):
        asked, answer = measuring(rng.randint(0, 1), dict.fromkeys(measures, rng.random()), rng)
        looks = {name: rng.random() for name in rng.sample(OPERATION_NAMES, 3)}
        said += [str(asked[-1]), answer, str(question_of_looks(1, rng)[-1])]
        said += [caption_of_looks(looks, rng), _PLAIN]
    return said
