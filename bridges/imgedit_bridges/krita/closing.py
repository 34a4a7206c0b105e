"""Work on a document that the user may leave or close meanwhile: it ends with a sentence.

What Krita's Python still holds of a closed document leads nowhere, and Krita may crash with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from krita import Krita

from imgedit_bridges.client import BridgeError
from imgedit_bridges.krita.background import Steps
from imgedit_bridges.krita.canvas import same


def is_open(document: Any) -> bool:
    """Whether a document that had a window, or was opened by us, is still there."""
    return any(one == document for one in Krita.instance().documents())


def is_in_front(document: Any) -> bool:
    """Whether a document is the one that is seen; without windows all are."""
    app = Krita.instance()
    return app.activeWindow() is None or bool(app.activeDocument() == document)


def stands_aside(document: Any, group: Any, other: Any) -> bool:
    """Make another layer active if a group is, or a layer in it; whether the group can go.

    Krita 5.2 forgets that a view's active layer is gone when the view is not in front, and crashes
    when a layer is added or hidden afterwards.
    """
    if not is_in_front(document):
        return False
    if _is_within(document.activeNode(), group):
        document.setActiveNode(other)
    return not _is_within(document.activeNode(), group)


def _is_within(node: Any, group: Any) -> bool:
    while node is not None and not same(node, group):
        node = node.parentNode()
    return node is not None


def while_open(documents: Sequence[Any], steps: Steps) -> Steps:
    """Carry out steps as long as these documents are open.

    Raises:
        BridgeError: one was closed; whatever the steps raise.
    """
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            wanted = steps.throw(error) if error is not None else steps.send(value)
        except StopIteration as end:
            return end.value
        value, error = None, None
        try:
            value = yield wanted
        except Exception as fault:  # theirs to handle
            error = fault
        if error is None and not all(map(is_open, documents)):
            error = BridgeError(
                "The picture was closed before the edit was done.", hint="Open it and try again."
            )
