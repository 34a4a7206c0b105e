"""The prompts for language models: files of the package, or of a folder of the user's."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from imgedit_modelkit.language.prompts import PromptFile, read_prompt
from imgedit_plugins.errors import DataError

GENERATE, SELECT, REPLACE = "generate", "select", "replace"

_VERSIONS = {GENERATE: 1, SELECT: 1, REPLACE: 1}
_PLACEHOLDERS = {
    GENERATE: frozenset({"before", "after", "instruction"}),
    SELECT: frozenset({"before", "after", "instruction", "candidates"}),
    REPLACE: frozenset({"caption", "categories"}),
}


def load_prompt(name: str, folder: str = "") -> PromptFile:
    """A prompt by its name.

    Args:
        name: GENERATE, SELECT or REPLACE.
        folder: with one file NAME-VERSION.toml or NAME.toml; those it lacks come from the package.

    Raises:
        DataError: the folder is missing or has several such files, or a file is malformed.
    """
    return read_prompt(_path(name, folder), _PLACEHOLDERS[name])


def _path(name: str, folder: str) -> Path:
    if folder:
        place = Path(folder)
        if not place.is_dir():
            raise DataError(f"There is no folder of prompts {folder}.", path=place)
        found = sorted({*place.glob(f"{name}.toml"), *place.glob(f"{name}-*.toml")})
        if len(found) > 1:
            told = ", ".join(path.name for path in found)
            raise DataError(f"{folder} has several prompts {name!r}: {told}.", path=place)
        if found:
            return found[0]
    shipped = files("imgedit_reason_edit") / "prompts" / f"{name}-{_VERSIONS[name]}.toml"
    return Path(str(shipped))
