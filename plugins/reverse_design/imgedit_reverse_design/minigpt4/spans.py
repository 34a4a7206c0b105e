"""Which characters of a text each token writes."""

from __future__ import annotations

from collections.abc import Sequence

from imgedit_plugins.errors import ImgeditError
from imgedit_reverse_design.minigpt4.targets import Span


def token_spans(
    tokens: Sequence[int], strings: Sequence[str], text: str | None = None
) -> list[Span]:
    """Which characters each token writes.

    Args:
        tokens: of the text.
        strings: what each token of the vocabulary writes (`imgedit_modelkit.token_strings`).
        text: what they write, if it is not simply all their strings: sentencepiece puts a space in
            front of a text and takes it away again.

    Raises:
        ImgeditError: they write something else than `text`.
    """
    written = "".join(strings[token] for token in tokens)
    lead = 0 if text is None else len(written) - len(text)
    if text is not None and (written[lead:] != text or written[:lead].strip()):
        raise ImgeditError(f"The tokens of {text!r} write {written!r}.")
    spans, here = [], -lead
    for token in tokens:
        after = here + len(strings[token])
        spans.append((max(0, here), max(0, after)))
        here = after
    return spans


def touching(spans: Sequence[Span], place: Span) -> list[int]:
    """The tokens that write any character of a place."""
    return [i for i, (start, stop) in enumerate(spans) if start < place[1] and stop > place[0]]
