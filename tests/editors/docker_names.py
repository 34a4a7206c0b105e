"""What tests of Krita's docker share: the vocabulary as a file, and names for scripts."""

import json

from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.operations.described import described

SOURCES = "/src/bridges"
INSIDE = "/src/tests/editors/inside"


def write_vocabulary(folder):
    """What the worker tells about operations, as a file; returns variables that name it."""
    path = folder / "vocabulary.json"
    path.write_text(json.dumps([described(one) for one in default_vocabulary()]), "utf-8")
    return {"IMGEDIT_TEST_VOCABULARY": str(path)}
