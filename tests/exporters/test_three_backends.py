"""A tiny LLaMA through torch.onnx, onnxruntime-genai's builder and optimum: the same tokens."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from imgedit_exporters import optimum_graphs
from imgedit_exporters.exporting import Wanted, export
from imgedit_exporters.runtime import bundles
from imgedit_exporters.runtime.decoding import Rules, decoder_of, write
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_modelkit.export_parts import decoder_part, embeddings_part
from imgedit_modelkit.testing import tiny_llama, tiny_tokenizer
from imgedit_plugins.errors import ImgeditError, OptionError
from imgedit_plugins.exporting import ExportReport
from imgedit_plugins.jobs import Job

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

PROMPT = [1, 9, 14, 23, 9, 14, 40]
TOKENS = 60


@pytest.fixture(scope="module")
def llama():
    known = tiny_tokenizer(["The sky is darker, and the grass is green."] * 3, size=60)
    return tiny_llama(known, width=64, seed=3)


def exported(llama, out: Path, backend, warn=lambda _: None, **wanted) -> bundles.Document:
    parts = (decoder_part(llama), embeddings_part(llama.get_input_embeddings()))
    report = ExportReport(model="llama", parts=parts)
    made = Wanted(backend=backend, golden=20, **wanted)
    return export(report, "three", out, made, None, Job(on_warning=warn))


def tokens(folder: Path) -> list[int]:
    bundle = Bundle(folder, device="cpu", threads=1)

    def embed(ids):
        return bundle.run("embeddings", [np.array([ids], np.int64)])[0][0]

    written = write(decoder_of(bundle), embed(PROMPT), Rules(end=-1, longest=TOKENS), embed=embed)
    return list(written.tokens)


@pytest.mark.slow
@torch.no_grad()
def test_the_same_tokens_whoever_exports(llama, tmp_path):
    """The first time, the environment of optimum is made: it takes a minute and 2 GB."""
    wanted = llama.generate(
        torch.tensor([PROMPT]), max_new_tokens=TOKENS, do_sample=False, eos_token_id=-1,
        pad_token_id=0,
    )[0, len(PROMPT) :].tolist()  # fmt: skip
    assert len(set(wanted)) > 10, "it is no text that repeats itself"
    for backend in ("torch", "genai", "optimum"):
        document = exported(llama, tmp_path / backend, backend)
        assert document.part("decoder").backend == backend
        assert document.part("embeddings").backend == "torch"
        assert tokens(tmp_path / backend) == wanted, backend
    assert bundles.read(tmp_path / "optimum").certificate.versions["optimum-onnx"] == "0.1.0"
    quantised = exported(llama, tmp_path / "int8", "optimum", precision="int8")
    assert quantised.part("decoder").quantised == 2 * 7 + 1


# --- what can be seen without optimum ---------------------------------------------------------


def test_its_configuration_is_in_the_words_of_transformers_4(llama, tmp_path):
    llama.config.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    told = json.loads(path.read_text("utf-8"))
    told["rope_parameters"] = {"rope_theta": 5e5, "rope_type": "linear", "factor": 2.0}
    path.write_text(json.dumps(told), "utf-8")
    optimum_graphs._as_before_5(path)
    written = json.loads(path.read_text("utf-8"))
    assert written["rope_theta"] == 5e5
    assert written["rope_scaling"] == {"rope_type": "linear", "factor": 2.0}
    assert "rope_parameters" not in written
    assert "torch_dtype" in written


def test_what_it_cannot_do_is_told(llama, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match=r"compute in fp32 here, and not in fp16.*--backend auto"):
        exported(llama, tmp_path / "x", "optimum", precision="fp16")
    nameless = decoder_part(llama).model_copy(update={"language_model": None})
    report = ExportReport(model="llama", parts=(nameless,))
    with pytest.raises(OptionError, match="it names no language model"):
        export(report, "three", tmp_path / "x", Wanted(backend="optimum"), None, Job())
    failing = tmp_path / "failing"
    failing.write_text(f"#!{sys.executable}\nimport sys; sys.exit('no such task')\n", "utf-8")
    failing.chmod(0o755)
    monkeypatch.setattr(optimum_graphs, "environment", lambda _: failing)
    with pytest.raises(ImgeditError, match=r"optimum cannot export .*: no such task.*torch"):
        exported(llama, tmp_path / "x", "optimum")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["failing"]


def test_an_environment_that_cannot_be_made_is_no_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(optimum_graphs, "PINS", (*optimum_graphs.PINS, "no-such-package==0"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    told: list[str] = []
    with pytest.raises(ImgeditError, match=r"The environment for optimum cannot be made: .+"):
        optimum_graphs.environment(Job(on_warning=told.append))
    assert told
    assert "2 GB, downloaded once" in told[0]
    assert not list(tmp_path.rglob("complete"))
