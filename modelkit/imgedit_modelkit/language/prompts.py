"""Prompts as versioned files: what a language model is told, with a hash for provenance.

A file is TOML: `system`, and `user` with names in braces, which values take the place of. Its name
without the extension is the prompt's version, such as ``replace-1``.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from imgedit_modelkit.language.chats import Message
from imgedit_plugins.errors import DataError

_HOLE = re.compile(r"\{([a-z_]+)\}")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    system: str
    user: str


@dataclass(frozen=True)
class PromptFile:
    """What is said before an answer.

    Attributes:
        version: the file's name without its extension.
        sha256: of the file.
        system: how the model shall behave.
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

    def messages(self, values: Mapping[str, str]) -> tuple[Message, ...]:
        """The two turns, with a value in the place of each placeholder; braces in values stay."""
        said = _HOLE.sub(lambda hole: " ".join(values[hole[1]].split()), self.user)
        return Message("system", self.system.strip()), Message("user", said.strip())


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
