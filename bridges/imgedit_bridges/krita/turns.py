"""One at a time: nothing of ours begins in the middle of something else of ours.

Krita handles events while it waits for its own work (a node that is removed, a picture that is
computed), so a timer or a button can call us in the middle of a call of ours. What they found then
would be half done: a group was hidden while it was being removed, and Krita crashed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from imgedit_bridges.krita.qt import QTimer

_AGAIN_MS = 10


class Turns:
    """Whose turn it is on Krita's main thread.

    Attributes:
        is_taken: whether something of ours is in the middle of a call of Krita's.
    """

    def __init__(self) -> None:
        self.is_taken = False

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the turn as long as the block lasts.

        Raises:
            RuntimeError: somebody has it.
        """
        if self.is_taken:
            raise RuntimeError("It is not our turn.")
        self.is_taken = True
        try:
            yield
        finally:
            self.is_taken = False

    def postpones(self, do: Callable[[], None]) -> bool:
        """Whether it is somebody's turn; then `do` is called a little later, to ask again."""
        if self.is_taken:
            QTimer.singleShot(_AGAIN_MS, do)
        return self.is_taken


KRITA = Turns()
"""Those of this Krita."""
