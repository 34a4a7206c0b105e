"""What the docker and the dialogs need of the engine, and what it tells them; nothing of Qt.

Everything is called in Krita's main thread, in both directions; what takes long goes on in a
thread of the engine's own and is told through the `Listener`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

RECOVER, APPLY_PLAN = "recover", "apply-plan"
COPY_EDIT, SAVE_PLAN, EXPLAIN = "copy-edit", "save-plan", "explain"


Previewed = Callable[[Any, Any, str], None]
"""Told (before, after, reason): two QImage and '', or two None and why there are none."""


@dataclass(frozen=True)
class Command:
    """Something that can be done, as a button or a menu entry.

    Attributes:
        id: one of the constants above, or 'PLUGIN/ACTION'.
        label: with '…' where it asks something first.
        help: for the tooltip.
        inputs: what is collected for it, as `Client.actions` tells ('instruction', ...).
        options: as `Client.actions` tells.
        refusal: why it cannot be done now: one sentence; empty where it can.
    """

    id: str
    label: str
    help: str = ""
    inputs: Sequence[str] = ()
    options: Sequence[Mapping[str, Any]] = ()
    refusal: str = ""


@dataclass(frozen=True)
class Kept:
    """A state of an edit that the document keeps.

    Attributes:
        title: for the list of earlier plans: what it does.
        when: local time as ISO 8601 text; may be empty.
        state: what `StepList.restore` takes.
    """

    title: str
    when: str
    state: Mapping[str, Any]


@dataclass(frozen=True)
class Edit:
    """The edit that the active layer belongs to.

    Attributes:
        key: the same as long as it is the same edit of the same document.
        title: the name of its group.
        state: what `StepList.restore` takes.
        shown: whether its group is visible.
        history: earlier states, the newest first.
        baked: index of a step -> why it is pixels and no live filter, as one sentence.
    """

    key: str
    title: str
    state: Mapping[str, Any]
    shown: bool = True
    history: Sequence[Kept] = ()
    baked: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Situation:
    """How things stand now.

    Attributes:
        document: the active one's name; empty where none is open.
        edit: the active edit.
        commands: all that there are, the core's own first.
        vocabulary: as `Client.operations` gives it; None until the worker has told it.
        problem: why nothing works (no installation record, no worker): one sentence.
        remedy: the command line that helps, to be copied; may be empty.
    """

    document: str = ""
    edit: Edit | None = None
    commands: Sequence[Command] = ()
    vocabulary: Sequence[Mapping[str, Any]] | None = None
    problem: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Layers:
    """The layers that can be before or after an edit.

    Attributes:
        names: (key, name), the uppermost first.
        before, after: keys of those that are most likely meant; empty where there are none.
    """

    names: Sequence[tuple[str, str]] = ()
    before: str = ""
    after: str = ""


class Listener(Protocol):
    """Who is told how work goes on."""

    def changed(self) -> None:
        """Something else than the last `look` told is so now."""

    def progress(self, stage: str, share: float) -> None:
        """Work goes on; `share` is 0..1, or below 0 where nobody knows."""

    def previewed(self, image: Any) -> None:
        """What the edit looks like so far, a QImage; not told of all work."""

    def explained(self, text: str) -> None:
        """What 'explain' came to: one fact a line."""

    def told(self, message: str, hint: str, *, failed: bool) -> None:
        """Something to say to the user, whatever is being worked on."""

    def ended(self, message: str, hint: str, *, failed: bool) -> None:
        """The work is done, cancelled or failed; `message` may be empty, or a warning."""


class Engine(Protocol):
    """What carries things out in Krita."""

    def listen(self, listener: Listener) -> None:
        """Tell this one from now on."""

    def look(self) -> Situation:
        """How things stand; cheap enough to be asked several times a second."""

    def prepare(self) -> None:
        """Ask the worker what it can do, if that is not known; `changed` tells when it is."""

    def layers(self) -> Layers:
        """Those of the active document."""

    def thumbnail(self, layer: str, width: int, height: int) -> Any:
        """A layer as a QImage of at most that size; None where there is no such layer."""

    def preview(self, command: str, values: Mapping[str, Any], size: int, done: Previewed) -> None:
        """Make a small picture of what `start` would make, without changing the document.

        Args:
            command: as for `start`.
            values: as for `start`.
            size: of its longer side in pixels, at most.
            done: told the pictures before and after, both QImage; or None and why not. Only the
                newest preview that was asked for is told.
        """

    def start(self, command: str, values: Mapping[str, Any]) -> None:
        """Start a command.

        Args:
            command: its id.
            values: of 'recover': 'before' and 'after', keys of `layers`; of 'apply-plan' and
                'save-plan': 'path'; of a plugin's: 'instruction', 'options', 'seed'.

        Raises:
            BridgeError: it cannot be started.
        """

    def change(self, edit: str, state: Mapping[str, Any]) -> None:
        """Make an edit's group and what is kept of it agree with a state, as one undo step.

        Asked again before it is done, the newest state is what counts.
        """

    def show(self, edit: str, *, on: bool) -> None:
        """Show or hide an edit's group."""

    def begin(self, operation: str) -> None:
        """Begin a new edit with one operation on the active layer.

        Raises:
            BridgeError: it cannot be begun.
        """

    def cancel(self) -> None:
        """End what is being worked on."""

    def setting(self, name: str) -> str:
        """What was last written for a name; empty where nothing was."""

    def write_setting(self, name: str, value: str) -> None:
        """Keep a text for the next time, beyond this session."""


def plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state as JSON gives it back, so that two can be compared."""
    found: dict[str, Any] = json.loads(json.dumps(state))
    return found
