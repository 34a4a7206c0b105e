"""MGIE's training benchmark measures the same training twice, and notices when it does not."""

import json

import pytest

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

from benchmarks import mgie_training, training  # noqa: E402
from benchmarks.loaded_sources import changed  # noqa: E402


def run(monkeypatch, tmp_path) -> tuple[int, dict]:
    for module in (mgie_training, training):  # ten steps, of which the mean loss is told
        monkeypatch.setattr(module, "WARM_UP", 8)
    monkeypatch.setattr(mgie_training, "_BATCH", 2)
    monkeypatch.setattr("sys.argv", ["mgie_training", "--rounds", "1", "--steps", "2", "--json",
                                     str(tmp_path / "figures.json")])  # fmt: skip
    code = mgie_training.main()
    return code, json.loads((tmp_path / "figures.json").read_text("utf-8"))


def test_it_writes_its_figures_with_the_sources(tmp_path, monkeypatch, capsys):
    code, told = run(monkeypatch, tmp_path)
    assert told["plain"] > 0
    assert told["loop"] > 0
    assert told["passed"] == (told["ratio"] >= told["limit"]) == (code == 0)
    assert told["losses_differ_by"] < 1e-4
    names = set(told["sources"])
    assert {"modelkit/imgedit_modelkit/loop.py", "plugins/mgie/imgedit_mgie/task.py"} <= names
    assert not changed(told["sources"])
    assert f"{told['ratio']:.3f}" in capsys.readouterr().out


def test_another_loss_is_noticed(tmp_path, monkeypatch):
    own = mgie_training.plain_edit_loss
    monkeypatch.setattr(mgie_training, "plain_edit_loss", lambda *a: own(*a) * 2)
    code, told = run(monkeypatch, tmp_path)
    assert code == 1
    assert told["losses_differ_by"] > 0.01
