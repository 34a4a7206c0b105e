"""The plug-in's windows in the real GIMP, with one picture: what is shown, keys, pixels."""

import json
import time

import numpy as np
from gimp_session import NAMES

from imgedit_plugins.picture_files import open_picture
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

PANE = "^Adjust edit$"


def write_plan(path, steps):
    operations = [{"name": name, "parameters": parameters} for name, parameters in steps]
    data = {"schema": "imgedit-plan/1", "operations": operations}
    path.write_text(json.dumps(data), "utf-8")
    return parse_plan(data)


def rendered(path, plan, strength=1.0):
    return np.asarray(render_plan(open_picture(path), plan, strength=strength).pixels)


def assert_close(got, wanted, mean=0.5, largest=2):
    assert got.shape == wanted.shape
    difference = np.abs(got.astype(int) - wanted.astype(int))
    assert (difference.mean() <= mean) & (difference.max() <= largest), difference.max()


class Session:
    """GIMP with one picture in a window, and what it shows."""

    def __init__(self, window, folder, path):
        self.window = window
        self.screen = window.screen
        self.folder = folder
        self.path = path

    def run(self, script):
        self.window.run(NAMES + f"image = Gimp.get_images()[0]\n{script}\nGimp.displays_flush()")

    def layers(self):
        self.run("tell(image)")
        return self.window.running.events("layers")[-1]["layers"]

    def seen(self):
        path = self.folder / "seen.bin"
        self.run(f"""
other = image.duplicate()
other.undo_disable()
pixels(other.flatten(), {str(path)!r})
other.delete()""")
        marks = self.window.running.events("pixels")[-1]
        return np.fromfile(path, np.uint8).reshape(marks["height"], marks["width"], 3)

    def wait_for_pixels(self, wanted, what, seconds=30, **limits):
        """Wait until the image looks so."""
        last = []

        def there():
            try:
                assert_close(self.seen(), wanted, **limits)
            except AssertionError as error:
                last[:] = [error]
                return False
            return True

        try:
            self.window.running.wait_until(there, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{what}: {last}") from error

    def apply(self, path):
        self.run(f"assert apply_plan(image, image.get_layers(), {str(path)!r})")

    def pane(self):
        self.window.action("Adjust edit")
        self.window.wait_for_window(PANE)
        time.sleep(1)

    def keys(self, *keys):
        """Press keys in the newest window of the plug-in."""
        self.screen.activate(self.screen.find("^(Adjust edit|Apply plan|Recover edit)"))
        self.screen.keys(*keys)

    def strength(self, percent):
        self.keys("alt+s", "ctrl+a")
        self.screen.type(f"{percent}\t")
