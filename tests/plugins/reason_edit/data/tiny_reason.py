"""The real model classes of the pipeline at tiny size, with drawn weights; data in its layouts."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from imgedit_modelkit.diffusion.testing import stable_diffusion_scheduler, tiny_vae
from imgedit_modelkit.testing import (
    realistic,
    save_tiny_language_model,
    tiny_llama,
    tiny_tokenizer,
)

NOUNS = ["butterfly", "flower", "cat", "dog", "tree", "car", "boat", "lamp", "chair", "house"]
OTHERS = [
    "a",
    "the",
    "on",
    "under",
    "beside",
    "red",
    "small",
    "old",
    "is",
    "sits",
    "stands",
    "and",
    "with",
]
TEXT_WIDTH = 16


def words(special: list[str], pieces: bool = True) -> Any:
    """A tokenizer of whole words, and of letters for what is none."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = [*string.ascii_letters, *string.digits, *string.punctuation] if pieces else []
    vocabulary = dict.fromkeys(
        [*special, *OTHERS, *NOUNS, *letters, *(f"##{letter}" for letter in letters)]
    )
    numbered = {word: number for number, word in enumerate(vocabulary)}
    made = Tokenizer(models.WordPiece(numbered, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    made.decoder = decoders.WordPiece(prefix="##")
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        pad_token="<pad>",
    )  # fmt: skip


def llama(folder: Path) -> Path:
    """LlamaForCausalLM, which writes letters."""
    letters = [*string.ascii_lowercase, " ", ","]
    known = tiny_tokenizer(['{"instruction": "category target best": 12}'] * 3 + letters, size=60)
    return save_tiny_language_model(folder, known, tiny_llama(known))


def blip2(folder: Path, seed: int = 0) -> Path:
    """Blip2ForConditionalGeneration, which writes words of a small vocabulary."""
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        Blip2QFormerConfig,
        Blip2VisionConfig,
        BlipImageProcessor,
        OPTConfig,
    )

    known = words(["<pad>", "</s>", "<s>", "<unk>", "<image>"], pieces=False)
    known.add_special_tokens({"additional_special_tokens": ["<image>"]})
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
             "num_attention_heads": 2}  # fmt: skip
    text = OPTConfig(
        vocab_size=len(known), hidden_size=16, ffn_dim=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=64, word_embed_proj_dim=16,
        pad_token_id=0, bos_token_id=2, eos_token_id=1,
    )  # fmt: skip
    config = Blip2Config(
        vision_config=Blip2VisionConfig(**small, image_size=32, patch_size=8).to_dict(),
        qformer_config=Blip2QFormerConfig(**small, encoder_hidden_size=16).to_dict(),
        text_config=text.to_dict(),
        num_query_tokens=4,
        image_token_index=known.convert_tokens_to_ids("<image>"),
    )
    model = realistic(Blip2ForConditionalGeneration(config), seed=seed).eval()
    model.generation_config.eos_token_id = None  # captions of as many words as there may be
    model.generation_config.pad_token_id = 0
    model.generation_config.bos_token_id = 2
    silent = [known.convert_tokens_to_ids(token) for token in known.all_special_tokens]
    model.generation_config.suppress_tokens = silent
    model.save_pretrained(folder)
    Blip2Processor(
        BlipImageProcessor(size={"height": 32, "width": 32}), known, num_query_tokens=4
    ).save_pretrained(folder)
    return folder


def grounding_dino(folder: Path, seed: int = 2) -> Path:
    """GroundingDinoForObjectDetection with a Swin and a BERT."""
    import torch
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        SwinConfig,
    )

    known = words(["<pad>", "[CLS]", "[SEP]", "<unk>", "</s>", "<s>"])
    known.add_special_tokens({"cls_token": "[CLS]", "sep_token": "[SEP]"})
    from tokenizers.processors import TemplateProcessing

    known.backend_tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", known.cls_token_id), ("[SEP]", known.sep_token_id)],
    )
    swin = SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2],
        window_size=4, out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    bert = BertConfig(
        vocab_size=len(known), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    config = GroundingDinoConfig(
        backbone_config=swin, text_config=bert, d_model=32, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_ffn_dim=32, num_queries=12, num_feature_levels=4, max_text_len=32,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = GroundingDinoForObjectDetection(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            scale = 0.06 if "bbox" in name else 0.15  # boxes of some size, not all at the edges
            parameter.add_(scale * noise)
    model.save_pretrained(folder)
    GroundingDinoProcessor(
        GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}), known
    ).save_pretrained(folder)
    return folder


def painter(folder: Path, *, gligen: bool, channels: int = 9) -> Path:
    """StableDiffusionGLIGENPipeline or StableDiffusionInpaintPipeline of tiny parts."""
    from diffusers import (
        StableDiffusionGLIGENPipeline,
        StableDiffusionInpaintPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    letters = string.ascii_lowercase
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{x}</w>" for x in letters)]
    spelled = folder.parent / f"{folder.name}-words"
    spelled.mkdir()
    (spelled / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (spelled / "merges.txt").write_text("#version: 0.2\n")
    config = CLIPTextConfig(
        vocab_size=len(tokens), hidden_size=TEXT_WIDTH, intermediate_size=32,
        num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=24,
        bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    kind: Any = UNet2DConditionModel
    unet = kind(
        sample_size=16, in_channels=channels, out_channels=4, block_out_channels=(16, 32),
        layers_per_block=1, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=8, norm_num_groups=8, attention_type="gated" if gligen else "default",
    )  # fmt: skip
    vae = tiny_vae()
    vae.register_to_config(sample_size=64)  # 16 latents on each side
    build: Any = StableDiffusionGLIGENPipeline if gligen else StableDiffusionInpaintPipeline
    made = build(
        vae=vae, text_encoder=realistic(CLIPTextModel(config), seed=5).eval(),
        tokenizer=CLIPTokenizer(
            str(spelled / "vocab.json"), str(spelled / "merges.txt"), model_max_length=24
        ),
        unet=realistic(unet, seed=3).eval(), scheduler=stable_diffusion_scheduler(
            "DDIMScheduler", steps_offset=1, clip_sample=False
        ),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    made.save_pretrained(folder)
    return folder


def spacy_model(folder: Path) -> Path:
    """A tagger of spaCy's, trained for a moment on sentences of the vocabulary."""
    import random

    import spacy
    from spacy.training import Example

    kinds = {"a": "DET", "the": "DET", "on": "ADP", "under": "ADP", "beside": "ADP",
             "with": "ADP", "red": "ADJ", "small": "ADJ", "old": "ADJ", "is": "VERB",
             "sits": "VERB", "stands": "VERB", "and": "CCONJ",
             **dict.fromkeys(NOUNS, "NOUN")}  # fmt: skip
    draw = random.Random(0)
    made = spacy.blank("en")
    made.add_pipe(
        "morphologizer",
        config={
            "model": {
                "tok2vec": {
                    "@architectures": "spacy.HashEmbedCNN.v2",
                    "pretrained_vectors": None,
                    "width": 32,
                    "depth": 1,
                    "embed_size": 200,
                    "window_size": 1,
                    "maxout_pieces": 2,
                    "subword_features": True,
                }
            }
        },
    )
    examples = []
    for _ in range(60):
        said = draw.sample(list(kinds), 8)
        tags = {"pos": [kinds[word] for word in said], "words": said}
        examples.append(Example.from_dict(made.make_doc(" ".join(said)), tags))
    spacy.util.fix_random_seed(0)
    optimiser = made.initialize(lambda: examples)
    optimiser.learn_rate = 0.02
    for _ in range(15):
        made.update(examples, sgd=optimiser)
    made.to_disk(folder)
    return folder


# --- data -------------------------------------------------------------------------------------


def picture(rng: np.random.Generator, width: int = 96, height: int = 80) -> Image.Image:
    """Coloured tiles."""
    tiles = rng.integers(0, 256, (8, 10, 3), np.uint8)
    return Image.fromarray(tiles).resize((width, height), Image.Resampling.BICUBIC)


def caption(number: int) -> str:
    """Two nouns of the vocabulary."""
    first, second = NOUNS[number % len(NOUNS)], NOUNS[(3 * number + 1) % len(NOUNS)]
    return f"a small {first} beside the old {second}"


def write_pairs(folder: Path, count: int, alike: int = 0) -> Path:
    """Pairs in InstructPix2Pix's folders with captions; the first `alike` are hardly edited."""
    rng = np.random.default_rng(0)
    for number in range(count):
        edit = folder / f"{number:07d}"
        edit.mkdir(parents=True)
        told = {"caption": caption(number), "edit": f"make the sky {number}",
                "output": f"{caption(number)} and the sky is {number}"}  # fmt: skip
        (edit / "prompt.json").write_text(json.dumps(told))
        before = picture(rng)
        after = picture(rng)
        if number < alike:
            shifted = np.clip(np.asarray(before, np.int16) + number, 0, 255).astype(np.uint8)
            after = Image.fromarray(shifted)
        for which, shown in enumerate((before, after)):
            shown.save(edit / f"{100 + number}_{which}.jpg", quality=95)
    return folder


def write_v3det(folder: Path, count: int, split: str = "train") -> Path:
    """V3Det's layout; the test split has no list."""
    rng = np.random.default_rng(1)
    entries = []
    for number in range(count):
        top = "test" if split == "test" else "images"
        name = f"{top}/n{number % 3:08d}/{number}_photo.jpg"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture(rng, 120 + 7 * (number % 5), 100).save(folder / name, quality=95)
        entries.append({"id": number, "file_name": name, "width": 1, "height": 1})
    if split != "test":
        (folder / "annotations").mkdir(exist_ok=True)
        listed = {"images": entries, "annotations": [], "categories": []}
        path = folder / "annotations" / f"v3det_2023_v1_{split}.json"
        path.write_text(json.dumps(listed))
    return folder
