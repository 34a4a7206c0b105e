"""Writing with an exported decoder beside transformers, and the tokenizer beside its original."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from imgedit_exporters.exporting import Wanted, export
from imgedit_exporters.runtime.decoding import (
    Decoder,
    Rules,
    decoder_of,
    repeating,
    sampling,
    write,
)
from imgedit_exporters.runtime.prefixes import Remembering
from imgedit_exporters.runtime.providers import chosen_providers
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.runtime.texts import Text
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
    rules = Rules(end=-1, longest=24, on_token=told.append, probable=True)
    written = write(decoder, embed(bundle)(PROMPT), rules, embed=embed(bundle), prompt=PROMPT)
    assert list(written.tokens) == wanted.sequences[0, len(PROMPT) :].tolist()
    assert told == list(range(1, 25))
    chances = [
        float(step[0].softmax(-1)[token])
        for step, token in zip(wanted.logits, written.tokens, strict=True)
    ]
    np.testing.assert_allclose(written.probabilities, chances, rtol=1e-3)
    rules = Rules(end=-1, longest=3)
    assert write(decoder, embed(bundle)(PROMPT), rules, embed=embed(bundle)).probabilities == ()


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


@pytest.mark.parametrize("count", [1, 4, 7])
def test_the_first_positions_of_a_cache(bundle, decoder, count):
    whole = decoder(embed(bundle)(PROMPT))
    cut = decoder.first(decoder.first(whole.cache, count + 1), count)
    for now, before in zip(cut, whole.cache, strict=True):
        np.testing.assert_array_equal(now.numpy(), before.numpy()[:, :, :count])
    del whole
    rest = [*PROMPT[count:], 5, 6]
    wanted = decoder(embed(bundle)([*PROMPT[:count], *rest]))
    found = decoder(embed(bundle)(rest), cut)
    np.testing.assert_allclose(found.logits, wanted.logits, atol=1e-4)
    np.testing.assert_allclose(found.states, wanted.states[count:], atol=1e-4)


# --- what was read before ---------------------------------------------------------------------


class Counting:
    """A decoder that counts the positions that are read with it."""

    def __init__(self, inner) -> None:
        self.inner, self.count = inner, 0

    def __call__(self, embeds, cache=()):
        self.count += len(embeds)
        return self.inner(embeds, cache)

    def first(self, cache, count):
        return self.inner.first(cache, count)


@pytest.mark.parametrize(
    ("second", "read"),
    [
        ([*PROMPT, 5, 6], 2),
        ([*PROMPT[:4], 30, 31, 32], 3),
        (PROMPT, 1),
        (PROMPT[:3], 1),
        ([2, *PROMPT], 8),
    ],
    ids=["goes on", "parts", "same", "shorter", "other"],
)
def test_only_what_differs_from_the_last_text_is_read(bundle, decoder, second, read):
    rules = Rules(end=-1, longest=12, probable=True)
    counting = Counting(decoder)
    remembering = Remembering(counting)
    write(remembering, embed(bundle)(PROMPT), rules, embed=embed(bundle))
    counting.count = 0
    found = write(remembering, embed(bundle)(second), rules, embed=embed(bundle))
    assert counting.count == read + 11
    wanted = write(decoder, embed(bundle)(second), rules, embed=embed(bundle))
    assert found.tokens == wanted.tokens
    np.testing.assert_allclose(found.states, wanted.states, atol=1e-4)
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-4)


def test_what_is_remembered_is_bounded(bundle, decoder):
    """2 layers of keys and values, of hidden states and embeddings are 64 numbers each."""
    step = decoder(embed(bundle)(PROMPT))
    size = sum(value.tensor_size_in_bytes() for value in step.cache)
    size += step.states.nbytes + len(PROMPT) * step.states.shape[1] * 4
    for limit, read in ((size, 1), (size * 3 // 7, 4), (0, 7)):
        counting = Counting(decoder)
        remembering = Remembering(counting, limit)
        for _ in range(2):
            counting.count = 0
            again = remembering(embed(bundle)(PROMPT))
        assert counting.count == read
        np.testing.assert_allclose(again.logits, step.logits, atol=1e-4)
        np.testing.assert_allclose(again.states, step.states, atol=1e-4)


def test_threads_may_share_what_is_remembered(bundle, decoder):
    remembering = Remembering(decoder)
    prompts = [[*PROMPT[:number], *range(10, 20)] for number in range(1, 7)]
    wanted = [decoder(embed(bundle)(prompt)).logits for prompt in prompts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: remembering(embed(bundle)(one)).logits, prompts * 10))
    for number, logits in enumerate(found):
        np.testing.assert_allclose(logits, wanted[number % 6], atol=1e-4)


def test_a_bundle_s_decoder_remembers_until_it_is_let_go_of(bundle):
    decoder = decoder_of(bundle)
    assert decoder_of(bundle) is decoder
    bundle.release("decoder")
    assert decoder_of(bundle) is not decoder


# --- text -------------------------------------------------------------------------------------


def test_a_stop_string_ends_the_text_wherever_it_falls(bundle, decoder):
    def decode(ids):
        return "".join(f"<{number}>" for number in ids)

    begin, told = embed(bundle)(PROMPT), []
    rules = Rules(end=-1, longest=24, decode=decode, on_text=told.append)
    free = write(decoder, begin, rules, embed=embed(bundle))
    assert "".join(told) == free.text == decode(free.tokens)
    assert len(told) > 5
    tried = 0
    for first in range(2, len(free.text) - 4, 3):
        stop, told = free.text[first : first + 4], []
        at = free.text.index(stop)
        stopping = replace(rules, stops=("§§§", stop), on_text=told.append)
        found = write(decoder, begin, stopping, embed=embed(bundle))
        assert found.text == "".join(told) == free.text[:at]
        assert free.tokens[: len(found.tokens)] == found.tokens
        assert stop in decode(found.tokens)
        assert stop not in decode(found.tokens[:-1])
        tried += at > 0 and stop not in decode(found.tokens[-1:])
    assert tried > 3, "some lie on more than one token"


def test_text_is_told_in_whole_characters(bundle):
    made = Tokenizer(bundle.folder / FILE, bundle.settings["special"])
    wanted = "é 日本 🙂 and x"
    ids = made.encode(wanted)
    assert any("\ufffd" in made.decode(ids[:count]) for count in range(len(ids)))
    told: list[str] = []
    text = Text(made.decode, (), told.append)
    assert not any(text.read(ids[:count]) for count in range(1, len(ids) + 1))
    assert text.end() == wanted == "".join(told)
    assert not any("\ufffd" in piece for piece in told)
    assert len(told) > 6


def test_a_character_that_was_never_whole_is_left_out():
    told: list[str] = []
    text = Text(lambda ids: bytes(ids).decode(errors="replace"), ("stop",), told.append)
    for count in range(1, 6):
        text.read([97, 115, 116, 0xE6, 0x97][:count])
    assert told == ["a"], "'st' could be the beginning of 'stop'"
    assert text.end() == "ast"
    assert told == ["a", "st"]


def test_bytes_that_take_back_a_character_for_a_while():
    """Llama's tokenizers tell all bytes in a row as broken when the last character is."""

    def decode(ids):
        try:
            return bytes(ids).decode()
        except UnicodeDecodeError:
            return "\ufffd" * len(ids)

    told: list[str] = []
    text, ids = Text(decode, (), told.append), "日本".encode()
    for count in range(1, 7):
        text.read(ids[:count])
    assert told == ["日", "本"]


def test_a_text_needs_a_decoder_of_tokens():
    with pytest.raises(ValueError, match="need `decode`"):
        Rules(end=0, stops=("###",))
    with pytest.raises(ValueError, match="empty string"):
        Text(str, ("",))


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
