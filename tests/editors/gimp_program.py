"""GIMP 3 in the root."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from editor_programs import INSIDE, Program, Window
from editor_root import Root

# Without these lines two dialogs block: the welcome, and what to do with a colour profile.
_GIMPRC = """\
(config-version "{version}")
(check-updates no)
(show-welcome-dialog no)
(color-profile-policy keep)
(metadata-rotation-policy keep)
(save-session-info no)
"""
_BATCH = [
    *("--batch-interpreter", "python-fu-eval"),
    *("-b", f"exec(open('{INSIDE}/gimp_driver.py').read())"),
]


class Gimp(Program):
    """GIMP with a throw-away profile. Scripts know the names of inside/gimp_driver.py."""

    name = "gimp"

    def __init__(self, root: Root, folder: Path, home: str | None = None) -> None:
        super().__init__(root, folder, home)
        self.environment["GIMP3_DIRECTORY"] = f"{self.home}/GIMP"

    def _prepare_home(self, home: str) -> None:
        profile = self.root.outside(home) / "GIMP"
        (profile / "plug-ins").mkdir(parents=True)
        version = self.root.versions["gimp"].split("-")[0]  # another one brings the welcome back
        (profile / "gimprc").write_text(_GIMPRC.format(version=version), "utf-8")

    @property
    def plugins(self) -> Path:
        """The profile's plug-ins folder, as this machine sees it."""
        return self.root.outside(f"{self.home}/GIMP/plug-ins")

    def install_plugin(self, name: str, source: str) -> None:
        """Write a plug-in where GIMP finds it: folder and file of one name, executable."""
        folder = self.plugins / name
        folder.mkdir()
        file = folder / f"{name}.py"
        file.write_text(source, "utf-8")
        file.chmod(0o755)

    def _headless(self) -> list[str]:
        return ["gimp-console-3", "-i", "-d", "-f", *_BATCH, "--quit"]

    def window(
        self,
        *pictures: Path,
        environment: Mapping[str, str] | None = None,
        size: tuple[int, int] = (1600, 1000),
    ) -> GimpWindow:
        """Start GIMP with windows and wait until it shows the pictures."""
        window = GimpWindow(
            self,
            ["gimp-3", "-n", "-s", *map(str, pictures), *_BATCH],
            {"GDK_BACKEND": "x11", **(environment or {})},
            size,
        )
        try:
            window.running.wait_for("started", 120)
            window.screen.fill(window.activate())
        except BaseException:
            window.close()
            raise
        return window


class GimpWindow(Window):
    """GIMP with its windows."""

    def activate(self) -> str:
        """Give GIMP's main window the keyboard; its number."""
        return self.wait_for_window("GIMP$")

    def action(self, label: str) -> None:
        """Start a menu action by GIMP's action search; `label` must find it first."""
        self.activate()
        self.screen.keys("slash")
        self.wait_for_window("Search Actions")
        self.screen.type(label)
        self.screen.keys("Return")
