"""What dialogs, menu and docker call: one piece of work at a time, told by signals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from krita import Krita

from imgedit_bridges.client import BridgeError, JobCancelledError
from imgedit_bridges.edits import Plan
from imgedit_bridges.krita import actions, canvas, hooks, kept
from imgedit_bridges.krita.background import Steps, Task, Work
from imgedit_bridges.krita.closing import is_open, while_open
from imgedit_bridges.krita.kept import Edit
from imgedit_bridges.krita.qt import QObject, signal
from imgedit_bridges.krita.session import Session

Done = Callable[[Any], None]


class Engine(QObject):  # type: ignore[misc]
    """The extension's work. All methods return at once and are for the main thread.

    Signals:
        busy: whether something is being worked on.
        progressed: (what is being done, how much of it: 0..1 or below 0 where not known).
        previewed: what an edit looks like meanwhile, a `PreviewPicture`.
        finished: what came of it: a plan, a text or a number; `edited` says more.
        edited: the document whose edits have changed.
        failed: one sentence for the user.
        cancelled: the user's own doing.
    """

    busy = signal(bool)
    progressed = signal(str, float)
    previewed = signal(object)
    finished = signal(object)
    edited = signal(object)
    failed = signal(str)
    cancelled = signal()

    def __init__(self, session: Session | None = None, parent: Any = None) -> None:
        super().__init__(parent)
        self.session = session or Session()
        self._task: Task | None = None

    # --- actions ------------------------------------------------------------------------------

    def recover(
        self, nodes: Sequence[Any] | None = None, *, swap: bool = False, document: Any = None
    ) -> None:
        """Recover the edit between two layers; see `actions.recover`."""
        self._on(document, nodes, lambda d, n: actions.recover(self.session, d, n, swap=swap))

    def apply_plan(
        self,
        plan: Plan,
        nodes: Sequence[Any] | None = None,
        *,
        strength: float = 1.0,
        document: Any = None,
    ) -> None:
        """Put a plan on layers; see `actions.apply_plan`."""
        self._on(
            document, nodes,
            lambda d, n: actions.apply_plan(self.session, d, n, plan, strength=strength),
        )  # fmt: skip

    def apply_file(
        self,
        path: Path,
        nodes: Sequence[Any] | None = None,
        *,
        strength: float = 1.0,
        document: Any = None,
    ) -> None:
        """Put a file's plan on layers; see `actions.apply_file`."""
        self._on(
            document, nodes,
            lambda d, n: actions.apply_file(self.session, d, n, path, strength=strength),
        )  # fmt: skip

    def copy_edit(self, nodes: Sequence[Any] | None = None, *, document: Any = None) -> None:
        """Put a layer's edit on all other open documents; see `actions.copy_edit`."""
        self._on(
            document, nodes, lambda d, n: actions.copy_edit(self.session, d, _one(n)),
            changes=canvas.other_documents,
        )  # fmt: skip

    def change(
        self,
        edit: Edit,
        plan: Plan,
        *,
        strength: float = 1.0,
        state: Mapping[str, Any] | None = None,
        continues: bool = False,
        document: Any = None,
    ) -> None:
        """Let an edit become another one; see `actions.change`."""
        self._on(
            document, [edit.group],
            lambda d, _: actions.change(
                self.session, d, edit, plan, strength=strength, state=state, continues=continues
            ),
        )  # fmt: skip

    def explain(self, nodes: Sequence[Any] | None = None, *, document: Any = None) -> None:
        """Say in words what an edit does; `finished` gets the text."""
        self._on(
            document, nodes, lambda d, n: actions.explain(self.session, d, _one(n)),
            changes=lambda _: [],
        )  # fmt: skip

    def save_plan(
        self, path: Path, nodes: Sequence[Any] | None = None, *, document: Any = None
    ) -> None:
        """Write a layer's plan as JSON; `finished` gets the path."""

        def steps(found: Any, chosen: Sequence[Any]) -> Steps:
            actions.save_plan(found, _one(chosen), path)
            return path
            yield

        self._on(document, nodes, steps, changes=lambda _: [])

    def run_action(
        self,
        action: Mapping[str, Any],
        nodes: Sequence[Any] | None = None,
        *,
        instruction: str = "",
        options: Mapping[str, Any] | None = None,
        seed: int = 0,
        document: Any = None,
    ) -> None:
        """Carry out a plugin's menu action; see `hooks.run_action`."""
        self._on(
            document, nodes,
            lambda d, n: hooks.run_action(
                self.session, d, n, action, instruction=instruction, options=options, seed=seed
            ),
        )  # fmt: skip

    def actions(self, done: Done) -> None:
        """Get the plugins' menu actions; `done` gets a list, empty without a worker."""

        def steps() -> Steps:
            return (yield Work(lambda _: self.session.client.actions()))

        self._ask(steps(), done)

    def operations(self, done: Done) -> None:
        """Get the vocabulary, which panes need; `done` gets a list, empty without a worker."""
        self._ask(self.session.operations(), done)

    def cancel(self) -> None:
        """End what is being worked on; nothing is changed then."""
        if self._task is not None:
            self._task.cancel()

    # --- answers at once ----------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether something is being worked on."""
        return self._task is not None

    def current(self, document: Any = None) -> Edit | None:
        """The edit of the active layer; None where it has none."""
        found = document or Krita.instance().activeDocument()
        node = found.activeNode() if found is not None else None
        return kept.edit_of(found, node) if node is not None else None

    def history(self, document: Any = None) -> list[dict[str, Any]]:
        """The plans that were used in a document, the newest first; see `kept.history`."""
        found = document or Krita.instance().activeDocument()
        return kept.history(found) if found is not None else []

    # --- carrying out -------------------------------------------------------------------------

    def _ask(self, steps: Steps, done: Done) -> None:
        task = Task(steps, self)
        task.ended.connect(lambda value, _: done(value or []))
        task.start()

    def _on(
        self,
        document: Any,
        nodes: Sequence[Any] | None,
        make: Callable[[Any, Sequence[Any]], Steps],
        changes: Callable[[Any], Sequence[Any]] | None = None,
    ) -> None:
        found = document or Krita.instance().activeDocument()
        if found is None:
            self.failed.emit("No picture is open. Open one and try again.")
            return
        if self._task is not None:
            self.failed.emit("imgedit is still at work. Wait for it, or cancel it.")
            return
        chosen = list(nodes) if nodes is not None else canvas.selected_nodes(found)
        changed = list(changes(found)) if changes else [found]
        used = [found, *(one for one in changed if one != found)]
        try:
            steps = make(found, chosen)
        except BridgeError as error:
            self.failed.emit(str(error))
            return
        self._task = Task(while_open(used, steps), self)
        self._task.progressed.connect(self.progressed)
        self._task.previewed.connect(self.previewed)
        self._task.ended.connect(lambda value, error: self._ended(value, error, changed))
        self.busy.emit(True)
        self._task.start()

    def _ended(self, value: Any, error: BaseException | None, changed: Sequence[Any]) -> None:
        self._task = None
        self.busy.emit(False)
        if error is None:
            for one in filter(is_open, changed):
                self.edited.emit(one)
            self.finished.emit(value)
        elif isinstance(error, JobCancelledError):
            self.cancelled.emit()
        else:
            self.failed.emit(sentence(error))


def sentence(error: BaseException) -> str:
    """A fault in one sentence for the user."""
    if isinstance(error, BridgeError):
        return str(error)
    what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
    return f"Unexpected: {what}. Please report it."


def _one(nodes: Sequence[Any]) -> Any:
    if len(nodes) != 1:
        raise BridgeError("One layer is needed.", hint="Select one layer and try again.")
    return nodes[0]
