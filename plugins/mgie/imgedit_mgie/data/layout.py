"""The names of what `data mgie prepare` writes, and its record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from imgedit_plugins.errors import DataError

SCHEMA = "imgedit-mgie-data/1"
RECORD, INDEX, LOCK = "prepare.json", "index.jsonl", "lock"
ROWS, SKIPPED = "metadata.jsonl", "skipped.json"


def read_record(path: Path) -> dict[str, Any]:
    """What `prepare.json` says.

    Raises:
        DataError: it is missing, or something else.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
        schema, request = document["schema"], document["request"]
    except FileNotFoundError:
        raise DataError(
            f"There is no file {path}.", path=path, hint="`data mgie prepare` makes such a folder."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not what prepare writes: {error}.", path=path) from error
    if schema != SCHEMA or not isinstance(request, dict):
        raise DataError(f"{path} is not what prepare writes: its schema is {schema!r}.", path=path)
    return dict(document)
