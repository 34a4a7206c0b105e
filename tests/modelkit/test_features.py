"""The feature cache: encoded once, resumed, checked, kept within its limit."""

import os

import numpy as np
import pytest

from imgedit_modelkit.errors import RunError
from imgedit_modelkit.features import FeatureCache, key_of
from imgedit_plugins.errors import JobCancelledError
from imgedit_plugins.jobs import Job

ITEMS = {f"key{number}": number for number in range(50)}


class Counting:
    def __init__(self, dtype=np.float16, fail_at=None):
        self.seen, self.dtype, self.fail_at = [], dtype, fail_at

    def __call__(self, items):
        self.seen += items
        if self.fail_at is not None and len(self.seen) >= self.fail_at:
            raise KeyboardInterrupt
        return np.array(items, self.dtype)[:, None, None] * np.ones((1, 4, 8), self.dtype)


def test_every_picture_is_encoded_once(tmp_path):
    encode = Counting()
    cache = FeatureCache(tmp_path, "a" * 64)
    cache.fill(ITEMS, encode, Job(), batch_size=4, shard_batches=3)
    assert encode.seen == list(range(50))
    again = FeatureCache(tmp_path, "a" * 64)
    again.fill({**ITEMS, "new": 77}, encode, Job())
    assert encode.seen[50:] == [77]
    assert len(again) == 51
    for key, number in ITEMS.items():
        assert again[key].shape == (4, 8)
        assert again[key].dtype == np.float16
        assert (again[key] == number).all()
    assert isinstance(again["key3"].base, np.memmap)
    with pytest.raises(KeyError):
        again["unknown"]


def test_another_encoder_has_another_cache(tmp_path):
    FeatureCache(tmp_path, "a" * 64).fill(ITEMS, Counting(), Job())
    assert "key1" not in FeatureCache(tmp_path, "b" * 64)


def test_an_interrupted_run_goes_on(tmp_path):
    first, second = Counting(fail_at=21), Counting()
    with pytest.raises(KeyboardInterrupt):
        FeatureCache(tmp_path, "a").fill(ITEMS, first, Job(), batch_size=2, shard_batches=4)
    cache = FeatureCache(tmp_path, "a")
    assert len(cache) == 16
    job = Job(on_progress=lambda progress: job.cancel() if progress.done >= 24 else None)
    with pytest.raises(JobCancelledError):
        cache.fill(ITEMS, second, job, batch_size=2, shard_batches=4)
    FeatureCache(tmp_path, "a").fill(ITEMS, second, Job())
    assert sorted(set(second.seen)) == list(range(16, 50))


def test_damage_is_found_and_made_anew(tmp_path):
    cache = FeatureCache(tmp_path, "a")
    cache.fill(ITEMS, Counting(), Job(), batch_size=10, shard_batches=1)
    assert cache.verify() == []
    path = sorted(cache.path.glob("*.npy"))[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    cache = FeatureCache(tmp_path, "a")
    assert cache.verify() == [f"{path} is not what was written"]
    assert len(cache) == 40
    encode = Counting()
    cache.fill(ITEMS, encode, Job())
    assert len(encode.seen) == 10
    assert FeatureCache(tmp_path, "a").verify() == []


def test_a_broken_list_of_keys_is_told(tmp_path):
    cache = FeatureCache(tmp_path, "a")
    cache.fill(ITEMS, Counting(), Job())
    index = next(cache.path.glob("*.json"))
    index.write_text("{")
    with pytest.raises(RunError, match=r"cannot be read.*Remove it"):
        FeatureCache(tmp_path, "a")


def test_what_was_used_longest_ago_goes_first(tmp_path):
    cache = FeatureCache(tmp_path, "a", limit=10_000)  # an item takes 64 bytes
    parts = [{f"{part}/{n}": n for n in range(40)} for part in range(3)]
    for age, part in enumerate(parts[:2]):
        cache.fill(part, Counting(), Job(), batch_size=40)
        for index in cache.path.glob("*.json"):
            os.utime(index, (age, age)) if index.stat().st_mtime > 1e6 else None
    cache.fill(parts[0], Counting(), Job())  # used again
    cache._limit = 6_000
    cache.fill(parts[2], Counting(), Job(), batch_size=40)
    assert {key[0] for key in cache._places} == {"0", "2"}
    assert cache.size <= 6_000
    assert {key[0] for key in FeatureCache(tmp_path, "a")._places} == {"0", "2"}


def test_more_than_the_limit_is_refused(tmp_path):
    cache = FeatureCache(tmp_path, "a", limit=1_000)
    with pytest.raises(RunError, match=r"more than the limit of 1,000 bytes"):
        cache.fill(ITEMS, Counting(), Job())


@pytest.mark.parametrize(
    "encode",
    [
        lambda items: np.zeros((len(items) + 1, 4, 8), np.float16),
        lambda items: np.zeros((len(items), 4, 9), np.float16),
        Counting(np.float32),
    ],
)
def test_other_shapes_and_types_are_refused(tmp_path, encode):
    cache = FeatureCache(tmp_path, "a")
    cache.fill({"first": 1}, Counting(), Job())
    with pytest.raises(RunError, match=r"The encoder made \(.* \(\(4, 8\), float16 here\)"):
        cache.fill(ITEMS, encode, Job())


def test_keys_hang_on_contents():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert key_of(pixels) == key_of(pixels.copy(order="F"))
    others = (pixels + 1, pixels.reshape(4, 1, 3), pixels.astype(np.int8))
    assert len({key_of(pixels), *map(key_of, others)}) == 4
