"""What the model answered: tolerant reading of `name: value` pairs, as steps of a plan."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from imgedit_plugins.errors import ProfileError
from imgedit_plugins.operations import ParameterValue, Profile, default_vocabulary
from imgedit_plugins.plan import PlannedOperation
from imgedit_reverse_design.imad_distribution import OPERATION_NAMES
from imgedit_reverse_design.minigpt4.targets import Span

_PAIR = re.compile(r"([A-Za-z]+(?:[ _-][A-Za-z]+)?)[ \t]*[:=][ \t]*([+-]?\d+(?:[.,]\d+)?|\.\d+)")

_ALIKE = {
    "greyscale": "grayscale",
    "grey scale": "grayscale",
    "gray scale": "grayscale",
    "brightness": "bright",
    "sharpen": "sharp",
    "sharpness": "sharp",
    "saturation": "saturate",
    "gaussian blur": "gaussian",
    "box blur": "blur",
    "rotation": "rotate",
    "inverse": "invert",
    "inversion": "invert",
}
"""Other words for I-MAD's operations that language models use."""


@dataclass(frozen=True)
class Said:
    """One pair that the model said.

    Attributes:
        name: one of I-MAD's 14.
        value: as written; normalised (0..1), or in natural units where it is above 1.
        place: where it stands in the answer.
    """

    name: str
    value: float
    place: Span


def parse_answer(text: str) -> tuple[Said, ...]:
    """The pairs of an answer, in its order; of a name that comes twice the first one counts.

    Case, spaces, '=' for ':', a decimal comma and words such as 'brightness' are forgiven; names
    that are no operation are left out.
    """
    found: dict[str, Said] = {}
    for match in _PAIR.finditer(text):
        name = _name(match[1])
        if name:
            value = float(match[2].replace(",", "."))
            found.setdefault(name, Said(name, value, match.span()))
    return tuple(found.values())


def _name(words: str) -> str:
    """The operation that is meant; '' if none is."""
    said = re.sub(r"[ _-]+", " ", words.lower())
    for candidate in (said, said.rpartition(" ")[2]):  # 'and blur: 0.5'
        name = _ALIKE.get(candidate, candidate)
        if name in OPERATION_NAMES:
            return name
    return ""


def steps(
    said: Sequence[Said], profile: Profile, confidences: Sequence[float] = ()
) -> tuple[PlannedOperation, ...]:
    """The pairs as steps of a plan, at the profile's nearest levels.

    Args:
        said: from `parse_answer`.
        profile: whose levels the values are shares of.
        confidences: 0..1 of each pair; 1 by default.
    """
    known = confidences or [1.0] * len(said)
    return tuple(
        PlannedOperation(
            name=one.name, parameters=_parameters(one, profile), confidence=round(confidence, 3)
        )
        for one, confidence in zip(said, known, strict=True)
    )


def _parameters(said: Said, profile: Profile) -> dict[str, ParameterValue]:
    levels = profile.levels(said.name)
    parameters = default_vocabulary()[said.name].parameters
    if parameters and not levels:
        raise ProfileError(
            f"The definition profile {profile.id!r} has no levels for {said.name!r}, so the "
            "model's value has no meaning."
        )
    value = said.value
    if value > 1.0 and levels:
        value /= float(levels[-1])  # the model said it in natural units
    return profile.denormalise(said.name, value)
