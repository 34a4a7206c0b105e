"""Pixel files and the store that knows them."""

from __future__ import annotations

import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgedit_bridges import pixels
from imgedit_bridges.locations import Places, private_folder
from imgedit_bridges.pixels import PixelFileError
from imgedit_bridges.protocol import PictureRef
from imgedit_bridges.worker import pixel_store
from imgedit_bridges.worker.pixel_store import PixelStore, pixel_folder
from imgedit_bridges.worker.settings import Settings, WorkerError

NAME = "ab" * 16


@pytest.fixture
def folder(tmp_path):
    return private_folder(tmp_path / "pixels")


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def store(folder, now):
    return PixelStore(folder, 10.0, lambda: now[0])


def ref(name: str, size: int = 90) -> PictureRef:
    return PictureRef(name, size // 3, 1, 3, "uint8")


# --- files ------------------------------------------------------------------------------------


def test_both_sides_see_the_same_bytes(folder):
    identity = pixels.create(folder, NAME, 1000)
    with (
        pixels.open_file(folder, NAME, 1000, writable=True, identity=identity) as ours,
        pixels.open_file(folder, NAME, 1000) as theirs,
    ):
        ours.data[10:13] = b"abc"
        assert theirs.data[9:14] == b"\0abc\0"
        with pytest.raises(TypeError):
            theirs.data[0] = 1


def test_its_room_is_reserved_on_the_disk(folder):
    pixels.create(folder, NAME, 1 << 20)
    found = (folder / NAME).stat()
    assert found.st_size == 1 << 20
    assert found.st_blocks * 512 >= 1 << 20, "writing into a hole of a full disk kills"
    assert stat.S_IMODE(found.st_mode) == 0o600


def test_a_file_that_is_there_is_not_taken(folder):
    pixels.create(folder, NAME, 10)
    with pytest.raises(PixelFileError, match="cannot be made"):
        pixels.create(folder, NAME, 10)
    (folder / ("cd" * 16)).symlink_to("/etc/passwd")
    with pytest.raises(PixelFileError, match="cannot be made"):
        pixels.create(folder, "cd" * 16, 10)


@given(st.text(max_size=40))
@settings(deadline=None)
def test_names_that_are_no_ids_are_never_used(name):
    from pathlib import Path

    if len(name) == 32 and set(name) <= set("0123456789abcdef"):
        return
    for use in (pixels.create, pixels.open_file):
        with pytest.raises(PixelFileError, match="is no id"):
            use(Path("/nowhere"), name, 10)


def test_a_mapping_in_use_can_be_left(folder):
    pixels.create(folder, NAME, 10)
    with pixels.open_file(folder, NAME, 10) as file:
        view = memoryview(file.data)
    assert bytes(view) == bytes(10)


# --- the store --------------------------------------------------------------------------------


def test_files_are_made_found_and_removed(store, folder):
    name = store.create(90)
    found = (folder / name).stat()
    assert store.check(ref(name)) == (found.st_dev, found.st_ino)
    assert store.remove(name)
    assert not store.remove(name)
    assert list(folder.iterdir()) == []
    with pytest.raises(WorkerError, match="There is no pixel file"):
        store.check(ref(name))


def test_a_file_that_vanished_is_refused(store, folder):
    name = store.create(90)
    (folder / name).unlink()
    with pytest.raises(WorkerError, match="cannot be opened"):
        store.check(ref(name))


def test_files_expire_unless_used_or_held(store, now):
    unused, used, held = (store.create(90) for _ in range(3))
    store.hold([held])
    now[0] = 9.0
    store.check(ref(used))
    now[0] = 11.0
    store.expire()
    assert len(store) == 2
    with pytest.raises(WorkerError):
        store.check(ref(unused))
    now[0] = 30.0
    store.expire()
    assert len(store) == 1
    store.release([held])
    store.expire()
    assert len(store) == 1, "its time begins when the job ends"
    now[0] = 41.0
    store.expire()
    assert len(store) == 0


def test_a_file_that_is_removed_while_a_job_needs_it_goes_afterwards(store, folder):
    name = store.create(90)
    store.hold([name])
    assert store.remove(name)
    assert (folder / name).exists()
    store.release([name])
    assert list(folder.iterdir()) == []


def test_a_large_file_that_is_removed_is_used_again_under_another_name(store, folder, monkeypatch):
    monkeypatch.setattr(pixel_store, "_WORTH_KEEPING", 90)
    name = store.create(90)
    found = (folder / name).stat().st_ino
    assert store.remove(name)
    assert not (folder / name).exists()
    with pytest.raises(WorkerError, match="There is no pixel file"):
        store.check(ref(name))
    other = store.create(93)
    again = store.create(90)
    assert again != name
    assert (folder / again).stat().st_ino == found != (folder / other).stat().st_ino
    store.check(ref(again))


def test_spare_files_are_few_and_short_lived(store, folder, now, monkeypatch):
    monkeypatch.setattr(pixel_store, "_WORTH_KEEPING", 90)
    for name in [store.create(90) for _ in range(5)]:
        store.remove(name)
    assert len(list(folder.iterdir())) == 2
    now[0] = 59.0
    store.expire()
    assert len(list(folder.iterdir())) == 2
    now[0] = 61.0
    store.expire()
    assert list(folder.iterdir()) == []
    store.remove(store.create(90))
    store.clear()
    assert list(folder.iterdir()) == []


def test_a_spare_makes_room_and_one_that_was_tampered_with_is_left(store, folder, monkeypatch):
    monkeypatch.setattr(pixel_store, "_WORTH_KEEPING", 90)
    store.remove(store.create(90))
    (spare,) = folder.iterdir()
    spare.unlink()
    spare.symlink_to("/etc/passwd")
    name = store.create(90)
    assert [path.name for path in folder.iterdir()] == [name]
    assert not (folder / name).is_symlink()
    store.remove(name)
    free = pixel_store.shutil.disk_usage(folder).free
    with pytest.raises(WorkerError, match="There is no room for"):
        store.create(free)
    assert list(folder.iterdir()) == [], "it gave up its spare first"


def test_a_file_that_a_plugin_has_seen_is_not_used_again(store, folder, monkeypatch):
    monkeypatch.setattr(pixel_store, "_WORTH_KEEPING", 90)
    name = store.create(90)
    store.hold([name], lasting=True)
    store.release([name])
    store.remove(name)
    assert list(folder.iterdir()) == []


def test_writing_without_the_mapping(folder):
    pixels.create(folder, NAME, 10)
    with pixels.open_file(folder, NAME, 10, writable=True) as file:
        file.write(3, memoryview(b"abcd").cast("H"))
        assert file.data[:] == b"\0\0\0abcd\0\0\0"
        file.write(10, b"")
        for offset in (-1, 7):
            with pytest.raises(ValueError, match="do not fit"):
                file.write(offset, b"abcd")


def test_there_is_a_limit_of_files(store, monkeypatch):
    monkeypatch.setattr(pixel_store, "MAX_FILES", 3)
    for _ in range(3):
        store.create(1)
    with pytest.raises(WorkerError, match="There are 3 pixel files already") as caught:
        store.create(1)
    assert caught.value.status == 429


def test_some_of_the_disk_is_left_to_others(store, folder):
    found = os.statvfs(folder)
    with pytest.raises(WorkerError, match="There is no room for") as caught:
        store.create(found.f_bavail * found.f_frsize)
    assert caught.value.status == 507
    assert list(folder.iterdir()) == []


def test_what_is_left_of_an_earlier_worker_is_removed_and_nothing_else(folder):
    pixels.create(folder, NAME, 10)
    (folder / "notes.txt").write_text("")
    PixelStore(folder, 10.0)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_result_that_is_not_as_told_is_not_taken(store, folder):
    pixels.create(folder, NAME, 90)
    with pytest.raises(PixelFileError, match="has 90 bytes, not 93"):
        store.adopt(ref(NAME, 93))
    store.adopt(ref(NAME))
    assert len(store) == 1


def test_pixels_go_where_there_is_room(tmp_path, monkeypatch):
    places = Places(private_folder(tmp_path / "run"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    real = pixel_store.shutil.disk_usage

    def usage(path):
        free = 5 if tmp_path / "run" in path.parents else 10**10
        return real(path)._replace(free=free)

    assert pixel_folder(places, Settings()) == places.pixels
    monkeypatch.setattr(pixel_store.shutil, "disk_usage", usage)
    cache = tmp_path / "cache" / "imgedit-plugins" / "pixels"
    assert pixel_folder(places, Settings()) == cache
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    chosen = tmp_path / "chosen"
    assert pixel_folder(places, Settings(pixels=chosen)) == chosen
