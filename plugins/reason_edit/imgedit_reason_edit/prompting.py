"""The prompts for language models: files of the package, or of a folder of the user's."""

from __future__ import annotations

from pathlib import Path

from imgedit_modelkit.language import prompts
from imgedit_modelkit.language.prompts import PromptFile

GENERATE, SELECT, REPLACE = "generate", "select", "replace"
PLAN, CRITICISE, CHOOSE = "plan", "criticise", "choose"
RETRY = "retry"
"""What is said of an answer that cannot be used; the model kit's, for all of the others."""

_FOLDER = Path(__file__).with_name("prompts")
_PLACEHOLDERS = {
    "generate-1": frozenset({"before", "after", "instruction"}),
    "select-1": frozenset({"before", "after", "instruction", "candidates"}),
    "replace-1": frozenset({"caption", "categories"}),
    "plan-1": frozenset(
        {"instruction", "painting", "moving", "selection", "operations", "example"}
    ),
    "criticise-1": frozenset(
        {"instruction", "intent", "layers", "painting", "operations", "example"}
    ),
    "choose-1": frozenset({"instruction", "example"}),
    "judge-reasoning-1": frozenset({"shown", "instruction", "reference", "example"}),
    "judge-consistency-1": frozenset({"shown", "instruction", "example"}),
    "judge-plausibility-1": frozenset({"shown", "example"}),
}
"""Of each file: the newest version of each prompt."""


def load_prompt(name: str, folder: str = "") -> PromptFile:
    """A prompt by its name.

    Args:
        name: GENERATE, SELECT …
        folder: with one file NAME-VERSION.toml or NAME.toml; those it lacks come from the package.

    Raises:
        DataError: the folder is missing or has several such files, or a file is malformed.
    """
    if name == RETRY:
        return prompts.retry_prompt(folder)
    version = next(one for one in _PLACEHOLDERS if one.rpartition("-")[0] == name)
    return prompts.load_prompt(_FOLDER / f"{version}.toml", _PLACEHOLDERS[version], folder)
