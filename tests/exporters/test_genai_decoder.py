"""Decoders by onnxruntime-genai's builder: the same texts, in a cache that nobody copies."""

import functools
import gc
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mgie_exported
import minigpt4_exported
import numpy as np
import onnxruntime
import pytest
import tiny_mgie
import torch

from imgedit_exporters import genai
from imgedit_exporters.exporting import ExportFailedError, Wanted, export
from imgedit_exporters.runtime import bundles, fused
from imgedit_exporters.runtime.decoding import Decoder, Rules, decoder_of, write
from imgedit_exporters.runtime.fused import FusedDecoder
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.verifying import verify
from imgedit_modelkit.export_parts import decoder_part, embeddings_part
from imgedit_modelkit.testing import realistic, tiny_llama, tiny_tokenizer
from imgedit_plugins.errors import ImgeditError, OptionError, WeightsError
from imgedit_plugins.exporting import ExportReport
from imgedit_plugins.jobs import Job

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:__array__ impl")]

PROMPT = [1, 9, 14, 23, 9, 14, 40]


@pytest.fixture(scope="module")
def known():
    return tiny_tokenizer(["The sky is darker, and the grass is green."] * 3, size=60)


@pytest.fixture(scope="module")
def llama(known):
    return tiny_llama(known, width=64, seed=3)


def report(model, **changes) -> ExportReport:
    decoder = decoder_part(model).model_copy(update=changes)
    return ExportReport(
        model="llama", parts=(decoder, embeddings_part(model.get_input_embeddings()))
    )


def exported(model, out: Path, precision="fp32", **wanted) -> bundles.Document:
    made = Wanted(parts={"decoder": precision}, **{"golden": 30, "backend": "genai", **wanted})
    return export(report(model), "decoder", out, made, None, Job())


@pytest.fixture(scope="module")
def bundle(llama, tmp_path_factory) -> Bundle:
    out = tmp_path_factory.mktemp("genai") / "bundle"
    exported(llama, out, backend="auto")
    return Bundle(out, device="cpu", threads=1)


def embed(bundle):
    return lambda ids: bundle.run("embeddings", [np.array([ids], np.int64)])[0][0]


def fresh(bundle) -> FusedDecoder:
    return FusedDecoder(bundle.session("decoder"))


# --- the same texts ---------------------------------------------------------------------------


@torch.no_grad()
def test_greedy_text_and_hidden_states_are_those_of_transformers(bundle, llama):
    """400 tokens, so that the buffers grow twice."""
    wanted = llama.generate(
        torch.tensor([PROMPT]), max_new_tokens=400, do_sample=False, eos_token_id=-1,
        pad_token_id=0, return_dict_in_generate=True, output_logits=True,
    )  # fmt: skip
    decoder = decoder_of(bundle)
    assert isinstance(decoder._decoder, FusedDecoder)
    rules = Rules(end=-1, longest=400, probable=True)
    written = write(decoder, embed(bundle)(PROMPT), rules, embed=embed(bundle), prompt=PROMPT)
    assert list(written.tokens) == wanted.sequences[0, len(PROMPT) :].tolist()
    assert len(set(written.tokens)) > 10, "it is no text that repeats itself"
    chances = [
        float(step[0].softmax(-1)[token])
        for step, token in zip(wanted.logits, written.tokens, strict=True)
    ]
    np.testing.assert_allclose(written.probabilities, chances, rtol=2e-3)
    states = llama.model(wanted.sequences[:, :-1]).last_hidden_state[0].numpy()
    np.testing.assert_allclose(written.states, states, atol=2e-4)


def test_a_cache_can_be_gone_on_from_twice_and_its_first_positions_too(bundle):
    decoder, of = fresh(bundle), embed(bundle)
    prefix = decoder(of(PROMPT))
    for rest in ([5, 6], [7, 8, 9], [5]):
        whole = decoder(of([*PROMPT, *rest]))
        again = decoder(of(rest), prefix.cache)
        np.testing.assert_allclose(again.logits, whole.logits, atol=1e-4)
        further = decoder(of([11]), again.cache)
        more = decoder(of([*PROMPT, *rest, 11]))
        np.testing.assert_allclose(further.logits, more.logits, atol=1e-4)
    for count in (0, 3, len(PROMPT)):
        begun = decoder.first(prefix.cache, count)
        again = decoder(of([21, 22]), begun)
        whole = decoder(of([*PROMPT[:count], 21, 22]))
        np.testing.assert_allclose(again.logits, whole.logits, atol=1e-4)
    with pytest.raises(ValueError, match="7 positions has no first 8"):
        decoder.first(prefix.cache, 8)


def test_positions_may_come_one_by_one_or_many_at_once_and_answers_stay(bundle):
    """The answer of one position is made in memory that the next such step writes again."""
    decoder, of = fresh(bundle), embed(bundle)
    ids, step, read, kept = [5, *PROMPT, 7, 8, 9, 11, 12], None, 0, []
    for count in (1, 4, 1, 1, 3, 1, 1):
        step = decoder(of(ids[read : read + count]), step.cache if step else ())
        read += count
        kept.append((read, step))
    states = decoder(of(ids[:read])).states
    for end, one in kept:
        np.testing.assert_allclose(one.logits, decoder(of(ids[:end])).logits, atol=1e-4)
        np.testing.assert_allclose(one.states, states[end - len(one.states) : end], atol=1e-4)


def test_a_text_of_usual_length_is_never_copied(bundle, monkeypatch):
    decoder, of = fresh(bundle), embed(bundle)
    copies, copy = [], FusedDecoder._copy
    monkeypatch.setattr(
        FusedDecoder, "_copy", lambda *given: copies.append(given[2:]) or copy(*given)
    )
    step = decoder(of([*range(3, 67)]))
    for token in range(128):
        step = decoder(of([token]), step.cache)
    assert copies == [(0, 64)], "room for the text is there from the beginning"
    assert step.cache[0].count == 192


@pytest.mark.parametrize("size", [3, fused._LARGE // 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_memory_in_small_pages(size, dtype):
    made = fused.in_small_pages((2, size, 16), dtype)
    assert made.shape == (2, size, 16)
    assert made.dtype == dtype
    assert made.flags.c_contiguous
    assert not made.any()
    made[:] = 3
    value = onnxruntime.OrtValue.ortvalue_from_numpy(made)
    del made
    gc.collect()
    assert (value.numpy() == 3).all(), "it lives as long as the value"


def test_a_step_writes_behind_what_is_there_and_copies_nothing(bundle):
    decoder, of = fresh(bundle), embed(bundle)
    step = decoder(of(PROMPT))
    (held,) = step.cache
    addresses = {name: value.data_ptr() for name, value in held.buffers.values.items()}
    keys = held.buffers.values["past_key_values.1.key"].numpy()[:, :, : len(PROMPT)].copy()
    for token in range(20):
        step = decoder(of([token]), step.cache)
    (after,) = step.cache
    assert after.count == len(PROMPT) + 20
    assert {n: value.data_ptr() for n, value in after.buffers.values.items()} == addresses
    found = after.buffers.values["past_key_values.1.key"].numpy()
    np.testing.assert_array_equal(found[:, :, : len(PROMPT)], keys)
    assert np.abs(found[:, :, len(PROMPT) : after.count]).min(axis=(1, 3)).max() > 0
    assert not found[:, :, after.count :].any(), "nothing is written where nothing was read"


def test_threads_go_on_from_one_cache(bundle):
    decoder, of = fresh(bundle), embed(bundle)
    prefix = decoder(of(PROMPT))
    wanted = {token: decoder(of([*PROMPT, token, token])).logits for token in range(8)}

    def found(token: int) -> np.ndarray:
        step = decoder(of([token]), prefix.cache)
        return decoder(of([token]), step.cache).logits

    with ThreadPoolExecutor(8) as pool:
        for token, logits in zip(wanted, pool.map(found, wanted), strict=True):
            np.testing.assert_allclose(logits, wanted[token], atol=1e-4)


def test_what_is_shared_with_the_last_text_is_not_read_again(bundle):
    decoder, of = decoder_of(bundle), embed(bundle)
    decoder(of(PROMPT))
    read: list[int] = []
    inner = decoder._decoder
    call = FusedDecoder.__call__

    def counted(self, embeds, cache=()):
        read.append(len(embeds))
        return call(self, embeds, cache)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FusedDecoder, "__call__", counted)
        again = decoder(of([*PROMPT[:5], 30, 31]))
    assert read == [2]
    np.testing.assert_allclose(again.logits, inner(of([*PROMPT[:5], 30, 31])).logits, atol=1e-4)
    held = inner(of(PROMPT)).cache[0]
    assert held.tensor_size_in_bytes() == 2 * 2 * 2 * 16 * 4 * len(PROMPT)


def test_logits_and_states_of_a_step_stay_what_they_are(bundle):
    decoder, of = fresh(bundle), embed(bundle)
    step = decoder(of(PROMPT))
    logits, states = step.logits.copy(), step.states.copy()
    decoder(of(list(reversed(PROMPT))), step.cache)
    np.testing.assert_array_equal(step.logits, logits)
    np.testing.assert_array_equal(step.states, states)


# --- the certificate --------------------------------------------------------------------------


def test_the_bundle_tells_what_made_it_and_its_certificate_holds(bundle):
    document = bundle.document
    assert {part.name: part.backend for part in document.parts} == {
        "decoder": "genai", "embeddings": "torch"
    }  # fmt: skip
    assert 0 < document.part("decoder").compared.largest < 5e-5
    assert document.certificate.versions["onnxruntime-genai"]
    assert verify(bundle.folder, None, Job()).faults == ()
    shapes = {port.name: port.shape for port in document.part("decoder").inputs}
    assert shapes["past_key_values.0.key"] == ("batch_size", 2, "past_sequence_length", 16)


def test_the_same_model_gives_the_same_bytes(bundle, llama, tmp_path):
    exported(llama, tmp_path / "again")
    assert bundles.read(tmp_path / "again").files == bundle.document.files
    content = (tmp_path / "again/decoder.onnx").read_bytes()
    for secret in (b"site-packages", b".py", str(Path.home()).encode()):
        assert secret not in content


@pytest.mark.parametrize(
    ("precision", "least", "most", "share"),
    [("fp16", 1e-4, 5e-3, 0.9), ("int8", 1e-3, 0.05, 0.6), ("int4", 0.05, 0.5, 0.0)],
)
def test_other_precisions(bundle, llama, tmp_path, precision, least, most, share):
    out = tmp_path / "bundle"
    document = exported(llama, out, precision)
    part = document.part("decoder")
    assert (part.precision, part.backend) == (precision, "genai")
    assert least < part.compared.typical < most
    assert (part.quantised or 0) == (11 if precision.startswith("int") else 0)
    assert {port.type for port in part.inputs} == {
        "int64", "float16" if precision == "fp16" else "float"
    }  # fmt: skip
    assert verify(out, None, Job()).faults == ()
    rules, texts = Rules(end=-1, longest=20), []
    for one in (Bundle(out, device="cpu", threads=1), bundle):
        written = write(decoder_of(one), embed(bundle)(PROMPT), rules, embed=embed(bundle))
        assert written.states.dtype == np.float32
        texts.append(written.tokens)
    equal = [a == b for a, b in zip(*texts, strict=True)]
    assert sum(equal) / len(equal) >= share


def test_a_wrong_graph_is_refused(llama, tmp_path, monkeypatch):
    def wrong(part, path, dtype=torch.float32):
        other = realistic(type(llama)(llama.config), seed=4).eval()
        before(part.model_copy(update={"language_model": other}), path, dtype)

    before = genai.to_onnx
    monkeypatch.setattr(genai, "to_onnx", wrong)
    with pytest.raises(ExportFailedError, match=r"'decoder' \(fp32\) fails: it differs"):
        exported(llama, tmp_path / "bundle", golden=4)


def test_other_architectures(known, tmp_path):
    import transformers

    for kind in ("Mistral", "Qwen2", "Qwen3"):
        config = getattr(transformers, f"{kind}Config")(
            vocab_size=len(known), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, head_dim=16,
            max_position_embeddings=256, sliding_window=None,
        )  # fmt: skip
        model = realistic(getattr(transformers, f"{kind}ForCausalLM")(config), seed=5).eval()
        part = exported(model, tmp_path / kind).part("decoder")
        assert part.backend == "genai"
        assert 0 < part.compared.largest < 5e-5


# --- where it does not fit --------------------------------------------------------------------


def test_auto_takes_torch_where_it_does_not_fit_and_says_why(known, tmp_path):
    narrow = tiny_llama(known, seed=3)
    told: list[str] = []
    document = export(
        report(narrow), "decoder", tmp_path / "bundle", Wanted(golden=4), None,
        Job(on_warning=told.append),
    )  # fmt: skip
    assert document.part("decoder").backend == "torch"
    assert told == [
        "torch.onnx exports the part decoder, not onnxruntime-genai: its attention heads are 8 "
        "wide, not a multiple of 16."
    ]
    assert isinstance(decoder_of(Bundle(tmp_path / "bundle", device="cpu"))._decoder, Decoder)
    with pytest.raises(OptionError, match=r"heads are 8 wide.*--backend torch"):
        exported(narrow, tmp_path / "none")


def test_reasons(known, llama, monkeypatch):
    part = decoder_part(llama)
    assert genai.misfit(part) == ""
    assert "no language model" in genai.misfit(part.model_copy(update={"language_model": None}))
    with monkeypatch.context() as patch:
        patch.setattr(llama.config, "vocab_size", 64)  # as wide as the model
        assert "cannot tell which of its layers" in genai.misfit(part)
    renamed = part.model_copy(update={"language_model": torch.nn.Linear(2, 2)})
    assert "not known to do Linear right" in genai.misfit(renamed)
    monkeypatch.setitem(sys.modules, "onnxruntime_genai", None)
    assert re.search("is not installed .pip install", genai.misfit(part))


def test_what_the_builder_says_is_one_sentence(llama, tmp_path, monkeypatch):
    monkeypatch.setattr(llama.config, "rope_parameters", {"rope_type": "none"})
    monkeypatch.setattr(genai, "_BUILDERS", {"LlamaForCausalLM": "Model"})
    with pytest.raises(ImgeditError, match=r"cannot build the part 'decoder': The none RoPE"):
        genai.to_onnx(decoder_part(llama), tmp_path / "decoder.onnx")


def test_another_part_is_no_decoder(bundle):
    with pytest.raises(WeightsError, match="no decoder"):
        FusedDecoder(bundle.session("embeddings"))
    assert not fused.is_fused(bundle.session("embeddings"))


# --- the families -----------------------------------------------------------------------------


def wide(monkeypatch, module) -> None:
    """Tiny language models with heads that fused attention takes."""
    monkeypatch.setattr(module, "tiny_llama", functools.partial(tiny_llama, heads=2))


@pytest.mark.slow
def test_mgie_makes_the_same_edits(tmp_path, monkeypatch):
    wide(monkeypatch, tiny_mgie)
    wide(monkeypatch, mgie_exported)
    model = mgie_exported.model(tmp_path / "model")
    document = mgie_exported.exported(model, tmp_path / "bundle", Wanted(golden=4, backend="genai"))
    assert document.part("decoder").backend == "genai"
    found = {one.what: one.value for one in document.certificate.edits}
    assert found["tokens that are equal, share"] == 1.0
    assert found["edited pictures, lowest PSNR in dB"] > 60
    assert verify(tmp_path / "bundle", mgie_exported.checked, Job()).faults == ()


def test_minigpt4_gives_the_same_answers(tmp_path):
    """With adapters, which the builder finds merged."""
    model = minigpt4_exported.model(tmp_path, heads=2)
    adapted = minigpt4_exported.with_adapters(model, tmp_path / "adapted")
    wanted = Wanted(golden=6, backend="genai")
    document = minigpt4_exported.exported(adapted, tmp_path / "bundle", wanted)
    assert document.part("decoder").backend == "genai"
    found = {one.what: one.value for one in document.certificate.edits}
    assert found["tokens that are equal, share"] == 1.0
    assert found["probabilities of equal tokens, largest difference"] < 1e-4
