"""h = F(picture, instruction) of three classes of vision-language models (eq. 8)."""

from __future__ import annotations

import hashlib

import pytest

pytestmark = pytest.mark.torch

import numpy as np  # noqa: E402
import tiny_reasoner  # noqa: E402
import tiny_seeing  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from imgedit_modelkit.picture_features import PictureReader, Reading, laid_out  # noqa: E402
from imgedit_plugins.errors import DataError, ImgeditError  # noqa: E402
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_reason_edit.model.cached import Cached, padded  # noqa: E402
from imgedit_reason_edit.model.folders import Encoder  # noqa: E402

SOURCE = tiny_reasoner.picture(40, 1)
OTHER = tiny_reasoner.picture(40, 2)
TEXT = "what would a bee like?"
MAKERS = {
    "llava": tiny_reasoner.llava, "gemma3": tiny_seeing.gemma3, "idefics3": tiny_seeing.idefics3,
}  # fmt: skip


@pytest.fixture(scope="module", params=list(MAKERS))
def reader(request, tmp_path_factory) -> PictureReader:
    folder = MAKERS[request.param](tmp_path_factory.mktemp(request.param))
    return PictureReader.load(folder, torch.float32)


def read(reader, *, picture=SOURCE, text=TEXT, **reading):
    reader.reading = Reading(**reading)
    return reader.read(picture, text)


def test_what_is_read_is_the_model_s_hidden_states(reader):
    """Taken from the model itself, with the positions of the picture counted by hand."""
    inputs = reader.processor(
        images=[Image.fromarray(SOURCE)], text=[laid_out(reader.processor, TEXT)],
        return_tensors="pt",
    )  # fmt: skip
    with torch.no_grad():
        out = reader.model(**inputs, output_hidden_states=True)
    everything = read(reader, tokens="all")
    assert torch.equal(everything, out.hidden_states[-1][0])
    assert torch.equal(read(reader, tokens="all", layer=1), out.hidden_states[1][0])
    words = read(reader)
    of_picture = 16 if "Llava" in type(reader.model).__name__ else 4
    assert len(words) == len(everything) - of_picture
    assert words.shape[1] == everything.shape[1] == reader.width
    # The text comes after the picture, so its last tokens are the last of all.
    assert torch.equal(words[-5:], everything[-5:])


def test_picture_and_text_change_it_and_nothing_else_does(reader):
    once = read(reader)
    assert torch.equal(once, read(reader))
    assert (once[-3:] - read(reader, picture=OTHER)[-3:]).abs().max() > 0.01
    assert (once[-1] - read(reader, text="what would a bat like?")[-1]).abs().max() > 0.01


def test_the_text_only_twin_has_no_picture_in_its_prompt(reader):
    blind = read(reader, picture=None)
    assert len(blind) < len(read(reader, tokens="all"))
    assert torch.equal(blind, read(reader, picture=None, tokens="all"))
    assert (blind[-1] - read(reader)[-1]).abs().max() > 0.01


def test_a_layer_that_there_is_not(reader):
    with pytest.raises(ImgeditError, match="layers -3 to 2, and none of number 3"):
        PictureReader(reader.model, reader.processor, Reading(layer=3))


def test_a_mixed_precision_around_it_changes_nothing(reader):
    with torch.autocast("cpu", torch.bfloat16):
        inside = read(reader)
    assert torch.equal(inside, read(reader))


def test_layers_in_turn_are_the_same(tmp_path):
    folder = tiny_reasoner.llava(tmp_path / "llava")
    reader = PictureReader.load(folder, torch.float32)
    whole = read(reader)
    reader.offload(torch.device("cpu"))
    assert {p.device.type for p in reader.model.parameters()} == {"meta"}
    assert torch.equal(read(reader), whole)


# --- the cache --------------------------------------------------------------------------------


ENCODER = Encoder("ab" * 32, 32)


def cache(folder, encoder=ENCODER, **changed):
    usual = {"sees": True, "size": 32, "longest": 12, "precision": torch.float32}
    return Cached(folder, encoder, **{**usual, **changed})


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float16])
def test_what_was_cached_comes_back_bit_for_bit(tmp_path, precision):
    draw = torch.Generator().manual_seed(0)
    made = {
        f"key{n}": padded(torch.randn(n + 1, 32, generator=draw).to(precision), 12, "r")
        for n in range(5)
    }
    calls = []

    def encode(key):
        calls.append(key)
        return made[key]

    cache(tmp_path, precision=precision).fill({key: key for key in made}, encode, Job())
    again = cache(tmp_path, precision=precision)
    assert again.missing(list(made)) == 0
    found = again.batch(["key3", "key0"])
    assert found.dtype == precision
    assert torch.equal(found, torch.stack([made["key3"], made["key0"]]))
    assert (found[0, :, -1] != 0).sum() == 4
    again.fill({key: key for key in made}, encode, Job())
    assert len(calls) == 5, "nothing is read twice"


def test_all_that_it_hangs_on_makes_another_cache(tmp_path):
    from msgspec.structs import replace

    caches = [
        cache(tmp_path),
        *(cache(tmp_path, replace(ENCODER, **{name: value})) for name, value in {
            "sha256": hashlib.sha256(b"other").hexdigest(), "layer": -2, "tokens": "all",
            "prompt": "Edit: {instruction}",
        }.items()),
        cache(tmp_path, sees=False), cache(tmp_path, size=64), cache(tmp_path, longest=13),
        cache(tmp_path, precision=torch.bfloat16),
    ]  # fmt: skip
    assert len({one.path for one in caches}) == len(caches)


def test_a_row_that_is_too_long_is_named():
    with pytest.raises(DataError, match="Row I-0-7 has 13 tokens that guide the edit, and 12"):
        padded(torch.ones(13, 4), 12, "I-0-7")
    assert np.array_equal(padded(torch.ones(2, 4), 3, "r")[2], np.zeros(5))
