"""Pictures in prompts: embeddings, labels, padding, generation, hidden states, constraints."""

from __future__ import annotations

import itertools
import re

import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402

from imgedit_modelkit.constrained_decoding import Constrained  # noqa: E402
from imgedit_modelkit.constraints import Constraint  # noqa: E402
from imgedit_modelkit.tensor_files import misfits  # noqa: E402
from imgedit_modelkit.testing import (  # noqa: E402
    realistic,
    tiny_clip,
    tiny_eva,
    tiny_llama,
    tiny_tokenizer,
)
from imgedit_modelkit.token_strings import token_strings  # noqa: E402
from imgedit_modelkit.vision_language import (  # noqa: E402
    IGNORED,
    PictureLanguageModel,
    answer_loss,
)
from imgedit_modelkit.vision_towers import (  # noqa: E402
    MEAN,
    TowerConfig,
    VisionTower,
    from_blip2,
    from_eva,
    to_pixels,
)
from imgedit_plugins.errors import ImgeditError  # noqa: E402

TEXTS = [
    "This picture shows a cat on a mat, that one shows a dog in the fog.",
    "Which edits lead from here to there?\nblur: 0.56,\nbright: 0.33",
] * 4
KINDS = ("sentencepiece", "bytes")


@pytest.fixture(scope="module", params=KINDS)
def language(request):
    tokenizer = tiny_tokenizer(TEXTS, kind=request.param)
    return PictureLanguageModel(tiny_llama(tokenizer), tokenizer)


def pictures(batch: int, count: int = 2, tokens: int = 3, width: int = 32, seed: int = 1):
    return torch.randn(batch, count, tokens, width, generator=torch.Generator().manual_seed(seed))


PROMPTS = (("Which edits lead from ", 0, " to ", 1, "?"), (0, 1, "shows a cat"))


# --- embeddings -------------------------------------------------------------------------------


def test_pictures_take_their_places(language):
    features = pictures(2)
    embedded = language.embed(PROMPTS, features)
    table = language.language_model.get_input_embeddings()
    encode = language.tokenizer.encode
    begin = table(torch.tensor([language.tokenizer.bos_token_id]))
    words = [
        table(torch.tensor(encode(piece, add_special_tokens=False)))
        for piece in PROMPTS[0]
        if isinstance(piece, str)
    ]
    row = torch.cat([begin, words[0], features[0, 0], words[1], features[0, 1], words[2]])
    assert torch.equal(embedded.inputs_embeds[0, : len(row)], row)
    shorter = torch.cat(
        [begin, features[1, 0], features[1, 1],
         table(torch.tensor(encode("shows a cat", add_special_tokens=False)))]
    )  # fmt: skip
    assert torch.equal(embedded.inputs_embeds[1, : len(shorter)], shorter)
    assert embedded.attention_mask.sum(1).tolist() == [len(row), len(shorter)]
    assert (embedded.inputs_embeds[1, len(shorter) :] == 0).all()
    assert (embedded.labels == IGNORED).all()


def test_only_answers_have_labels(language):
    answers = ["blur: 0.56", "bright: 0.33,\nblur: 0.10"]
    embedded = language.embed(PROMPTS, pictures(2), answers)
    for row, answer in enumerate(answers):
        labels = embedded.labels[row]
        kept = labels[labels != IGNORED].tolist()
        assert kept == language.answer_ids(answer)
        assert kept[-1] == language.tokenizer.eos_token_id
        assert language.tokenizer.decode(kept, skip_special_tokens=True).strip() == answer
        length = int(embedded.attention_mask[row].sum())
        assert (labels[: length - len(kept)] == IGNORED).all()
        assert (labels[length:] == IGNORED).all()


def test_a_missing_picture_is_refused(language):
    with pytest.raises(ImgeditError, match="names picture 2, and there are 2"):
        language.embed([("see ", 2)], pictures(1))


def test_special_tokens_are_the_mean_of_their_pieces():
    tokenizer = tiny_tokenizer(TEXTS)
    model = tiny_llama(tokenizer)
    language = PictureLanguageModel(model, tokenizer, averaged=("<break>",))
    row = language.embed([("a cat<break>", 0)], pictures(1)).inputs_embeds[0]
    ids = tokenizer.encode("<break>", add_special_tokens=False)
    assert len(ids) > 1
    mean = model.get_input_embeddings()(torch.tensor(ids)).mean(0)
    place = 1 + len(tokenizer.encode("a cat", add_special_tokens=False))
    assert torch.equal(row[place], mean)
    assert len(row) == place + 1 + 3
    plain = PictureLanguageModel(model, tokenizer)
    assert plain.embed([("a cat<break>", 0)], pictures(1)).inputs_embeds.shape[1] > len(row)


# --- reading ----------------------------------------------------------------------------------


@torch.no_grad()
def test_padding_changes_nothing(language):
    answers = ["blur: 0.56", "bright: 0.33,\nblur: 0.10"]
    features = pictures(2)
    together = language.embed(PROMPTS, features, answers)
    logits = language(together)
    for row in range(2):
        alone = language.embed(PROMPTS[row : row + 1], features[row : row + 1], answers[row:][:1])
        length = alone.inputs_embeds.shape[1]
        assert torch.allclose(language(alone)[0], logits[row, :length], atol=1e-5)


@torch.no_grad()
def test_the_loss_is_that_of_transformers(language):
    embedded = language.embed(PROMPTS, pictures(2), ["blur: 0.56", "bright: 0.33"])
    theirs = language.language_model(
        inputs_embeds=embedded.inputs_embeds,
        attention_mask=embedded.attention_mask,
        labels=embedded.labels,
    ).loss
    assert float(answer_loss(language(embedded), embedded.labels)) == pytest.approx(float(theirs))


@torch.no_grad()
def test_hidden_states_lead_to_the_logits(language):
    embedded = language.embed(PROMPTS, pictures(2))
    states = language.hidden_states(embedded)
    assert states.shape == embedded.inputs_embeds.shape
    head = language.language_model.get_output_embeddings()
    assert torch.allclose(head(states), language(embedded), atol=1e-5)
    assert torch.equal(language.hidden_states(embedded, 0), embedded.inputs_embeds)


def test_gradients_reach_the_pictures(language):
    features = pictures(2).requires_grad_()
    embedded = language.embed(PROMPTS, features, ["blur: 0.56", "bright: 0.33"])
    answer_loss(language(embedded), embedded.labels).backward()
    assert features.grad is not None
    assert (features.grad.abs().sum((1, 2, 3)) > 0).all()


# --- writing ----------------------------------------------------------------------------------


@torch.no_grad()
def greedy(language, prompt, features, count: int) -> list[int]:
    """One token after another, without a cache: what `generate` must come to."""
    row = language.embed([prompt], features).inputs_embeds
    table, ids = language.language_model.get_input_embeddings(), []
    for _ in range(count):
        token = int(language.language_model(inputs_embeds=row).logits[0, -1].argmax())
        ids.append(token)
        if token == language.tokenizer.eos_token_id:
            break
        row = torch.cat([row, table(torch.tensor([[token]]))], dim=1)
    return ids


def test_generation_is_greedy_whatever_else_is_in_the_batch(language):
    features = pictures(2)
    written = language.generate(PROMPTS, features, max_new_tokens=8)
    for row, one in enumerate(written):
        ids = greedy(language, PROMPTS[row], features[row : row + 1], 8)
        assert list(one.tokens) == [i for i in ids if i != language.tokenizer.eos_token_id]
        assert one.ended == (ids[-1] == language.tokenizer.eos_token_id)
        assert len(one.probabilities) == len(one.tokens)
        assert all(0 < p <= 1 for p in one.probabilities)


def other_models(tokenizer):
    """Causal language models with other positions, tied embeddings, other attention."""
    import transformers as t

    size = {"vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    wide = {**size, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    return {
        "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(**size, n_embd=32, n_layer=2, n_head=4)),
        "opt": lambda: t.OPTForCausalLM(
            t.OPTConfig(**wide, ffn_dim=64, word_embed_proj_dim=32, max_position_embeddings=256)
        ),
        "qwen": lambda: t.Qwen2ForCausalLM(
            t.Qwen2Config(**wide, intermediate_size=64, num_key_value_heads=2)
        ),
        "mistral": lambda: t.MistralForCausalLM(
            t.MistralConfig(**wide, intermediate_size=64, num_key_value_heads=2, sliding_window=16)
        ),
    }


@pytest.mark.parametrize("name", ["gpt2", "opt", "qwen", "mistral"])
def test_other_causal_language_models_write_the_same_way(name):
    tokenizer = tiny_tokenizer(TEXTS, kind="bytes")
    model = realistic(other_models(tokenizer)[name]()).eval()
    language = PictureLanguageModel(model, tokenizer)
    features = pictures(2)
    embedded = language.embed(PROMPTS, features, ["blur: 0.56", "bright: 0.33"])
    assert float(answer_loss(language(embedded), embedded.labels).detach()) > 0
    assert language.hidden_states(embedded).shape == embedded.inputs_embeds.shape
    for row, one in enumerate(language.generate(PROMPTS, features, max_new_tokens=6)):
        ids = greedy(language, PROMPTS[row], features[row : row + 1], 6)
        assert list(one.tokens) == [i for i in ids if i != tokenizer.eos_token_id]


def test_generation_can_be_stopped(language):
    count = itertools.count()

    def stop():
        if next(count) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        language.generate(PROMPTS, pictures(2), max_new_tokens=50, on_token=stop)
    assert next(count) == 3


# --- token strings and constraints ------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_token_strings_write_what_the_tokenizer_writes(kind):
    tokenizer = tiny_tokenizer(TEXTS, kind=kind)
    strings = token_strings(tokenizer, len(tokenizer) + 5)
    assert len(strings) == len(tokenizer) + 5
    assert token_strings(tokenizer, len(tokenizer) - 3) == strings[:-8]
    assert not any(strings[i] for i in tokenizer.all_special_ids)
    for text in (TEXTS[0], TEXTS[1], "xyz 123\n  two spaces"):
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert "".join(strings[i] for i in ids).removeprefix(" ") == text
    ids = tokenizer.encode("é", add_special_tokens=False)
    assert len(ids) > 1
    assert not any(strings[i].strip(" ") for i in ids), "half a character writes nothing"


class Numbers:
    """Accepts 'x=' and then two to four digits."""

    start = ""

    def step(self, state, character):
        text = state + character
        return text if re.fullmatch(r"x|x=\d{0,4}", text) else None

    def is_end(self, state):
        return re.fullmatch(r"x=\d{2,4}", state) is not None


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("digits", [True, False])
def test_a_constraint_holds_whatever_the_weights(seed, digits):
    texts = [f"x={n}" for n in range(1000)]
    tokenizer = tiny_tokenizer(texts, kind="bytes", digits=digits)
    language = PictureLanguageModel(tiny_llama(tokenizer, seed=seed), tokenizer)
    constraint = Constraint(Numbers(), language.strings, tokenizer.eos_token_id)
    prompts = [(0, "one"), (1, "another, longer one"), (0, 1)]
    written = language.generate(
        prompts, pictures(3, seed=seed), max_new_tokens=8, constraint=constraint
    )
    for one in written:
        assert re.fullmatch(r"x=\d{2,4}", one.text)
        assert one.ended


def test_the_likeliest_allowed_token_is_taken():
    tokenizer = tiny_tokenizer(["x=0123456789"], kind="bytes")
    language = PictureLanguageModel(tiny_llama(tokenizer), tokenizer)
    constraint = Constraint(Numbers(), language.strings, tokenizer.eos_token_id)
    scores = torch.randn(1, len(tokenizer))
    limited = Constrained(constraint)(torch.empty(1, 0, dtype=torch.long), scores)
    allowed = [i for i, s in enumerate(language.strings) if s and "x=".startswith(s[:2])]
    allowed = [i for i in allowed if constraint.automaton.step("", language.strings[i][0])]
    finite = limited[0].isfinite().nonzero().flatten().tolist()
    assert sorted(allowed) == finite
    assert torch.equal(limited[0, finite], scores[0, finite])


def test_a_tokenizer_that_cannot_write_it_is_told():
    constraint = Constraint(Numbers(), ["a", "b", ""], end=2)
    with pytest.raises(ImgeditError, match="cannot write an answer of the wanted form"):
        constraint.allowed("")


# --- towers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "tokens", "width"),
    [
        (tiny_eva(joined=4), 4, 64),
        (tiny_eva(joined=1), 16, 16),
        (tiny_eva(queries=5), 5, 24),
        (tiny_clip(), 16, 16),
        (tiny_clip(layer=-1), 16, 16),
    ],
    ids=["joined", "plain", "q-former", "clip", "clip-last"],
)
def test_towers_tell_pictures_apart(config, tokens, width):
    tower = realistic(VisionTower(config))
    pixels = torch.randn(3, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    found = tower(pixels)
    assert found.shape == (3, tokens, width) == (3, tower.tokens, tower.width)
    assert not found.requires_grad
    assert not any(p.requires_grad for p in tower.parameters())
    assert (found[0] - found[1]).abs().mean() > 0.01
    assert torch.allclose(tower(pixels[1:2])[0], found[1], atol=1e-5)
    tower.train()
    assert not any(part.training for part in tower.modules())


def test_neighbours_are_joined_and_the_class_token_is_left_out():
    joined = realistic(VisionTower(tiny_eva(joined=4)))
    plain = VisionTower(tiny_eva(joined=1))
    plain.load_state_dict(joined.state_dict())
    pixels = torch.randn(1, 3, 28, 28)
    assert torch.equal(joined(pixels)[0, 1], plain(pixels)[0, 4:8].flatten())
    hidden = plain.vision(pixel_values=pixels).last_hidden_state
    assert torch.equal(plain(pixels), hidden[:, 1:])


def test_joining_must_come_out_even():
    with pytest.raises(ImgeditError, match="16 patch tokens cannot be joined by 3"):
        VisionTower(tiny_eva(joined=3))


def test_eva_s_full_size():
    with torch.device("meta"):
        tower = VisionTower(TowerConfig(joined=4))
        reading = VisionTower(TowerConfig(queries=32))
    assert (tower.tokens, tower.width, tower.image_size) == (64, 5632, 224)
    assert (reading.tokens, reading.width) == (32, 768)
    assert sum(p.numel() for p in tower.parameters()) == pytest.approx(986e6, rel=0.001)


def test_pixels_are_stretched_and_normalised():
    import numpy as np

    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 20:] = 255
    pixels = to_pixels([wide, wide[:5]], 28)
    assert pixels.shape == (2, 3, 28, 28)
    assert pixels[0, 0, 14, 2] == pytest.approx(-MEAN[0] / 0.26862954, abs=1e-5)
    assert pixels[0, 2, 14, 25] == pytest.approx((1 - MEAN[2]) / 0.27577711, abs=1e-5)


# --- published checkpoints at tiny size -------------------------------------------------------


class Eva(torch.nn.Module):
    """EVA's forward pass, written for this test from its checkpoint's names alone."""

    def __init__(self, tensors, heads: int, patch: int):
        super().__init__()
        self.t, self.heads, self.patch = tensors, heads, patch

    def forward(self, pixels):
        from torch.nn import functional

        t, norm = self.t, functional.layer_norm
        x = functional.conv2d(
            pixels, t["patch_embed.proj.weight"], t["patch_embed.proj.bias"], stride=self.patch
        )
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([t["cls_token"].expand(len(x), -1, -1), x], 1) + t["pos_embed"]
        width = x.shape[-1]
        n = 0
        while (b := f"blocks.{n}.") + "norm1.weight" in t:
            n += 1
            y = norm(x, (width,), t[b + "norm1.weight"], t[b + "norm1.bias"], 1e-6)
            q_bias, v_bias = t[b + "attn.q_bias"], t[b + "attn.v_bias"]
            bias = torch.cat([q_bias, torch.zeros_like(q_bias), v_bias])
            qkv = functional.linear(y, t[b + "attn.qkv.weight"], bias)
            q, k, v = (
                part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in qkv.chunk(3, -1)
            )
            weights = (q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5).softmax(-1)
            y = (weights @ v).transpose(1, 2).flatten(2)
            x = x + functional.linear(y, t[b + "attn.proj.weight"], t[b + "attn.proj.bias"])
            y = norm(x, (width,), t[b + "norm2.weight"], t[b + "norm2.bias"], 1e-6)
            y = functional.linear(y, t[b + "mlp.fc1.weight"], t[b + "mlp.fc1.bias"])
            y = functional.linear(
                functional.gelu(y), t[b + "mlp.fc2.weight"], t[b + "mlp.fc2.bias"]
            )
            x = x + y
        return x


def eva_checkpoint(blocks: int = 2, width: int = 16, inner: int = 32, patch: int = 7):
    g = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, generator=g) * (shape[-1] ** -0.5 if len(shape) > 1 else 0.3)

    found = {
        "cls_token": draw(1, 1, width),
        "pos_embed": draw(1, 17, width),
        "patch_embed.proj.weight": draw(width, 3, patch, patch),
        "patch_embed.proj.bias": draw(width),
    }
    for n in range(blocks):
        b = f"blocks.{n}."
        found |= {
            b + "norm1.weight": 1 + draw(width), b + "norm1.bias": draw(width),
            b + "attn.q_bias": draw(width), b + "attn.v_bias": draw(width),
            b + "attn.qkv.weight": draw(3 * width, width),
            b + "attn.proj.weight": draw(width, width), b + "attn.proj.bias": draw(width),
            b + "norm2.weight": 1 + draw(width), b + "norm2.bias": draw(width),
            b + "mlp.fc1.weight": draw(inner, width), b + "mlp.fc1.bias": draw(inner),
            b + "mlp.fc2.weight": draw(width, inner), b + "mlp.fc2.bias": draw(width),
        }  # fmt: skip
    return found


def test_an_eva_checkpoint_gives_eva_s_features():
    checkpoint = eva_checkpoint()
    tower = VisionTower(tiny_eva(joined=1))
    missing, unexpected = misfits(tower.vision, from_eva(checkpoint))
    assert missing == ["post_layernorm.weight", "post_layernorm.bias"], "BLIP-2 keeps it elsewhere"
    assert not unexpected
    tower.vision.load_state_dict(from_eva(checkpoint), strict=False)
    pixels = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = Eva(checkpoint, heads=2, patch=7)(pixels)
        expected = torch.nn.functional.layer_norm(features, (16,))[:, 1:]
    found = tower(pixels)
    assert found.std() > 0.5
    assert torch.allclose(found, expected, atol=1e-4)


def test_what_eva_has_too_much_keeps_its_name():
    checkpoint = eva_checkpoint(blocks=3) | {"head.weight": torch.zeros(2, 16)}
    _, unexpected = misfits(VisionTower(tiny_eva()).vision, from_eva(checkpoint))
    assert "head.weight" in unexpected
    assert "encoder.layers.2.self_attn.qkv.bias" in unexpected
    assert len(unexpected) == 1 + 12


def test_another_shape_is_missing_and_unexpected():
    checkpoint = eva_checkpoint() | {"cls_token": torch.zeros(1, 1, 8)}
    missing, unexpected = misfits(VisionTower(tiny_eva()).vision, from_eva(checkpoint))
    assert "embeddings.class_embedding" in missing
    assert unexpected == ["embeddings.class_embedding ((1, 1, 8), not (1, 1, 16))"]


def blip2_names(tower: VisionTower) -> dict[str, str]:
    """LAVIS's names for what a BLIP-2 checkpoint has for a tower: written down by hand."""
    names = {
        "query_tokens": "queries",
        "ln_vision.weight": "vision.post_layernorm.weight",
        "ln_vision.bias": "vision.post_layernorm.bias",
        "Qformer.bert.embeddings.LayerNorm.weight": "qformer.layernorm.weight",
        "Qformer.bert.embeddings.LayerNorm.bias": "qformer.layernorm.bias",
    }
    for n in range(2):
        theirs, ours = f"Qformer.bert.encoder.layer.{n}.", f"qformer.encoder.layer.{n}."
        blocks = ["attention"] + (["crossattention"] if n % 2 == 0 else [])
        for block in blocks:
            for part in ("query", "key", "value"):
                for kind in ("weight", "bias"):
                    names[f"{theirs}{block}.self.{part}.{kind}"] = (
                        f"{ours}{block}.attention.{part}.{kind}"
                    )
            for part in ("output.dense", "output.LayerNorm"):
                for kind in ("weight", "bias"):
                    names[f"{theirs}{block}.{part}.{kind}"] = f"{ours}{block}.{part}.{kind}"
        for part in ("intermediate_query.dense", "output_query.dense", "output_query.LayerNorm"):
            for kind in ("weight", "bias"):
                names[f"{theirs}{part}.{kind}"] = f"{ours}{part}.{kind}"
    return names


def test_a_blip2_checkpoint_fills_the_q_former():
    tower = realistic(VisionTower(tiny_eva(queries=5)))
    state = tower.state_dict()
    checkpoint = {theirs: state[ours] for theirs, ours in blip2_names(tower).items()}
    checkpoint |= {  # the text branch and the language side, which MiniGPT-4 drops
        "Qformer.bert.encoder.layer.0.intermediate.dense.weight": torch.zeros(48, 24),
        "Qformer.bert.encoder.layer.0.output.dense.weight": torch.zeros(24, 48),
        "Qformer.cls.predictions.bias": torch.zeros(9),
        "t5_proj.weight": torch.zeros(4, 24),
    }
    missing, unexpected = misfits(tower, from_blip2(checkpoint))
    assert not unexpected
    assert all(n.startswith("vision.") and "post_layernorm" not in n for n in missing)
    fresh = realistic(VisionTower(tiny_eva(queries=5)), seed=9)
    fresh.load_state_dict(from_blip2(checkpoint), strict=False)
    fresh.vision.load_state_dict(tower.vision.state_dict())
    pixels = torch.randn(1, 3, 28, 28)
    assert torch.equal(fresh(pixels), tower(pixels))
