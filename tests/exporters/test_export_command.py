"""`export` and `bundle` on the command line, with the plugin of the documentation's sample."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from imgedit_plugins.cli import cli

sys.path.append(str(Path(__file__).parents[1] / "core"))

from plugin_factory import Site

pytestmark = pytest.mark.torch

HOOKS = Path(__file__).parents[2] / "docs" / "hooks"
MANIFEST = """
schema = "imgedit-plugin/1"
name = "mood"
title = "Mood"
summary = "For tests."
hooks = ["export_parts"]

[[accepts]]
hook = "export_parts"
optional = ["model"]
"""


@pytest.fixture
def mood(tmp_path, monkeypatch) -> None:
    (code,) = re.findall(
        r"^```python\n(from imgedit.*?)^```$", (HOOKS / "export_parts.md").read_text(), re.M | re.S
    )
    (tmp_path / "site").mkdir()
    Site(tmp_path / "site", monkeypatch).install("mood", code=code, manifest=MANIFEST)


def run(*arguments, code: int = 0) -> str:
    done = CliRunner().invoke(cli, list(map(str, arguments)))
    assert done.exit_code == code, done.output
    return done.output


def test_export_then_show_then_verify(mood, tmp_path):
    out = tmp_path / "bundle"
    told = run("export", "mood", "--to", "onnx", "--golden", 20, "-o", out)
    assert re.search(r"mood +fp32 +torch +20 .* passed", told)
    assert f"The bundle is in {out}" in told
    assert re.search(r"mood \(mood\).*\nchecks: passed, with .*torch 2", run("bundle", "show", out))
    assert "does here what its original did" in run("bundle", "verify", out)
    document = json.loads(run("bundle", "show", out, "--json"))
    assert document["plugin"] == "mood"
    assert "is there already" in run("export", "mood", "--to", "onnx", "-o", out, code=1)
    (out / "mood.onnx").write_bytes((out / "mood.onnx").read_bytes() + b" ")
    assert "mood.onnx is not the file" in run("bundle", "verify", out, code=1)


@pytest.mark.parametrize(
    ("target", "extras"),
    [("onnx", "torch,export,runtime"), ("tensorrt", "torch,export,runtime-gpu,tensorrt")],
)
def test_what_to_install_is_what_the_target_needs(mood, tmp_path, monkeypatch, target, extras):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name)
    )
    told = run("export", "mood", "--to", target, "-o", tmp_path / "out", code=1)
    assert "not installed: onnxscript." in told
    assert f"pip install 'imgedit-plugins[{extras}]'" in told


def test_few_bits_from_the_command_line(mood, tmp_path):
    told = run(
        "export", "mood", "--to", "onnx", "--precision", "mood=int4", "--golden", 8, "--json", "-o",
        tmp_path / "bundle",
    )  # fmt: skip
    assert "has no matrix to put into 4 bits; it stays fp32" in told, "torch made a Gemm of it"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--precision", "fp8"], "--precision takes fp32, fp16, bf16, int8, int4"),
        (["--precision", "fp16", "--precision", "fp32"], "given twice"),
        (["--block-size", "31"], "'31' is not one of"),
        (["--to", "coreml"], "'coreml' is not one of 'onnx', 'tensorrt'"),
        (["-O", "weights=x"], "no option 'weights'"),
    ],
)
def test_wrong_usage(mood, tmp_path, arguments, told):
    output = run("export", "mood", "--to", "onnx", *arguments, "-o", tmp_path / "bundle", code=2)
    assert told in output.replace("\n", " ")


def test_a_plugin_that_declares_nothing(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    Site(tmp_path / "site", monkeypatch).install("mute")
    told = run("export", "mute", "--to", "onnx", "-o", tmp_path / "bundle", code=1)
    assert "does not do export_parts" in told


def test_the_schema():
    assert json.loads(run("bundle", "schema"))["$id"] == "imgedit-bundle-1.schema.json"


def test_a_folder_that_is_no_bundle(tmp_path):
    assert "holds no bundle.json" in run("bundle", "show", tmp_path, code=1)
    assert "holds no bundle.json" in run("bundle", "verify", tmp_path, code=1)
