"""Writing with an exported decoder beside transformers, and the tokenizer beside its original."""

from pathlib import Path

import numpy as np
import pytest
import torch

from imgedit_exporters.exporting import Wanted, export
from imgedit_exporters.runtime.decoding import Decoder, Rules, repeating, sampling, write
from imgedit_exporters.runtime.sessions import Bundle, chosen_providers
from imgedit_exporters.runtime.tokens import FILE, Tokenizer, described
from imgedit_mgie.llava import _repeating
from imgedit_modelkit.export_parts import decoder_part, embeddings_part
from imgedit_modelkit.testing import tiny_llama, tiny_tokenizer
from imgedit_plugins.errors import OptionError, WeightsError
from imgedit_plugins.exporting import ExportReport
from imgedit_plugins.jobs import Job

pytestmark = pytest.mark.torch

TEXTS = ["The sky is darker, and the grass is green. </s> A chat: 'make it red' [IMG0]!"] * 3


@pytest.fixture(scope="module")
def known():
    made = tiny_tokenizer(TEXTS, size=60)
    made.add_tokens(["<im_patch>", "[IMG0]"], special_tokens=True)
    return made


@pytest.fixture(scope="module")
def llama(known):
    return tiny_llama(known, layers=2, seed=3)


@pytest.fixture(scope="module")
def bundle(llama, known, tmp_path_factory) -> Bundle:
    out = tmp_path_factory.mktemp("decoder") / "bundle"
    content, special = described(known)
    report = ExportReport(
        model="llama", files={FILE: content}, settings={"special": special},
        parts=(decoder_part(llama), embeddings_part(llama.get_input_embeddings())),
    )  # fmt: skip
    export(report, "decoder", out, Wanted(golden=30), None, Job())
    return Bundle(out, device="cpu", threads=1)


@pytest.fixture
def decoder(bundle) -> Decoder:
    return Decoder(bundle.session("decoder"))


def embed(bundle):
    return lambda ids: bundle.run("embeddings", [np.array([ids], np.int64)])[0][0]


PROMPT = [1, 9, 14, 23, 9, 14, 40]


@torch.no_grad()
def test_greedy_text_is_that_of_transformers(bundle, decoder, llama):
    wanted = llama.generate(
        torch.tensor([PROMPT]), max_new_tokens=24, do_sample=False, eos_token_id=-1, pad_token_id=0,
        return_dict_in_generate=True, output_logits=True,
    )  # fmt: skip
    told: list[int] = []
    rules = Rules(end=-1, longest=24, on_token=told.append)
    written = write(decoder, embed(bundle)(PROMPT), rules, embed=embed(bundle), prompt=PROMPT)
    assert list(written.tokens) == wanted.sequences[0, len(PROMPT) :].tolist()
    assert told == list(range(1, 25))
    chances = [
        float(step[0].softmax(-1)[token])
        for step, token in zip(wanted.logits, written.tokens, strict=True)
    ]
    np.testing.assert_allclose(written.probabilities, chances, rtol=1e-3)


@torch.no_grad()
def test_hidden_states_are_those_of_all_that_was_read(bundle, decoder, llama):
    written = write(
        decoder, embed(bundle)(PROMPT), Rules(end=-1, longest=6), embed=embed(bundle), prompt=PROMPT
    )
    ids = [*PROMPT, *written.tokens[:-1]]
    states = llama.model(torch.tensor([ids])).last_hidden_state[0].numpy()
    np.testing.assert_allclose(written.states, states, atol=1e-4)


@torch.no_grad()
def test_blocked_ngrams_are_those_of_transformers(bundle, decoder, llama):
    wanted = llama.generate(
        torch.tensor([PROMPT]), max_new_tokens=40, do_sample=False, eos_token_id=-1, pad_token_id=0,
        no_repeat_ngram_size=2,
    )  # fmt: skip
    rules = Rules(end=-1, longest=40, ngram=2)
    written = write(decoder, embed(bundle)(PROMPT), rules, embed=embed(bundle), prompt=PROMPT)
    assert list(written.tokens) == wanted[0, len(PROMPT) :].tolist()
    free = Rules(end=-1, longest=40)
    repeated = write(decoder, embed(bundle)(PROMPT), free, embed=embed(bundle), prompt=PROMPT)
    assert repeated.tokens != written.tokens, "the rule has something to do"


def test_repeating_is_mgie_s_rule():
    rng = np.random.default_rng(0)
    for length in range(30):
        ids = rng.integers(0, 4, length).tolist()
        assert sorted(repeating(ids, 3)) == sorted(_repeating(ids))
    assert repeating([1, 2, 1, 2], 0) == []


def test_writing_ends_where_it_shall(bundle, decoder):
    begin = embed(bundle)(PROMPT)
    free = write(decoder, begin, Rules(end=-1, longest=12), embed=embed(bundle))
    third = free.tokens[2]
    ended = write(decoder, begin, Rules(end=third, longest=12), embed=embed(bundle))
    assert ended.tokens == free.tokens[: free.tokens.index(third) + 1]
    enough = Rules(end=-1, longest=12, complete=lambda new: len(new) == 5)
    assert write(decoder, begin, enough, embed=embed(bundle)).tokens == free.tokens[:5]

    def stop(count: int) -> None:
        if count == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(decoder, begin, Rules(end=-1, on_token=stop), embed=embed(bundle))


def test_a_cache_can_be_gone_on_from_twice(bundle, decoder):
    """As two edits of one picture do."""
    prefix = decoder(embed(bundle)(PROMPT))
    for rest in ([5, 6], [7, 8, 9]):
        whole = decoder(embed(bundle)([*PROMPT, *rest]))
        again = decoder(embed(bundle)(rest), prefix.cache)
        np.testing.assert_allclose(again.logits, whole.logits, atol=1e-4)


def test_sampling():
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))

    def drawn(**settings):
        choose = sampling(7, **settings)
        return np.bincount([choose(logits) for _ in range(2000)], minlength=4) / 2000

    np.testing.assert_allclose(drawn(), [0.5, 0.3, 0.15, 0.05], atol=0.04)
    np.testing.assert_allclose(drawn(top_k=2), [0.625, 0.375, 0, 0], atol=0.04)
    np.testing.assert_allclose(drawn(top_p=0.7), [0.625, 0.375, 0, 0], atol=0.04)
    assert drawn(temperature=0.2)[0] > 0.9
    assert sampling(7)(logits) == sampling(7)(logits)
    with pytest.raises(ValueError, match="above 0"):
        sampling(7, temperature=0)


def test_another_part_is_no_decoder(bundle):
    with pytest.raises(WeightsError, match="no decoder"):
        Decoder(bundle.session("embeddings"))


# --- the tokenizer ----------------------------------------------------------------------------


def test_it_reads_and_writes_as_its_original(bundle, known):
    ours = Tokenizer(bundle.folder / FILE, bundle.settings["special"])
    assert (ours.bos_token_id, ours.eos_token_id) == (known.bos_token_id, known.eos_token_id)
    assert ours.get_vocab() == known.get_vocab()
    assert ours.get_added_vocab() == known.get_added_vocab()
    assert set(ours.all_special_tokens) >= set(known.all_special_tokens)
    for text in (*TEXTS, "", "  two  spaces ", "</s>x[IMG0][IMG0]", "日本 🙂 é\n\tx"):
        ids = known.encode(text, add_special_tokens=False)
        assert ours.encode(text) == ids
        assert ours.decode(ids) == known.decode(ids, clean_up_tokenization_spaces=False)
        assert ours.decode(ids, skip_special_tokens=True) == known.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )


def test_files_that_hold_no_tokenizer(tmp_path: Path, bundle):
    with pytest.raises(WeightsError, match="is missing"):
        Tokenizer(tmp_path / FILE, {})
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(WeightsError, match="holds no tokenizer"):
        Tokenizer(tmp_path / FILE, {})
    with pytest.raises(WeightsError, match="no token '<none>'"):
        Tokenizer(bundle.folder / FILE, {"bos": "<none>"})


# --- devices ----------------------------------------------------------------------------------


def test_a_device_that_is_not_there_is_told_of(bundle):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    told: list[str] = []
    made = Bundle(bundle.folder, device="cuda", warn=told.append)
    assert told == ["The installed onnxruntime has no cuda; the CPU is used instead."]
    assert made.session("embeddings").get_providers() == ["CPUExecutionProvider"]
    assert chosen_providers("auto", told.append) == ("CPUExecutionProvider",)
    with pytest.raises(OptionError, match="does not run on 'tpu'"):
        chosen_providers("tpu", told.append)


def test_parts_are_let_go_of(bundle):
    first = bundle.session("embeddings")
    assert bundle.session("embeddings") is first
    bundle.release("embeddings")
    assert bundle.session("embeddings") is not first
