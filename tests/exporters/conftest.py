"""What the tests of the exporters share."""

import os
import sys
from pathlib import Path

import pytest

# The tiny models are those of the plugins' own tests.
for family in ("mgie", "reverse_design", "reverse_design/minigpt4", "reason_edit/model"):
    sys.path.append(str(Path(__file__).parents[1] / "plugins" / family))


@pytest.fixture(scope="session", autouse=True)
def _traced(tmp_path_factory) -> None:
    """The folder of `traced_once`, which all processes of a run share."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    place = base / "traced"
    place.mkdir(exist_ok=True)
    os.environ["IMGEDIT_TESTS_TRACED"] = str(place)


@pytest.fixture(scope="session")
def mgie_model(tmp_path_factory) -> Path:
    """The folder of a tiny MGIE."""
    import mgie_exported

    return mgie_exported.model(tmp_path_factory.mktemp("mgie"))


@pytest.fixture(scope="session")
def mgie_bundle(mgie_model, tmp_path_factory) -> Path:
    """What its export makes; not to be changed."""
    import mgie_exported

    out = tmp_path_factory.mktemp("bundle") / "mgie"
    mgie_exported.exported(mgie_model, out)
    return out


@pytest.fixture(scope="session")
def reason_model(tmp_path_factory) -> Path:
    """The folder of a tiny ReasonPix2Pix, as its import makes it."""
    import reason_exported

    return reason_exported.model(tmp_path_factory.mktemp("reason"))


@pytest.fixture(scope="session")
def reason_trained(reason_model, tmp_path_factory) -> Path:
    """The same, said to be trained."""
    import reason_exported

    folder = tmp_path_factory.mktemp("trained") / "model"
    return reason_exported.trained(reason_model, folder, "reason_pix2pix")


@pytest.fixture(scope="session")
def reason_bundle(reason_trained, tmp_path_factory) -> Path:
    """What the export of that makes; not to be changed."""
    import reason_exported

    out = tmp_path_factory.mktemp("bundle") / "reason"
    reason_exported.exported(reason_trained, out)
    return out


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
