"""Large models: LoRA, gradient checkpointing, frozen parts in few bits, with real small models."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402
from torch import nn  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from test_training import weights_of  # noqa: E402

from imgedit_modelkit import modes  # noqa: E402
from imgedit_modelkit.adapters import (  # noqa: E402
    Lora,
    add_lora,
    merge_lora,
    merged_copy,
    quantisation,
)
from imgedit_modelkit.checkpoints import load_weights  # noqa: E402
from imgedit_modelkit.errors import MissingPackageError, TrainingError  # noqa: E402
from imgedit_modelkit.runs import RunFolder  # noqa: E402
from imgedit_modelkit.testing import realistic  # noqa: E402
from imgedit_modelkit.training import TrainConfig, train  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402

CONFIG = TrainConfig(steps=20, batch_size=4, learning_rate=0.01, log_every=1, validate_every=100)


def llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=50, max_position_embeddings=16,
    ))  # fmt: skip


class LanguageTask:
    """Learns to count, with adapters in a frozen language model."""

    lora = Lora(("q_proj", "v_proj"), rank=4, dropout=0.1)

    def build(self):
        return add_lora(llama(), self.lora)

    def train_items(self):
        return range(40)

    def validation_items(self):
        return []

    def collate(self, items, generator):
        return (torch.tensor(items)[:, None] + torch.arange(8)) % 50

    def loss(self, model, batch):
        return model(input_ids=batch, labels=batch).loss, {}

    def validate(self, model, batches):
        raise AssertionError

    sample = validate


class PrefixTask(LanguageTask):
    """A trained prefix in front of a frozen language model, through which the gradient goes."""

    models: list[nn.Module]

    def build(self):
        model = nn.ModuleDict({"prefix": nn.Linear(4, 32), "language": llama()})
        model["language"].requires_grad_(False)
        self.models = [model]
        return model

    def loss(self, model, batch):
        language = model["language"]
        words = language.get_input_embeddings()(batch)
        prefix = model["prefix"](torch.ones(len(batch), 1, 4))
        embeddings = torch.cat([prefix, words], dim=1)
        labels = torch.cat([torch.full((len(batch), 1), -100), batch], dim=1)
        return language(inputs_embeds=embeddings, labels=labels).loss, {}


def test_only_adapters_learn_and_are_saved(tmp_path):
    train(LanguageTask(), CONFIG, tmp_path / "run", Job())
    saved = weights_of(tmp_path / "run")
    assert len(saved) == 2 * 2 * 2  # layers, projections, A and B
    assert all(".lora_" in name for name in saved)
    losses = [line["loss"] for line in RunFolder.open(tmp_path / "run").metrics("train")]
    assert losses[-1] < losses[0] - 0.1
    adapted = LanguageTask().build().eval()
    batch = torch.arange(8)[None]
    before = adapted(batch).logits.detach()
    assert torch.allclose(before, llama().eval()(batch).logits, atol=1e-6)  # no change at first
    load_weights(adapted, tmp_path / "run")
    learned = adapted(batch).logits.detach()
    assert (learned - before).abs().max() > 0.01
    merge_lora(adapted)
    assert torch.allclose(adapted(batch).logits, learned, atol=1e-5)


def test_a_merged_copy_has_no_adapters_and_leaves_the_model_alone():
    model = add_lora(llama(), Lora(("q_proj", "v_proj"), rank=2)).eval()
    realistic(model, seed=5)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    made = merged_copy(model)
    assert set(made.state_dict()) == set(llama().state_dict())
    batch = torch.arange(8)[None]
    torch.testing.assert_close(made(batch).logits, model(batch).logits, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        model.model.layers[0].self_attn.q_proj.lora_B["default"].weight.zero_()
        assert (made(batch).logits - model(batch).logits).abs().max() > 1e-3, "adapters count"
        model.model.layers[0].self_attn.q_proj.lora_B["default"].weight.copy_(
            before["model.layers.0.self_attn.q_proj.lora_B.default.weight"]
        )
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    shared = {p.data_ptr() for p in model.parameters()}
    own = [name for name, p in made.named_parameters() if p.data_ptr() not in shared]
    assert {name.rsplit(".", 2)[1] for name in own} == {"q_proj", "v_proj"}


def test_a_wrong_layer_is_told_with_those_there_are():
    with pytest.raises(TrainingError, match=r"has no layer 'query'. .*q_proj"):
        add_lora(llama(), Lora(("query",)))


@pytest.mark.parametrize("task", [PrefixTask, LanguageTask])
def test_gradient_checkpointing_changes_nothing_but_memory(tmp_path, task):
    class Plain(task):
        lora = dataclasses.replace(LanguageTask.lora, dropout=0.0)

    for on in (False, True):
        config = dataclasses.replace(CONFIG, steps=4, gradient_checkpointing=on)
        train(Plain(), config, tmp_path / str(on), Job())
    with_it, without = weights_of(tmp_path / "True"), weights_of(tmp_path / "False")
    for name, value in without.items():
        torch.testing.assert_close(with_it[name], value, rtol=1e-5, atol=1e-6)


def test_a_frozen_part_really_recomputes(tmp_path):
    calls = []

    class Counted(PrefixTask):
        def build(self):
            model = super().build()
            model["language"].model.layers[0].mlp.register_forward_pre_hook(
                lambda *_: calls.append(1)
            )
            return model

    for on, expected in ((False, 3), (True, 6)):
        calls.clear()
        config = dataclasses.replace(CONFIG, steps=3, gradient_checkpointing=on)
        train(Counted(), config, tmp_path / str(on), Job())
        assert len(calls) == expected


def test_modes_of_frozen_and_trained_parts():
    model = nn.ModuleDict({
        "frozen": nn.Sequential(nn.Linear(2, 2), nn.Dropout()).requires_grad_(False),
        "trained": nn.Sequential(nn.Linear(2, 2), nn.Dropout()),
    })  # fmt: skip
    modes.set_training(model)
    assert not model["frozen"][1].training
    assert model["trained"][1].training


def test_diffusers_models_know_gradient_checkpointing():
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=8, in_channels=8, out_channels=4, block_out_channels=(8, 16), norm_num_groups=4,
        layers_per_block=1, cross_attention_dim=16, attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    modes.checkpoint_gradients(nn.ModuleDict({"unet": unet}))
    assert unet.is_gradient_checkpointing


# --- few bits ---------------------------------------------------------------------------------


def test_without_bitsandbytes_it_says_what_to_install(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else find(name)
    )
    with pytest.raises(MissingPackageError, match=r"in 4 bits needs .*pip install bitsandbytes"):
        quantisation(4)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_prefix_before_a_language_model_in_few_bits_learns(tmp_path, bits):
    from transformers import LlamaForCausalLM

    llama().save_pretrained(tmp_path / "llama")

    class Quantised(PrefixTask):
        def build(self):
            model = nn.ModuleDict({"prefix": nn.Linear(4, 32)})
            model["language"] = LlamaForCausalLM.from_pretrained(
                tmp_path / "llama", quantization_config=quantisation(bits)
            )
            model["language"].requires_grad_(False)
            self.models = [model]
            return model

    task = Quantised()
    train(task, CONFIG, tmp_path / "run", Job())
    weights = task.models[0]["language"].model.layers[0].mlp.up_proj.weight
    assert weights.dtype in (torch.uint8, torch.int8)
    assert set(weights_of(tmp_path / "run")) == {"prefix.weight", "prefix.bias"}
    losses = [line["loss"] for line in RunFolder.open(tmp_path / "run").metrics("train")]
    assert losses[-1] < losses[0]
