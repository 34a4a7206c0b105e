"""What all tests need."""

import importlib.util
import os
import re
import signal

import pytest
from hypothesis import settings

# Tiny models, and a process of tests for each core already: more threads wait for one another.
# Here and not in the folders, since it must be said before the first of them imports PyTorch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background jobs with SIGINT ignored, and their children inherit that: commands
# that tests interrupt would not notice. Children of a process with a handler have the default.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine that others use, too, makes any single example late now and then.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


def pytest_ignore_collect(collection_path, config):
    """Without PyTorch, test modules marked `torch` end the run, unless they were not asked for."""
    if collection_path.suffix != ".py" or importlib.util.find_spec("torch"):
        return None
    if not re.search(r"^pytestmark = .*mark\.torch\b", collection_path.read_text("utf-8"), re.M):
        return None
    if "not torch" in config.option.markexpr:
        return True
    raise pytest.UsageError(
        f"{collection_path.name} needs PyTorch: `python3 scripts/test.py` installs it. To go "
        "without these tests: -m 'not torch and not slow and not editors'."
    )
