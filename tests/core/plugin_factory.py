"""Makes throw-away plugin distributions, as pip would leave them, for tests of the manager."""

from __future__ import annotations

import importlib
import itertools
import textwrap
from pathlib import Path

MANIFEST = """
schema = "imgedit-plugin/1"
name = "{name}"
title = "{name} title"
summary = "For tests."
hooks = ["apply_edit"]

[[accepts]]
hook = "apply_edit"
inputs = ["picture", "instruction"]
rank = {rank}
"""

CODE = """
from imgedit_plugins import hookimpl
from imgedit_plugins.requests import Candidate, EditResult

@hookimpl
def apply_edit(request, job):
{body}
"""

ANSWER = 'return EditResult(candidates=(Candidate(picture=request.picture),), explanation="{}")'

_numbers = itertools.count()


class Site:
    """A folder on `sys.path` into which plugins are installed."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.folder = folder
        monkeypatch.syspath_prepend(folder)

    def install(
        self,
        name: str = "tested",
        *,
        body: str | None = None,
        code: str | None = None,
        manifest: str | None = None,
        rank: int = 0,
        distribution: str = "",
        module: str = "",
    ) -> str:
        """Install a plugin; returns its package, which no other test uses."""
        package = f"plugin_for_test_{next(_numbers)}"
        folder = self.folder / package
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        body = textwrap.indent(textwrap.dedent(body or ANSWER.format(name)), "    ")
        (folder / "plugin.py").write_text(code if code is not None else CODE.format(body=body))
        text = MANIFEST.format(name=name, rank=rank) if manifest is None else manifest
        (folder / "imgedit_plugin.toml").write_text(text)
        self.declare(name, module or f"{package}.plugin", distribution or f"dist-{name}")
        return package

    def declare(self, name: str, value: str, distribution: str) -> None:
        """Write the metadata of a distribution with one entry point."""
        info = self.folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[imgedit_plugins]\n{name} = {value}\n")
        importlib.invalidate_caches()
