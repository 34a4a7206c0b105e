"""The prompts, a file for each version; a document names the versions that it was written with.

Each file has one field, `text`, with names in braces for what is filled in.
"""

from __future__ import annotations

import functools
import re
import tomllib
from importlib import resources

PLAN = "plan-1"
CRITICISE = "criticise-1"
CHOOSE = "choose-1"
RETRY = "retry-1"

_FIELD = re.compile(r"\{([a-z]+)\}")


def prompt(name: str, **fields: str) -> str:
    """A prompt with its fields filled in; braces within the fields stay as they are.

    Raises:
        KeyError: the prompt has a field that is not given.
    """
    return _FIELD.sub(lambda found: fields[found[1]], _text(name)).strip()


@functools.cache
def _text(name: str) -> str:
    file = resources.files(__name__) / f"{name}.toml"
    return str(tomllib.loads(file.read_text(encoding="utf-8"))["text"])
