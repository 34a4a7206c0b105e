"""Reader of I-MAD: the authors' two CSV files and two picture folders, or ours like them.

Layout of I-MAD-Dense, as published (our own copy adds `imad.json` and `rows/`, see `make_imad`)::

    imad_dense_data.csv                     img_source, action, textv2
    imad_dense_data_value_normalized.csv    value_normalized, row for row
    input_images/ID.jpg, output_images/ID.jpg

`action` and `value_normalized` hold Python list literals. ID is the number of the row.

I-MAD-Pro, about 1,600 edits by professionals, has not been published. Its paper says that it holds
the same: two pictures, a text, and the operations with their values. So it is read in the same
layout, with `imad_pro_` in place of `imad_dense_` in the names of the tables.
"""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgedit_plugins.errors import DataError, OperationError
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import (
    DEFAULT_PROFILE,
    Profile,
    Vocabulary,
    default_vocabulary,
    load_profile,
)
from imgedit_plugins.plan import EditPlan, PlannedOperation

ROWS_CSV = "imad_dense_data.csv"
VALUES_CSV = "imad_dense_data_value_normalized.csv"
EDITIONS = ("dense", "pro")
INPUTS, OUTPUTS = "input_images", "output_images"
MADE_BY = "imad.json"
"""Written by `make_imad`: the request, with the definition profile, and the list of pictures."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})

_NAMED = 3  # examples in a message


@dataclass(frozen=True)
class ImadRow:
    """One pair of the data set.

    Attributes:
        id: the number in its picture files' names.
        img_source: the picture it was made from; rows of one picture belong together.
        source, edited: the two picture files.
        command: the edit in words; may be empty.
        operations: (name, normalised value in 0..1), in the order of the edit.
        plan: the same with parameters at the profile's nearest levels.
    """

    id: int
    img_source: str
    source: Path
    edited: Path
    command: str
    operations: tuple[tuple[str, float], ...]
    plan: EditPlan


def read_imad(folder: Path, job: Job, *, definitions: str | None = None) -> tuple[ImadRow, ...]:
    """The rows of a data set whose pictures are both there, in the order of the CSV.

    Rows without their pictures are left out, and the job is warned with their number.

    Args:
        folder: holds the files above.
        job: told about progress.
        definitions: profile whose levels the values are; by default what the folder says
            it was made with, or else the profile of I-MAD-Dense.

    Raises:
        DataError: a file is missing, or malformed (file and line are named), or no row has
            both pictures.
        ProfileError: the profile is not known here.
    """
    definitions = definitions or made_with(folder)
    profile, known = load_profile(definitions), default_vocabulary()
    edition = edition_of(folder)
    rows_csv, values_csv = (folder / name for name in tables_of(edition))
    lines = list(_lines(rows_csv, ("img_source", "action", "textv2")))
    values = list(_lines(values_csv, ("value_normalized",)))
    if len(lines) != len(values):
        raise DataError(
            f"{values_csv} has {len(values)} rows, {rows_csv.name} has {len(lines)}.",
            path=values_csv,
            hint="The two files belong together row for row.",
        )
    if not lines:
        raise DataError(f"{rows_csv} has no rows.", path=rows_csv)
    inputs, outputs = _numbered(folder / INPUTS), _numbered(folder / OUTPUTS)
    first = _first_number(inputs.keys() | outputs.keys(), len(lines))
    rows, missing = [], []
    for row, (line, value) in enumerate(zip(lines, values, strict=True), first):
        operations = _operations(line, value, known)
        if row not in inputs or row not in outputs:
            missing.append(row)
            continue
        plan = _plan(operations, profile, definitions)
        texts = line.cells["img_source"], line.cells["textv2"].strip()
        rows.append(ImadRow(row, texts[0], inputs[row], outputs[row], texts[1], operations, plan))
        if row % 1000 == 0:
            job.report("reading", row, len(lines))
    _tell_missing(folder, missing, len(rows), job)
    return tuple(rows)


def tables_of(edition: str) -> tuple[str, str]:
    """The names of the two CSV files of 'dense' or 'pro': rows, values."""
    return ROWS_CSV.replace("dense", edition), VALUES_CSV.replace("dense", edition)


def edition_of(folder: Path) -> str:
    """'dense' or 'pro', by the tables in the folder; 'dense' where there are none.

    Raises:
        DataError: it holds those of both.
    """
    found = [name for name in EDITIONS if (folder / tables_of(name)[0]).exists()]
    if len(found) > 1:
        names = " and ".join(tables_of(name)[0] for name in found)
        raise DataError(
            f"{folder} holds {names}; keep one edition in a folder, for both number their "
            "pictures from the same number.",
            path=folder,
        )
    return found[0] if found else "dense"


def made_with(folder: Path) -> str:
    """The definition profile that a folder says it was made with; I-MAD-Dense's by default."""
    path = folder / MADE_BY
    if not path.exists():
        return DEFAULT_PROFILE
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["request"]["definitions"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", path=path) from error


# --- CSV files --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """One row of a CSV file and where it stands."""

    path: Path
    number: int
    cells: Mapping[str, str]

    def fault(self, what: str, *, hint: str = "") -> DataError:
        return DataError(f"{self.path}, line {self.number}: {what}.", path=self.path, hint=hint)


def _lines(path: Path, columns: Sequence[str]) -> Iterator[_Line]:
    """The rows of a CSV file that has at least `columns`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            absent = [name for name in columns if name not in (reader.fieldnames or ())]
            if absent:
                found = ", ".join(map(repr, reader.fieldnames or ())) or "nothing"
                raise DataError(
                    f"{path}, line 1: there is no column {absent[0]!r}; there is {found}.",
                    path=path,
                )
            for cells in reader:
                line = _Line(path, reader.line_num, cells)
                if None in cells or None in cells.values():
                    raise line.fault(f"there must be {len(reader.fieldnames or ())} fields")
                yield line
    except FileNotFoundError:
        raise DataError(
            f"There is no file {path}.",
            path=path,
            hint=f"A data set holds {' and '.join(tables_of(edition_of(path.parent)))}, {INPUTS} "
            f"and {OUTPUTS}.",
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}.", path=path) from error


def _operations(line: _Line, value: _Line, known: Vocabulary) -> tuple[tuple[str, float], ...]:
    names = _literal(line, "action", "operation names", lambda item: isinstance(item, str))
    values = _literal(value, "value_normalized", "numbers from 0 to 1", _is_fraction)
    if not names:
        raise line.fault("'action' is empty; a row needs at least one operation")
    if len(names) != len(values):
        raise value.fault(
            f"there are {len(values)} values for {len(names)} operations "
            f"(line {line.number} of {line.path.name})"
        )
    for name in names:
        if name not in known:
            operations = ", ".join(operation.name for operation in known)
            raise line.fault(f"there is no operation {name!r}", hint=f"There are {operations}.")
    return tuple((str(name), float(value)) for name, value in zip(names, values, strict=True))


def _literal(
    line: _Line, column: str, items: str, is_item: Callable[[object], bool]
) -> list[str | float]:
    text = line.cells[column]
    try:
        found = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        found = None
    if not isinstance(found, list) or not all(map(is_item, found)):
        shown = repr(text if len(text) <= 60 else text[:57] + "...")
        raise line.fault(f"{column!r} must be a list of {items}, not {shown}")
    return found


def _is_fraction(item: object) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool) and 0 <= item <= 1


def _plan(operations: Sequence[tuple[str, float]], profile: Profile, definitions: str) -> EditPlan:
    steps = (
        PlannedOperation(name=name, parameters=_parameters(name, value, profile))
        for name, value in operations
    )
    return EditPlan(definitions=definitions, operations=tuple(steps))


def _parameters(name: str, value: float, profile: Profile) -> dict[str, int | float]:
    try:
        return profile.denormalise(name, value)
    except OperationError as error:  # pragma: no cover - names were checked before
        raise DataError(str(error)) from error


# --- pictures ---------------------------------------------------------------------------------


def _numbered(folder: Path) -> dict[int, Path]:
    """The pictures of a folder by the number in their name."""
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"The folder {folder} cannot be read: {error.strerror}.", path=folder
        ) from error
    numbered: dict[int, Path] = {}
    for path in files:
        if path.suffix.lower() not in SUFFIXES or not path.stem.isdecimal():
            continue
        other = numbered.setdefault(int(path.stem), path)
        if other != path:
            raise DataError(
                f"{folder} has two pictures for one row: {other.name} and {path.name}.",
                path=folder,
            )
    return numbered


def _first_number(numbers: set[int], rows: int) -> int:
    """0, or 1 where the files are evidently numbered from 1."""
    return 1 if 0 not in numbers and rows in numbers else 0


def _tell_missing(folder: Path, missing: Sequence[int], found: int, job: Job) -> None:
    if not missing:
        return
    examples = ", ".join(map(str, missing[:_NAMED])) + (", ..." if len(missing) > _NAMED else "")
    message = (
        f"{len(missing)} of {len(missing) + found} rows of {folder} lack a picture in "
        f"{INPUTS} or {OUTPUTS} (rows {examples})"
    )
    if not found:
        raise DataError(f"{message}; none is left.", path=folder)
    job.warn(f"{message}; they are left out.")
