"""Krita in the root."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from editor_programs import Program, Window
from editor_root import Root

_DESKTOP = """\
[Desktop Entry]
Type=Service
ServiceTypes=Krita/PythonPlugin
X-KDE-Library={name}
X-Python-2-Compatible=false
X-Krita-Manual=Manual.html
Name={name}
Comment={name}
"""
_REQUESTS = "imgedit_tests"


class Krita(Program):
    """Krita with a throw-away profile. Scripts know the names of inside/krita_driver.py."""

    name = "krita"

    def __init__(self, root: Root, folder: Path, home: str | None = None) -> None:
        super().__init__(root, folder, home)
        self.environment["XDG_RUNTIME_DIR"] = f"{self.home}/.runtime"

    def _prepare_home(self, home: str) -> None:
        for folder in (".config", ".local/share/krita/pykrita", ".runtime"):
            (self.root.outside(home) / folder).mkdir(parents=True, mode=0o700)
        (self.root.outside(home) / ".config/kritarc").write_text("[python]\n", "utf-8")

    @property
    def extensions(self) -> Path:
        """The profile's pykrita folder, as this machine sees it."""
        return self.root.outside(f"{self.home}/.local/share/krita/pykrita")

    def install_extension(self, name: str, source: str | Path) -> None:
        """Install and switch on an extension: the text of its module, or its package's folder."""
        package = self.extensions / name
        if isinstance(source, Path):
            shutil.copytree(source, package)
        else:
            package.mkdir()
            (package / "__init__.py").write_text(source, "utf-8")
        (self.extensions / f"{name}.desktop").write_text(_DESKTOP.format(name=name), "utf-8")
        with self.root.outside(f"{self.home}/.config/kritarc").open("a", encoding="utf-8") as rc:
            rc.write(f"[python]\nenable_{name}=true\n")

    def _headless(self) -> list[str]:
        # `krita` itself insists on a display; kritarunner does not.
        self.environment["QT_QPA_PLATFORM"] = "offscreen"
        return ["kritarunner", "-s", "krita_driver", "-f", "main"]

    def _copy_resources(self) -> None:
        """Give krita the resources that kritarunner, with folders of its own, has unpacked."""
        data = f"{self.home}/.local/share"
        self.root.call(["cp", "-a", f"{data}/kritarunner/.", f"{data}/krita"])

    def window(self, *pictures: Path, environment: Mapping[str, str] | None = None) -> KritaWindow:
        """Start Krita with windows and wait until it runs scripts and shows the pictures."""
        self.install_extension(_REQUESTS, "import krita_driver\nkrita_driver.install()\n")
        self.environment.pop("QT_QPA_PLATFORM", None)
        self._copy_resources()
        command = ["krita", "--nosplash", *map(str, pictures)]
        window = KritaWindow(self, command, environment or {})
        try:
            window.running.wait_for("started", 180)
            window.screen.fill(window.activate())
            for picture in pictures:
                window.wait_for_document(picture)
        except BaseException:
            window.close()
            raise
        return window


class KritaWindow(Window):
    """Krita with its window."""

    def activate(self) -> str:
        """Give Krita's main window the keyboard; its number."""
        return self.wait_for_window("Krita$")

    def wait_for_document(self, picture: Path, seconds: float = 60) -> None:
        """Wait until a picture is open and painted."""

        def is_open() -> bool:
            self.run(f"mark('documents', names=[d.fileName() for d in {_DOCUMENTS}])")
            names = self.running.events("documents")[-1]["names"]
            return str(picture) in names

        self.running.wait_until(is_open, f"document {picture.name}", seconds)
        self.run(f"{_DOCUMENTS}[-1].waitForDone()")

    def action(self, name: str) -> None:
        """Trigger an action by its name, such as 'edit_undo'."""
        self.run(f"Krita.instance().action({name!r}).trigger()")


_DOCUMENTS = "Krita.instance().documents()"
