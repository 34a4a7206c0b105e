"""The configuration of a model folder: it finds its base, also where both have been moved."""

import shutil
from pathlib import Path

import msgspec
import pytest

from imgedit_modelkit import configurations
from imgedit_plugins.errors import DataError

FILE = "config.json"


class Config(configurations.Based, frozen=True, forbid_unknown_fields=True):
    name: str = ""


def read(folder: Path) -> Config:
    return configurations.read(folder / FILE, Config, called="model", made_by="make")


@pytest.fixture
def models(tmp_path) -> Path:
    """A folder with a base in it, and what was trained from that."""
    place = tmp_path / "models"
    (place / "runs/first").mkdir(parents=True)
    (place / "base").mkdir()
    (place / "base/tower").write_text("frozen")
    configurations.write(place / "base" / FILE, Config(name="base"))
    trained = Config(name="trained", base=str(place / "base"))
    configurations.write(place / "runs/first" / FILE, trained)
    return place


def tower(folder: Path) -> Path:
    return configurations.part(folder, "tower", lambda one: read(one).base)


def test_a_base_is_where_it_was(models):
    assert read(models / "runs/first").base == str(models / "base")
    assert read(models / "base").nearby == ""
    shutil.move(models / "runs/first", models / "elsewhere")
    assert tower(models / "elsewhere") == models / "base/tower"


def test_a_base_is_found_where_both_have_been_moved(models, tmp_path):
    moved = tmp_path / "other/place"
    moved.parent.mkdir()
    shutil.move(models, moved)
    assert tower(moved / "runs/first") == moved / "base/tower"


def test_a_copy_of_both_still_uses_the_base_that_is_named(models, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(models, copy)
    assert tower(copy / "runs/first") == models / "base/tower"


def test_a_base_that_is_nowhere_is_named_as_it_was(models):
    gone = models / "base"
    shutil.rmtree(gone)
    assert read(models / "runs/first").base == str(gone)
    with pytest.raises(DataError, match=f"{gone} is no model"):
        tower(models / "runs/first")


def test_folders_that_were_written_before_are_read(models):
    path = models / "runs/first" / FILE
    path.write_bytes(msgspec.json.encode({"base": str(models / "base"), "name": "old"}))
    assert tower(path.parent) == models / "base/tower"


def test_a_base_that_is_taken_away_leaves_no_way_there(models):
    config = read(models / "runs/first")
    configurations.write(models / "runs/first" / FILE, msgspec.structs.replace(config, base=""))
    assert (read(models / "runs/first").base, read(models / "runs/first").nearby) == ("", "")
