"""Two versions of the package: the worker of one, the plug-in in the editor of another."""

from __future__ import annotations

import os
import shutil
import sys

import pytest
from worker_home import ROOT, SOURCES, alive, wait_for, whoami

from imgedit_bridges.errors import BridgeError


@pytest.fixture
def copied(home):
    """A home whose worker is started from a copy of the sources; returns the copy."""
    copy = home.folder / "copy"
    parts = []
    for source in SOURCES:
        parts.append(copy / source.relative_to(ROOT))
        shutil.copytree(source, parts[-1], ignore=shutil.ignore_patterns("__pycache__"))
    path = os.pathsep.join(map(str, [home.folder / "site", *parts]))
    script = home.folder / "python-of-copy"
    script.write_text(f"#!/bin/sh\nPYTHONPATH='{path}' exec '{sys.executable}' \"$@\"\n")
    script.chmod(0o755)
    home.python = str(script)
    return copy


def set_version(copy, version):
    """As pip does it: another file in its place."""
    path = copy / "core" / "imgedit_plugins" / "_version.py"
    new = path.with_suffix(".new")
    new.write_text(f'"""Version."""\n\n__version__ = "{version}"\n')
    new.replace(path)


def set_protocol(copy, number):
    path = copy / "bridges" / "imgedit_bridges" / "protocol.py"
    text = path.read_text("utf-8")
    new = text.replace("\nPROTOCOL = 1\n", f"\nPROTOCOL = {number}\n")
    new = new.replace("\nPROTOCOLS = (1,)\n", f"\nPROTOCOLS = ({number},)\n")
    assert new.count(str(number)) > text.count(str(number))
    path.write_text(new, "utf-8")


def test_another_version_with_the_same_protocol_is_used(home, copied):
    set_version(copied, "7.8.9")
    client = home.client()
    assert client.connect()["version"] == "7.8.9"
    assert whoami(client)


def test_a_worker_of_another_protocol_is_told_in_a_sentence_and_left_alone(home, copied):
    set_version(copied, "7.8.9")
    set_protocol(copied, 2)
    for _ in range(2):
        with pytest.raises(BridgeError, match="The plug-in in the editor is older") as caught:
            home.client().connect()
        assert "(version 7.8.9)" in str(caught.value)
        assert "Run `imgedit-plugins install" in caught.value.hint
    assert alive(home.state.pid)


def test_a_version_installed_over_the_running_one_takes_its_place(home, copied):
    client = home.started()
    whoami(client)
    first = home.state.pid
    set_version(copied, "7.8.9")
    wait_for(lambda: not alive(first), 10.0)
    assert whoami(client), "the next action works"
    assert client.connect()["version"] == "7.8.9"
