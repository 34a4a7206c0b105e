"""Fetching weights from their publisher: thin over huggingface_hub.

Only safetensors, ONNX and text files are fetched, never a pickle and never code. Sizes and the
licence are known before anything is. What was begun goes on where it stopped, also when the
connection breaks. Each file is hashed: against the manifest's SHA-256 where it has one, else
against what the hub says of that commit. Mirrors are asked in turn.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlparse

import msgspec

from imgedit_plugins.errors import ImgeditError, WeightsError
from imgedit_plugins.weights import Known, Record, record_of, sha256_of, verify, write_record

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.manifest import WeightsFile

_OFFLINE = "HF_HUB_OFFLINE"
_MEGABYTE = 1_000_000

T = TypeVar("T")


@dataclass(frozen=True)
class Planned:
    """One file that is to be fetched.

    Attributes:
        file: the manifest's entry.
        size: in bytes.
        revision: the commit it belongs to.
        etag: what the hub says of its content: SHA-256 of large files, Git's SHA-1 of others.
    """

    file: WeightsFile
    size: int
    revision: str
    etag: str


def plan_fetch(one: Known, job: Job, mirrors: Sequence[str] = ()) -> tuple[Planned, ...]:
    """What there is to fetch, with sizes; asks the hub, downloads nothing.

    Raises:
        WeightsError: nothing can be fetched, the hub cannot be reached, or refuses.
    """
    _check_fetchable(one)
    revision = one.weights.revision or "main"
    planned = []
    for number, file in enumerate(one.weights.files):
        job.report("asking for sizes", number, len(one.weights.files))
        found = _ask(one, file, revision, mirrors)
        revision = found.revision  # all files of one commit
        if file.size and found.size != file.size:
            raise WeightsError(
                f"{file.path} of {one.name} has {found.size:,} bytes at its source, not "
                f"{file.size:,} as the plugin expects."
            )
        planned.append(found)
    return tuple(planned)


def fetch(
    one: Known,
    planned: Sequence[Planned],
    folder: Path,
    job: Job,
    mirrors: Sequence[str] = (),
) -> Record:
    """Fetch what was planned, verify it, and record it.

    Args:
        one: which weights.
        planned: from `plan_fetch`.
        folder: where they go.
        job: progress in megabytes, cancellation; a later call goes on.
        mirrors: other hubs, asked in turn when one fails.

    Raises:
        WeightsError: a file cannot be had, or is not what it should be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, item in enumerate(planned, 1):
        stage = f"fetching {item.file.path} ({number} of {len(planned)}, MB)"
        _fetch_one(one, item, folder, job, stage, mirrors)
    record = record_of(one, folder, tuple(item.file.path for item in planned), job)
    record = msgspec.structs.replace(record, revision=planned[0].revision)
    write_record(folder, record)
    return record


def without_network(one: Known, folder: Path, job: Job) -> Record:
    """What is there already, verified, without asking anybody.

    Raises:
        WeightsError: it is not all there.
    """
    try:
        record = verify(folder, job)
    except WeightsError as error:
        raise WeightsError(
            f"{one.name} cannot be had offline: {error.message}",
            path=folder,
            hint=f"`imgedit-plugins weights fetch {one.name}` with a network gets it.",
        ) from error
    missing = [file.path for file in one.weights.files if file.path not in record.files]
    if missing:
        raise WeightsError(f"{folder} lacks {', '.join(missing)} of {one.name}.", path=folder)
    return record


def is_offline() -> bool:
    """Whether the user told the hub's library to stay offline."""
    return os.environ.get(_OFFLINE, "").upper() in ("1", "ON", "YES", "TRUE")


# --- one file ---------------------------------------------------------------------------------


def _fetch_one(
    one: Known, item: Planned, folder: Path, job: Job, stage: str, mirrors: Sequence[str]
) -> None:
    """The file, right. What an earlier attempt left of it is gone on with."""
    path = folder / item.file.path
    if path.is_file() and not _fault(path, item, job):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Named by its content, so that the rest of another version is never put behind it.
    partial = path.with_name(f".{path.name[:60]}.{item.etag[:16]}.part")
    _download(one, item, partial, _Reporting(job, stage, item.size), mirrors)
    if fault := _fault(partial, item, job):
        partial.unlink()
        raise WeightsError(
            f"{item.file.path} of {one.name} came with {fault}, and was thrown away.",
            path=path,
            hint="Try again, or another mirror.",
        )
    partial.replace(path)


def _fault(path: Path, item: Planned, job: Job) -> str:
    """What is wrong with a fetched file, or ''."""
    if path.stat().st_size != item.size:
        return f"{path.stat().st_size:,} bytes instead of {item.size:,}"
    found = sha256_of(path, job)
    if item.file.sha256 and found != item.file.sha256:
        return f"the SHA-256 {found}, and the plugin expects {item.file.sha256}"
    if len(item.etag) == 64 and found != item.etag:
        return f"the SHA-256 {found}, and the hub names {item.etag}"
    if len(item.etag) == 40 and _git_hash(path) != item.etag:
        return f"another content than the hub's {item.etag}"
    return ""


def _git_hash(path: Path) -> str:
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    digest.update(path.read_bytes())  # Git keeps only small files itself
    return digest.hexdigest()


def _download(
    one: Known, item: Planned, partial: Path, reporting: _Reporting, mirrors: Sequence[str]
) -> None:
    """Append to the partial file what it lacks.

    Not `hf_hub_download`: since version 2 it throws the partial file away when it is interrupted.
    """
    hub = _hub()
    http_get = importlib.import_module("huggingface_hub.file_download").http_get
    headers = importlib.import_module("huggingface_hub.utils").build_hf_headers()

    def get(endpoint: str | None) -> None:
        url = hub.hf_hub_url(
            _repository(one), item.file.path, revision=item.revision, endpoint=endpoint
        )
        partial.touch()
        with partial.open("r+b") as file:
            done = file.seek(0, os.SEEK_END)
            if done < item.size:
                http_get(
                    url,
                    file,
                    resume_size=done,
                    headers=headers,
                    expected_size=item.size,
                    tqdm_class=reporting.bar(),
                )

    _from_any(one, item.file, mirrors, get)


def _ask(one: Known, file: WeightsFile, revision: str, mirrors: Sequence[str]) -> Planned:
    hub = _hub()

    def get(endpoint: str | None) -> Planned:
        url = hub.hf_hub_url(_repository(one), file.path, revision=revision, endpoint=endpoint)
        told = hub.get_hf_file_metadata(url, endpoint=endpoint)
        if told.size is None or told.commit_hash is None:
            raise WeightsError(f"{url} does not say its size or its commit; it is no hub.")
        return Planned(file, told.size, told.commit_hash, told.etag or "")

    return _from_any(one, file, mirrors, get)


def _from_any(
    one: Known, file: WeightsFile, mirrors: Sequence[str], get: Callable[[str | None], T]
) -> T:
    """What `get` gives for the first hub that has it; the publisher's first, then the mirrors."""
    told = []
    for endpoint in (None, *mirrors):
        try:
            return get(endpoint)
        except ImgeditError:
            raise
        except _failures() as error:
            told.append(f"{endpoint or 'the publisher'}: {_reason(error, one)}")
    raise WeightsError(
        f"{file.path} of {one.name} cannot be fetched ({'; '.join(told)}).",
        hint="What was fetched so far is kept; try again.",
    )


def _failures() -> tuple[type[Exception], ...]:
    errors = importlib.import_module("huggingface_hub.errors")
    # Everything that the hub's library raises for a network, a server or a broken transfer; which
    # HTTP library it stands on changes between its versions, so that is looked up there.
    utils = importlib.import_module("huggingface_hub.utils._http")
    names = ("httpx2", "httpx", "requests")
    library: Any = next(getattr(utils, name) for name in names if hasattr(utils, name))
    http = getattr(library, "HTTPError", None) or library.exceptions.RequestException
    return (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError, ValueError, http)


def _reason(error: Exception, one: Known) -> str:
    errors = importlib.import_module("huggingface_hub.errors")
    if isinstance(error, errors.GatedRepoError):
        return (
            f"its licence must be accepted first, at {one.weights.source}, and then "
            "`hf auth login` shows that you are you"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return "there is no such repository, or it is private"
    if isinstance(error, errors.EntryNotFoundError):
        return "there is no such file"
    return " ".join(str(error).split())[:200] or type(error).__name__


# --- the hub's library ------------------------------------------------------------------------


def _hub() -> Any:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise WeightsError(
            "Fetching weights needs the package huggingface_hub, which is not installed.",
            hint="Run: pip install 'huggingface_hub>=1.31'",
        )
    return importlib.import_module("huggingface_hub")


def _repository(one: Known) -> str:
    return urlparse(one.weights.source).path.strip("/")


def _check_fetchable(one: Known) -> None:
    if one.weights.files:
        return
    sources = "; ".join(f"{part.name} from {part.source}" for part in one.weights.parts)
    raise WeightsError(
        f"There is nothing to fetch for {one.name}: you get its parts yourself ({sources}).",
        hint=f"Then: imgedit-plugins weights import {one.name} --help",
    )


@dataclass
class _Reporting:
    """Turns the hub's progress bars into a job's progress."""

    job: Job
    stage: str
    size: int

    def bar(self) -> Any:
        """A class of progress bar that draws nothing."""
        tqdm = importlib.import_module("tqdm").tqdm
        outer = self

        class Bar(tqdm):  # type: ignore[misc, valid-type]
            def __init__(self, *args: Any, initial: int = 0, **kwargs: Any) -> None:
                super().__init__(*args, **{**kwargs, "initial": initial, "disable": True})
                self._bytes = initial
                outer.report(self._bytes)

            def update(self, n: float | None = 1) -> None:
                self._bytes += int(n or 0)
                outer.report(self._bytes)

        return Bar

    def report(self, done: int) -> None:
        """Megabytes; raises when the job was cancelled, which ends the download."""
        total = max(1, self.size // _MEGABYTE)
        self.job.report(self.stage, min(done // _MEGABYTE, total), total)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the hub's own warnings and bars: what matters becomes an error here."""
    logging = importlib.import_module("logging")
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
