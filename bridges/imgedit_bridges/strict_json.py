"""JSON as the messages have it: what readers do not agree on, or choke on, is refused."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from imgedit_bridges.errors import MessageError

MAX_DEPTH = 32  # levels of nesting

_LONGEST_NUMBER = 400  # digits; what is longer is no number of ours and slow to read


def decode(body: bytes) -> Any:
    """The value of a JSON text, read strictly.

    Raises:
        MessageError: it is no UTF-8 or JSON, nested too deeply, says a field twice, or holds
            NaN, infinity, endless numbers or half a character.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_no_constant,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise MessageError("", "the message is nested too deeply") from None
    except ValueError as error:
        what = str(error).partition(":")[0] if isinstance(error, UnicodeDecodeError) else error
        raise MessageError("", f"the message is not JSON: {what}") from error
    _check_values(value)
    return value


def encode(value: object) -> bytes:
    """JSON in ASCII, without spaces.

    Raises:
        ValueError: NaN or infinity.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError("a number has too many digits")
    return int(digits)


def _finite(text: str) -> float:
    value = float(text) if len(text) <= _LONGEST_NUMBER else math.inf
    if not math.isfinite(value):
        raise ValueError("a number is too large or too long")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a field stands twice in one object")
    return made


def _check_values(document: object) -> None:
    todo: list[tuple[object, int]] = [(document, 0)]
    while todo:
        value, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise MessageError("", "the message is nested too deeply")
        if isinstance(value, dict):
            todo.extend((item, depth + 1) for pair in value.items() for item in pair)
        elif isinstance(value, list):
            todo.extend((item, depth + 1) for item in value)
        elif isinstance(value, str) and not _is_unicode(value):
            raise MessageError("", "a text holds half a character")


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
