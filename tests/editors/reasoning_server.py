"""A language model for the editors' tests of reason_edit: a real server, played by a script."""

import sys
from dataclasses import dataclass

from editor_root import PROJECT

sys.path.append(str(PROJECT / "tests" / "plugins" / "reason_edit" / "reasoning"))
from reasoned_answers import SKY, WARM, Model, plan, serving

from imgedit_modelkit.language.testing import Said, text

__all__ = [
    "ANSWERS",
    "ENVIRONMENT",
    "MISBEHAVIOUR",
    "SKY",
    "WARM",
    "Model",
    "Mood",
    "plan",
    "serving",
]

ENVIRONMENT = {"IMGEDIT_PLUGINS": "reason_edit,painter"}
"""Of the editors, and so of the worker: `painter` is the one that paints."""

THING = {
    "title": "Something red",
    "region": {
        "what": "the middle", "box": [0.2, 0.2, 0.6, 0.6], "shape": "box", "feather": 0.0,
        "outside": False,
    },
    "paint": "Paint a thing.",
}  # fmt: skip

ANSWERS = [plan(WARM, SKY, THING)]

MISBEHAVIOUR = (
    (
        "I'm sorry, but I can't help with that.",
        "gave no plan that can be used: there is no JSON object in it",
    ),
    ('{"intent": "Warm", "layers": [{"ti', "gave no plan that can be used: it is not valid JSON"),
    (
        plan({"title": "", "region": None, "operations": [{"name": "glow", "parameters": {}}]}),
        "There is no operation 'glow'",
    ),
    (Said(b"bad key", 401), "refuses: 401 Unauthorized. bad key"),
    (Said(b"", 429, headers={"Retry-After": "3600"}), "wants to be left alone for 3600 s"),
)
"""What a server says, and what the user is told of it."""


@dataclass
class Mood(Model):
    """Behaves as the instruction says: 'slowly' it takes a minute, 'rudely' it refuses."""

    def __call__(self, body, headers):
        told = body["messages"][0]["content"][0]["text"]
        if '"slowly' in told:
            self.asked.append(("slow", body))
            return text("{}", delay=60.0)
        if '"rudely' in told:
            return text("I'm sorry, but I can't help with that.")
        return super().__call__(body, headers)
