"""``python -m imgedit_bridges.worker [FOLDER]``: the worker itself, which `worker start` runs.

Executors are spawned from this process and import this module again, so nothing happens unless it
is the program.
"""

import sys

if __name__ == "__main__":
    from imgedit_bridges.errors import BridgeError
    from imgedit_bridges.worker.lifecycle import run_worker
    from imgedit_plugins.errors import ImgeditError

    try:
        sys.exit(run_worker(*sys.argv[1:2]))
    except (ImgeditError, BridgeError) as fault:
        sys.exit(f"{fault}")
