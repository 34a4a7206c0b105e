"""What a language model behind a server says to the pipeline's prompts, sensibly and not."""

from __future__ import annotations

import hashlib
import json
import random
import re
from typing import Any

from imgedit_modelkit.language.testing import Said, text

TARGETS = ("bee", "teapot", "old lantern", "kite", "cactus")


def number(*parts: object) -> int:
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:12], 16)


def answer_to(body: dict[str, Any]) -> dict[str, Any]:
    """A good answer, which hangs on the question and the seed alone."""
    asked = body["messages"][1]["content"]
    drawn = number(asked, body.get("seed"))
    if "Which one is best?" in asked:
        return {"best": 1 + drawn % len(re.findall(r'\d+\. "', asked))}
    if "Things that can be replaced" in asked:
        names = asked.rpartition("Things that can be replaced: ")[2].split(", ")
        category, target = names[drawn % len(names)], TARGETS[drawn % len(TARGETS)]
        wish = f"My aunt would rather dream of number {drawn % 97} than see this."
        return {"category": category, "target": target, "instruction": wish}
    return {"instruction": f"I wish that I were on holiday number {drawn % 89} already."}


def sensible(body: dict[str, Any]) -> Said:
    return text(json.dumps(answer_to(body)))


class Moody:
    """Misbehaves on purpose: in what it says by the question alone, in how it says it at random.

    So the data that come of it are the same, however often the work is killed.
    """

    def __init__(self, seed: int = 0, passing: float = 0.12) -> None:
        self._draw, self._passing = random.Random(seed), passing
        self.moods: dict[str, int] = {}

    def __call__(self, body: dict[str, Any], _: Any) -> Said:
        if self._draw.random() < self._passing:
            return self._told(*self._draw.choice(_PASSING))
        asked = [turn["content"] for turn in body["messages"]]
        mood = number("mood", asked, body.get("seed")) % 7
        return self._told(*_LASTING[mood]) if mood in _LASTING else sensible(body)

    def _told(self, name: str, said: Said) -> Said:
        self.moods[name] = self.moods.get(name, 0) + 1
        return said


_PASSING = (
    ("429", Said(b"slow down", 429, {"Retry-After": "0.05"})),
    ("500", Said(b"<html>", 500)),
    ("closed", text('{"instruction": "never heard"}', cut=15)),
    ("late", text('{"instruction": "never heard"}', delay=1.5)),
    ("half HTTP body", Said(b'{"choices": [{"mess')),
)
_LASTING = {
    0: ("half JSON", text('{"instruction": "I wish')),
    1: ("wrong schema", text('{"answer": 42}')),
    2: ("prose", text("As a language model I cannot see pictures.")),
    3: ("broken off", text('{"instruction": "and so on and so', ended=False)),
    4: ("no choices", Said({"error": {"message": "try later"}})),
}
