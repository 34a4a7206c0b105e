"""The package as a user of the root's Python installs it."""

import json

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.editors


def test_pip_installs_the_project_and_it_lists_its_plugins(installed, root):
    listed = json.loads(root.call([f"{installed}/bin/imgedit-plugins", "list", "--json"]))
    assert "reverse_design" in json.dumps(listed)


def test_the_wheel_stands_alone(installed, root):
    python = f"{installed}/bin/python"
    where = root.call([python, "-c", "import imgedit_plugins as p; print(p.__file__)"], seconds=60)
    assert where.startswith(f"{installed}/lib/python3")


def test_an_edit_is_applied_as_on_this_machine(installed, root, photo, folder):
    path, pixels = photo
    out = folder / "inverted.png"
    command = [f"{installed}/bin/imgedit-plugins", "apply", str(path), "--op", "invert"]
    root.call([*command, "-o", str(out)], seconds=120)
    np.testing.assert_array_equal(np.asarray(Image.open(out)), 255 - pixels)
