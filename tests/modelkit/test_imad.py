"""The reader of I-MAD's layout: what it accepts, what it refuses with file and line, the split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgedit_modelkit.readers.imad import (
    INPUTS,
    OUTPUTS,
    ROWS_CSV,
    VALUES_CSV,
    ImadRow,
    edition_of,
    read_imad,
    tables_of,
)
from imgedit_modelkit.readers.splits import split_by_image
from imgedit_plugins.errors import DataError, ProfileError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step

ROWS = [
    ("000001.jpg", "['flip']", "Mirror it."),
    ("000001.jpg", "['bright', 'rotate', 'blur']", 'An "idea", with a comma'),
    ("000002.jpg", "['saturate']", ""),
]
VALUES = ["[1.0]", "[0.556, 0.333, 0.111]", "[0.2]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, ROWS, VALUES)


def write(
    folder: Path,
    rows: list[tuple[str, str, str]],
    values: list[str],
    *,
    first: int = 0,
    suffix: str = ".png",
) -> Path:
    lines = ["img_source,action,textv2"]
    lines += [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    (folder / ROWS_CSV).write_text("\n".join(lines) + "\n")
    (folder / VALUES_CSV).write_text(
        "\n".join(["value_normalized", *(f'"{value}"' for value in values)]) + "\n"
    )
    for name in (INPUTS, OUTPUTS):
        (folder / name).mkdir(exist_ok=True)
        for row in range(first, first + len(rows)):
            picture = Picture(np.full((4, 6, 3), 40 * (row - first), np.uint8))
            save_picture(picture, folder / name / f"{row}{suffix}")
    return folder


def test_rows_as_published(folder: Path) -> None:
    flip, three, saturate = read_imad(folder, Job())
    assert flip.id == 0
    assert flip.img_source == "000001.jpg"
    assert flip.command == "Mirror it."
    assert flip.source == folder / INPUTS / "0.png"
    assert flip.edited == folder / OUTPUTS / "0.png"
    assert three.command == 'An "idea", with a comma'
    assert three.operations == (("bright", 0.556), ("rotate", 0.333), ("blur", 0.111))
    assert three.plan.operations == (
        step("bright", offset=50),
        step("rotate", degrees=90),
        step("blur", kernel=1),
    )
    assert saturate.plan == EditPlan(operations=(step("saturate", factor=0.5),))


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".webp"])
@pytest.mark.parametrize("first", [0, 1])
def test_numbering_and_suffixes(tmp_path: Path, suffix: str, first: int) -> None:
    rows = read_imad(write(tmp_path, ROWS, VALUES, first=first, suffix=suffix), Job())
    assert [row.id for row in rows] == [first, first + 1, first + 2]
    assert [row.source.name for row in rows] == [f"{row.id}{suffix}" for row in rows]
    assert [row.operations[0][0] for row in rows] == ["flip", "bright", "saturate"]


def test_an_index_column_and_a_byte_order_mark_do_no_harm(folder: Path) -> None:
    for name in (ROWS_CSV, VALUES_CSV):
        lines = (folder / name).read_text().splitlines()
        numbered = [",".join(pair) for pair in zip(["", "0", "1", "2"], lines, strict=True)]
        (folder / name).write_text("\ufeff" + "\r\n".join(numbered) + "\r\n", encoding="utf-8")
    assert len(read_imad(folder, Job())) == 3


def test_missing_pictures_are_counted_and_told(folder: Path) -> None:
    (folder / OUTPUTS / "1.png").unlink()
    job = Job()
    assert [row.id for row in read_imad(folder, job)] == [0, 2]
    (warning,) = job.warnings
    assert "1 of 3 rows" in warning
    assert "rows 1" in warning


def test_no_pictures_at_all(folder: Path) -> None:
    for path in (folder / OUTPUTS).iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"3 of 3 rows .* none is left"):
        read_imad(folder, Job())


def broken(old: str, new: str, name: str = ROWS_CSV) -> tuple[str, str, str]:
    return name, old, new


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (broken("textv2", "text"), r"imad_dense_data.csv, line 1: there is no column 'textv2'"),
        (broken("['flip']", "['flop']"), r"csv, line 2: there is no operation 'flop'"),
        (broken("['flip']", "flip"), r"csv, line 2: 'action' must be a list of operation names"),
        (broken("['flip']", "__import__('os')"), r"csv, line 2: 'action' must be a list"),
        (broken("['flip']", "['flip'"), r"csv, line 2: 'action' must be a list"),
        (broken("['flip']", "[" * 5000), r"csv, line 2: 'action' must be a list"),
        (broken("['flip']", "[]"), r"csv, line 2: 'action' is empty"),
        (broken(',"Mirror it."', ""), r"csv, line 2: there must be 3 fields"),
        (broken("Mirror it.", 'Mirror" it'), r"csv cannot be read"),
        (broken("[1.0]", "[1.0, 1.0]", VALUES_CSV), r"line 2: there are 2 values for 1 operations"),
        (broken("[1.0]", "['a']", VALUES_CSV), r"line 2: 'value_normalized' must be a list of num"),
        (broken("[1.0]", "[1.5]", VALUES_CSV), r"line 2: 'value_normalized' must be a list of num"),
        (broken("[1.0]", "[True]", VALUES_CSV), r"line 2: 'value_normalized' must be"),
        (broken('"[0.2]"\n', "", VALUES_CSV), r"has 2 rows, imad_dense_data.csv has 3"),
    ],
)
def test_malformed_files_are_refused_with_their_place(
    folder: Path, change: tuple[str, str, str], told: str
) -> None:
    name, old, new = change
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    with pytest.raises(DataError, match=told) as error:
        read_imad(folder, Job())
    assert error.value.path == folder / name


def test_files_that_are_not_there_or_not_text(folder: Path) -> None:
    (folder / VALUES_CSV).write_bytes(b"value_normalized\n\xff\xfe\n")
    with pytest.raises(DataError, match="cannot be read"):
        read_imad(folder, Job())
    (folder / VALUES_CSV).unlink()
    with pytest.raises(DataError, match=r"There is no file .*A data set holds"):
        read_imad(folder, Job())


def test_empty_data_and_missing_folders(tmp_path: Path) -> None:
    write(tmp_path, [], [])
    with pytest.raises(DataError, match="has no rows"):
        read_imad(tmp_path, Job())
    write(tmp_path, ROWS, VALUES)
    (tmp_path / INPUTS).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="input_images cannot be read"):
        read_imad(tmp_path, Job())


def test_two_pictures_for_one_row(folder: Path) -> None:
    (folder / INPUTS / "1.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"two pictures for one row: 1\.jpg and 1\.png"):
        read_imad(folder, Job())


def test_other_definitions(folder: Path) -> None:
    with pytest.raises(ProfileError):
        read_imad(folder, Job(), definitions="nobody/1")
    (folder / "imad.json").write_text('{"request": {"definitions": "nobody/1"}}')
    with pytest.raises(ProfileError):
        read_imad(folder, Job())
    assert read_imad(folder, Job(), definitions="opencv-photo-filters/1")
    (folder / "imad.json").write_text("{}")
    with pytest.raises(DataError, match=r"imad\.json cannot be read"):
        read_imad(folder, Job())


# --- split ------------------------------------------------------------------------------------


def rows_of(images: list[str]) -> list[ImadRow]:
    plan, nowhere = EditPlan(operations=(step("flip"),)), Path("x.png")
    return [
        ImadRow(i, image, nowhere, nowhere, "", (("flip", 1.0),), plan)
        for i, image in enumerate(images)
    ]


def test_the_published_proportions() -> None:
    images = [f"{i % 5000:06}.jpg" for i in range(22131)]
    parts = split_by_image(rows_of(images))
    pictures = {name: {row.img_source for row in rows} for name, rows in parts.items()}
    counts = {name: len(found) for name, found in pictures.items()}
    assert counts == {"train": 4000, "validation": 500, "test": 500}
    assert sum(map(len, parts.values())) == 22131


@given(st.lists(st.integers(0, 40).map(str), min_size=1, max_size=120), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_no_picture_is_in_two_parts_and_no_row_is_lost(images: list[str], seed: int) -> None:
    rows = rows_of(images)
    parts = split_by_image(rows, seed=seed)
    assert sorted(row.id for part in parts.values() for row in part) == [row.id for row in rows]
    where = Counter(image for part in parts.values() for image in {row.img_source for row in part})
    assert set(where.values()) == {1}
    again = split_by_image(rows[::-1], seed=seed)
    assert {n: sorted(r.id for r in p) for n, p in again.items()} == {
        n: [r.id for r in p] for n, p in parts.items()
    }


def test_split_depends_on_the_seed_and_checks_fractions() -> None:
    rows = rows_of([str(i) for i in range(50)])
    assert split_by_image(rows, seed=1) != split_by_image(rows, seed=2)
    halves = split_by_image(rows, fractions=(0.5, 0.5, 0.0))
    assert [len(part) for part in halves.values()] == [25, 25, 0]
    with pytest.raises(ValueError, match="add up to 1"):
        split_by_image(rows, fractions=(0.8, 0.1, 0.2))


def as_pro(folder: Path) -> Path:
    """The same data under the names of I-MAD-Pro."""
    for dense, pro in zip(tables_of("dense"), tables_of("pro"), strict=True):
        (folder / dense).rename(folder / pro)
    return folder


def test_i_mad_pro_is_the_same_under_other_names(folder: Path) -> None:
    dense = read_imad(folder, Job())
    assert edition_of(folder) == "dense"
    assert tables_of("pro") == ("imad_pro_data.csv", "imad_pro_data_value_normalized.csv")
    as_pro(folder)
    assert edition_of(folder) == "pro"
    assert read_imad(folder, Job()) == dense


def test_a_missing_table_of_i_mad_pro_is_named(folder: Path) -> None:
    (as_pro(folder) / "imad_pro_data_value_normalized.csv").unlink()
    with pytest.raises(
        DataError, match=r"no file .*imad_pro_data_value_normalized\.csv.*holds"
    ) as e:
        read_imad(folder, Job())
    assert "imad_dense" not in str(e.value)


def test_two_editions_in_one_folder_are_refused(folder: Path) -> None:
    (folder / "imad_pro_data.csv").write_text((folder / ROWS_CSV).read_text())
    with pytest.raises(DataError, match="keep one edition in a folder"):
        read_imad(folder, Job())
