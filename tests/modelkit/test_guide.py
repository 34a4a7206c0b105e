"""The training example of the plugin author's guide does what the guide says."""

import re
import types
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.torch

from imgedit_modelkit.errors import RunError  # noqa: E402
from imgedit_modelkit.runs import RunFolder  # noqa: E402
from imgedit_plugins.errors import JobCancelledError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.picture_files import save_picture  # noqa: E402
from imgedit_plugins.pictures import Picture  # noqa: E402
from imgedit_plugins.requests import TrainRequest  # noqa: E402

GUIDE = Path(__file__).parents[2] / "docs" / "plugin-authors.md"
GAINS, OFFSETS = np.array([0.8, 0.9, 0.6]), np.array([20, 0, 40])


def blocks() -> list[str]:
    section = GUIDE.read_text("utf-8").split("## Training a model\n")[1].split("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(5):
        before = rng.integers(0, 256, (24, 32, 3)).astype(np.uint8)
        after = (before * GAINS + OFFSETS).round().astype(np.uint8)
        for name, pixels in (("before", before), ("after", after)):
            (tmp_path / name).mkdir(exist_ok=True)
            save_picture(Picture(pixels), tmp_path / name / f"{number}.png")
    return tmp_path


@pytest.fixture
def plugin():
    module = types.ModuleType("guide")
    exec(compile(blocks()[0], "plugin-authors.md", "exec"), module.__dict__)
    return module


def test_it_learns_the_look(plugin, data, tmp_path):
    report = plugin.train(TrainRequest(data=data, out=tmp_path / "run"), Job())
    assert report.metrics["l1"] < 0.01
    names = {"Look": plugin.Look, "data": data, "run_folder": report.run}
    exec(compile(blocks()[1], "plugin-authors.md", "exec"), names)
    assert names["checkpoint"].step == RunFolder.open(report.run).best().step
    weights = names["model"].weight.flatten().tolist()
    assert weights == pytest.approx(GAINS, abs=0.05)


def test_it_is_cancelled_and_goes_on(plugin, data, tmp_path):
    job = Job(on_progress=lambda progress: job.cancel() if progress.done == 60 else None)
    with pytest.raises(JobCancelledError):
        plugin.train(TrainRequest(data=data, out=tmp_path / "run"), job)
    cut = plugin.train(TrainRequest(data=data, out=tmp_path / "run"), Job())
    whole = plugin.train(TrainRequest(data=data, out=tmp_path / "whole"), Job())
    assert cut.metrics == whole.metrics


def test_other_pictures_are_refused(plugin, data, tmp_path):
    plugin.train(TrainRequest(data=data, out=tmp_path / "run"), Job())
    (data / "after" / "3.png").write_bytes((data / "after" / "2.png").read_bytes())
    with pytest.raises(RunError, match="fingerprint"):
        plugin.train(TrainRequest(data=data, out=tmp_path / "run"), Job())
