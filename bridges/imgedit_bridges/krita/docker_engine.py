"""The docker's side of the engine: keeps to `seam.Engine`, and knows documents by their edits."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from krita import Krita

from imgedit_bridges.client import BridgeError
from imgedit_bridges.krita import canvas, closing, kept, looking, seam, trying, undoing
from imgedit_bridges.krita.background import Steps, Task, Work
from imgedit_bridges.krita.engine import Engine, sentence
from imgedit_bridges.krita.gestures import Gestures
from imgedit_bridges.krita.showing import Showing
from imgedit_bridges.krita.states import first_plan
from imgedit_bridges.krita.turns import KRITA
from imgedit_bridges.step_previews import PreviewPicture

_SETTINGS = "imgedit"
_REMEDY = "imgedit-plugins install krita"
_LATE = 2.0  # seconds
_IDS = re.compile(r"[^\w./-]")


class DockerEngine:
    """What the docker asks; see `seam.Engine` for the methods.

    Args:
        engine: of the extension.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._listeners: list[seam.Listener] = []
        self._vocabulary: list[dict[str, Any]] | None = None
        self._actions: list[dict[str, Any]] = []
        self._asking: Task | None = None
        self._trying: Task | None = None
        self._was_asked = False
        self._command = ""
        self._called: dict[str, str] = {}  # id of a group -> what its edit is called
        self._watches: list[Any] = []
        self._seen = ""  # what the edit that was last looked at is called
        self._newest = ("", 0.0)  # id of the group that a change made last, and when
        self._waiting: tuple[str, Mapping[str, Any]] | None = None
        self._changing: tuple[str, Mapping[str, Any], Any, set[str]] | None = None
        self._asleep: dict[str, Mapping[str, Any]] = {}  # changes of edits behind another picture
        self._showing = Showing(engine, self._find, self.say)
        self._last = seam.Situation()
        self._gestures = Gestures()
        engine.progressed.connect(self._progressed)
        engine.previewed.connect(self._previewed)
        engine.busy.connect(lambda _: self._tell_changed())
        engine.finished.connect(self._finished)
        engine.failed.connect(self._failed)
        engine.cancelled.connect(lambda: self._over("", failed=False))

    def listen(self, listener: seam.Listener) -> None:
        """One docker in each window."""
        self._listeners.append(listener)

    # --- looking ------------------------------------------------------------------------------

    def look(self) -> seam.Situation:
        """How things stand; how they stood, in the middle of a change."""
        if not KRITA.is_taken:
            self._wake()
            self._last = self._looked()
        return self._last

    def _looked(self) -> seam.Situation:
        self._watches += undoing.watch(self._is_half_undone, self._undone)
        problem = self._problem()
        document = Krita.instance().activeDocument()
        found = self._current(document) if document is not None else None
        edit = None
        if document is not None and found is not None:
            self._seen = self._key(found)
            edit = looking.edit(found, self._seen, document, self._vocabulary or [])
        name = (document.name() or Path(document.fileName()).name or "Unnamed") if document else ""
        return seam.Situation(
            name, edit, looking.commands(document, found, self._actions, problem),
            self._vocabulary, problem, _REMEDY if problem else "",
        )  # fmt: skip

    def prepare(self) -> None:
        """Ask for operations and actions, once; after a fault when something is asked again."""
        if self._was_asked or self._problem():
            return
        self._was_asked = True
        client = self._engine.session.client

        def steps() -> Any:
            vocabulary = yield from self._engine.session.operations()
            actions = yield Work(lambda _: client.actions())
            return vocabulary, actions

        self._asking = Task(steps(), self._engine)
        self._asking.ended.connect(self._answered)
        self._asking.start()

    def layers(self) -> seam.Layers:
        """Those of the active document."""
        document = Krita.instance().activeDocument()
        return looking.layers(document) if document is not None else seam.Layers()

    def thumbnail(self, layer: str, width: int, height: int) -> Any:
        """A layer as a QImage."""
        document = Krita.instance().activeDocument()
        node = kept.find(document, layer) if document is not None else None
        return trying.small(node, width, height) if node is not None else None

    # --- doing --------------------------------------------------------------------------------

    def preview(
        self, command: str, values: Mapping[str, Any], size: int, done: seam.Previewed
    ) -> None:
        """A small picture of what a plan or an action makes of the active layer."""
        if self._trying is not None:
            self._trying.cancel()
        document = Krita.instance().activeDocument()
        node = document.activeNode() if document is not None else None
        if node is None:
            done(None, None, "No layer is active.")
            return
        try:
            steps = self._steps_of_preview(command, values, node, size)
        except BridgeError as error:
            done(None, None, str(error))
            return
        task = self._trying = Task(steps, self._engine)

        def ended(pictures: Any, error: BaseException | None) -> None:
            if task is self._trying:
                before, after = pictures if error is None else (None, None)
                done(before, after, "" if error is None else sentence(error))

        task.ended.connect(ended)
        task.start()

    def _steps_of_preview(
        self, command: str, values: Mapping[str, Any], node: Any, size: int
    ) -> Steps:
        session = self._engine.session
        if command == seam.APPLY_PLAN:
            return trying.plan_on(session, node, Path(values["path"]), size)
        return trying.action_on(session, node, self._action(command), values, size)

    def start(self, command: str, values: Mapping[str, Any]) -> None:
        """Start a command."""
        self._refuse_two()
        document = Krita.instance().activeDocument()
        if document is None:
            raise BridgeError("No picture is open.", hint="Open one and try again.")
        self._command = command
        if command == seam.RECOVER:
            nodes = [kept.find(document, values[name]) for name in ("before", "after")]
            if None in nodes:
                raise BridgeError("A layer that was chosen is gone.", hint="Choose again.")
            swap = sorted(nodes, key=canvas.place_of)[0] is not nodes[0]
            self._engine.recover(nodes, swap=swap)
        elif command == seam.APPLY_PLAN:
            self._engine.apply_file(Path(values["path"]))
        elif command == seam.COPY_EDIT:
            self._engine.copy_edit([self._active_group(document)])
        elif command == seam.SAVE_PLAN:
            self._engine.save_plan(Path(values["path"]), [self._active_group(document)])
        elif command == seam.EXPLAIN:
            self._engine.explain([self._active_group(document)])
        else:
            self._start_action(command, values)

    def _start_action(self, command: str, values: Mapping[str, Any]) -> None:
        self._engine.run_action(
            self._action(command),
            instruction=str(values.get("instruction") or ""),
            options=values.get("options"),
        )

    def _action(self, command: str) -> Mapping[str, Any]:
        for action in self._actions:
            if f"{action['plugin']}/{action['id']}" == command:
                return action
        raise BridgeError(f"There is no command {command!r}.", hint="Open the menu again.")

    def begin(self, operation: str) -> None:
        """A new edit with one operation."""
        self._refuse_two()
        known = {str(one["name"]): one for one in self._vocabulary or ()}
        if operation not in known:
            raise BridgeError(f"There is no operation {operation!r}.")
        self._command = ""
        self._engine.apply_plan(first_plan(known[operation]))

    def change(self, edit: str, state: Mapping[str, Any]) -> None:
        """Change an edit now, or as soon as the work before is done."""
        self._asleep.pop(edit, None)
        self._waiting = (edit, state)
        self._change_next()

    def show(self, edit: str, *, on: bool) -> None:
        """Show or hide a group, as soon as Krita has painted what it is painting."""
        self._showing.show(edit, on=on)

    def cancel(self) -> None:
        """End the work."""
        self._waiting = None
        self._engine.cancel()

    def say(self, message: str, *, failed: bool) -> None:
        """Let the dockers say something."""
        self._tell("told", message, "", failed=failed)

    # --- settings -----------------------------------------------------------------------------

    def setting(self, name: str) -> str:
        """From Krita's own settings."""
        return str(Krita.instance().readSetting(_SETTINGS, _IDS.sub("_", name), ""))

    def write_setting(self, name: str, value: str) -> None:
        """Into Krita's own settings."""
        Krita.instance().writeSetting(_SETTINGS, _IDS.sub("_", name), value)

    # --- the engine tells ---------------------------------------------------------------------

    def _progressed(self, stage: str, share: float) -> None:
        self._tell("progress", stage, share)

    def _previewed(self, picture: PreviewPicture) -> None:
        self._tell("previewed", trying.image_of(picture))

    def _finished(self, value: Any) -> None:
        if self._changing is not None:
            edit, state, document, before = self._changing
            if value is None:
                self._asleep[edit] = state
            else:
                self._call_alike(edit, document, before)
            self._changing = None
        told = ""
        if self._command == seam.COPY_EDIT:
            told = f"The edit is in {value} other {'picture' if value == 1 else 'pictures'} now."
        elif self._command == seam.SAVE_PLAN:
            told = f"Saved as {value}."
        text = str(value) if self._command == seam.EXPLAIN else ""
        self._over(told, failed=False)
        if text:
            self._tell("explained", text, first=True)

    def _failed(self, told: str) -> None:
        self._changing = self._waiting = None
        self._over(told, failed=True)

    def _over(self, told: str, *, failed: bool) -> None:
        self._changing, self._command = None, ""
        if self._waiting is not None:
            self._change_next()
            return
        self._tell("ended", told, "", failed=failed)

    def _answered(self, found: Any, error: BaseException | None) -> None:
        if error is not None:
            self._was_asked = False
            self.say(sentence(error), failed=True)
            return
        self._vocabulary, self._actions = found
        self._tell_changed()

    def _tell_changed(self) -> None:
        self._tell("changed")

    def _tell(self, what: str, *values: Any, first: bool = False, **named: Any) -> None:
        """Tell all dockers, or one of them."""
        for one in list(self._listeners):
            try:
                getattr(one, what)(*values, **named)
            except RuntimeError:  # its window is closed, and Qt has deleted the docker with it
                self._listeners.remove(one)
            else:
                if first:
                    return

    # --- edits by what they are called --------------------------------------------------------

    def _change_next(self) -> None:
        if self._engine.is_busy or self._waiting is None or KRITA.postpones(self._change_next):
            return
        (edit, state), self._waiting = self._waiting, None
        found = self._find(edit)
        if found is None:
            self._over("The edit that was changed is gone.", failed=True)
            return
        document, one = found
        before = {kept.key(one.group) for one in kept.edits(document)}
        self._changing = (edit, state, document, before)
        self._engine.change(
            one, state["plan"], strength=state["strength"], state=state, document=document,
            continues=self._gestures.continues(edit, looking.state(one.kept), state),
        )  # fmt: skip

    def _wake(self) -> None:
        """Carry out the change of an edit whose picture is in front again."""
        for edit, state in list(self._asleep.items()):
            found = self._find(edit)
            if found is None:
                del self._asleep[edit]
            elif closing.is_in_front(found[0]) and not self._engine.is_busy:
                self.change(edit, state)
                return

    def _call_alike(self, edit: str, document: Any, before: set[str]) -> None:
        """A group that took another one's place is the same edit."""
        for one in kept.edits(document):
            if (name := kept.key(one.group)) not in before:
                self._called[name] = edit
                self._newest = (name, time.monotonic())

    def _current(self, document: Any) -> kept.Edit | None:
        """The active edit. Krita says a little late that a group has taken another one's place."""
        found = self._engine.current(document)
        name, when = self._newest
        if found is not None and name and time.monotonic() - when < _LATE:
            edits = kept.edits(document)
            newest = next((one for one in edits if kept.key(one.group) == name), None)
            if newest is not None and self._key(newest) == self._key(found):
                return newest
        return found

    def _is_half_undone(self) -> bool:
        document = Krita.instance().activeDocument()
        if document is None or self._engine.is_busy:  # a change has both for a moment
            return False
        found = kept.edits(document)
        called = [name for one in found if (name := self._called.get(kept.key(one.group)))]
        names = [self._key(one) for one in found]
        return any(names.count(name) > 1 for name in called)

    def _undone(self) -> None:
        """The edit that was seen is seen again, though Krita has made another layer active."""
        self._newest = ("", 0.0)
        self._gestures.end()
        document = Krita.instance().activeDocument()
        if document is not None and self._engine.current(document) is None:
            for one in kept.edits(document):
                if self._key(one) == self._seen:
                    document.setActiveNode(one.group)
                    break
        self._tell_changed()

    def _key(self, found: kept.Edit) -> str:
        name = kept.key(found.group)
        return self._called.get(name, name)

    def _find(self, edit: str) -> tuple[Any, kept.Edit] | None:
        for document in Krita.instance().documents():
            alike = [one for one in kept.edits(document) if self._key(one) == edit]
            active = self._engine.current(document)
            if active is not None and self._key(active) == edit:
                return document, active
            if alike:
                return document, alike[0]
        return None

    def _active_group(self, document: Any) -> Any:
        found = self._current(document)
        if found is None:
            raise BridgeError("The active layer has no edit.")
        return found.group

    def _refuse_two(self) -> None:
        if self._engine.is_busy:
            raise BridgeError("imgedit is still at work.", hint="Wait for it, or cancel it.")

    def _problem(self) -> str:
        try:
            python = self._engine.session.python
        except BridgeError as error:
            return error.message
        if not Path(python).is_file():
            return f"The Python that imgedit was installed with is gone: {python}."
        return ""
