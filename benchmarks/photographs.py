"""Real photographs for measurements, taken from published packages and never stored here.

Two committed lists name them: ``photographs/tuning.json`` (for choosing settings) and
``photographs/test.json`` (for reported numbers). They share no file and no subject. An entry
names a package, a file inside it and the SHA-256 of that file, so everyone measures the same
pictures.

Command: ``python -m benchmarks.photographs tuning|test --out FOLDER [--long-side 640]`` writes
``FOLDER/NAME.png``; the files as published are kept in ``FOLDER/originals``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from benchmarks.arguments import positive

LISTS = Path(__file__).resolve().parent / "photographs"
LIST_NAMES = ("tuning", "test")
LONG_SIDE = 640  # pixels; the long side of most COCO pictures, on which I-MAD-Dense is built

_NAME = re.compile(r"[a-z0-9_]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUFFIXES = frozenset({".jpg", ".png"})


class PhotographError(Exception):
    """A photograph cannot be obtained as listed; the message is one sentence for the user."""


@dataclass(frozen=True)
class Photograph:
    """One entry of a list.

    ``kind`` is "wheel" (``package`` is DISTRIBUTION==VERSION) or "deb" (``package`` is a Debian
    package name); ``member`` is the path inside it; ``width`` and ``height`` are pixels of the
    file as published, at least 1; ``licence`` is the short name that the package states.
    """

    name: str
    kind: str
    package: str
    member: str
    sha256: str
    width: int
    height: int
    licence: str

    @property
    def file_name(self) -> str:
        """Name of the fetched file: the entry's name with the member's suffix."""
        return self.name + Path(self.member).suffix.lower()


@dataclass(frozen=True)
class Fetched:
    """What a fetch gave: ``paths`` in list order, and ``skipped``, the names without a package."""

    paths: list[Path]
    skipped: list[str]


class _PackageUnavailableError(Exception):
    """The machine cannot give the package at all (no apt, or apt does not know it)."""


def load_list(list_path: Path) -> list[Photograph]:
    """Read and check a list; raises PhotographError naming the entry that is not well formed."""
    entries = [Photograph(**entry) for entry in json.loads(list_path.read_text("utf-8"))]
    for entry in entries:
        _check_entry(entry, list_path)
    if len({entry.name for entry in entries}) != len(entries):
        raise PhotographError(f"{list_path.name} uses a name twice.")
    return entries


def _check_entry(entry: Photograph, list_path: Path) -> None:
    # The name becomes a file name and the package a command argument: neither may surprise.
    well_formed = (
        _NAME.fullmatch(entry.name)
        and entry.kind in {"wheel", "deb"}
        and re.fullmatch(r"[a-z0-9][a-z0-9.+=-]*", entry.package)
        and _SHA256.fullmatch(entry.sha256)
        and Path(entry.member).suffix.lower() in _SUFFIXES
        and min(entry.width, entry.height) >= 1
    )
    if not well_formed:
        raise PhotographError(f"Entry {entry.name!r} of {list_path.name} is not well formed.")


def fetch(list_path: Path, folder: Path) -> list[Path]:
    """Obtain the missing files of a list; returns the paths present, in list order.

    Entries whose package this machine cannot give are named on stderr and left out.
    """
    fetched = fetch_report(list_path, folder)
    if fetched.skipped:
        print(f"Skipped (no package here): {', '.join(fetched.skipped)}", file=sys.stderr)
    return fetched.paths


def fetch_report(list_path: Path, folder: Path) -> Fetched:
    """Like ``fetch``, but returns the skipped names instead of printing them."""
    return fetch_entries(load_list(list_path), folder)


def fetch_entries(entries: Sequence[Photograph], folder: Path) -> Fetched:
    """Obtain the missing files of some entries."""
    folder.mkdir(parents=True, exist_ok=True)
    missing: dict[tuple[str, str], list[Photograph]] = {}
    for entry in entries:
        if not _is_present(entry, folder):
            missing.setdefault((entry.kind, entry.package), []).append(entry)
    skipped: set[str] = set()
    for (kind, package), wanted in missing.items():
        try:
            _fetch_package(kind, package, wanted, folder)
        except _PackageUnavailableError:
            skipped.update(entry.name for entry in wanted)
    paths = [folder / entry.file_name for entry in entries if entry.name not in skipped]
    return Fetched(paths, [entry.name for entry in entries if entry.name in skipped])


def _is_present(entry: Photograph, folder: Path) -> bool:
    path = folder / entry.file_name
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256


def _fetch_package(kind: str, package: str, wanted: Sequence[Photograph], folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="photographs-") as temporary:
        download = _download_wheel if kind == "wheel" else _download_deb
        read = _read_wheel if kind == "wheel" else _read_deb
        contents = read(download(package, Path(temporary)), {entry.member for entry in wanted})
    for entry in wanted:
        _store(entry, contents, folder)


def _store(entry: Photograph, contents: Mapping[str, bytes], folder: Path) -> None:
    content = contents.get(entry.member)
    if content is None:
        raise PhotographError(f"{entry.package} holds no file {entry.member} ({entry.name}).")
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise PhotographError(
            f"{entry.name} from {entry.package} has SHA-256 {found}, not {entry.sha256}."
        )
    with _replacing(folder / entry.file_name) as partial:
        partial.write_bytes(content)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``, moved over it only when the block succeeds."""
    # The suffix stays last because image writers choose the format by it.
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _download_wheel(requirement: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:"]
    command += ["--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        raise PhotographError(f"pip cannot download {requirement}: {_reason(done.stderr)}.")
    return wheels[0]


def _download_deb(package: str, folder: Path) -> Path:
    if not _apt_knows(package):
        raise _PackageUnavailableError(package)
    command = ["apt-get", "download", "--quiet", package]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    archives = sorted(folder.glob("*.deb"))
    if done.returncode != 0 or not archives:
        raise PhotographError(f"apt-get cannot download {package}: {_reason(done.stderr)}.")
    return archives[0]


def _apt_knows(package: str) -> bool:
    if not all(shutil.which(tool) for tool in ("apt-get", "apt-cache", "dpkg-deb")):
        return False
    command = ["apt-cache", "show", "--no-all-versions", package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0 and bool(done.stdout.strip())


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it gave no reason"


def _read_wheel(path: Path, members: set[str]) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist() if name in members}


def _read_deb(path: Path, members: set[str]) -> dict[str, bytes]:
    # Reading the tar stream takes the wanted files only and lets no archive path touch the disk.
    contents: dict[str, bytes] = {}
    unpacked = path.with_suffix(".tar")
    with unpacked.open("wb") as out:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", str(path)], stdout=out, check=True)
    with tarfile.open(unpacked) as archive:
        for item in archive:
            name = item.name.removeprefix("./")
            stream = archive.extractfile(item) if name in members and item.isfile() else None
            if stream is not None:
                contents[name] = stream.read()
    return contents


def read_photograph(path: Path, long_side: int | None = LONG_SIDE) -> npt.NDArray[np.uint8]:
    """Read a picture upright as 8-bit BGR, made smaller when its long side is above the limit.

    ``long_side`` is in pixels, at least 1; None keeps the size. Colour profiles are ignored, as
    ``cv2.imread`` ignores them.
    """
    with Image.open(path) as picture:
        rgb = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"), dtype=np.uint8)
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    height, width = bgr.shape[:2]
    if long_side is None or max(height, width) <= long_side:
        return bgr
    scale = long_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def write_png(path: Path, bgr: npt.NDArray[np.uint8]) -> None:
    """Write 8-bit BGR as PNG, whole or not at all; raises PhotographError when it cannot."""
    with _replacing(path) as partial:
        if not cv2.imwrite(str(partial), bgr):
            raise PhotographError(f"{path} could not be written.")


def prepare(list_path: Path, out: Path, long_side: int = LONG_SIDE) -> Fetched:
    """Fetch a list and write its PNGs (long side at most ``long_side`` pixels) into ``out``."""
    fetched = fetch_report(list_path, out / "originals")
    pngs = [out / f"{path.stem}.png" for path in fetched.paths]
    for source, png in zip(fetched.paths, pngs, strict=True):
        write_png(png, read_photograph(source, long_side))
    return Fetched(pngs, fetched.skipped)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 with one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photographs")
    parser.add_argument("list", choices=LIST_NAMES)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--long-side", type=positive, default=LONG_SIDE, help="pixels")
    options = parser.parse_args(arguments)
    try:
        done = prepare(LISTS / f"{options.list}.json", options.out, options.long_side)
    except PhotographError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(done.paths)} photographs in {options.out}")
    if done.skipped:
        print(f"Skipped (no package here): {', '.join(done.skipped)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
