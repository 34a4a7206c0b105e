"""Sentences that are made by rule: direct instructions, captions after the edit, what is direct."""

from __future__ import annotations

import random
import re

DIRECT = (
    "Turn {a} to {b}.",
    "Turn {a} into {b}.",
    "Change {a} to {b}.",
    "Replace {a} with {b}.",
    "Swap {a} for {b}.",
    "Make {a} {b}.",
    "Put {b} in the place of {a}.",
    "Remove {a} and put {b} there.",
)
"""Templates of the straightforward instruction (section 4.1: 'Turn A to B' and the like)."""

_ORDER = re.compile(
    r"^(please\s+)?(turn|change|replace|swap|make|put|remove|convert|transform|substitute|exchange)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_VOWELS = tuple("aeiou")
_SMALL = frozenset(
    _WORD.findall(
        "a an and as at be by for from her his i in into is it its me my of on or so that the "
        "their there they this to was we were will with you your"
    )
)
"""Words that say nothing about what is edited."""


def direct_instruction(category: str, target: str, seed: int) -> str:
    """One of the templates, drawn by the seed."""
    template = random.Random(f"direct/{seed}").choice(DIRECT)  # noqa: S311 (not for secrets)
    return template.format(a=f"the {category}", b=_with_article(target))


def replaced(caption: str, category: str, target: str) -> str:
    """A caption with the category's words replaced by the target, its article fitted.

    Where the caption does not name the category, the target is added.
    """
    pattern = re.compile(rf"\b(?:(an?)\s+)?{re.escape(category)}\b", re.IGNORECASE)

    def put(match: re.Match[str]) -> str:
        if not match[1]:
            return target
        said = _with_article(target)
        return said[0].upper() + said[1:] if match[1][0].isupper() else said

    found, count = pattern.subn(put, caption)
    return found if count else f"{caption.rstrip('. ')} with {_with_article(target)}"


def is_direct(instruction: str, *direct: str) -> bool:
    """Whether an instruction says what to do, rather than leaving it to the reader.

    It does where it is an order that names what a direct text names, or has mostly its words.

    Args:
        instruction: to look at.
        direct: the direct instruction, and other texts that must not come back.
    """
    said = _words(instruction)
    for text in direct:
        wanted = _words(text)
        if not wanted or not said:
            continue
        common = len(said & wanted)
        if common >= 0.8 * min(len(said), len(wanted)) and common >= 2:
            return True
        if _ORDER.match(instruction.strip()) and common >= 0.5 * len(wanted):
            return True
    return False


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.lower()) if word not in _SMALL}


def _with_article(noun: str) -> str:
    first = noun.lower().partition(" ")[0]
    if first in ("a", "an", "the", "some") or _is_plural(noun):
        return noun
    return f"{'an' if first.startswith(_VOWELS) else 'a'} {noun}"


def _is_plural(noun: str) -> bool:
    last = noun.lower().rpartition(" ")[2]
    return last.endswith("s") and not last.endswith(("ss", "us", "is"))
