"""The folder that keeps an evaluation; `layout` says what is in it."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgedit_modelkit import locks
from imgedit_modelkit.evaluation.journal import JournalFile, open_journal_file
from imgedit_modelkit.evaluation.layout import FILE, JOURNAL, TEXTS, Layout
from imgedit_modelkit.evaluation.methods import RESULTS
from imgedit_plugins.atomic import write_failure, write_text_atomic
from imgedit_plugins.errors import DataError

if TYPE_CHECKING:
    from imgedit_modelkit.evaluation.methods import Method
    from imgedit_modelkit.evaluation.outcomes import Done, Outcome
    from imgedit_modelkit.evaluation.settings import Settings

_FIELDS = ("schema", "data", "set", "split", "instructions", "work", "size", "rows")


@contextlib.contextmanager
def kept(settings: Settings, set_name: str) -> Iterator[tuple[Path, JournalFile]]:
    """The folder and its journal; a temporary one where nothing is to be kept.

    Raises:
        DataError: another evaluation is at work there, or it holds one of other data.
    """
    if settings.keep is None:
        with tempfile.TemporaryDirectory(prefix="imgedit-evaluate-") as name:
            folder = Path(name)
            yield folder, _journal(folder, settings)
        return
    folder = settings.keep
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not stack.enter_context(locks.hold(folder / ".lock")):
                raise DataError(f"Another evaluation is at work in {folder}.", path=folder)
            _check(folder, settings, set_name)
            _write(folder, settings, set_name)  # first: a journal alone would be refused
        except OSError as error:
            told = write_failure(error)
            raise DataError(f"{folder} cannot be written to: {told}.", path=folder) from error
        yield folder, _journal(folder, settings)


def _journal(folder: Path, settings: Settings) -> JournalFile:
    return open_journal_file(folder / JOURNAL, settings.layout.journal_schema)


def _check(folder: Path, settings: Settings, set_name: str) -> None:
    """Items of other data would have the same names."""
    if all(path.name.startswith(".") for path in folder.iterdir()):
        return
    if not (folder / FILE).is_file():
        raise DataError(
            f"{folder} is not empty and holds no evaluation.",
            path=folder,
            hint="Name a folder that is not there yet.",
        )
    before, now = read_kept(folder, settings.layout), _described(settings, set_name)
    for name in ("data", "set", "work", "size"):
        if before[name] != now[name]:
            raise DataError(
                f"{folder} keeps an evaluation of another {name} ({before[name]!r}, not "
                f"{now[name]!r}).",
                path=folder,
                hint="Name another folder.",
            )


def read_kept(folder: Path, layout: Layout) -> dict[str, Any]:
    """What an evaluation was of: the content of `FILE`.

    Raises:
        DataError: there is none, or it is malformed.
    """
    path = folder / FILE
    try:
        found = json.loads(path.read_text("utf-8"))
        missing = [name for name in _FIELDS if name not in found]
    except FileNotFoundError:
        raise DataError(
            f"{folder} keeps no evaluation: it has no {FILE}.",
            path=path,
            hint=f"`imgedit-plugins evaluate {layout.plugin} -O keep=FOLDER` makes one.",
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is no evaluation: {error}.", path=path) from error
    if missing or found["schema"] != layout.schema:
        raise DataError(f"{path} is no evaluation of this version.", path=path)
    return dict(found)


def _described(settings: Settings, set_name: str) -> dict[str, Any]:
    return {
        "schema": settings.layout.schema,
        "data": str(settings.data.resolve()),
        "set": set_name,
        "split": settings.split,
        "limit": settings.limit,
        "instructions": "all" if settings.every_instruction else "first",
        "table": settings.table,
        "work": settings.work,
        "size": settings.size,
        "seed": settings.seed,
        "rows": [
            {"title": m.title, "kind": m.kind, "given": m.given, "folder": _place(m)}
            for m in settings.methods
        ],
    }


def _place(method: Method) -> str:
    """Where a row's results are: below the folder, or elsewhere."""
    return str(Path(method.given).resolve()) if method.kind == RESULTS else method.folder


def _write(folder: Path, settings: Settings, set_name: str) -> None:
    """Rows of earlier runs in the same folder stay."""
    found = _described(settings, set_name)
    if (folder / FILE).is_file():
        own = {row["folder"] for row in found["rows"]}
        earlier = [
            row for row in read_kept(folder, settings.layout)["rows"] if row["folder"] not in own
        ]
        found["rows"] = [*earlier, *found["rows"]]
    text = json.dumps(found, indent=1, ensure_ascii=False)
    write_text_atomic(folder / FILE, text + "\n")


def write_texts(folder: Path, done: Done) -> None:
    """The expressive instructions of each row that has some, as the row 'results' reads them."""
    for outcomes in done.outcomes.values():
        told = {o.task.item.name: o for o in outcomes if o.expressive and not o.task.number}
        if told and outcomes[0].task.method.kind != RESULTS:
            lines = "".join(_line(name, one) for name, one in told.items())
            place = folder / outcomes[0].task.method.folder
            place.mkdir(exist_ok=True)
            write_text_atomic(place / TEXTS, lines)


def _line(name: str, outcome: Outcome) -> str:
    return json.dumps({"name": name, "expressive": outcome.expressive}, ensure_ascii=False) + "\n"
