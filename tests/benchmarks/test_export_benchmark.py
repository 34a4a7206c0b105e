"""The benchmark of bundles, at its smallest."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.torch

from benchmarks import export  # noqa: E402
from benchmarks.exporting import installed, tables  # noqa: E402
from benchmarks.exporting.goals import fastest, judged  # noqa: E402
from benchmarks.exporting.processes import Engine, Figures, measured  # noqa: E402
from benchmarks.exporting.results import Result, ran  # noqa: E402
from benchmarks.exporting.rows import (  # noqa: E402
    BF16,
    DIFFUSERS,
    EAGER,
    GENAI,
    LLAMA,
    OURS,
    Row,
    Setting,
    rows,
)
from benchmarks.exporting.shapes import TINY_DEEP, Lengths, prompt  # noqa: E402


def figures(name: str, seconds: float, peak: int = 100, **more) -> Figures:
    rounds = [
        {"first": 2.0, "rest": one, "seconds": one, "tokens": [1, 2]} for one in (9.0, seconds, 0.1)
    ]
    return Figures(name, rounds, peak=peak, seconds=3.0, **more)


def text(**seconds: float) -> Result:
    names = {"ours": OURS, "genai": GENAI, "llama": LLAMA, "bf16": BF16, "eager": EAGER}
    found = {names[key]: figures(names[key], value) for key, value in seconds.items()}
    return Result("text 110M fp32", "text", 128, 32, found)


# --- files and processes ----------------------------------------------------------------------


def test_a_deeper_bundle_writes_what_the_deeper_model_writes_in_a_process_of_its_own(
    tmp_path, monkeypatch
):
    import copy

    import torch

    from benchmarks.exporting.engines import make_llama
    from benchmarks.exporting.llama import config, drawn
    from imgedit_exporters import tracing

    monkeypatch.setattr(tracing, "LARGE", 10_000)  # weights lie beside the graph, as large ones do

    shape, lengths = TINY_DEEP, Lengths(6, 5)
    task = {"folder": str(tmp_path), "shape": shape.as_task(), "precisions": ["fp32"]}
    make_llama.prepare(task | {"genai": False})(0)

    weights = tmp_path / "bundle-fp32" / "decoder.onnx.data"
    assert weights.stat().st_size > (shape.numbers - shape.vocabulary * shape.width) * 4 * 0.95
    told = {
        "folder": str(tmp_path / "bundle-fp32"),
        "threads": 1,
        "lengths": {"prompt": 6, "new": 5},
        "vocabulary": shape.vocabulary,
    }
    found = measured([Engine(OURS, "ours", told), Engine("broken", "no_such", {})], 2, 1)
    assert "no_such" in found["broken"].fault
    assert found["broken"].rounds == []
    ours = found[OURS]
    assert (ours.fault, len(ours.rounds)) == ("", 2)
    assert ours.peak > 10e6
    assert "exporters/imgedit_exporters/runtime/decoding.py" in ours.sources

    model = drawn(shape, shape.made)
    middle = model.model.layers[1]
    layers = [model.model.layers[0], *(copy.deepcopy(middle) for _ in range(3))]
    model.model.layers = torch.nn.ModuleList([*layers, model.model.layers[2]])
    model.config.num_hidden_layers = config(shape, shape.layers).num_hidden_layers
    for number, layer in enumerate(model.model.layers):
        layer.self_attn.layer_idx = number
    for number, one in enumerate(ours.rounds, start=1):
        ids = torch.tensor([prompt(shape.vocabulary, lengths, number)])
        for token in one["tokens"]:
            with torch.no_grad():
                assert int(model(ids, use_cache=False).logits[0, -1].argmax()) == token
            ids = torch.cat([ids, torch.tensor([[token]])], dim=1)


def test_a_row_that_the_machine_is_too_small_for_says_so(tmp_path):
    row = Row("text", "text", (Engine("files", "none", {"folder": str(tmp_path / "a")}),), ())
    for size, told in ({"disk": 1e18}, "of disk"), ({"memory": 1e18}, "of memory"):
        result = ran(Row(**{**vars(row), **size}), tmp_path, 1, 1, set())
        assert told in result.not_run
        assert result.figures == {}


def test_peers_that_are_not_there_are_named_and_the_rest_is_measured(tmp_path):
    one = next(iter(rows(Setting(2, True, ""), tmp_path)))
    assert "--llama" in one.left_out[LLAMA]
    assert OURS in [engine.name for engine in one.passes[0]]
    with_llama = next(iter(rows(Setting(2, True, "python"), tmp_path)))
    assert LLAMA in [engine.name for engine in with_llama.passes[0]]
    assert {e.task["threads"] for e in with_llama.passes[0]} == {2}


@pytest.mark.slow
def test_the_whole_command_measures_tiny_models(tmp_path, capsys):
    path = tmp_path / "export.json"
    assert export.main(["--quick", "--json", str(path)]) == 0
    told = json.loads(path.read_text("utf-8"))
    assert [row["not_run"] for row in told["rows"]] == [""] * 6
    assert {row["row"] for row in told["rows"]} >= {"UNet step", "whole edit", "text tiny fp32"}
    for row in told["rows"]:
        assert row["figures"][OURS]["rounds"], row["row"]
    assert "100 % of tokens equal" in capsys.readouterr().out


# --- figures ----------------------------------------------------------------------------------


def test_the_median_counts_and_bfloat16_is_no_peer_of_float32():
    result = text(ours=1.0, genai=1.5, eager=2.0, bf16=0.2)
    assert result.speed(OURS) == 31
    assert result.prefill(OURS) == 64
    assert fastest(result) == GENAI


@pytest.mark.parametrize(("seconds", "verdict"), [(1.05, "PASS"), (1.06, "FAIL")])
def test_writing_may_be_a_twentieth_slower_than_the_fastest(seconds, verdict):
    (found,) = judged([text(ours=seconds, genai=1.0, llama=4.0)])
    assert (found.verdict, found.peer) == (verdict, GENAI)


def test_goals_of_the_unet_and_of_whole_edits():
    unet = Result("UNet step", "part", 0, 0)
    unet.figures = {OURS: figures(OURS, 1.0, peak=131), EAGER: figures(EAGER, 1.0, peak=100)}
    edit = Result("whole edit", "edit", 0, 0, {OURS: figures(OURS, 1.0)})
    verdicts = [one.verdict for one in judged([unet, edit])]
    assert verdicts == ["PASS", "FAIL", "NOT RUN"]
    edit.figures[DIFFUSERS] = figures(DIFFUSERS, 0.9)
    assert [one.verdict for one in judged([edit])] == ["FAIL"]


def test_the_table_for_docs_tells_machine_ratios_and_what_is_missing():
    told = {
        "command": "python -m benchmarks.export",
        "date": "2026-11-27",
        "machine": {"processor": "a processor", "cores": 2},
        "threads": 2,
        "rounds": 3,
        "versions": {"torch": "2"},
    }
    result = text(ours=1.0, genai=1.0)
    result.left_out[LLAMA] = "it is not installed"
    result.figures[EAGER] = Figures(EAGER, fault="no memory")
    late = Result("text 7B int4", "text", 128, 32, not_run="it needs 22 GB of disk")
    written = tables.for_docs(told, [result, late], judged([result, late]), {"runtime": 4e8})
    assert "a processor, 2 cores, 2 threads" in written
    assert "| 110M fp32 | ours | 31 |" in written
    for part in ("it is not installed", "no memory", "it needs 22 GB", "| 1.00 |", "400 MB"):
        assert part in written
    assert "| text 7B int4 | – | – | not run |" in written


def test_installed_sizes_follow_requirements_and_leave_ourselves_out():
    sizes = installed.sizes()
    assert sizes["torch"] > sizes["runtime"] > 20e6
