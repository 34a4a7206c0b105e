"""The real editors as fixtures; without them these tests fail, and are not skipped."""

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

import mgie_model
import numpy as np
import pytest
from editor_root import PROJECT, open_root
from gimp_program import Gimp
from gimp_windowed import Session
from krita_program import Krita
from krita_session import Extension

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


_FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def artifacts():
    """Where logs and screenshots of failed tests stay (all tests': IMGEDIT_EDITORS_KEEP=1)."""
    chosen = os.environ.get("IMGEDIT_EDITORS_ARTIFACTS", PROJECT / "build" / "editors")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    folder = Path(chosen).absolute() / f"{time.strftime('%Y%m%d-%H%M%S')}-{worker}-{os.getpid()}"
    folder.mkdir(parents=True)  # a new one for each run: nothing older is ever removed
    yield folder
    for name in ("session.log", "session.pid"):
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()  # stays when a test has failed


@pytest.fixture(scope="session")
def session_root(artifacts):
    """One session in the root for all tests."""
    root = open_root(artifacts, mgie_model.binds())
    yield root
    root.close()


@pytest.fixture
def folder(artifacts, request):
    """The test's folder, at the same path in the root."""
    name = f"{request.path.stem}-{request.node.name}"
    path = artifacts / re.sub(r"[^\w.-]+", "-", name)[:120]
    path.mkdir()
    yield path
    if not request.node.stash.get(_FAILED, False) and not os.environ.get("IMGEDIT_EDITORS_KEEP"):
        shutil.rmtree(path)


@pytest.fixture
def root(session_root):
    """The root; processes that the test leaves in it are ended."""
    yield session_root
    if strays := session_root.end_strays():
        print("Left behind and ended:", *strays, sep="\n  ")


@pytest.fixture(scope="session")
def installed(session_root):
    """A virtual environment of the root's Python with the project in it, installed by pip."""
    venv = "/opt/imgedit"
    session_root.call(["python3", "-m", "venv", venv])
    # From the wheel, as a user has it: what is missing in the wheel is missing here.
    session_root.call(
        [f"{venv}/bin/pip", "install", "--progress-bar=off", "/src[runtime]"], seconds=600
    )
    return venv


@pytest.fixture
def gimp(root, folder):
    """GIMP with a profile for this test: `gimp.run(script)`, `gimp.install_plugin(...)`."""
    yield from _programs(Gimp, root, folder)


@pytest.fixture
def krita(root, folder):
    """Krita with a profile for this test: `krita.run(script)`, `krita.install_extension(...)`."""
    yield from _programs(Krita, root, folder)


@pytest.fixture
def extension(krita, installed, root):
    """Krita with the extension; `extension.run` knows the names of `krita_session`."""
    resources = f"{krita.home}/.local/share/krita"
    root.call([f"{installed}/bin/imgedit-plugins", "install", "krita", "--profile", resources])
    return Extension(krita, f"{resources}/pykrita/imgedit")


@pytest.fixture
def gimp_window(gimp):
    """Starts GIMP with windows: `gimp_window(photo)`; ended with the test."""
    yield from _windows(gimp)


@pytest.fixture
def krita_window(krita):
    """Starts Krita with windows: `krita_window(photo)`; ended with the test."""
    yield from _windows(krita)


def _programs(program_class, root, folder):
    if program_class.name not in root.editors:
        pytest.skip(f"{os.environ['IMGEDIT_EDITORS_SUITE']} was chosen, which has no such editor")
    with contextlib.closing(program_class(root, folder)) as program:
        yield program


def _windows(program):
    opened = []

    def start(*pictures, **options):
        opened.append(program.window(*pictures, **options))
        return opened[-1]

    yield start
    for window in opened:
        window.close()


@pytest.fixture
def photo(folder):
    """An 8-bit photograph as a PNG file, and its pixels."""
    picture = photograph(240, 160)
    path = folder / "photo.png"
    save_picture(picture, path)
    return path, np.asarray(picture.pixels)


@pytest.fixture
def plugin(gimp, installed, root):
    """GIMP with the plug-in, installed as a user does."""
    command = [f"{installed}/bin/imgedit-plugins", "install", "gimp"]
    root.call([*command, "--profile", f"{gimp.home}/GIMP"])
    return gimp


@pytest.fixture
def session(plugin, gimp_window, folder):
    """GIMP with the plug-in and a photograph of 480 × 320 in a window."""
    path = folder / "photo.png"
    save_picture(photograph(480, 320), path)
    return Session(gimp_window(path), folder, path)
