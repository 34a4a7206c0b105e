"""Plugins' entries that take an instruction, used in the editors' windows as a user uses them."""

import os
import time

import gimp_session
from editor_root import PROJECT


class GimpEntry:
    """An entry of GIMP's menu, with its dialogs, in a window that shows one picture.

    Args:
        window: of GIMP.
        procedure: the entry's name in GIMP's procedures.
        label: of the entry, as the manifest has it; its dialogs are titled so.
    """

    def __init__(self, window, procedure, label):
        self.window, self.screen = window, window.screen
        self._procedure, self._label = procedure, label
        self.title = label.rstrip("….")

    def ask(self, **given):
        """Start the entry, and fill in its dialog by the letters that are underlined in it.

        Args:
            given: by the names of the arguments, the instruction first.
        """
        self.window.run(f"""
labels = {{one.name: one.nick for one in
          Gimp.get_pdb().lookup_procedure({self._procedure!r}).get_arguments()}}
mark("labels", **{{name: labels[name] for name in {tuple(given)!r}}})
""")
        labels = self.window.running.events("labels")[-1]
        letters = [labels[name].partition("_")[2][0].lower() for name in given]
        self.window.activate()
        self.window.action(self.title)
        self.window.wait_for_window(f"^{self._label}$")
        time.sleep(0.5)
        for name, letter, text in zip(given, letters, given.values(), strict=True):
            # The keyboard is where the instruction is wanted.
            self.screen.keys(*([] if name == "instruction" else [f"alt+{letter}"]), "ctrl+a")
            # Only a Tab makes GIMP take a number that was typed.
            self.screen.type(text if isinstance(text, str) else f"{text}\t")

    def begin(self):
        """Accept the dialog, and wait for the window that shows how far the work is.

        Or for the one of the result, where the work is done before anybody looks.
        """
        self.screen.keys("alt+o")
        self.window.wait_for_window(f"^{self.title}(: (result|found))?$", 60)

    def wait_for_result(self, seconds=240, on_second=lambda: None):
        """Wait for the window in which the result is looked at; it has the keyboard then."""
        until = time.monotonic() + seconds
        while not (found := self.screen.find(f"^{self.title}: (result|found)$")):
            assert time.monotonic() < until, f"no result after {seconds} s"
            on_second()
            time.sleep(1.0)
        self.screen.activate(found)
        time.sleep(1.0)  # it draws bit by bit

    def wait_for_fault(self, seconds=90):
        """Wait for the small window that says what went wrong."""
        self.window.wait_until_gone(f"^{self._label}$")
        self.window.wait_for_window(f"^{self._label}$", seconds)
        time.sleep(0.5)

    def cancel(self):
        """Cancel the work that goes on; it ends within ten seconds."""
        self.screen.activate(self.screen.find(f"^{self.title}$"))
        self.screen.keys("Escape")
        self.window.wait_until_gone(f"^{self.title}$", 10)

    def layers(self):
        """Of the picture, from above."""
        self.window.run(gimp_session.NAMES + "tell(Gimp.get_images()[0])")
        return self.window.running.events("layers")[-1]["layers"]

    def is_untouched(self):
        """Whether the picture is as it was opened."""
        layers = self.layers()
        return len(layers) == 1 and not layers[0]["filters"]


class KritaAction:
    """A plugin's action in Krita's docker, in a window that shows one picture.

    Args:
        window: of Krita.
        extension: that is installed in it.
        action: plugin and id, such as 'mgie/edit-by-instruction'.
    """

    def __init__(self, window, extension, action):
        self.window, self.screen = window, window.screen
        self._names = f"""{extension.names}
docker = next(one for one in Krita.instance().dockers() if one.objectName() == "imgedit_docker")
pane = docker.widget()
"""
        self._action = action
        self.run(f"""
docker.setVisible(True)
docker.raise_()
pane.engine.prepare()
spin(lambda: any(one.id == {action!r} for one in pane.engine.look().commands), 90)
""", seconds=120)  # fmt: skip

    def run(self, script, seconds=60):
        """Run a script that knows the docker and its pane."""
        self.window.run(f"{self._names}{script}", seconds=seconds)

    def start(self, **values):
        """Begin, as the accepted dialog does: `instruction`, and `options` by name."""
        self.run(f"pane.status.clear()\npane.engine.start({self._action!r}, {values!r})")

    def ask(self):
        """Open the dialog; it is there when this returns, and answered with keys."""
        self.run(f"""
from PyQt5.QtCore import QTimer
command = next(one for one in pane.engine.look().commands if one.id == {self._action!r})
QTimer.singleShot(0, lambda: pane._command(command))
mark("label", title=command.label.rstrip("….").strip())
""")
        self.window.wait_for_window(f"^{self.window.running.events('label')[-1]['title']}")
        time.sleep(0.5)

    def status(self):
        """What the docker says."""
        self.run("""
status = pane.status
mark("status", working=status.work.isVisible(), stage=status.stage.text(),
     picture=status.picture.isVisible(),
     message=status.message.text.text() if status.message.isVisible() else "")
""")
        return self.window.running.events("status")[-1]

    def wait_for(self, wanted, what, seconds=120):
        """Wait until the docker says so; what it says then."""
        return self.window.running.wait_until(
            lambda: (now := self.status()) and wanted(now) and now, what, seconds
        )

    def layers(self):
        """Of the picture, from above."""
        self.run("tell(Krita.instance().activeDocument())")
        return self.window.running.events("layers")[-1]["layers"]


def keep(screen, name):
    """A screenshot; with IMGEDIT_WRITE_DOCS=1 it goes into docs/screenshots."""
    screen.move_away()  # or a tooltip is in it
    time.sleep(2)
    picture = screen.screenshot(name)
    if os.environ.get("IMGEDIT_WRITE_DOCS"):
        (PROJECT / "docs" / "screenshots" / picture.name).write_bytes(picture.read_bytes())
