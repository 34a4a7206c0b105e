"""The model put together: one encoder for both pictures, special tokens, constrained answers."""

from __future__ import annotations

import shutil

import msgspec
import pytest

pytestmark = pytest.mark.torch

import published  # noqa: E402
import torch  # noqa: E402

from imgedit_plugins.errors import DataError  # noqa: E402
from imgedit_reverse_design.minigpt4.config import FILE, read_config, write_config  # noqa: E402
from imgedit_reverse_design.minigpt4.model import load_model, load_untrained  # noqa: E402
from imgedit_reverse_design.minigpt4.parsing import parse_answer  # noqa: E402
from imgedit_reverse_design.minigpt4.prompts import prompt, questions  # noqa: E402


@pytest.fixture(scope="module")
def model(model_folder):
    return load_model(model_folder)


def pairs(count: int = 2):
    return [
        (published.noise(seed=2 * n).pixels, published.noise(40, 90, seed=2 * n + 1).pixels)
        for n in range(count)
    ]


def test_only_the_projection_has_gradients(model):
    learning = [name for name, p in model.named_parameters() if p.requires_grad]
    assert learning == ["projection.weight", "projection.bias"]


@torch.no_grad()
def test_both_pictures_go_through_one_encoder(model):
    pixels = model.pixels(pairs())
    assert pixels.shape == (2, 2, 3, 28, 28)
    tokens = model.encode(pixels)
    assert tokens.shape == (2, 2, 4, 32)
    assert torch.allclose(model.encode(pixels.flip(1)), tokens.flip(1), atol=1e-5)
    assert (tokens[0, 0] - tokens[0, 1]).abs().mean() > 0.01


@torch.no_grad()
def test_swapped_pictures_are_another_question(model):
    pixels = model.pixels(pairs(1))
    asked = [prompt(questions(command=False)[0], None, "llama-2")]
    answers = ["x\nblur: 0.33"]
    there = model(pixels, asked, answers).logits[0]
    back = model(pixels.flip(1), asked, answers).logits[0]
    assert (there - back).abs().max() > 0.01


@torch.no_grad()
def test_the_command_is_read(model):
    pixels = model.pixels(pairs(1))
    question = questions(command=True)[0]
    first, second = (
        model(pixels, [prompt(question, words, "llama-2")], ["x\nblur: 0.33"])
        for words in ("Blur it now.", "Flip it now.")
    )
    place = (first.labels[0] != -100).nonzero()[0, 0]
    other = (second.labels[0] != -100).nonzero()[0, 0]
    gap = first.logits[0, place - 1] - second.logits[0, other - 1]
    assert gap.abs().max() > 0.01


@pytest.mark.parametrize("free", [False, True])
def test_constrained_answers_are_always_read(model_folder, free):
    for seed in range(5):
        model = load_model(model_folder)
        torch.manual_seed(seed)
        torch.nn.init.normal_(model.projection.weight, std=0.5)
        model.config = msgspec.structs.replace(model.config, own_sentences=not free)
        grammar = model.grammar(longest=3)
        (written,) = model.answer(
            model.pixels(pairs(1)),
            [prompt(questions(command=False)[seed], None, "llama-2")],
            constraint=model.constraint(grammar),
            longest=grammar.length,
        )
        assert written.ended
        said = parse_answer(written.text)
        assert 1 <= len(said) <= 3
        assert len({one.name for one in said}) == len(said)
        assert all(0 <= one.value <= 1 for one in said)


def test_unconstrained_random_weights_say_nothing_that_is_read(model):
    """Otherwise the test above would prove nothing."""
    (written,) = model.answer(
        model.pixels(pairs(1)),
        [prompt(questions(command=False)[0], None, "llama-2")],
        longest=60,
    )
    assert not parse_answer(written.text)


@pytest.mark.parametrize(("experiment", "special"), [("4", 1), ("4b", 4), ("1", 0)])
def test_special_tokens_shorten_the_prompt_to_one_token_each(model_folder, experiment, special):
    config = msgspec.structs.replace(read_config(model_folder), experiment=experiment)
    model = load_untrained(model_folder, config=config)
    assert len(model.language.averaged) == special
    asked = prompt(questions(command=False, breaks=experiment == "4")[0], None, "llama-2")
    features = torch.zeros(1, 2, 4, 32)
    length = model.language.embed([asked], features).inputs_embeds.shape[1]
    model.language.averaged = ()
    plain = model.language.embed([asked], features).inputs_embeds.shape[1]
    assert (length < plain) == bool(special)


# --- folders that are not whole ---------------------------------------------------------------


def test_a_folder_that_lacks_something_is_told(model_folder, tmp_path):
    with pytest.raises(DataError, match=f"is no model folder: it has no {FILE}"):
        load_model(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(model_folder, copy)
    (copy / "projection.safetensors").unlink()
    with pytest.raises(DataError, match=r"projection\.safetensors cannot be read"):
        load_model(copy)
    shutil.copy(model_folder / "tower.safetensors", copy / "projection.safetensors")
    with pytest.raises(DataError, match=r"missing weight, bias; unexpected .*vision\."):
        load_model(copy)
    shutil.rmtree(copy / "language_model")
    with pytest.raises(DataError, match="no language model that transformers can load"):
        load_model(copy)
    (copy / FILE).write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        load_model(copy)


def test_the_configuration_is_read_back(model_folder, tmp_path):
    config = read_config(model_folder)
    write_config(tmp_path, config)
    assert read_config(tmp_path) == config
