"""One shard: pictures read, worked on batch by batch, and written as a whole folder."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from imgedit_modelkit import folders
from imgedit_modelkit.language.endpoint import Endpoint
from imgedit_modelkit.language.journal import JournaledModel
from imgedit_modelkit.shards.pictures import drop
from imgedit_modelkit.shards.work import ROWS, SKIPPED, Work, counts_of
from imgedit_plugins.atomic import write_bytes_atomic, write_text_atomic
from imgedit_plugins.errors import DataError
from imgedit_reason_edit.data.instructions import Writer
from imgedit_reason_edit.data.layout import EDITED, INPUT, TAR
from imgedit_reason_edit.data.pairing import Pairing
from imgedit_reason_edit.data.part_making import PartMaker
from imgedit_reason_edit.data.records import Item, Left, Row
from imgedit_reason_edit.data.replacing import Replacing
from imgedit_reason_edit.data.settings import Settings
from imgedit_reason_edit.data.tools import Tools

Records = list[dict[str, Any]]


class ShardMaker:
    """Makes shards with models that are loaded once; the same on one machine and on a cluster.

    Args:
        work: what is made.
        tools: with what.
        threshold: of eq. 1.
        batch_size: pictures that the models see at the same time.
        on_batch: told about each batch; what it raises ends the work.
        check: called often while the models work; what it raises ends the work.

    Raises:
        DataError: the models here are others than those that the work began with.
    """

    def __init__(
        self,
        work: Work,
        tools: Tools,
        threshold: float,
        batch_size: int,
        *,
        on_batch: Callable[[Sequence[Row | Left]], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._work, self._batch_size, self._on_batch = work, batch_size, on_batch
        self._settings: Settings = work.settings
        _check_same(tools, self._settings)
        if isinstance(tools.language, Endpoint):
            self._model = JournaledModel(tools.language)
        else:
            from imgedit_modelkit.language.local import LocalChat

            self._model = JournaledModel(LocalChat(tools.language))
        writer = Writer(self._model, tools.prompts, self._settings.effort)
        stage: type[PartMaker[Any]] = Pairing if self._settings.part == "I" else Replacing
        self._stage = stage(self._settings, tools, writer, threshold, check)

    def __call__(self, shard: int) -> dict[str, Any]:
        """Make a shard, unless it is there; its counts.

        Raises:
            WeightsError, EndpointError: a model cannot be used.
            OSError: it cannot be written.
        """
        target = self._work.folder_of(shard)
        answers = self._work.out / f".answers-{shard:05d}.jsonl"
        if not target.exists():
            with self._model.journal(answers), folders.appearing(target) as folder:
                self._fill(folder, self._work.rows_of(shard))
        answers.unlink(missing_ok=True)  # of a run that was killed just before it did
        return counts_of(target, self._work.kind)

    def _fill(self, folder: Path, rows: range) -> None:
        records: Records = []
        skipped: Records = []
        for start in range(0, len(rows), self._batch_size):
            items = [Item(n, self._work.items[n]) for n in rows[start : start + self._batch_size]]
            made = self._stage(folder, items)
            for one in made:
                if isinstance(one, Row):
                    records.append(one.record(folder, self._settings))
                else:
                    skipped.append(one.record())
            self._on_batch(made)
        write_shard(folder, records, skipped, self._settings.layout)


def write_shard(folder: Path, records: Records, skipped: Records, layout: str) -> None:
    """Write a shard's lists, and only then take away pictures that are in no row of them.

    Repeated after any interruption it ends the same.

    Args:
        folder: with the pictures, or with the tar file that has them.
        records: its rows.
        skipped: what became no row.
        layout: 'folders' or 'tar'.
    """
    if layout == "tar" and (records or (folder / TAR).exists()):
        write_bytes_atomic(folder / TAR, _tar(folder, records))
    lines = "".join(f"{json.dumps(record)}\n" for record in records)
    if records:
        write_text_atomic(folder / ROWS, lines)
    else:
        drop(folder, [ROWS])
    write_text_atomic(folder / SKIPPED, json.dumps(skipped, indent=1) + "\n")
    wanted = {ROWS, SKIPPED, TAR}
    if layout == "folders":
        wanted |= {name for record in records for name in files_of(record)}
    drop(folder, [path.name for path in folder.iterdir() if path.name not in wanted])


def files_of(record: dict[str, Any]) -> tuple[str, str]:
    """The names of a row's pictures."""
    return record[f"{INPUT}_file_name"], record[f"{EDITED}_file_name"]


def _tar(folder: Path, records: Records) -> bytes:
    """Pictures and rows as WebDataset has them: members of one sample share a name's beginning."""
    there = _members(folder / TAR)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for record in records:
            key = f"{record['id']:07d}"
            for name, what in zip(files_of(record), (INPUT, EDITED), strict=True):
                member = f"{key}.{what}{Path(name).suffix}"
                path = folder / name
                data = path.read_bytes() if path.exists() else there[member]
                tar.addfile(_info(member, data), io.BytesIO(data))
            told = json.dumps(record).encode()
            tar.addfile(_info(f"{key}.json", told), io.BytesIO(told))
    return buffer.getvalue()


def _members(path: Path) -> dict[str, bytes]:
    if not path.exists():
        return {}
    with tarfile.open(path) as tar:
        opened = ((member, tar.extractfile(member)) for member in tar.getmembers())
        return {member.name: file.read() for member, file in opened if file}


def _info(name: str, data: bytes) -> tarfile.TarInfo:
    """Without time and owner, so that the same rows make the same file."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info


def _check_same(tools: Tools, settings: Settings) -> None:
    """A node of a cluster may have something else at the same path."""
    for name, identity in tools.identities.items():
        if identity != settings.models[name]:
            wanted = settings.models[name]
            raise DataError(
                f"The {name} model here is {identity!r}, not {wanted!r} as where we began."
            )
