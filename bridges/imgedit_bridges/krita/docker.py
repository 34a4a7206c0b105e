"""The docker 'imgedit' in Krita's window."""

from __future__ import annotations

from typing import Any

from krita import DockWidget, DockWidgetFactory, DockWidgetFactoryBase, Krita

from imgedit_bridges.krita import seam
from imgedit_bridges.krita.pane import Pane

NAME = "imgedit_docker"
"""Its object name."""

TITLE = "imgedit"


def add_docker(engine: seam.Engine) -> None:
    """Let Krita have the docker in every window that it opens from now on."""
    side = DockWidgetFactoryBase.DockRight
    Krita.instance().addDockWidgetFactory(DockWidgetFactory(NAME, side, docker_class(engine)))


def docker_class(engine: seam.Engine) -> type[Any]:
    """The class that Krita makes one docker of for each of its windows."""

    class ImgeditDocker(DockWidget):
        """The pane in a docker."""

        def __init__(self) -> None:
            super().__init__()
            self.setWindowTitle(TITLE)
            self.pane = Pane(engine)
            self.setWidget(self.pane)

        def canvasChanged(self, canvas: Any) -> None:  # noqa: ARG002, N802  # Krita calls it
            self.pane.look()

    return ImgeditDocker
