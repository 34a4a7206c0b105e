"""Waiting for Krita's own work, while its interface goes on."""

from __future__ import annotations

import itertools
from typing import Any

from imgedit_bridges.client import JobCancelledError
from imgedit_bridges.krita.background import Pause, Steps, Work

_WAIT = 20  # ms
_LONG = 50  # waits


def settled(*documents: Any) -> Steps:
    """Wait until Krita has computed documents, while its interface goes on.

    Whatever waits in Krita itself must come right after this: as long as a tool or a layer that is
    being moved has work open, Krita would wait for ever, and its interface with it.
    """
    yield Pause(_WAIT)  # for work that has been ordered, but has not begun
    for number in itertools.count(1):
        if not any(map(is_at_work, documents)):
            return
        if number == _LONG:
            yield Work(lambda told: told("Waiting until Krita has done what it is doing", -1.0))
        yield Pause(_WAIT)


def is_at_work(document: Any) -> bool:
    """Whether Krita is computing the document, or has work open; a closed one is not."""
    if document.rootNode() is None:
        return False
    if not document.tryBarrierLock():
        return True
    document.unlock()
    return False


def repaint(document: Any, active: Any = None) -> Steps:
    """Have Krita compute a document that got a group which was filled before.

    Krita takes such a group for empty: it shows nothing of it, and nothing at all in the place of
    a pass-through one. Nothing that an extension can call makes it look again without blocking
    meanwhile; changing the blending mode of a layer takes twice as long.

    Args:
        document: which.
        active: the layer to be selected, which its window may have to hear of first.
    """
    try:
        yield from settled(document)
        if active is not None:
            document.setActiveNode(active)
            yield from settled(document)  # Krita may have begun something because of that
    except JobCancelledError:
        return  # it is in the document, and seen as soon as something there is computed
    document.refreshProjection()
