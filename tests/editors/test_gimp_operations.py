"""Every operation in the real GIMP, against the renderer: the table in docs/gimp.md."""

import os
import re

import gimp_errors
import pytest
from editor_root import PROJECT

from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.picture_files import open_picture

pytestmark = pytest.mark.editors

DOCUMENT = PROJECT / "docs" / "gimp.md"


def test_operations_look_as_rendered(plugin, photo, folder):
    """Writes the table into docs/gimp.md with IMGEDIT_WRITE_DOCS=1, and compares it without."""
    path, _ = photo
    cases = [*gimp_errors.LIVE, *gimp_errors.baked()]
    assert {name for name, _ in cases} == {one.name for one in default_vocabulary()}
    rows = gimp_errors.measure(plugin, open_picture(path), path, folder, cases)
    old = plugin.root.versions["gimp"].startswith("3.0")
    sign, made = ("3.0", gimp_errors.table(rows)) if old else ("3.2", gimp_errors.short_table(rows))
    print(made)
    for row in rows[: len(gimp_errors.LIVE)]:
        limit = 2 if row.name == "saturate" else 1
        assert row.layers == 1, row
        assert row.mean <= limit, row
        smooth = row.name == "gaussian" and (not old or row.parameters["kernel"] > 31)
        assert row.inside <= (12 if row.name == "saturate" else 10 if smooth else 2), row
    for row in rows[len(gimp_errors.LIVE) :]:
        assert (row.layers, row.filters, row.mean, row.largest) == (2, [], 0, 0), row
    text = DOCUMENT.read_text("utf-8")
    wanted = re.sub(
        rf"(?s)(<!-- table {sign} -->\n).*?(<!-- end {sign} -->)", rf"\g<1>{made}\g<2>", text
    )
    if os.environ.get("IMGEDIT_WRITE_DOCS"):
        DOCUMENT.write_text(wanted, "utf-8")
    assert DOCUMENT.read_text("utf-8") == wanted
