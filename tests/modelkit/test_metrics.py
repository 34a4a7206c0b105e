"""Figures of pictures and texts against second implementations."""

import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402

from imgedit_modelkit.metrics import pictures  # noqa: E402
from imgedit_modelkit.metrics.edits import EditEncoders, score_edits  # noqa: E402
from imgedit_modelkit.metrics.encoders import (  # noqa: E402
    Encoder,
    Lpips,
    clip_d,
    clip_i,
    clip_s,
    clip_t,
    dino,
)
from imgedit_modelkit.metrics.text import score_texts  # noqa: E402
from imgedit_plugins.errors import ImgeditError  # noqa: E402


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Three smooth pictures and noisy copies."""
    rng = np.random.default_rng(0)
    waves = rng.uniform(0, 0.4, (3, 3, 2, 1, 1)) * np.mgrid[:40, :52]
    clean = 0.5 + 0.4 * np.sin(waves.sum(2))
    noisy = np.clip(clean + rng.normal(size=clean.shape) * [[[[0.02]]], [[[0.1]]], [[[0.3]]]], 0, 1)
    return torch.from_numpy(noisy).float(), torch.from_numpy(clean).float()


# --- pixels -----------------------------------------------------------------------------------


def test_ssim_and_psnr_are_those_of_scikit_image(pair):
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    arrays = [[one.permute(1, 2, 0).double().numpy() for one in some] for some in pair]
    for a, b, found, decibel in zip(
        *arrays, pictures.ssim(*pair), pictures.psnr(*pair), strict=True
    ):
        expected = structural_similarity(
            a, b, data_range=1, channel_axis=-1, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
        assert float(found) == pytest.approx(expected, abs=1e-5)
        assert float(decibel) == pytest.approx(
            peak_signal_noise_ratio(b, a, data_range=1), abs=1e-3
        )


def test_l1_and_l2(pair):
    a, b = (some.numpy().astype(float) for some in pair)
    off = [x - y for x, y in zip(a, b, strict=True)]
    assert pictures.l1(*pair).tolist() == pytest.approx([abs(one).mean() for one in off])
    assert pictures.l2(*pair).tolist() == pytest.approx([(one**2).mean() for one in off])


def test_equal_pictures(pair):
    same = pair[1]
    assert pictures.l1(same, same).tolist() == pictures.l2(same, same).tolist() == [0.0] * 3
    assert pictures.psnr(same, same).tolist() == [math.inf] * 3
    assert pictures.ssim(same, same).tolist() == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("metric", [pictures.l1, pictures.l2, pictures.psnr, pictures.ssim])
def test_what_is_no_pair_is_refused(metric):
    good = torch.zeros(2, 3, 16, 16)
    for bad in (torch.zeros(2, 3, 16, 17), good[0], good[:, :1], good + 1.01, good.byte()):
        with pytest.raises(ValueError, match="pictures must be"):
            metric(bad, good)
    with pytest.raises(ValueError, match="pictures must be"):
        metric(good, good - 0.01)


def test_ssim_refuses_what_is_smaller_than_its_window():
    with pytest.raises(ValueError, match="11 x 11"):
        pictures.ssim(torch.zeros(1, 3, 10, 40), torch.zeros(1, 3, 10, 40))


# --- encoders ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Encoder:
    """A small CLIP with weights of a realistic scale."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import (
        CLIPConfig,
        CLIPImageProcessor,
        CLIPModel,
        PreTrainedTokenizerFast,
    )

    folder = tmp_path_factory.mktemp("clip")
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
             "num_attention_heads": 4}  # fmt: skip
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(
        text_config={**small, "vocab_size": 40, "max_position_embeddings": 8, "eos_token_id": 1},
        vision_config={**small, "image_size": 32, "patch_size": 8}, projection_dim=16,
    ))  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)
    words = {w: i for i, w in enumerate(["<pad>", "<end>", "<unk>", "make", "it", "red", "blue"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    # CLIP looks at the end token; without one only the first word would count.
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <end>", special_tokens=[("<end>", words["<end>"])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>"
    ).save_pretrained(folder)
    return Encoder(folder)


def test_clip_by_hand(clip, pair):
    """Scaled to 32 on the short side, the middle cut out, normalised, embedded, compared."""
    from PIL import Image

    def embedded(some):
        mean = np.array([0.48145466, 0.4578275, 0.40821073])
        deviation = np.array([0.26862954, 0.26130258, 0.27577711])
        found = []
        for one in some:
            image = Image.fromarray((one.permute(1, 2, 0) * 255).round().byte().numpy())
            image = image.resize((41, 32), Image.Resampling.BICUBIC).crop((4, 0, 36, 32))
            values = (np.asarray(image) / 255 - mean) / deviation
            pixels = torch.from_numpy(values).float().permute(2, 0, 1)[None]
            hidden = clip.model.vision_model(pixels).pooler_output
            found.append(clip.model.visual_projection(hidden)[0].detach().numpy())
        return found

    found = clip_i(clip, *pair)
    expected = [
        a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        for a, b in zip(embedded(pair[0]), embedded(pair[1]), strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, abs=1e-4)
    assert clip_i(clip, pair[1], pair[1]).tolist() == pytest.approx([1.0] * 3)
    assert len({round(value, 4) for value in found.tolist()}) == 3


def test_clip_t(clip, pair):
    texts = ["make it red", "make it blue", "red " * 50]
    found = clip_t(clip, pair[0], texts)
    with torch.no_grad():
        tokens = clip.tokenizer("make it red", return_tensors="pt")
        text = clip.model.text_projection(clip.model.text_model(**tokens).pooler_output)[0]
        hidden = clip.model.vision_model(clip.pixels(pair[0][:1])).pooler_output
        picture = clip.model.visual_projection(hidden)[0]
    expected = float(text @ picture / text.norm() / picture.norm())
    assert float(found[0]) == pytest.approx(expected, abs=1e-5)
    assert found.shape == (3,)
    same = pair[0][:1].expand(2, -1, -1, -1)
    red, blue = clip_t(clip, same, texts[:2]).tolist()
    assert abs(red - blue) > 1e-3, "the last word counts"


def test_clip_s_is_that_of_torchmetrics(clip, pair):
    """Its own is 100 times the cosine above 0, of one picture at a time."""
    from torchmetrics.functional.multimodal import clip_score
    from transformers import CLIPProcessor

    class Model(torch.nn.Module):  # embeddings bare, as torchmetrics expects them
        def __init__(self):
            super().__init__()
            self.config = clip.model.config

        def get_image_features(self, pixels):
            return clip.model.get_image_features(pixels).pooler_output

        def get_text_features(self, *words):
            return clip.model.get_text_features(*words).pooler_output

    texts = ["make it red", "it make blue blue", "red"]
    processor = CLIPProcessor(clip.processor, clip.tokenizer)
    bytes_of = (pair[0] * 255).round().to(torch.uint8)
    expected = [
        float(clip_score(picture, text, lambda: (Model(), processor)).detach())
        for picture, text in zip(bytes_of, texts, strict=True)
    ]
    plain = clip_s(clip, pair[0], texts, weight=100, prefix="")
    assert plain.tolist() == pytest.approx(expected, abs=2e-3)
    assert max(expected) > 0
    assert torch.allclose(
        clip_s(clip, pair[0], texts),
        2.5 * clip_t(clip, pair[0], [f"A photo depicts {text}" for text in texts]).clamp(min=0),
    )


def test_figures_of_edits_under_the_papers_names(clip, pair):
    edited, goals = pair
    bare = score_edits(edited, goals, texts=["red"] * 3)
    assert list(bare) == ["L1", "SSIM"]
    found = score_edits(edited, goals, EditEncoders(clip=clip), ["red"] * 3)
    assert list(found) == ["L1", "SSIM", "CVS", "CLIP-S"]
    assert torch.equal(found["CVS"], clip_i(clip, edited, goals))
    assert torch.equal(found["CLIP-S"], clip_s(clip, edited, ["red"] * 3))
    assert torch.equal(found["L1"], pictures.l1(edited, goals))
    assert EditEncoders(clip=clip).identities == dict.fromkeys(("CVS", "CLIP-S"), clip.identity)
    same = score_edits(goals, goals, EditEncoders(clip=clip))
    assert same["CVS"].tolist() == pytest.approx([1.0] * 3)


def test_dino(tmp_path, pair):
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    torch.manual_seed(1)
    model = Dinov2Model(Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=28, patch_size=14
    )).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path)
    BitImageProcessor(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
    ).save_pretrained(tmp_path)
    encoder = Encoder(tmp_path)
    found = dino(encoder, *pair)
    with torch.no_grad():
        a, b = (model(encoder.pixels(some)).last_hidden_state[:, 0] for some in pair)
    expected = (a * b).sum(1) / a.norm(dim=1) / b.norm(dim=1)
    assert torch.allclose(found, expected, atol=1e-5)
    assert float((1 - found).max()) > 0
    assert torch.equal(score_edits(*pair, EditEncoders(dino=encoder))["DINO"], found)


def test_encoders_are_named_and_checked(clip, tmp_path):
    name, begins = clip.identity.split()
    assert name == clip.folder.name
    assert Encoder(clip.folder, begins).identity == clip.identity
    with pytest.raises(ImgeditError, match=rf"has the SHA-256 {begins}.*, not 00ff"):
        clip_i(Encoder(clip.folder, "00ff"), torch.zeros(1, 3, 9, 9), torch.zeros(1, 3, 9, 9))
    with pytest.raises(ImgeditError, match="no safetensors files"):
        _ = Encoder(tmp_path).identity


def test_clip_d_by_hand(clip, pair):
    edited, goals = pair
    sources = goals.flip(3)
    with torch.no_grad():
        a, b, c = (
            one / one.norm(dim=1, keepdim=True)
            for one in (
                clip.model.get_image_features(pixel_values=clip.pixels(some)).pooler_output
                for some in (sources, edited, goals)
            )
        )
    ways = (b - a).numpy(), (c - a).numpy()
    expected = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(*ways, strict=True)]
    assert clip_d(clip, sources, edited, goals).tolist() == pytest.approx(expected, abs=1e-4)
    assert max(expected) - min(expected) > 0.01
    assert clip_d(clip, sources, sources, goals).tolist() == [0.0] * 3
    assert clip_d(clip, sources, goals, goals).tolist() == pytest.approx([1.0] * 3)


def test_encoders_as_openai_and_facebook_publish_them(clip, tmp_path, pair):
    """Without safetensors: a pickle, of which nothing but tensors is read."""
    for path in clip.folder.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save(clip.model.state_dict(), tmp_path / "pytorch_model.bin")
    encoder = Encoder(tmp_path)
    assert torch.equal(clip_i(encoder, *pair), clip_i(clip, *pair))
    assert encoder.digest != clip.digest
    torch.save({"text_model": print}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ImgeditError, match="cannot be loaded"):
        _ = Encoder(tmp_path).model
    state = dict(list(clip.model.state_dict().items())[:-1])
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(ImgeditError, match="lacks 1 tensors"):
        _ = Encoder(tmp_path).model


def test_dino_comes_without_a_pooler(tmp_path):
    from transformers import ViTConfig, ViTModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 32, "image_size": 28, "patch_size": 14}  # fmt: skip
    ViTModel(ViTConfig(**sizes), add_pooling_layer=False).save_pretrained(tmp_path)
    assert Encoder(tmp_path).config["model_type"] == "vit"
    assert Encoder(tmp_path).model.config.patch_size == 14


def test_lpips_by_hand(tmp_path):
    """Against the paper's formula with plain functions, AlexNet's weights random."""
    import torchmetrics
    from torch.nn import functional

    torch.manual_seed(2)
    shapes = {
        0: (64, 3, 11),
        3: (192, 64, 5),
        6: (384, 192, 3),
        8: (256, 384, 3),
        10: (256, 256, 3),
    }
    state = {}
    for number, (to, of, size) in shapes.items():
        fan = of * size * size
        state[f"features.{number}.weight"] = torch.randn(to, of, size, size) * (2 / fan) ** 0.5
        state[f"features.{number}.bias"] = 0.1 * torch.randn(to)
    torch.save({**state, "classifier.1.weight": torch.zeros(1)}, tmp_path / "alexnet.pth")
    a, b = torch.rand(2, 3, 64, 80), torch.rand(2, 3, 64, 80)

    def layers(x):
        x = (x * 2 - 1 - torch.tensor([-0.030, -0.088, -0.188])[:, None, None]) / torch.tensor(
            [0.458, 0.448, 0.450]
        )[:, None, None]
        for number, stride, padding in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
            if number in (3, 6):
                x = functional.max_pool2d(x, 3, 2)
            weight, bias = (state[f"features.{number}.{what}"] for what in ("weight", "bias"))
            x = functional.conv2d(x, weight, bias, stride, padding).relu()
            yield functional.normalize(x, dim=1)

    heads = torch.load(
        Path(torchmetrics.__file__).parent / "functional/image/lpips_models/alex.pth",
        map_location="cpu",
        weights_only=True,
    )
    expected = sum(
        torch.einsum("nchw,c->nhw", (x - y) ** 2, heads[f"lin{i}.model.1.weight"][0, :, 0, 0])
        .mean(dim=(1, 2))
        for i, (x, y) in enumerate(zip(layers(a), layers(b), strict=True))
    )  # fmt: skip
    found = Lpips(tmp_path / "alexnet.pth", sha256="")
    assert torch.allclose(found(a, b), expected, rtol=1e-4)
    assert found(a, b).min() > 0.01
    assert found(a, a).tolist() == [0.0, 0.0]
    edits = EditEncoders(lpips=found)
    assert torch.equal(score_edits(a, b, edits)["LPIPS"], found(a, b))
    assert edits.identities == {"LPIPS": found.identity}
    with pytest.raises(ImgeditError, match=r"has the SHA-256 .*, not 7be5be79"):
        Lpips(tmp_path / "alexnet.pth")(a, b)
    with pytest.raises(ImgeditError, match="LPIPS needs torchvision's file"):
        Lpips(tmp_path / "missing.pth")(a, b)


# --- texts ------------------------------------------------------------------------------------

ANSWERS = [
    "The sky is made darker, and the grass greener.",
    "rotate: 0.33",
    "a cat",
    "now blur the wall here",
]
REFERENCES = [
    "The sky was made much darker, the grass greener!",
    "Rotate: 0.33",
    "two dogs",
    "now blur the wall",
]


def test_bleu_by_hand():
    def tokens(text):
        return re.findall(r"\d+\.\d+|\w+|[^\w\s]", text)

    matches, totals, answered, wanted = [0] * 4, [0] * 4, 0, 0
    for answer, reference in zip(map(tokens, ANSWERS), map(tokens, REFERENCES), strict=True):
        answered, wanted = answered + len(answer), wanted + len(reference)
        for n in range(1, 5):
            mine, theirs = (
                Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
                for words in (answer, reference)
            )
            matches[n - 1] += sum((mine & theirs).values())
            totals[n - 1] += sum(mine.values())
    logs = [math.log(m / t) for m, t in zip(matches, totals, strict=True)]
    expected = min(1, math.exp(1 - wanted / answered)) * math.exp(sum(logs) / 4)
    scores = score_texts(ANSWERS, REFERENCES)
    assert scores.bleu == pytest.approx(expected, abs=1e-6)
    assert "tok:13a" in scores.bleu_signature


def test_rouge_l_by_hand():
    def longest(a, b):
        table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                best = max(table[i][j + 1], table[i + 1][j])
                table[i + 1][j + 1] = table[i][j] + 1 if x == y else best
        return table[-1][-1]

    found = []
    for a, b in zip(ANSWERS, REFERENCES, strict=True):
        x, y = (re.findall(r"[a-z0-9]+", text.lower()) for text in (a, b))
        found.append(2 * longest(x, y) / (len(x) + len(y)))
    assert score_texts(ANSWERS, REFERENCES).rouge_l == pytest.approx(sum(found) / 4, abs=1e-6)


def test_exact_and_token_f1_by_hand():
    def words(text):
        kept = re.sub(r"[^\w\s]", "", text.lower()).split()
        return [word for word in kept if word not in ("a", "an", "the")]

    pairs = [(words(a), words(b)) for a, b in zip(ANSWERS, REFERENCES, strict=True)]
    f1 = [2 * sum((Counter(a) & Counter(b)).values()) / (len(a) + len(b)) for a, b in pairs]
    scores = score_texts(ANSWERS, REFERENCES)
    assert scores.exact == 0.25
    assert scores.token_f1 == pytest.approx(sum(f1) / 4, abs=1e-6)


def test_equal_texts_are_perfect_and_foreign_ones_are_not():
    long = ["this is a longer answer of many words", "another one that is long enough"]
    same = score_texts(long, long)
    assert (same.bleu, same.rouge_l, same.exact, same.token_f1) == pytest.approx((1, 1, 1, 1))
    other = score_texts(long, long[::-1])
    assert other.exact == 0
    assert other.rouge_l < 0.5
    with pytest.raises(ValueError, match="2 answers do not go with 1 references"):
        score_texts(long, long[:1])
