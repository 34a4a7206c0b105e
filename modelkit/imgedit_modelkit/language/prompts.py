"""Prompts as versioned files: what a language model is told, with a hash for provenance.

A file is TOML: `system`, and `user` with names in braces, which values take the place of; `system`
may be empty. Its name without the extension is the prompt's version, such as ``replace-1``.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from imgedit_modelkit.language.chats import Message
from imgedit_plugins.errors import DataError

if TYPE_CHECKING:
    from imgedit_plugins.pictures import RGB8

_HOLE = re.compile(r"\{([a-z_]+)\}")

_RETRY = Path(__file__).with_name("retry-1.toml")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    system: str
    user: str


@dataclass(frozen=True)
class PromptFile:
    """What is said before an answer.

    Attributes:
        version: the file's name without its extension.
        sha256: of the file.
        system: how the model shall behave; may be empty.
        user: the question, with placeholders such as `{caption}`.
    """

    version: str
    sha256: str
    system: str
    user: str

    @property
    def identity(self) -> str:
        """Version and the beginning of the hash."""
        return f"{self.version} {self.sha256[:12]}"

    @property
    def placeholders(self) -> frozenset[str]:
        """The names in braces."""
        return frozenset(_HOLE.findall(self.user))

    def messages(
        self, values: Mapping[str, str], pictures: tuple[RGB8, ...] = ()
    ) -> tuple[Message, ...]:
        """The turns, with a value in the place of each placeholder; braces in values stay.

        A value within a line is put on one line; where the placeholder is all of a line, the value
        keeps its own lines.

        Args:
            values: of all placeholders, and perhaps more.
            pictures: shown with the question.

        Raises:
            KeyError: a value is missing.
        """
        said = _HOLE.sub(lambda hole: self._put(hole, values[hole[1]]), self.user)
        asked = Message("user", said.strip(), pictures)
        system = self.system.strip()
        return (Message("system", system), asked) if system else (asked,)

    @staticmethod
    def _put(hole: re.Match[str], value: str) -> str:
        before, after = hole.string[: hole.start()], hole.string[hole.end() :]
        alone = before[-1:] in ("", "\n") and after[:1] in ("", "\n")
        return value if alone else " ".join(value.split())


def load_prompt(shipped: Path, placeholders: frozenset[str], folder: str = "") -> PromptFile:
    """A prompt that comes with a package, or the one that the user has in its place.

    Args:
        shipped: NAME-VERSION.toml of the package.
        placeholders: as for `read_prompt`.
        folder: with one file NAME-VERSION.toml or NAME.toml, or without; '' for none.

    Raises:
        DataError: the folder is missing or has several such files, or a file is malformed.
    """
    return read_prompt(_of_user(shipped.stem.rpartition("-")[0], folder) or shipped, placeholders)


def retry_prompt(folder: str = "") -> PromptFile:
    """What is said of an answer that cannot be used; raises as `load_prompt`."""
    return load_prompt(_RETRY, frozenset({"reason"}), folder)


def _of_user(name: str, folder: str) -> Path | None:
    if not folder:
        return None
    place = Path(folder)
    if not place.is_dir():
        raise DataError(f"There is no folder of prompts {folder}.", path=place)
    found = sorted({*place.glob(f"{name}.toml"), *place.glob(f"{name}-*.toml")})
    if len(found) > 1:
        told = ", ".join(path.name for path in found)
        raise DataError(f"{folder} has several prompts {name!r}: {told}.", path=place)
    return found[0] if found else None


def read_prompt(path: Path, placeholders: frozenset[str]) -> PromptFile:
    """A prompt's file.

    Args:
        path: the file.
        placeholders: that there are values for; the prompt may leave none of them out.

    Raises:
        DataError: it is missing or malformed.
    """
    try:
        data = path.read_bytes()
        found = msgspec.convert(tomllib.loads(data.decode("utf-8")), _File)
    except (OSError, ValueError) as error:
        raise DataError(f"The prompt {path} cannot be read: {error}.", path=path) from error
    prompt = PromptFile(path.stem, hashlib.sha256(data).hexdigest(), found.system, found.user)
    if prompt.placeholders != placeholders:
        wanted, there = (
            ", ".join(f"{{{name}}}" for name in sorted(names)) or "none"
            for names in (placeholders, prompt.placeholders)
        )
        raise DataError(
            f"The prompt {path} must have the placeholders {wanted}; it has {there}.", path=path
        )
    return prompt
