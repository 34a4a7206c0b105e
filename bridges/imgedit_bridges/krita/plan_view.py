"""A plan as a list of steps that can be adjusted, and the strength of the whole."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from imgedit_bridges.krita.parameter_row import ScaleRow
from imgedit_bridges.krita.qt import QtCore, QtWidgets
from imgedit_bridges.krita.step_row import StepRow
from imgedit_bridges.krita.style import plain_scroll, quietly, spacing
from imgedit_bridges.steps import Scale, Step, StepList

_FEW = 4  # parameters of a whole plan that are all shown at once
_STRENGTH = Scale(0.0, 200.0, 1.0, 0)


class PlanView(QtWidgets.QWidget):
    """The steps of one edit; changes `steps` itself.

    Attributes:
        steps: what is shown.
        rows: one for each step.
        leaders, followers: from what the Tab key leads to the first step, and to what from the
            strength.

    Signals:
        changed: the user changed the plan or its strength.
        add_wanted: the user wants one more step.
    """

    changed = QtCore.pyqtSignal()
    add_wanted = QtCore.pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.steps: StepList | None = None
        self.rows: list[StepRow] = []
        self.leaders: Sequence[QtWidgets.QWidget] = ()
        self.followers: Sequence[QtWidgets.QWidget] = ()
        self._baked: Mapping[int, str] = {}
        self._opened: dict[int, bool] = {}  # by id(step): as the user left it
        self._scroll = QtWidgets.QScrollArea()
        plain_scroll(self._scroll)
        self.add = QtWidgets.QPushButton("A&dd step…")
        self.add.setToolTip("Choose one more operation for the end of the list")
        self.add.clicked.connect(self.add_wanted)
        self.strength = ScaleRow(
            "Stren&gth", "Strength of the whole edit", _STRENGTH, "%", 100.0, self._weakened
        )
        self._strength_label()
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(spacing(self))
        column.addWidget(self._scroll, 1)
        column.addWidget(self.strength)

    def show_steps(self, steps: StepList, baked: Mapping[int, str]) -> None:
        """Show another list, or the same one with other values."""
        focus = self._focused()
        self._opened = {
            id(new): row.is_open
            for row, new in zip(self.rows, steps.steps, strict=False)
            if row.step.name == new.name
        }
        self.steps = steps
        self._baked = baked
        self._build()
        self._give_focus(focus)

    def show_baked(self, baked: Mapping[int, str]) -> None:
        """Say which steps are pixels."""
        if dict(baked) != dict(self._baked):
            self._baked = baked
            self._rebuild()

    def append(self, name: str) -> None:
        """Add an operation at the end, open, and give it the keyboard."""
        if self.steps is None:
            return
        step = self.steps.add(name)
        self._opened[id(step)] = True
        self._rebuild()
        self.rows[-1].switch.setFocus()
        QtCore.QTimer.singleShot(0, lambda: self._make_visible(-1))
        self.changed.emit()

    # --- making -------------------------------------------------------------------------------

    def _strength_label(self) -> None:
        """A label with a mnemonic, which leads to the slider."""
        label = QtWidgets.QLabel("Stren&gth")
        label.setBuddy(self.strength.slider)
        label.setFixedWidth(label.sizeHint().width())
        self.strength.layout().replaceWidget(self.strength.label, label)
        self.strength.label.deleteLater()
        self.strength.label = label

    def _build(self) -> None:
        """All rows anew, since their order or number is another one."""
        assert self.steps is not None
        steps = self.steps
        shown = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(shown)
        column.setContentsMargins(0, 0, spacing(self, 0.2), 0)
        column.setSpacing(0)
        few = sum(len(steps.parameters(step)) for step in steps.steps) <= _FEW
        self.rows = [
            StepRow(steps, step, self._asked, is_open=self._opened.get(id(step), few),
                    baked=self._baked.get(index, ""))
            for index, step in enumerate(steps.steps)
        ]  # fmt: skip
        for index, row in enumerate(self.rows):
            row.show_place(first=index == 0, last=index == len(self.rows) - 1)
            column.addWidget(row)
        if not self.rows:
            nothing = QtWidgets.QLabel("No steps yet: the picture is as it was.")
            nothing.setWordWrap(True)
            column.addWidget(nothing)
        column.addSpacing(spacing(self, 0.2))
        # It follows the last step, and is kept when the rows are made anew.
        column.addWidget(self.add, 0, QtCore.Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        self._scroll.setWidget(shown)
        bar = self._scroll.verticalScrollBar().sizeHint().width()
        self._scroll.setMinimumWidth(shown.minimumSizeHint().width() + bar)
        self._order_tabs()
        quietly(self.strength, lambda: self.strength.show_value(100 * steps.strength))

    def _order_tabs(self) -> None:
        """From step to step as they stand; new widgets would come last."""
        order = list(self.leaders)
        order += [widget for row in self.rows for widget in row.tab_order()]
        order += [self.add, self.strength.slider, self.strength.number, *self.followers]
        for one, following in itertools.pairwise(order):
            QtWidgets.QWidget.setTabOrder(one, following)

    def _rebuild(self) -> None:
        self._opened.update({id(row.step): row.is_open for row in self.rows})
        place = self._scroll.verticalScrollBar().value()
        focus = self._focused()
        self._build()
        self._give_focus(focus)
        self._scroll.verticalScrollBar().setValue(place)

    # --- what the user does -------------------------------------------------------------------

    def _asked(self, what: str, step: Step) -> None:
        assert self.steps is not None
        if what == "changed":
            self.changed.emit()
            return
        if not self.steps.holds(step):  # pressed once more before its row was gone
            return
        index = self.steps.place(step)
        if what == "remove":
            self.steps.remove(step)
        else:
            self.steps.move(step, -1 if what == "up" else 1)
        # Later, since the button that was pressed is one of those that go.
        QtCore.QTimer.singleShot(0, lambda: self._moved(what, index, step))
        self.changed.emit()

    def _moved(self, what: str, index: int, step: Step) -> None:
        self._rebuild()
        assert self.steps is not None
        if what == "remove":
            left = self.rows[min(index, len(self.rows) - 1)].switch if self.rows else self.add
            left.setFocus()
            return
        if not self.steps.holds(step):  # meanwhile it was removed, or another edit is shown
            return
        place = self.steps.place(step)
        button = getattr(self.rows[place], what)
        (button if button.isEnabled() else self.rows[place].switch).setFocus()
        QtCore.QTimer.singleShot(0, lambda: self._make_visible(place))

    def _weakened(self, percent: float) -> float:
        if self.steps is not None:
            self.steps.set_strength(percent / 100)
            self.changed.emit()
        return percent

    def _make_visible(self, place: int) -> None:
        if self.rows:
            self._scroll.ensureWidgetVisible(self.rows[place])

    # --- the keyboard stays where it was ------------------------------------------------------

    def _focused(self) -> tuple[int, int] | None:
        """(row, which of its widgets) that has the focus."""
        at = QtWidgets.QApplication.focusWidget()
        for index, row in enumerate(self.rows):
            if at is not None and row.isAncestorOf(at):
                return index, row.findChildren(QtWidgets.QWidget).index(at)
        return None

    def _give_focus(self, focus: tuple[int, int] | None) -> None:
        if focus is None or not self.rows:
            return
        row = self.rows[min(focus[0], len(self.rows) - 1)]
        widgets = row.findChildren(QtWidgets.QWidget)
        at = widgets[min(focus[1], len(widgets) - 1)]
        (at if at.focusPolicy() & QtCore.Qt.FocusPolicy.TabFocus else row.switch).setFocus()
