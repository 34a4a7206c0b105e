"""`python -m imgedit_bridges.gimp.refresh FOLDER`: write down the actions of plugins again.

The plug-in runs it when it sees that packages were installed or removed. Belongs to the command
line: it reads manifests, and imports no plugin.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from imgedit_bridges.gimp import catalogue
from imgedit_bridges.worker.actions import all_actions
from imgedit_plugins.atomic import atomic_write

_PACKAGES = ("site-packages", "dist-packages")


def recorded() -> dict[str, Any]:
    """What is written down: the actions of plugins, and the folders whose change changes them."""
    packages = [place for place in sys.path if Path(place).name in _PACKAGES]
    watched = {place: catalogue.modified(place) for place in packages}
    return {"actions": [one for one in all_actions() if one["plugin"]], "watched": watched}


def as_bytes(record: dict[str, Any]) -> bytes:
    """As it is in the file."""
    return (json.dumps(record, indent=1) + "\n").encode()


def refresh(folder: Path, script: Path) -> bool:
    """Write the actions down if they have changed; GIMP asks for them at its next start.

    Args:
        folder: of the plug-in, which is installed.
        script: whose time GIMP looks at.

    Returns:
        Whether they have.

    Raises:
        OSError: the folder cannot be written.
    """
    record = recorded()
    newest = catalogue.newest_listing(folder)
    if newest == record:
        return False
    changed = bool(newest.get("actions") != record["actions"])
    # Actions as they were are written where they are: GIMP may have been told of them.
    name = catalogue.NEXT if changed or (folder / catalogue.NEXT).exists() else catalogue.ACTIONS
    with atomic_write(folder / name) as path:
        path.write_bytes(as_bytes(record))
    if changed:
        look_changed(script)
    return changed


def look_changed(script: Path, than: float = 0.0) -> None:
    """Give a script a later time, in whole seconds, than it had, or than the one given."""
    later = max(time.time(), than + 1, script.stat().st_mtime + 1)
    os.utime(script, (later, later))


if __name__ == "__main__":
    place = Path(sys.argv[1])
    refresh(place, place / "imgedit.py")
