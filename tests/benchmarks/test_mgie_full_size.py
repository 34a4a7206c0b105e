"""The full-size benchmark: the published sizes, its guard, and an edit at tiny size."""

import json
import re

import pytest

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

import torch  # noqa: E402

from benchmarks.loaded_sources import changed  # noqa: E402
from benchmarks.mgie_full_size import __main__ as command  # noqa: E402
from benchmarks.mgie_full_size import made, measuring, pages  # noqa: E402
from benchmarks.mgie_full_size.sizes import FULL, TINY  # noqa: E402
from imgedit_mgie.forecast import Forecast  # noqa: E402
from imgedit_modelkit.tensor_files import numbers_in  # noqa: E402
from imgedit_plugins.errors import ImgeditError  # noqa: E402


def test_the_full_size_is_the_published_one(tmp_path):
    numbers = made.folder_of(FULL, tmp_path)
    assert numbers == {
        # 6,738,415,616 of LLaMA-7B, and twelve rows more in both tables
        "language model": 6_738_415_616 + 2 * 12 * 4096,
        "CLIP": 303_179_776,
        "projector": 1024 * 4096 + 4096,
        "edit head": numbers["edit head"],
        "UNet": 859_520_964 + 4 * 320 * 9,
        "VAE": 83_653_863,
    }
    assert 25e6 < numbers["edit head"] < 40e6
    assert numbers_in(tmp_path) == sum(numbers.values())
    taken = sum(path.stat().st_blocks * 512 for path in tmp_path.rglob("*") if path.is_file())
    assert taken < 3e6


def test_parts_are_filled_in_half_precision_and_stay_finite():
    writer = made.filled(made.empty_writer(TINY), torch.bfloat16)
    assert {p.dtype for p in writer.parameters()} == {torch.bfloat16}
    assert all(p.device.type == "cpu" for p in writer.parameters())
    assert writer.llava.table.weight.float().std() == pytest.approx(64**-0.5, rel=0.05)


def test_too_little_memory_is_refused():
    told = Forecast(language=14 * 10**9, painting=2 * 10**9, working=10**8, seconds=1.0)
    with pytest.raises(ImgeditError, match=r"needs 17\.6 GB of memory, and 12\.0 GB are free"):
        measuring.check_room(told, 12 * 10**9)
    measuring.check_room(told, 18 * 10**9)


def test_an_edit_at_tiny_size(tmp_path, monkeypatch, capsys):
    page = tmp_path / "mgie.md"
    page.write_text(f"before\n\n{pages.BEGIN}\n\nold\n\n<!-- end of benchmark -->\n\nafter\n")
    monkeypatch.setattr(command, "DOCS", page)
    path = tmp_path / "figures.json"
    given = ["--scale", "tiny", "--tokens", "16", "--json", str(path), "--write-docs"]
    assert command.main(given) == 0
    told = json.loads(path.read_text("utf-8"))
    assert (told["tokens"], told["steps"]) == (16, 2)
    stages = told["stages"]
    assert all(seconds > 0 for seconds in stages.values())
    parts = sum(stages.values()) - stages["create"]
    assert parts < told["seconds"]
    assert told["memory"]["peak"] > told["memory"]["weights"]
    longer = told["extrapolated"]
    assert longer["100"]["seconds"] - longer["50"]["seconds"] == pytest.approx(50 * stages["step"])
    assert not changed(told["sources"])
    assert {"plugins/mgie/imgedit_mgie/editing.py"} <= set(told["sources"])
    text = page.read_text("utf-8")
    assert re.search(
        r"^before\n.*a step of the UNet.*extrapolated, not run.*\nafter\n$", text, re.S
    )
    assert "old" not in text
    assert "extrapolated" in capsys.readouterr().out


def test_a_machine_that_is_too_small_is_told_in_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(measuring, "free_memory", lambda _: 10**9)
    assert command.main(["--scale", "tiny"]) == 1
    assert capsys.readouterr().err.startswith("Error: This needs 1.5 GB")
