"""The lists that must agree: pyproject, constraints, packages, entry points, wheel, README."""

import importlib
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, entry_points, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from imgedit_plugins import __version__

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
WHEEL = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
PACKAGES = [ROOT / package for package in WHEEL["packages"]]
README = (ROOT / "README.md").read_text(encoding="utf-8")
KERNELS = "imgedit_plugins/compiled/kernels.so"  # built; see test_native_build.py
SHIPPED = {".py", ".toml", ".json", ".j2", ".in", ".typed"}


def constraints() -> dict[str, Requirement]:
    files = [ROOT / "constraints" / name for name in ("dev.txt", "torch.txt")]
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    pins = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    assert len({canonicalize_name(pin.name) for pin in pins}) == len(pins)
    return {canonicalize_name(pin.name): pin for pin in pins}


def direct() -> list[Requirement]:
    return [Requirement(line) for line in (*PROJECT["dependencies"], *EXTRAS["dev"])]


def torch_side() -> list[Requirement]:
    extras = ("dev-torch", "export", "runtime", "torch")
    lines = [Requirement(line) for extra in extras for line in EXTRAS[extra]]
    return [requirement for requirement in lines if requirement.name != PROJECT["name"]]


def installed_requirements() -> set[str]:
    """Names of all that the tests need on this machine, followed through what is installed."""
    found: set[str] = set()
    waiting = [(one.name, one.extras) for one in (*direct(), *torch_side())]
    while waiting:
        name, extras = waiting.pop()
        if canonicalize_name(name) in found:
            continue
        found.add(canonicalize_name(name))
        for line in _requires(name):
            one = Requirement(line)
            surroundings = [{"extra": extra} for extra in ("", *extras)]
            if one.marker is None or any(one.marker.evaluate(extra) for extra in surroundings):
                waiting.append((one.name, one.extras))
    return found


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []


# --- pins -------------------------------------------------------------------------------------


def test_constraints_are_exact_versions():
    for pin in constraints().values():
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(pin.specifier)), pin


@pytest.mark.parametrize("requirement", [*direct(), *torch_side()], ids=lambda r: r.name)
def test_ranges_admit_the_pins(requirement):
    pin = constraints()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(str(pin.specifier).removeprefix("=="))
    assert requirement.specifier, "a lower bound says what is known to work"


def test_everything_that_gets_installed_is_pinned():
    assert installed_requirements() - set(constraints()) == set()


def test_the_build_is_pinned_too():
    for line in PYPROJECT["build-system"]["requires"]:
        requirement = Requirement(line)
        pin = constraints()[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(str(pin.specifier).removeprefix("=="))
        assert line in EXTRAS["dev"], "the wheel is built without a network in the tests"


# --- metadata ---------------------------------------------------------------------------------


def test_one_version():
    assert PROJECT["version"] == __version__
    assert not Version(__version__).is_prerelease


def test_python_and_licence():
    assert PROJECT["requires-python"] == ">=3.11"
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_extras():
    assert set(EXTRAS) == {
        "runtime",
        "runtime-gpu",
        "torch",
        "export",
        "scale",
        "reason",
        "heif",
        "jxl",
        "dev",
        "dev-torch",
    }
    names = {extra: {Requirement(line).name for line in lines} for extra, lines in EXTRAS.items()}
    shared = names["runtime"] & names["runtime-gpu"]
    assert not {name for name in shared if name.startswith("onnxruntime")}


def test_the_base_needs_none_of_the_heavy():
    heavy = {Requirement(line).name for extra in set(EXTRAS) - {"dev"} for line in EXTRAS[extra]}
    assert not heavy & {Requirement(line).name for line in PROJECT["dependencies"]}
    formats = {*EXTRAS["heif"], *EXTRAS["jxl"]}
    assert formats <= set(EXTRAS["dev"]), "the tests open files of all formats"
    assert not (heavy - {Requirement(line).name for line in formats}) & {r.name for r in direct()}


# --- packages ---------------------------------------------------------------------------------


def test_all_packages_are_listed_everywhere():
    tops = ("bridges", "core", "exporters", "modelkit", "plugins/*")
    places = [f"{top}/*/__init__.py" for top in tops]
    on_disk = [path for place in places for path in ROOT.glob(place)]
    assert sorted(PACKAGES) == sorted(path.parent for path in on_disk)
    assert sorted(PYPROJECT["tool"]["mypy"]["packages"]) == sorted(p.name for p in PACKAGES)
    sources = {ROOT / folder for folder in PYPROJECT["tool"]["hatch"]["build"]["dev-mode-dirs"]}
    assert sources == {package.parent for package in PACKAGES}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_packages_are_typed_and_alone_in_their_folder(package):
    assert (package / "py.typed").is_file()
    assert [path.parent for path in package.parent.glob("*/__init__.py")] == [package]


def test_commands_and_entry_points_resolve():
    for target in PROJECT["scripts"].values():
        module, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
    for name, module in PROJECT["entry-points"]["imgedit_plugins"].items():
        package = importlib.import_module(module).__name__.split(".")[0]
        assert any(path.name == package for path in PACKAGES), name
    for target in PROJECT["entry-points"]["imgedit_plugins.checks"].values():
        module, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_installed_entry_points_are_those_of_pyproject():
    ours = {e.name: e.value for e in entry_points(group="imgedit_plugins") if e.dist
            and canonicalize_name(e.dist.name) == PROJECT["name"]}  # fmt: skip
    if ours:  # nothing to compare where the tests run from the source folders alone
        assert ours == PROJECT["entry-points"]["imgedit_plugins"]


# --- the wheel --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    assert path.name.startswith(f"imgedit_plugins-{__version__}-py3-none-")
    found = zipfile.ZipFile(path)
    # With compiled kernels it is for one platform, and for all of them without.
    assert path.name.endswith("-any.whl") == (KERNELS not in found.namelist())
    return found


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    expected = {
        path.relative_to(package.parent).as_posix()
        for package in PACKAGES
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    } - {KERNELS}
    assert {Path(name).suffix for name in expected} <= SHIPPED
    found = {name for name in wheel.namelist() if ".dist-info/" not in name} - {KERNELS}
    assert found == expected


def test_the_wheel_holds_data_files(wheel):
    names = wheel.namelist()
    for wanted in (
        "imgedit_plugins/operations/profiles/opencv-photo-filters-1.toml",
        "imgedit_plugins/schemas/imgedit-plan-1.schema.json",
        "imgedit_plugins/templates/report.html.j2",
        "imgedit_plugins/authoring/templates/plugin/pyproject.toml.in",
        "imgedit_reverse_design/imgedit_plugin.toml",
        f"imgedit_plugins-{__version__}.dist-info/licenses/LICENSE",
    ):
        assert wanted in names


def test_the_wheel_s_metadata(wheel):
    info = f"imgedit_plugins-{__version__}.dist-info"
    metadata = wheel.read(f"{info}/METADATA").decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata
    points = wheel.read(f"{info}/entry_points.txt").decode()
    assert "reverse_design = imgedit_reverse_design.plugin" in points


# --- the README -------------------------------------------------------------------------------


def test_the_readme_s_scripts_exist():
    mentioned = set(re.findall(r"\bpython3 (\S+\.py)", README))
    assert {"scripts/demo.py", "scripts/test.py"} <= mentioned
    for script in mentioned:
        assert (ROOT / script).is_file(), script


def test_the_readme_s_commands_exist():
    mentioned = set(re.findall(r"(?:`|\$ )imgedit-plugins ([a-z]+)", README))
    assert mentioned >= {"list", "predict", "apply", "plan"}
    assert mentioned <= set(_commands())


def test_the_readme_s_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README):
        assert (ROOT / target).exists(), target


def _commands() -> list[str]:
    command = [sys.executable, "-m", "imgedit_plugins.cli", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  ([a-z]+) {2,}\S", told[told.index("Commands:") :], re.MULTILINE)
