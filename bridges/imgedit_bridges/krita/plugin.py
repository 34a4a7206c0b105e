"""The Krita extension: `imgedit-plugins install krita` puts it into pykrita/imgedit as __init__.py.

Runs in Krita's own Python: standard library, Krita and the Qt that Krita brings.
"""

import sys
from pathlib import Path

_FOLDER = str(Path(__file__).resolve().parent)

if sys.version_info < (3, 10):  # noqa: UP036  # Krita's own Python, not the project's
    raise ImportError(f"imgedit needs Python 3.10 or newer; this Krita has {sys.version}.")
if _FOLDER not in sys.path:
    sys.path.append(_FOLDER)  # the modules lie beside this file

from imgedit_bridges.krita.extension import add_to_krita  # noqa: E402

add_to_krita()
