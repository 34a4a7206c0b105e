"""The docker's contents: what can be done, the plan of the active edit, and how work goes on.

Knows Krita only through an `Engine`, so it runs in any Qt program.
"""

from __future__ import annotations

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.krita import dialogs, seam
from imgedit_bridges.krita.add_step import AddStep
from imgedit_bridges.krita.pane_parts import Beginning, CommandRow, EditHead, History, Status
from imgedit_bridges.krita.plan_view import PlanView
from imgedit_bridges.krita.qt import QtCore, QtGui, QtWidgets
from imgedit_bridges.krita.style import spacing
from imgedit_bridges.steps import StepList

CHANGE_MS = 150
"""So long nothing more must be changed before the document is."""

LOOK_MS = 400  # Krita tells nobody that another layer is active


class Pane(QtWidgets.QWidget):
    """What the artist works with; a `seam.Listener`.

    Args:
        engine: carries everything out.
    """

    def __init__(self, engine: seam.Engine) -> None:
        super().__init__()
        self.engine = engine
        self.situation = seam.Situation()
        self._shown: dict[str, object] = {}  # the state that the plan was last in agreement with
        self._add_when_known = False
        self._is_ours = False  # whether a change of ours is on its way
        self.commands = CommandRow(self._command)
        self.head = EditHead(self._show_edit)
        self.plan = PlanView()
        self.history = History(self._go_back)
        self.beginning = Beginning(self._add_step)
        self.status = Status(self.engine.cancel)
        self.plan.leaders = (self.head.before,)
        self.plan.followers = (self.history.box, self.status.message.closer, self.status.cancel)
        self._lay_out()
        self.plan.changed.connect(self._changed)
        self.plan.add_wanted.connect(self._add_step)
        self._later = QtCore.QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(CHANGE_MS)
        self._later.timeout.connect(self._send)
        self._looking = QtCore.QTimer(self)
        self._looking.setInterval(LOOK_MS)
        self._looking.timeout.connect(self.look)
        engine.listen(self)
        self.look()

    # --- the engine tells ---------------------------------------------------------------------

    def changed(self) -> None:
        """Something is different."""
        self.look()
        if self._add_when_known and self.situation.vocabulary:
            self._add_when_known = False
            self._add_step()

    def progress(self, stage: str, share: float) -> None:
        """Work goes on."""
        self.status.show_work(stage, share)

    def previewed(self, image: object) -> None:
        """What the edit looks like so far."""
        self.status.show_picture(image)

    def told(self, message: str, hint: str, *, failed: bool) -> None:
        """Something to say."""
        self.status.tell(message, hint, failed=failed)

    def explained(self, text: str) -> None:
        """The edit in words."""
        dialogs.explain(self, text)

    def ended(self, message: str, hint: str, *, failed: bool) -> None:
        """Work is over."""
        self._is_ours = self._add_when_known = False
        self.status.end_work()
        if message:
            self.told(message, hint, failed=failed)
        self.look()

    # --- looking ------------------------------------------------------------------------------

    def look(self) -> None:
        """Show how things stand now."""
        now = self.engine.look()
        if now.edit is None or self.situation.edit is None or (
            now.edit.key != self.situation.edit.key
        ):  # fmt: skip
            self._forget_change()
        knew = self.situation
        self.situation = now
        self.commands.show_commands(now.commands)
        self.beginning.show_situation(now)
        for widget in (self.head, self.plan):
            widget.setVisible(now.edit is not None)
        self.beginning.setVisible(now.edit is None)
        if now.edit is not None:
            self._show(now.edit, anew=now.vocabulary != knew.vocabulary)
            if now.vocabulary is None:
                self.engine.prepare()
        else:
            self.history.show_history(())

    def _show(self, edit: seam.Edit, *, anew: bool) -> None:
        self.head.show_edit(edit)
        self.history.show_history(edit.history)
        if self._later.isActive() or self._is_ours:
            return  # what the user just did counts, not what the document still has
        state = seam.plain(edit.state)
        if anew or self.plan.steps is None or state != self._shown:
            self._shown = state
            try:
                steps = StepList.restore(state, self.situation.vocabulary or ())
            except BridgeError as error:
                self.status.tell(error.message, error.hint, failed=True)
                steps = StepList({"operations": []}, self.situation.vocabulary or ())
            self.plan.show_steps(steps, edit.baked)
        else:
            self.plan.show_baked(edit.baked)

    # --- the user changes the plan ------------------------------------------------------------

    def _changed(self) -> None:
        self._later.start()

    def _send(self) -> None:
        edit, steps = self.situation.edit, self.plan.steps
        if edit is None or steps is None:
            return
        state = seam.plain(steps.state())
        if state == self._shown:
            return
        self._shown = state
        self._is_ours = True
        if not self._try(lambda: self.engine.change(edit.key, state)):
            self._is_ours = False

    def _forget_change(self) -> None:
        """Another edit is active: what was to be changed belongs to the one before."""
        if self._later.isActive():
            self._later.stop()
            self._send()
        self._is_ours = False
        self._shown = {}

    def _go_back(self, kept: seam.Kept) -> None:
        if (edit := self.situation.edit) is not None:
            self._later.stop()
            self._is_ours = False
            self._try(lambda: self.engine.change(edit.key, kept.state))
            self.look()

    def _show_edit(self, *, on: bool) -> None:
        if (edit := self.situation.edit) is not None:
            self._try(lambda: self.engine.show(edit.key, on=on))

    def _add_step(self) -> None:
        if not self.situation.vocabulary:
            self.engine.prepare()
            self._add_when_known = True
            return
        dialog = AddStep(self.situation.vocabulary, self)
        if not dialog.exec() or not dialog.chosen():
            return
        self.status.clear()
        if self.situation.edit is None:
            self._try(lambda: self.engine.begin(dialog.chosen()))
        else:
            self.plan.append(dialog.chosen())

    # --- commands -----------------------------------------------------------------------------

    def _command(self, command: seam.Command) -> None:
        self.status.clear()
        values = dialogs.ask(self, self.engine, command)
        if values is not None:
            self._try(lambda: self.engine.start(command.id, values))
            self.look()

    def _try(self, do: object) -> bool:
        """Whether it went well; else the docker says why not."""
        assert callable(do)
        try:
            do()
        except BridgeError as error:
            self.status.tell(error.message, error.hint, failed=True)
            return False
        return True

    # --- its window ---------------------------------------------------------------------------

    def showEvent(self, event: QtGui.QShowEvent) -> None:  # noqa: N802, D102
        super().showEvent(event)
        self.look()
        self._looking.start()

    def enterEvent(self, event: QtCore.QEvent) -> None:  # noqa: N802, D102
        super().enterEvent(event)
        self.engine.prepare()  # what is looked at will soon be used

    def hideEvent(self, event: QtGui.QHideEvent) -> None:  # noqa: N802, D102
        super().hideEvent(event)
        self._looking.stop()

    def _lay_out(self) -> None:
        column = QtWidgets.QVBoxLayout(self)
        edge = spacing(self, 0.5)
        column.setContentsMargins(edge, edge, edge, edge)
        column.setSpacing(edge)
        column.addWidget(self.commands)
        column.addWidget(self.beginning, 1)
        column.addWidget(self.head)
        column.addWidget(self.plan, 1)
        column.addWidget(self.history)
        column.addWidget(self.status)
