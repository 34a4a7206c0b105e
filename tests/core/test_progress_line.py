"""The line of progress on a terminal, with what is being written behind it."""

import io
import os
import shutil
import sys

import pytest

from imgedit_plugins.cli.terminal import ProgressLine
from imgedit_plugins.jobs import Progress

BAR = "writing [##########----------] 4/8  50%"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("wide", "text", "shown"),
    [
        (80, "The sky is dark.", f"{BAR}  The sky is dark."),
        (62, "The sky is dark and full of stars", f"{BAR}  …k and full of stars"),
        (48, "The sky is dark.", BAR),
        (80, "", BAR),
        (80, "a\n\x1b[2Jb\t c", f"{BAR}  a [2Jb c"),
    ],
)  # fmt: skip
def test_the_end_of_the_text_stands_where_there_is_room(monkeypatch, wide, text, shown):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.delenv("TERM", raising=False)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((wide, 24)))
    ProgressLine()(Progress("writing", 4, 8, text))
    assert terminal.getvalue() == f"\r\x1b[K{shown}"
    assert len(shown) < wide
