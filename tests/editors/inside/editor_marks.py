"""Runs inside the editors, standard library only: marks in the log, and scripts between them.

A mark is one line of standard output, which the harness reads: exit codes of editors lie.
"""

import json
import os
import pathlib
import time
import traceback

SIGN = "EDITOR-MARK "


def mark(event, **values):
    """Print one mark; values must fit JSON."""
    line = SIGN + json.dumps({"event": event, **values})
    os.write(1, f"\n{line}\n".encode())  # one write: other lines cannot break it


def started(editor, version):
    """Say which editor runs, and as which process (the editor's, not a plug-in's)."""
    pid = os.getpid() if editor == "krita" else os.getppid()
    mark("started", editor=editor, version=version, pid=pid)


def run_script(path, names):
    """Execute a script with `names` and `mark`; the last mark says how it ended."""
    request = pathlib.Path(path).name
    try:
        code = compile(pathlib.Path(path).read_text("utf-8"), path, "exec")
        exec(code, {**names, "mark": mark, "__name__": "__main__", "__file__": path})
    except BaseException as error:  # sys.exit() of a script is no success either
        mark("failed", request=request, error=repr(error), traceback=traceback.format_exc())
        return False
    mark("done", request=request)
    return True


def run_next(folder, names):
    """Run the oldest script that waits in a folder, if there is one; whether there was."""
    waiting = sorted(pathlib.Path(folder).glob("*.py"))
    if waiting:
        taken = waiting[0].with_suffix(".taken")
        waiting[0].rename(taken)
        run_script(str(taken), names)
    return bool(waiting)


def serve(folder, names):
    """Run scripts as they appear in a folder, for ever."""
    while True:
        if not run_next(folder, names):
            time.sleep(0.05)
