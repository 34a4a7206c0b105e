"""What each token of a tokenizer writes."""

from __future__ import annotations

from typing import Any

from imgedit_plugins.errors import ImgeditError

_BROKEN = "\ufffd"


def token_strings(tokenizer: Any, size: int | None = None) -> tuple[str, ...]:
    """The text that each token adds when it does not come first; '' for special tokens.

    A part of a character (byte tokens above 127) is '' as well: it writes nothing by itself.

    Args:
        tokenizer: of transformers, slow or fast.
        size: of the language model's output, where that is padded beyond the tokenizer's, or
            where the tokenizer has tokens that the model knows nothing of.
    """
    count = len(tokenizer)
    special = set(tokenizer.all_special_ids)
    # The first token of a text may lose its leading space, so each stands behind an 'a'.
    anchor = tokenizer.encode("a", add_special_tokens=False)
    if not anchor:
        raise ImgeditError("This tokenizer cannot write 'a'.")
    lead = _decode(tokenizer, anchor)
    strings = [
        "" if i in special else _added(_decode(tokenizer, [*anchor, i]), lead) for i in range(count)
    ]
    size = size or count
    return tuple([*strings, *[""] * (size - count)][:size])


def _decode(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def _added(text: str, lead: str) -> str:
    added = text[len(lead) :] if text.startswith(lead) else ""
    return "" if _BROKEN in added else added
