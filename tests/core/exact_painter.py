"""A plugin whose 'painted' pictures are arrays in the folder that the instruction names."""

from plugin_factory import Site

PAINTER = """
import pathlib

import numpy as np

from imgedit_plugins.pictures import Picture
from imgedit_plugins import hookimpl
from imgedit_plugins.requests import Candidate, EditResult


@hookimpl
def apply_edit(request, job):
    found = sorted(pathlib.Path(request.instruction).glob("*.npy"))
    made = [Candidate(picture=request.picture.with_pixels(np.load(one)), seed=n)
            for n, one in enumerate(found)]
    return EditResult(candidates=tuple(made), explanation="painted", exact_first=True)
"""

MANIFEST = """
schema = "imgedit-plugin/1"
name = "painter"
title = "Painter"
summary = "Paints what lies in a folder."
hooks = ["apply_edit"]

[[accepts]]
hook = "apply_edit"
inputs = ["picture", "instruction"]
optional = ["mask"]
rank = 90
"""


def install(folder, monkeypatch):
    """Install it for one test."""
    site = Site(folder / "site", monkeypatch)
    site.folder.mkdir()
    site.install("painter", code=PAINTER, manifest=MANIFEST)
