"""What the tests of the exporters share."""

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models

# The tiny models are those of the plugins' own tests.
for family in ("mgie", "reverse_design", "reverse_design/minigpt4"):
    sys.path.append(str(Path(__file__).parents[1] / "plugins" / family))


@pytest.fixture(scope="session")
def minigpt4_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny MiniGPT-4 with drawn weights."""
    import minigpt4_exported

    return minigpt4_exported.model(tmp_path_factory.mktemp("minigpt4"))


@pytest.fixture(scope="session")
def minigpt4_bundle(minigpt4_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import minigpt4_exported

    out = tmp_path_factory.mktemp("bundle") / "minigpt4"
    minigpt4_exported.exported(minigpt4_model, out)
    return out
