"""Building the compiled kernels: with a compiler, without one, with one that fails."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from imgedit_plugins.compiled import library

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "core" / "native"

_spec = importlib.util.spec_from_file_location("hatch_build", NATIVE / "hatch_build.py")
hatch_build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hatch_build)

needs_compiler = pytest.mark.skipif(
    not library.state().kernels or not shutil.which("cc"), reason="no C compiler for this processor"
)


def wheel(out, **environ):
    """(name, files) of a wheel built from the sources."""
    env = {**os.environ, **environ}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    return path, zipfile.ZipFile(path)


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@needs_compiler
def test_a_wheel_of_a_platform_for_every_python(tmp_path):
    path, files = wheel(tmp_path)
    assert path.name.endswith(f"-py3-none-{hatch_build.platform_tag()}.whl")
    info = path.name.partition("-py3")[0]
    told = files.read(f"{info}.dist-info/WHEEL").decode()
    assert f"Tag: py3-none-{hatch_build.platform_tag()}" in told
    assert "Root-Is-Purelib: false" in told
    built = tmp_path / "kernels.so"
    built.write_bytes(files.read(hatch_build.PLACE))
    loaded = ctypes.CDLL(str(built))
    assert library._told(loaded, "imgedit_sources") == hatch_build.digest() == library._digest()
    level = library._told(loaded, "imgedit_level")
    assert library._functions(loaded, level).keys() == library.state().kernels.keys()
    assert not [name for name in files.namelist() if name.endswith((".c", ".h"))]


@pytest.mark.parametrize("way", ["switched off", "a compiler that fails"])
def test_a_pure_wheel_otherwise(way, tmp_path):
    environ = {
        "switched off": {"IMGEDIT_KERNELS": "off"},
        "a compiler that fails": {
            "CC": script(tmp_path / "cc", "echo 'error: broken' >&2; exit 1")
        },
    }[way]
    path, files = wheel(tmp_path, **environ)
    assert path.name.endswith("-py3-none-any.whl")
    assert hatch_build.PLACE not in files.namelist()
    assert "imgedit_plugins/compiled/library.py" in files.namelist()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("echo s390x-linux-gnu", "makes programs for s390x"),
        ("echo 'x.c:1: error: no such thing' >&2; exit 1", "error: no such thing"),
        ("exit 1", "no reason given"),
    ],
)
def test_why_there_are_none(text, told, tmp_path, monkeypatch):
    monkeypatch.delenv("IMGEDIT_KERNELS", raising=False)
    monkeypatch.setenv("CC", script(tmp_path / "cc", text))
    with pytest.raises(hatch_build.NotBuiltError, match=told):
        hatch_build.build(tmp_path / "kernels.so")
    assert not (tmp_path / "kernels.so").exists()
    monkeypatch.setenv("CC", str(tmp_path / "nowhere" / "cc"))
    with pytest.raises(hatch_build.NotBuiltError, match="does not run"):
        hatch_build.build(tmp_path / "kernels.so")
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(hatch_build.NotBuiltError, match="there is no C compiler"):
        hatch_build.build(tmp_path / "kernels.so")


@needs_compiler
def test_a_library_that_is_loaded_can_be_replaced(tmp_path):
    place = tmp_path / "kernels.so"
    hatch_build.build(place)
    loaded, before = ctypes.CDLL(str(place)), place.stat().st_ino
    hatch_build.build(place)
    assert place.stat().st_ino != before
    assert library._told(loaded, "imgedit_sources") == hatch_build.digest()
    assert [path.name for path in tmp_path.iterdir()] == ["kernels.so"]


@needs_compiler
def test_the_sources_compile_without_a_warning(tmp_path):
    flags = (*hatch_build._FLAGS, "-Werror", "-pedantic", "-Wconversion", "-Wno-sign-conversion")
    for level, chosen in hatch_build._levels(["cc"]).items():
        for path in NATIVE.glob("*.c"):
            told = ('-DSOURCES=""', f"-DLEVEL={level}", "-o", str(tmp_path / "x.o"))
            command = ["cc", *flags, *chosen, *told, "-c", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


def test_another_installation_is_needed_when_the_sources_change(monkeypatch):
    """scripts/environment.py builds them again then."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    environment = importlib.import_module("environment")
    before = environment._fingerprint()
    real = Path.read_bytes

    def changed(path):
        return real(path) + (b" " if path.name == "tables.c" else b"")

    monkeypatch.setattr(Path, "read_bytes", changed)
    assert environment._fingerprint() != before
