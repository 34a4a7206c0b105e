"""A language model played by a real server: what it says to what, and what it was asked."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from imgedit_modelkit.language.testing import Said, chat_server, text

WARM = {
    "title": "Warmer light",
    "region": None,
    "operations": [{"name": "temperature", "parameters": {"shift": 40}}],
}
SKY = {
    "title": "Darker sky",
    "region": {
        "what": "the sky", "box": [0.1, 0.0, 0.9, 0.5], "shape": "ellipse", "feather": 0.1,
        "outside": False,
    },
    "operations": [{"name": "exposure", "parameters": {"stops": -1}}],
}  # fmt: skip
BIRDS = {
    "title": "Swallows",
    "region": {
        "what": "the sky", "box": [0.2, 0.1, 0.6, 0.4], "shape": "box", "feather": 0.0,
        "outside": False,
    },
    "paint": "Add a few swallows.",
}  # fmt: skip


def plan(*layers: Any, intent: str = "A warm evening.") -> str:
    return json.dumps({"intent": intent, "layers": list(layers)})


def content(criticism: str = "It is good as it is.") -> str:
    return json.dumps({"criticism": criticism, "layers": None})


def revised(*layers: Any, criticism: str = "The sky is too bright.") -> str:
    return json.dumps({"criticism": criticism, "layers": list(layers)})


Answers = Sequence[Said | str]


@dataclass
class Model:
    """Answers in their order, for each kind of question; the last one again and again.

    Attributes:
        plans, criticisms: what is said, as text or as `Said`.
        better: which attempt it prefers: 'first', 'second', 'neither', or an answer.
        asked: (kind, body) of each request.
    """

    plans: Answers = (plan(WARM),)
    criticisms: Answers = (content(),)
    better: str | Said = "second"
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, body: dict[str, Any], _: Mapping[str, str]) -> Said:
        kind = kind_of(body)
        self.asked.append((kind, body))
        if kind == "choose":
            return self._choice(body)
        answers = self.plans if kind == "plan" else self.criticisms
        number = sum(one == kind for one, _ in self.asked) - 1
        said = answers[min(number, len(answers) - 1)]
        return said if isinstance(said, Said) else text(said)

    def _choice(self, body: dict[str, Any]) -> Said:
        if isinstance(self.better, Said):
            return self.better
        # It sees which is which: the tests' second attempt is the darker one.
        _, middle, right = np.array_split(picture_of(body).astype(int), 3, axis=1)
        darker = "middle" if middle.mean() < right.mean() else "right"
        lighter = "right" if darker == "middle" else "middle"
        better = {"second": darker, "first": lighter}.get(self.better, self.better)
        return text(json.dumps({"reason": "It looks natural.", "better": better}))

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.asked]

    def told(self, number: int = -1) -> str:
        """The last words of a request."""
        said = self.asked[number][1]["messages"][-1]["content"]
        return said if isinstance(said, str) else said[0]["text"]


def kind_of(body: dict[str, Any]) -> str:
    question = body["messages"][0]["content"][0]["text"]
    if "three pictures side by side" in question:
        return "choose"
    return "criticise" if "two pictures side by side" in question else "plan"


def picture_of(body: dict[str, Any]) -> np.ndarray[Any, Any]:
    """What the model was shown."""
    shown = [part for part in body["messages"][0]["content"] if part["type"] == "image_url"]
    assert len(shown) == 1, "many models take one picture only"
    data = shown[0]["image_url"]["url"].partition(",")[2]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@contextmanager
def serving(model: Callable[..., Said]) -> Iterator[str]:
    with chat_server(model, models=("eyes",)) as (address, _):
        yield address
