"""Vision-language models of other classes than LLaVA's, at tiny size, with chat templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_reasoner import TEXTS

from imgedit_modelkit.testing import realistic, tiny_tokenizer

_TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2,
}  # fmt: skip
_VISION = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 7,
}  # fmt: skip
_TEMPLATE = (
    "{{% for m in messages %}}{{{{ m['role'] }}}}: {{% for c in m['content'] %}}"
    "{{% if c['type'] == 'image' %}}{picture}{{% else %}}{{{{ c['text'] }}}}{{% endif %}}"
    "{{% endfor %}}</s>{{% endfor %}}{{% if add_generation_prompt %}}model: {{% endif %}}"
)


def _tokenizer(names: list[str]) -> Any:
    known = tiny_tokenizer(TEXTS, kind="bytes", size=60)
    known.add_tokens(names, special_tokens=True)
    known.add_special_tokens({"pad_token": "<pad>"})
    return known


def gemma3(folder: Path) -> Path:
    """Gemma 3: SigLIP, 4 tokens for a picture, which see each other both ways."""
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3Processor,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    special = {"boi_token": "<boi>", "eoi_token": "<eoi>", "image_token": "<img>"}
    known = _tokenizer(list(special.values()))
    for name, token in special.items():
        known.init_kwargs[name] = token
        setattr(known, name, token)
        setattr(known, f"{name}_id", known.convert_tokens_to_ids(token))
    ids = {name: known.convert_tokens_to_ids(token) for name, token in special.items()}
    pad = known.convert_tokens_to_ids("<pad>")
    config = Gemma3Config(
        text_config=Gemma3TextConfig(
            **_TEXT, vocab_size=len(known), head_dim=8, max_position_embeddings=512,
            pad_token_id=pad,
        ),
        vision_config=SiglipVisionConfig(**_VISION), mm_tokens_per_image=4,
        boi_token_index=ids["boi_token"], eoi_token_index=ids["eoi_token"],
        image_token_index=ids["image_token"],
    )  # fmt: skip
    realistic(Gemma3ForConditionalGeneration(config)).save_pretrained(folder)
    Gemma3Processor(
        Gemma3ImageProcessorPil(size={"height": 28, "width": 28}), known, image_seq_length=4,
        chat_template=_TEMPLATE.format(picture="<boi>"),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def idefics3(folder: Path) -> Path:
    """Idefics 3 (SmolVLM's class): its own vision model, LLaMA, 4 tokens for a picture."""
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3Processor,
        LlamaConfig,
    )
    from transformers.models.idefics3.image_processing_pil_idefics3 import (
        Idefics3ImageProcessorPil,
    )

    known = _tokenizer(
        ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"]
    )
    pad = known.convert_tokens_to_ids("<pad>")
    config = Idefics3Config(
        image_token_id=known.convert_tokens_to_ids("<image>"), scale_factor=2, pad_token_id=pad,
        text_config=LlamaConfig(**_TEXT, vocab_size=len(known), pad_token_id=pad).to_dict(),
        vision_config=_VISION,
    )  # fmt: skip
    realistic(Idefics3ForConditionalGeneration(config)).save_pretrained(folder)
    size = {"longest_edge": 28}
    Idefics3Processor(
        Idefics3ImageProcessorPil(do_image_splitting=False, size=size, max_image_size=size), known,
        image_seq_len=4, chat_template=_TEMPLATE.format(picture="<image>"),
    ).save_pretrained(folder)  # fmt: skip
    return folder
