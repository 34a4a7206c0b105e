"""A display without a monitor: windows, keys and screenshots in the root."""

from __future__ import annotations

import re
import time
from pathlib import Path

from editor_root import Root, end_group

_LIST = """\
for window in $(xprop -root -notype _NET_CLIENT_LIST | grep -o '0x[0-9a-f]*'); do
  echo "window $window"
  xprop -id "$window" -notype _NET_WM_NAME WM_NAME
done"""


class Screen:
    """Xvfb with the window manager openbox.

    Attributes:
        environment: variables for programs that shall appear on it.
    """

    def __init__(self, root: Root, folder: Path, width: int = 1600, height: int = 1000) -> None:
        self._root = root
        self._folder = folder
        number, size = folder / "display", f"{width}x{height}x24"
        number.unlink(missing_ok=True)
        # Xvfb finds a free number itself and tells it: two tests never meet.
        server = f"echo $$; exec Xvfb -displayfd 3 -screen 0 {size} -nolisten tcp 3>'{number}'"
        self._log = folder / "xvfb.log"
        self._log.unlink(missing_ok=True)
        self._server = root.start(["sh", "-c", server], log=self._log)
        self.environment = {"DISPLAY": f":{self._display(number)}", "NO_AT_BRIDGE": "1"}
        log = folder / "openbox.log"
        self._manager = root.start(["openbox"], log=log, environment=self.environment)

    def _display(self, number: Path) -> str:
        until = time.monotonic() + 30
        while time.monotonic() < until and self._server.poll() is None:
            if number.is_file() and (found := number.read_text("ascii")).endswith("\n"):
                return found.strip()
            time.sleep(0.05)
        end_group(self._server)
        raise AssertionError(f"Xvfb does not start, see {self._log}")

    def close(self) -> None:
        """End the display."""
        end_group(self._manager)
        # Xvfb leaves the process group that it is started in.
        number = self._log.read_text("ascii", "replace").split("\n", 1)[0]
        self._root.call(["kill", "-KILL", number], check=False)
        end_group(self._server)

    def windows(self) -> dict[str, str]:
        """The titles of all windows by their numbers, in order of appearance."""
        # xdotool knows only WM_NAME, which Qt leaves empty.
        said = self._root.call(["sh", "-c", _LIST], environment=self.environment, check=False)
        blocks = (block.split("\n", 1) for block in said.split("window ")[1:])
        return {number: _title(properties) for number, properties in blocks}

    def find(self, pattern: str) -> str | None:
        """The number of the newest window whose title fits a regular expression."""
        fitting = [n for n, title in self.windows().items() if re.search(pattern, title)]
        return fitting[-1] if fitting else None

    def activate(self, window: str) -> None:
        """Give a window the keyboard."""
        self._xdotool("windowactivate", "--sync", window)
        time.sleep(0.3)  # the program hears of it a little later

    def fill(self, window: str) -> None:
        """Make a window as large as the display."""
        self._xdotool("windowmove", window, "0", "0", "windowsize", window, "100%", "100%")

    def keys(self, *keys: str) -> None:
        """Press keys, such as 'ctrl+z', in the active window."""
        self._xdotool("key", "--delay", "50", *keys)

    def type(self, text: str) -> None:
        """Type text into the active window."""
        self._xdotool("type", "--delay", "30", text)

    def click(self, x: int, y: int) -> None:
        """Click with the left button."""
        self._xdotool("mousemove", "--sync", str(x), str(y), "click", "1")

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Move the pointer with the left button held down."""
        self._xdotool("mousemove", "--sync", *map(str, start), "sleep", "0.3", "mousedown", "1")
        self._xdotool("mousemove", "--sync", *map(str, end), "sleep", "0.3", "mouseup", "1")

    def screenshot(self, name: str) -> Path:
        """Save what the display shows as NAME.png in the test's folder."""
        path = self._folder / f"{name}.png"
        command = ["import", "-window", "root", str(path)]
        self._root.call(command, environment=self.environment)
        return path

    def save_window(self, window: str, path: Path) -> None:
        """Save what one window shows, without its frame, as a PNG file."""
        # Given a window, `import` waits for its frame for ever: cut it out of the whole.
        told = self._root.call(["xwininfo", "-id", window], environment=self.environment)
        labels = ("Width", "Height", "Absolute upper-left X", "Absolute upper-left Y")
        found = [re.search(rf"{label}: +(-?\d+)", told) for label in labels]
        width, height, x, y = (one[1] if one else "0" for one in found)
        area = f"{width}x{height}+{x}+{y}"
        command = ["import", "-window", "root", "-crop", area, "+repage", str(path)]
        self._root.call(command, environment=self.environment)

    def move_away(self) -> None:
        """Put the pointer into a corner, where it lies on nothing."""
        self._xdotool("mousemove", "--sync", "0", "0")

    def _xdotool(self, *arguments: str) -> None:
        self._root.call(["xdotool", *arguments], environment=self.environment, seconds=20)


def _title(properties: str) -> str:
    titles = re.findall(r'NAME = "(.*)"', properties)
    return str(titles[0]) if titles else ""
