"""The docker's widgets in a Qt program without Krita and display, with a double of the engine."""

import textwrap

import pytest
from docker_names import INSIDE, SOURCES, write_vocabulary
from editor_run import Run

pytestmark = pytest.mark.editors

NAMES = """\
from editor_marks import mark
import krita_double as double
from imgedit_bridges.krita import dialogs, seam
from imgedit_bridges.krita.add_step import AddStep
from imgedit_bridges.krita.option_dialog import OptionDialog
from imgedit_bridges.krita.pane import Pane
from imgedit_bridges.krita.qt import QtCore, QtWidgets
from PyQt5.QtTest import QTest

app = QtWidgets.QApplication([])
Key, Alt = QtCore.Qt.Key, QtCore.Qt.KeyboardModifier.AltModifier
press, settle = QTest.keyClick, QTest.qWait
V = double.vocabulary()

def pane(edit=True, **state):
    engine = double.Engine(V, edit)
    shown = Pane(engine)
    shown.resize(300, 500)
    shown.show()
    shown.activateWindow()
    settle(20)
    return engine, shown

def titles(shown):
    return [row.switch.text() for row in shown.plan.rows]

def sent(engine):
    return [one for one in engine.asked if one[0] == "change"]

def focused():
    return app.focusWidget()
"""


@pytest.fixture
def alone(root, folder):
    """Runs a script with the widgets; its marks tell what came of it."""

    def run(script, seconds=60, scale="1"):
        path = folder / "widgets.py"
        path.write_text(f"{NAMES}{textwrap.dedent(script)}\nmark('done')\n", "utf-8")
        environment = {
            **write_vocabulary(folder), "QT_QPA_PLATFORM": "offscreen",
            "XDG_RUNTIME_DIR": "/tmp", "PYTHONPATH": f"{SOURCES}:{INSIDE}",
            "QT_SCALE_FACTOR": scale,
        }  # fmt: skip
        log = folder / "widgets.log"
        started = root.start(["python3", str(path)], log=log, environment=environment)
        running = Run("widgets", started, log)
        running.wait(seconds)
        assert running.events("done"), running.output
        assert "Traceback" not in running.output, running.output
        return running

    return run


def told(running, event):
    return {k: v for k, v in running.events(event)[-1].items() if k != "event"}


# --- the plan ---------------------------------------------------------------------------------


def test_changes_go_to_the_engine_once_they_rest(alone):
    run = alone("""
        engine, shown = pane()
        row = shown.plan.rows[0].rows["offset"]
        for value in (40, 45, 50):
            row.number.setValue(value)
            settle(60)
        mark("moving", count=len(sent(engine)))
        settle(250)
        mark("rested", count=len(sent(engine)), state=sent(engine)[-1][2],
             kept=engine.now.edit.state["steps"][0]["parameters"], slider=row.slider.value())
    """)
    assert told(run, "moving")["count"] == 0
    rested = told(run, "rested")
    assert rested["count"] == 1
    assert rested["state"]["steps"][0]["parameters"] == {"offset": 50.0}
    assert rested["kept"] == {"offset": 50.0}
    assert rested["slider"] == 255 + 50


def test_switch_order_strength_and_removal(alone):
    run = alone("""
        engine, shown = pane()
        shown.plan.rows[1].switch.click()
        shown.plan.rows[0].down.click()
        settle(20)
        shown.plan.strength.number.setValue(80)
        settle(250)
        mark("moved", titles=titles(shown), state=sent(engine)[-1][2])
        shown.plan.rows[0].remove.click()
        settle(250)
        steps = sent(engine)[-1][2]["steps"]
        mark("removed", titles=titles(shown), names=[step["name"] for step in steps])
    """)  # fmt: skip
    moved = told(run, "moved")
    assert moved["titles"] == ["Contrast", "Brightness", "Vignette"]
    assert moved["state"]["strength"] == 0.8
    assert [step["on"] for step in moved["state"]["steps"]] == [False, True, True]
    assert [one["name"] for one in moved["state"]["plan"]["operations"]] == ["bright", "vignette"]
    assert told(run, "removed")["titles"] == ["Brightness", "Vignette"]
    assert told(run, "removed")["names"] == ["bright", "vignette"]


def test_what_the_document_says_is_shown_unless_the_user_is_at_work(alone):
    run = alone("""
        engine, shown = pane()
        other = {**double.PLAN, "operations": [{"name": "sepia", "parameters": {}}]}
        shown.plan.rows[0].rows["offset"].number.setValue(99)
        engine.holds = True
        engine.listener.changed()
        mark("debounced", titles=titles(shown))
        settle(250)
        shown.look()
        mark("at-work", value=shown.plan.rows[0].rows["offset"].number.value())
        engine.finish()
        mark("done-work", value=shown.plan.rows[0].rows["offset"].number.value())
        engine.put(double.state_of(other))          # such as by undo
        engine.listener.changed()
        mark("undone", titles=titles(shown), count=len(sent(engine)))
    """)
    assert told(run, "debounced")["titles"] == ["Brightness", "Contrast", "Vignette"]
    assert told(run, "at-work")["value"] == 99
    assert told(run, "done-work")["value"] == 99
    assert told(run, "undone") == {"titles": ["Sepia"], "count": 1}


def test_a_change_is_not_lost_when_another_layer_becomes_active(alone):
    run = alone("""
        engine, shown = pane()
        shown.plan.rows[0].rows["offset"].number.setValue(77)
        engine.say(edit=None)                       # before the change was sent
        mark("left", asked=sent(engine)[-1][1:])
        engine.put(double.state_of(double.PLAN))
        engine.listener.changed()
        mark("back", titles=titles(shown))
    """)
    key, state = told(run, "left")["asked"]
    assert key == "one"
    assert state["steps"][0]["parameters"]["offset"] == 77
    assert told(run, "back")["titles"] == ["Brightness", "Contrast", "Vignette"]


def test_a_change_that_fails_shows_what_the_document_has(alone):
    run = alone("""
        engine, shown = pane()
        engine.holds = True
        shown.plan.rows[0].rows["offset"].number.setValue(77)
        settle(250)
        engine.finish("The worker ended.", "Try again.", failed=True)
        mark("failed", value=shown.plan.rows[0].rows["offset"].number.value(),
             text=shown.status.message.text.text(), seen=shown.status.message.isVisible(),
             boxes=len([w for w in app.topLevelWidgets() if isinstance(w, QtWidgets.QMessageBox)]))
    """)
    failed = told(run, "failed")
    assert failed == {"value": 30, "text": "The worker ended. Try again.", "seen": True, "boxes": 0}


def test_many_parameters_and_curves_start_with_those_in_use(alone):
    run = alone("""
        engine, shown = pane()
        ops = [{"name": "hsl", "parameters": {"red_hue": 7.5, "blue_saturation": -20.0}},
               {"name": "curves", "parameters": {"red": [[0, 0], [0.5, 0.6], [1, 1]]}},
               {"name": "rotate", "parameters": {"degrees": 90}}]
        engine.put(double.state_of({**double.PLAN, "operations": ops}),
                   baked={0: "Made of pixels: no filter mixes the channels like this."})
        shown.look()
        hsl, curves, rotate = shown.plan.rows
        mark("rows", hsl=list(hsl.rows), curves=list(curves.rows), open=hsl.is_open,
             baked=[row.baked.isVisible() for row in shown.plan.rows])
        hsl.fold.click(); hsl._all.click()
        mark("all", count=len(hsl.rows), open=hsl.is_open)
        curves.fold.click()
        curve = curves.rows["red"].curve
        curve.setFocus()
        press(curve, Key.Key_PageUp); press(curve, Key.Key_Up)
        rotate.rows["degrees"].box.setCurrentIndex(2)
        settle(250)
        mark("sent", steps=sent(engine)[-1][2]["steps"])
    """)
    rows = told(run, "rows")
    assert rows["hsl"] == ["red_hue", "blue_saturation"]
    assert rows["curves"] == ["red"]
    assert rows["open"] is False  # 29 parameters are too many to be shown at once
    assert rows["baked"] == [True, False, False]
    assert told(run, "all") == {"count": 24, "open": True}
    hsl, curves, rotate = told(run, "sent")["steps"]
    assert hsl["parameters"] == {"red_hue": 7.5, "blue_saturation": -20.0}
    assert curves["parameters"] == {"red": [[0, 0], [0.5, 0.62], [1, 1]]}
    assert rotate["parameters"] == {"degrees": 270}


def test_history_goes_back(alone):
    run = alone("""
        engine, shown = pane()
        mark("before", seen=shown.history.isVisible())
        shown.plan.rows[0].rows["offset"].number.setValue(60)
        settle(250)
        mark("kept", seen=shown.history.isVisible(), items=shown.history.box.count(),
             text=shown.history.box.itemText(1))
        shown.history.box.activated.emit(1)
        settle(20)
        mark("back", value=shown.plan.rows[0].rows["offset"].number.value(),
             sent=sent(engine)[-1][2]["steps"][0]["parameters"])
    """)
    assert told(run, "before")["seen"] is False
    kept = told(run, "kept")
    assert (kept["seen"], kept["items"]) == (True, 2)
    assert kept["text"].startswith("12:31  Brightness 30")
    assert told(run, "back") == {"value": 30, "sent": {"offset": 30.0}}


def test_before_is_held_and_never_stays(alone):
    run = alone("""
        engine, shown = pane()
        button = shown.head.before
        button.setFocus()
        QTest.keyPress(button, Key.Key_Space)
        mark("down", shows=[a for a in engine.asked if a[0] == "show"])
        QTest.keyRelease(button, Key.Key_Space)
        QTest.mousePress(button, QtCore.Qt.MouseButton.LeftButton)
        shown.commands.more.setFocus()              # the mouse was let go elsewhere
        mark("up", shows=[a[2] for a in engine.asked if a[0] == "show"])
    """)
    assert told(run, "down")["shows"] == [["show", "one", False]]
    assert told(run, "up")["shows"] == [False, True, False, True]


# --- what is said -----------------------------------------------------------------------------


def test_what_cannot_be_done_says_why(alone):
    run = alone("""
        engine, shown = pane(False)
        shown.commands.menu.aboutToShow.emit()
        entries = {a.text(): (a.isEnabled(), a.toolTip()) for a in shown.commands.menu.actions()}
        mark("menu", **{k: v for k, v in entries.items() if k})
        engine.say(commands=double.commands(recover="Two layers are needed."))
        button = shown.commands.buttons["recover"]
        mark("recover", on=button.isEnabled(), tip=button.toolTip())
        mark("begin", text=shown.beginning.text.text(), seen=shown.beginning.isVisible(),
             plan=shown.plan.isVisible())
        engine.say(problem="imgedit is not <installed>.", remedy="imgedit-plugins install krita")
        shown.beginning.copy.click()
        mark("problem", text=shown.beginning.text.text(), copied=app.clipboard().text(),
             add=shown.beginning.add.isVisible())
    """)
    menu = told(run, "menu")
    assert menu["Save plan…"] == [False, "The active layer carries no edit."]
    assert menu["Soften with words…"][0] is True
    assert told(run, "recover") == {"on": False, "tip": "Two layers are needed."}
    begin = told(run, "begin")
    assert (begin["seen"], begin["plan"]) == (True, False)
    assert "<b>Recover edit</b>" in begin["text"]
    problem = told(run, "problem")
    assert problem["text"] == "imgedit is not &lt;installed&gt;."
    assert problem["copied"] == "imgedit-plugins install krita"
    assert problem["add"] is False


def test_progress_and_cancel(alone):
    run = alone("""
        engine, shown = pane()
        engine.listener.progress("searching", -1.0)
        mark("unknown", stage=shown.status.stage.text(), busy=shown.status.bar.maximum() == 0)
        engine.listener.progress("Searching", 0.25)
        mark("known", value=shown.status.bar.value() / shown.status.bar.maximum(),
             usable=shown.plan.isEnabled())
        shown.status.cancel.click()
        mark("cancelled", asked=engine.names(), again=shown.status.cancel.isEnabled())
        engine.listener.ended("", "", failed=False)
        mark("ended", seen=shown.status.isVisible())
    """)
    assert told(run, "unknown") == {"stage": "Searching", "busy": True}
    assert told(run, "known") == {"value": 0.25, "usable": True}
    assert told(run, "cancelled")["asked"].count("cancel") == 1
    assert told(run, "cancelled")["again"] is False
    assert told(run, "ended")["seen"] is False


# --- dialogs ----------------------------------------------------------------------------------


def test_recover_asks_for_two_different_layers(alone):
    run = alone("""
        engine, _ = pane(False)
        dialog = dialogs.RecoverDialog(engine)
        mark("first", **dialog.values())
        dialog.swap.click()
        mark("swapped", **dialog.values())
        dialog.before.setCurrentIndex(dialog.after.currentIndex())
        mark("same", ok=dialog.buttons.buttons()[0].isEnabled(), told=dialog.told.text())
    """)
    assert told(run, "first") == {"before": "before", "after": "after"}
    assert told(run, "swapped") == {"before": "after", "after": "before"}
    assert told(run, "same") == {"ok": False, "told": "Choose two different layers."}


def test_options_have_fields_ranges_presets_and_last_values(alone):
    run = alone("""
        engine, _ = pane(False)
        dialog = OptionDialog(double.GLOW, engine)
        mark("fields", **{f.name: type(f.widget).__name__ for f in dialog.fields})
        mark("defaults", ok=dialog.ok.isEnabled(), tip=dialog.ok.toolTip(), **dialog.options())
        help_text = {f.name: f.widget.toolTip() for f in dialog.fields}
        mark("help", **help_text)
        dialog.instruction.setPlainText("softer")
        fields = {f.name: f for f in dialog.fields}
        fields["steps"].widget.number.setValue(500)     # as far as it goes
        fields["quality"].widget.setCurrentText("thorough")
        fields["keep-colours"].widget.setChecked(False)
        dialog.presets.save("mine", dialog.options())
        dialog.accept()
        mark("values", **dialog.values())
        again = OptionDialog(double.GLOW, engine)
        mark("last", chosen=again.chooser.currentText(), steps=again.options()["steps"])
        again.chooser.setCurrentText("Defaults")
        mark("chosen", steps=again.options()["steps"])
        again.chooser.setCurrentText("mine")
        mark("preset", steps=again.options()["steps"], delete=again.delete.isEnabled())
        again.delete.click()
        mark("deleted", named=list(again.presets.named))
    """)
    assert told(run, "fields") == {
        "guidance-scale": "ScaleRow", "steps": "ScaleRow", "quality": "QComboBox",
        "keep-colours": "QCheckBox", "style": "QLineEdit", "weights": "QWidget",
    }  # fmt: skip
    defaults = told(run, "defaults")
    assert (defaults["guidance-scale"], defaults["steps"]) == (7.5, 20)
    assert defaults["quality"] == "quick"
    assert (defaults["ok"], defaults["tip"]) == (False, "Still needed: Instruction")
    assert told(run, "help")["steps"] == "More take longer."
    values = told(run, "values")
    assert values["instruction"] == "softer"
    assert values["options"]["steps"] == 100
    assert values["options"]["quality"] == "thorough"
    assert values["options"]["keep-colours"] is False
    assert told(run, "last") == {"chosen": "Last used", "steps": 100}
    assert told(run, "chosen") == {"steps": 20}
    assert told(run, "preset") == {"steps": 100, "delete": True}
    assert told(run, "deleted") == {"named": []}


def test_a_plan_is_previewed_before_it_is_applied(alone):
    run = alone("""
        engine, _ = pane(False)
        dialog = dialogs.PlanDialog(engine, "/somewhere/warm.json")
        dialog.show()
        settle(50)
        after = dialog.preview.picture._image
        QTest.mousePress(dialog.preview.before, QtCore.Qt.MouseButton.LeftButton)
        before = dialog.preview.picture._image
        mark("preview", name=dialog.name.text(), asked=engine.asked[-1][2],
             differ=before != after, sizes=[before.width(), after.width()])
    """)
    preview = told(run, "preview")
    assert preview["name"] == "warm.json"
    assert preview["asked"] == {"path": "/somewhere/warm.json"}
    assert preview["differ"] is True


def test_operations_are_found_by_the_beginnings_of_words(alone):
    run = alone("""
        dialog = AddStep(V)
        dialog.show()
        settle(20)
        def seen():
            items = [dialog.list.item(i) for i in range(dialog.list.count())]
            return [i.text() for i in items if not i.isHidden()]
        mark("all", count=len(seen()), sorted=seen() == sorted(seen(), key=str.casefold))
        QTest.keyClicks(dialog.search, "blur")
        mark("blur", seen=seen(), chosen=dialog.chosen())
        press(dialog.search, Key.Key_Down)
        mark("next", chosen=dialog.chosen(), told=bool(dialog.told.text()))
        QTest.keyClicks(dialog.search, "xyz")
        mark("none", seen=seen(), chosen=dialog.chosen(), told=dialog.told.text())
    """)
    assert told(run, "all")["count"] > 25
    assert told(run, "all")["sorted"] is True
    blur = told(run, "blur")
    assert {"Box blur", "Gaussian blur"} <= set(blur["seen"])
    assert blur["chosen"] == "blur"
    assert told(run, "next") == {"chosen": "gaussian", "told": True}
    none = told(run, "none")
    assert none == {"seen": [], "chosen": "", "told": "There is no such operation."}


# --- keyboard and screen readers --------------------------------------------------------------


def test_everything_is_reached_with_the_keyboard_and_named(alone):
    run = alone("""
        engine, shown = pane()
        shown.plan.rows[0].rows["offset"].number.setValue(60)
        settle(250)
        shown.commands.buttons["recover"].setFocus()
        seen = []
        for _ in range(60):
            at = focused()
            if at in seen:
                break
            seen.append(at)
            press(at, Key.Key_Tab)
        def name(w):
            return w.accessibleName() or getattr(w, "text", lambda: "")()
        mark("order", names=[name(w) for w in seen])
        kinds = (QtWidgets.QAbstractButton, QtWidgets.QAbstractSlider, QtWidgets.QComboBox,
                 QtWidgets.QAbstractSpinBox)
        missed = [w for kind in kinds for w in shown.findChildren(kind)
                  if w.isVisible() and w.isEnabled() and w not in seen
                  and w.focusPolicy() & QtCore.Qt.FocusPolicy.TabFocus]
        mark("missed", names=[f"{type(w).__name__} {name(w)}" for w in missed])
    """)
    names = told(run, "order")["names"]
    assert all(names), names
    assert names[:4] == ["Re&cover edit…", "&Apply plan…", "More of imgedit (Alt+M)", "&Before"]
    assert names.index("Brightness") < names.index("Contrast") < names.index("A&dd step…")
    assert names.index("A&dd step…") < names.index("Strength of the whole edit")
    assert names[-1] == "Earlier plans of this edit"
    assert told(run, "missed")["names"] == []


def test_keys_move_and_remove_steps_and_the_focus_follows(alone):
    run = alone("""
        engine, shown = pane()
        shown.plan.rows[0].switch.setFocus()
        press(focused(), Key.Key_Down, Alt)
        settle(30)
        mark("down", titles=titles(shown), at=shown.plan.rows[1].isAncestorOf(focused()))
        shown.plan.rows[1].switch.setFocus()
        press(focused(), Key.Key_Delete)
        settle(30)
        mark("gone", titles=titles(shown), at=shown.plan.rows[1].isAncestorOf(focused()))
        number = shown.plan.rows[0].rows["gain"].number
        number.setFocus()
        press(number, Key.Key_Delete)
        settle(30)
        mark("number", titles=titles(shown))
    """)
    down = told(run, "down")
    assert down == {"titles": ["Contrast", "Brightness", "Vignette"], "at": True}
    assert told(run, "gone") == {"titles": ["Contrast", "Vignette"], "at": True}
    assert told(run, "number")["titles"] == ["Contrast", "Vignette"]


@pytest.mark.parametrize("scale", ["1", "2"])
def test_nothing_is_cut_off_at_the_width_of_a_docker(alone, scale):
    run = alone("""
        font = app.font(); font.setPointSize(9); app.setFont(font)
        engine, shown = pane()
        ops = [{"name": one["name"], "parameters": one["start"]} for one in V]
        engine.put(double.state_of({**double.PLAN, "operations": ops}))
        shown.look()
        shown.resize(320, 900)
        settle(30)
        inside = shown.plan._scroll
        mark("width", pane=shown.width(), least=shown.minimumSizeHint().width(),
             content=inside.widget().width(), room=inside.viewport().width())
    """, scale=scale)  # fmt: skip
    width = told(run, "width")
    assert width["least"] <= 320
    assert width["content"] <= width["room"]
