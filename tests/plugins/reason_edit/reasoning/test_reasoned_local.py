"""A local vision-language model: real classes at tiny size, drawn weights, held to the form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402

from imgedit_modelkit.language.chats import Chat, Message  # noqa: E402
from imgedit_modelkit.language.seeing import SeeingModel  # noqa: E402
from imgedit_modelkit.picture_answers import LocalModel  # noqa: E402
from imgedit_modelkit.testing import realistic, tiny_tokenizer  # noqa: E402
from imgedit_plugins.authoring.samples import photograph  # noqa: E402
from imgedit_plugins.errors import ImgeditError, JobCancelledError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.operations import default_vocabulary  # noqa: E402
from imgedit_plugins.plugins import PluginManager  # noqa: E402
from imgedit_plugins.requests import ApplyRequest, EditResult  # noqa: E402
from imgedit_reason_edit.reasoning import answer_forms  # noqa: E402
from imgedit_reason_edit.reasoning.asking import ReasoningError  # noqa: E402

VOCABULARY = default_vocabulary()
FORM = answer_forms.plan_form(VOCABULARY, paints=False)


def llava(folder: Path, seed: int = 0) -> Path:
    """A LLaVA with a CLIP of 28 pixels (16 picture tokens) and a LLaMA of two layers."""
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    words = [answer_forms.described(VOCABULARY), answer_forms.plan_example(paints=True)]
    known = tiny_tokenizer([*words, "USER: ASSISTANT:"], kind="bytes", size=300)
    known.add_special_tokens({"additional_special_tokens": ["<image>"]})
    known.pad_token = known.eos_token
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
             "num_attention_heads": 4}  # fmt: skip
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**small, image_size=28, patch_size=7),
        text_config=LlamaConfig(**small, vocab_size=len(known), max_position_embeddings=16384),
        image_token_index=known.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
    )
    model: Any = realistic(LlavaForConditionalGeneration(config), seed=seed)
    for name in ("eos_token_id", "pad_token_id"):
        setattr(model.generation_config, name, known.eos_token_id)
    model.generation_config.bos_token_id = None
    model.save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        known, patch_size=7, vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return llava(tmp_path_factory.mktemp("llava"))


def chat(question: str, shade: int = 90, *, longest: int = 1500, schema: Any = FORM) -> Chat:
    picture = np.full((40, 60, 3), shade, np.uint8)
    return Chat((Message("user", question, (picture,)),), longest, schema=schema)


def test_answers_have_the_form_of_plans(folder: Path) -> None:
    model = SeeingModel(LocalModel(folder, "cpu", "fp32"))
    whole = 0
    for question in ("make it warm", "autumn", "less, please", "a night in May"):
        (reply,) = model.replies([chat(question)])
        if reply.ended:  # a model that knows nothing may go on for ever
            jsonschema.validate(json.loads(reply.text), FORM)
            whole += 1
        else:
            assert reply.text.startswith('{"intent": "')
    assert whole > 0
    free = SeeingModel(LocalModel(folder, "cpu", "fp32"), held=False)
    (reply,) = free.replies([chat("make it warm", longest=60)])
    with pytest.raises(ValueError, match=r"Expecting|delimiter|Extra|Invalid"):
        json.loads(reply.text)


def test_it_sees_the_picture_and_the_turns(folder: Path) -> None:
    model = SeeingModel(LocalModel(folder, "cpu", "fp32"), held=False)

    def said(some: Chat) -> str:
        return model.replies([some])[0].text

    one = chat("what is it?", longest=30, schema=None)
    assert said(one) == said(one)
    assert said(one) != said(chat("what is it?", 250, longest=30, schema=None))
    more = (*one.messages, Message("assistant", "a cat"), Message("user", "no; again"))
    assert said(Chat(more, 30)) != said(one)
    with pytest.raises(ImgeditError, match="one picture, not 0"):
        model.replies([Chat((Message("user", "?"),))])


def test_the_hook_takes_a_local_model(folder: Path) -> None:
    """Whatever drawn weights say: an edit, or one sentence that blames no JSON."""
    options = {"model-folder": str(folder), "device": "cpu", "max-tokens": 700, "attempts": 2,
               "painter": "none"}  # fmt: skip
    job = Job()
    request = ApplyRequest(picture=photograph(), instruction="make it warm", options=options)
    try:
        result = PluginManager.discover().call("apply_edit", request, job, "reason_edit")
    except ReasoningError as error:
        assert "not valid JSON" not in str(error)  # noqa: PT017
        assert "no JSON object" not in str(error)  # noqa: PT017
        assert error.message.startswith(f"{folder.name} ")  # noqa: PT017
    else:
        assert isinstance(result, EditResult)


def test_a_local_model_can_be_cancelled(folder: Path) -> None:
    job = Job(on_progress=lambda told: job.cancel())
    options = {"model-folder": str(folder), "device": "cpu", "painter": "none"}
    request = ApplyRequest(picture=photograph(), instruction="make it warm", options=options)
    with pytest.raises(JobCancelledError):
        PluginManager.discover().call("apply_edit", request, job, "reason_edit")


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    request = ApplyRequest(
        picture=photograph(), instruction="x", options={"model-folder": str(tmp_path)}
    )
    with pytest.raises(ImgeditError, match=r"no model|cannot be loaded"):
        PluginManager.discover().call("apply_edit", request, Job(), "reason_edit")
