"""What the recipe make-imad works on: the request, the pictures, the draws."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from imgedit_plugins.operations import Profile
from imgedit_reverse_design.imad_distribution import Draw

ROWS = "rows"  # folder of the provenance files


@dataclass(frozen=True)
class Settings:
    """What is asked for; two requests are the same when these are.

    Attributes:
        images: folder of pictures, absolute.
        count: rows.
        format: 'jpg' or 'png', of both picture folders.
        quality: of JPEG, 1..100.
        shard_rows: rows per provenance file.
        max_side: pictures are scaled down to this many pixels on their longer side; 0: never.
        definitions: definition profile, id or path.
        constants: SHA-256 of its constants.
        seed: of everything random.
        edition: whose names the tables get, 'dense' or 'pro'.
    """

    images: str
    count: int
    format: str
    quality: int
    shard_rows: int
    max_side: int
    definitions: str
    constants: str
    seed: int
    edition: str = "dense"

    @property
    def shards(self) -> int:
        """How many provenance files there will be."""
        return -(-self.count // self.shard_rows)

    def rows_of(self, shard: int) -> range:
        """The rows of one provenance file."""
        return range(shard * self.shard_rows, min((shard + 1) * self.shard_rows, self.count))


@dataclass(frozen=True)
class Source:
    """One picture of the folder: path relative to it, with slashes, and the file's SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Work:
    """Everything that the rows are made from."""

    out: Path
    settings: Settings
    sources: tuple[Source, ...]
    draws: tuple[Draw, ...]
    profile: Profile


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
