import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from imgedit_plugins.atomic import (
    atomic_write,
    discard_unfinished,
    write_bytes_atomic,
    write_failure,
    write_text_atomic,
)

CORE = Path(__file__).parents[2] / "core"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_file_has_content_and_follows_the_umask(tmp_path: Path) -> None:
    target = tmp_path / "plan é.json"
    before = os.umask(0o027)
    try:
        write_text_atomic(target, "a\r\nü\n")
    finally:
        os.umask(before)
    assert target.read_bytes() == "a\r\nü\n".encode()
    assert target.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["plan é.json"]


def test_temporary_is_a_neighbour_with_the_same_extension(tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    with atomic_write(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(".")
        assert not target.exists()
        temporary.write_bytes(b"1")
    assert target.read_bytes() == b"1"


def test_existing_file_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_text("old")
    target.chmod(0o604)
    write_text_atomic(target, "new")
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o7777 == 0o604


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_changes_when_the_block_raises(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "x"
    target.write_text("old")

    def interrupted() -> None:
        with atomic_write(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["x"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "x"
    target.write_text("old")
    link = tmp_path / "link"
    link.symlink_to(target)
    write_text_atomic(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="device or a pipe"):
        write_text_atomic(pipe, "x")
    assert pipe.is_fifo()


def test_overwrite_false_refuses_before_the_work(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_text("old")
    with pytest.raises(FileExistsError), atomic_write(target, overwrite=False):
        pytest.fail("the block must not run")
    assert target.read_text() == "old"


def test_overwrite_false_loses_a_race(tmp_path: Path) -> None:
    target = tmp_path / "x"

    def overtaken() -> None:
        with atomic_write(target, overwrite=False) as temporary:
            temporary.write_text("mine")
            target.write_text("theirs")

    with pytest.raises(FileExistsError):
        overtaken()
    assert target.read_text() == "theirs"
    assert names(tmp_path) == ["x"]


def test_overwrite_false_writes_a_new_file(tmp_path: Path) -> None:
    write_bytes_atomic(tmp_path / "x", b"1", overwrite=False)
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"1"
    assert (tmp_path / "x").stat().st_nlink == 1


def test_overwrite_false_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.EPERM, "no links on FAT")

    monkeypatch.setattr(os, "link", no_link)
    write_bytes_atomic(tmp_path / "x", b"1", overwrite=False)
    assert (tmp_path / "x").read_bytes() == b"1"
    with pytest.raises(FileExistsError), atomic_write(tmp_path / "y", overwrite=False):
        (tmp_path / "y").write_text("theirs")
    assert (tmp_path / "y").read_text() == "theirs"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/x", "its folder does not exist"),
        ("file/x", "a part of its path is a file, not a folder"),
        ("", "it is a folder"),
        ("y" * 300, "its name is too long"),
    ],
)
def test_reasons(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        write_text_atomic(tmp_path / name, "x")
    assert write_failure(caught.value) == reason
    assert names(tmp_path) == ["file"]


def test_unknown_reason_has_no_full_stop() -> None:
    assert write_failure(OSError(errno.EIO, "Input/output error")) == "input/output error"
    assert write_failure(OSError("Odd.")) == "odd"


def test_long_names_work(tmp_path: Path) -> None:
    target = tmp_path / ("é" * 120 + ".json")
    write_text_atomic(target, "x")
    assert target.read_text() == "x"


WRITE_AS_NOBODY = """
import os, sys
sys.path.insert(0, sys.argv[1])
from imgedit_plugins.atomic import write_failure, write_text_atomic
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    write_text_atomic(sys.argv[2], "new")
    print("written")
except OSError as error:
    print(write_failure(error))
"""


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "outcome"),
    [
        (0o777, 0o666, "written"),
        (0o777, 0o444, "permission is denied"),
        (0o555, 0o666, "permission is denied"),
    ],
)
def test_permissions_are_respected(folder_mode: int, file_mode: int, outcome: str) -> None:
    # Root ignores modes, so that the write runs as somebody else where we are root; that one
    # cannot enter pytest's folders.
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        top.chmod(0o755)
        folder = top / "folder"
        folder.mkdir()
        target = folder / "x"
        target.write_text("old")
        target.chmod(file_mode)
        folder.chmod(folder_mode)
        done = subprocess.run(
            [sys.executable, "-c", WRITE_AS_NOBODY, str(CORE), str(target)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == outcome + "\n"
        assert names(folder) == ["x"]
        assert target.read_text() == ("new" if outcome == "written" else "old")
        folder.chmod(0o777)


def test_unfinished_files_of_other_blocks_can_be_discarded(tmp_path: Path) -> None:
    done = tmp_path / "done.png"
    write_bytes_atomic(done, b"1")
    block = atomic_write(tmp_path / "x.png")
    block.__enter__()
    assert len(names(tmp_path)) == 2
    discard_unfinished()
    assert names(tmp_path) == ["done.png"]
    with pytest.raises(FileNotFoundError):
        block.__exit__(None, None, None)
    discard_unfinished()
    assert done.read_bytes() == b"1"
