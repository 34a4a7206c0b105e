"""Commands for made data: one of 24 sentences for a single operation, an edit idea for several.

The published data draws single commands from about 24 sentences per operation, and describes
several operations by a creative edit idea. The sentences here are our own.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

_FRAMES = (
    "{p}.",
    "Please {p}.",
    "Could you {p}?",
    "I want you to {p}.",
    "Your task is to {p}.",
    "Go ahead and {p}.",
    "What this photo needs: {p}.",
    "The next step is to {p}.",
)

_IDEAS = (
    "Imagine {i}.",
    "Give the scene {i}.",
    "I am after {i}.",
    "Let the picture speak of {i}.",
    "The idea: {i}.",
    "What if it had {i}?",
    "Take it towards {i}.",
    "It should remind me of {i}.",
)

_WORDS: dict[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    "grayscale": (
        ("make the picture black and white", "remove all colour", "turn it to shades of grey"),
        ("the silence of an old newspaper", "a world without colour", "timeless black and white"),
    ),
    "sepia": (
        ("apply a sepia tone", "tone the picture brown", "make it look like an antique print"),
        ("a page of a family album", "the brown of old paper", "a postcard from 1900"),
    ),
    "summer": (
        ("make the colours warmer", "apply the summer filter", "give the photo a warm tint"),
        ("a long August evening", "the warmth of the sun", "a golden glow"),
    ),
    "winter": (
        ("make the colours colder", "apply the winter filter", "give the photo a cool tint"),
        ("the bite of frost", "a pale January morning", "icy blue air"),
    ),
    "hdr": (
        ("apply the HDR effect", "bring out every detail", "exaggerate the local contrast"),
        ("every detail in the open", "a hyper-real surface", "the grit of a film poster"),
    ),
    "blur": (
        ("blur the picture", "apply a box blur", "smear the details"),
        ("a view through wet glass", "shapes without edges", "the haze of waking up"),
    ),
    "bright": (
        ("brighten the picture", "raise the brightness", "make everything lighter"),
        ("light flooding in", "an open window", "a much brighter day"),
    ),
    "sharp": (
        ("sharpen the picture", "make the edges crisp", "apply the sharpening filter"),
        ("edges that cut", "crisp lines", "the focus of an eagle"),
    ),
    "contrast": (
        ("change the contrast", "adjust the contrast", "rework the tonal range"),
        ("another balance of light and dark", "reworked tones", "a different punch"),
    ),
    "saturate": (
        (
            "change the saturation",
            "adjust how strong the colours are",
            "rework the colour strength",
        ),
        ("colours of another strength", "a new intensity of hue", "a different palette"),
    ),
    "gaussian": (
        ("apply a Gaussian blur", "soften the picture", "blur it gently"),
        ("a soft dream", "velvet edges", "a veil over the lens"),
    ),
    "invert": (
        ("invert the colours", "make a negative", "swap light and dark"),
        ("a strip of negative film", "the world inside out", "night for day"),
    ),
    "rotate": (
        ("rotate the picture", "turn the photo", "change its orientation by turning it"),
        ("a tilted point of view", "the ground on another side", "a turned world"),
    ),
    "flip": (
        ("flip the picture", "mirror it left to right", "swap its left and right sides"),
        ("the other side of the mirror", "left where right was", "a reflection in a shop window"),
    ),
}


def patterns(operation: str) -> tuple[str, ...]:
    """The 24 sentences for one operation."""
    phrases = _WORDS[operation][0]
    return tuple(_sentence(frame, phrase) for frame in _FRAMES for phrase in phrases)


def command(operations: Sequence[str], rng: random.Random) -> str:
    """A command for an edit: one of `patterns` for one operation, an edit idea for several.

    Args:
        operations: at least one of I-MAD's 14 names.
        rng: only `random` is called.
    """
    if len(operations) == 1:
        return _pick(patterns(operations[0]), rng)
    ideas = [_pick(_WORDS[name][1], rng) for name in operations]
    listed = f"{', '.join(ideas[:-1])} and {ideas[-1]}"
    return _pick(_IDEAS, rng).format(i=listed)


def _sentence(frame: str, phrase: str) -> str:
    text = frame.format(p=phrase)
    return text[0].upper() + text[1:]


def _pick(choices: Sequence[str], rng: random.Random) -> str:
    return choices[int(rng.random() * len(choices))]
