"""Hundreds of rapid random operations on one Krita: it must not crash, nor lose a picture.

A longer run, whose seeds follow the first one:

    IMGEDIT_STRESS_STEPS=2000 IMGEDIT_STRESS_SEEDS=5 pytest -m editors \\
        tests/editors/test_krita_stress.py -s

IMGEDIT_STRESS_GDB=1 lets gdb, where there is one, write down where Krita crashes.
"""

import os
import subprocess

import pytest

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture

pytestmark = pytest.mark.editors

STEPS = int(os.environ.get("IMGEDIT_STRESS_STEPS", "150"))
FIRST = int(os.environ.get("IMGEDIT_STRESS_FIRST", "1"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("IMGEDIT_STRESS_SEEDS", "1")))
SIZES = [(320, 240), (61, 47), (1600, 1200)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hurried_user_crashes_nothing(extension, krita_window, folder, seed):
    pictures = []
    for width, height in SIZES:
        pictures.append(str(folder / f"{width}.png"))
        save_picture(photograph(width, height), pictures[-1])
    window = krita_window(folder / "320.png")
    window.run(f"""
import builtins, sys
sys.path.append({extension.folder!r})
dock = next(one for one in Krita.instance().dockers() if one.objectName() == "imgedit_docker")
dock.setVisible(True)
dock.raise_()
dock.widget().engine.prepare()
""")
    debugger = _debugger(window, folder) if os.environ.get("IMGEDIT_STRESS_GDB") else None
    try:
        window.run(f"""
import builtins, krita_stress
builtins.stress = krita_stress.Stress({pictures!r}, {str(folder)!r}, {seed}, {STEPS})
""")
        end = window.running.wait_for("stressed", 60 + 2 * STEPS)
    finally:
        if debugger is not None:
            if window.running.is_running:
                debugger.terminate()
            debugger.wait(120)
    print(end["done"])
    assert end["faults"] == []
    assert end["lost"] == []


def _debugger(window, folder):
    """gdb at Krita, which writes down where it crashes."""
    [pid] = [pid for pid, name in window.program.root.processes().items()
             if name.startswith("krita ")]  # fmt: skip
    inside = f"/proc/{pid}/root"
    command = [
        *("gdb", "-batch", "-iex", f"set sysroot {inside}", "-p", str(pid)),
        *("-ex", "handle SIGPIPE SIGUSR1 SIGUSR2 SIG32 nostop noprint pass", "-ex", "continue"),
        *("-ex", "thread apply all bt 40", f"{inside}/usr/bin/krita"),
    ]
    with (folder / "gdb.txt").open("wb") as told:
        return subprocess.Popen(command, stdout=told, stderr=told, stdin=subprocess.DEVNULL)
