"""What goes wrong between editors and the worker, in words for the user."""

from __future__ import annotations


class BridgeError(Exception):
    """What the user of an editor is told: one sentence, and what to do next.

    Args:
        message: what was wrong.
        hint: what to do; may be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class MessageError(BridgeError):
    """A message that breaks the protocol. `place` is such as ``inputs.source.width``."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}." if place else f"{what[:1].upper()}{what[1:]}.")
        self.place = place
