"""A complete third-party distribution: installed by pip, listed, called, broken, set aside."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROJECT = HERE / "imgedit-sample-plugin"
PACKAGE = "imgedit_sample_plugin"

SECOND = """
from imgedit_plugins import hookimpl
from imgedit_plugins.requests import Candidate, EditResult

@hookimpl
def apply_edit(request, job):
    return EditResult(candidates=(Candidate(picture=request.picture),), explanation="fallback")
"""

PROBE = """
import json, sys
from imgedit_plugins.plugins import PluginManager

found = PluginManager.discover()
listed = [(i.name, i.status, i.reason, i.distribution, i.version) for i in found.plugins]
light = not {"imgedit_sample_plugin", "fallback_plugin", "pydantic", "numpy"} & set(sys.modules)

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.jobs import Job
from imgedit_plugins.requests import ApplyRequest, PredictRequest

def attempt(hook, request, **more):
    job = Job()
    try:
        result = found.call(hook, request, job, **more)
    except ImgeditError as error:
        return {"error": type(error).__name__, "message": str(error)}, None
    plan = getattr(result, "operations", None)
    told = {
        "explanation": result.explanation,
        "warnings": job.warnings,
        "plan": plan and [(o.name, o.parameters) for o in plan],
    }
    return told, result

request = ApplyRequest(picture=photograph(), instruction="posterise it", options={"levels": "6"})
named, result = attempt("apply_edit", request, plugin="sample")
plain = ApplyRequest(picture=photograph(), instruction="posterise it")
unnamed, _ = attempt("apply_edit", plain)
edited = result.candidates[0].picture if result else photograph()
predicted, _ = attempt("predict_operations", PredictRequest(source=photograph(), edited=edited),
                       plugin="sample")
sample = [i for i in found.plugins if i.name == "sample"][0]
print(json.dumps({
    "listed": listed, "light": light, "named": named, "unnamed": unnamed, "predicted": predicted,
    "operation": "sample-posterise" in found.vocabulary(),
    "after": [sample.status, sample.reason],
}))
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> Path:
    """The distribution, installed by pip into a folder of its own."""
    source = tmp_path_factory.mktemp("source") / PROJECT.name
    shutil.copytree(PROJECT, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    target = tmp_path_factory.mktemp("site")
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
        *("--no-build-isolation", "--disable-pip-version-check", "--target", str(target)),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def site(installed, tmp_path) -> Path:
    """A copy of the installation that a test may break, with a second, healthy plugin."""
    site = tmp_path / "site"
    shutil.copytree(installed, site, ignore=shutil.ignore_patterns("__pycache__"))
    _install_fallback(site)
    return site


def _install_fallback(site: Path) -> None:
    package = site / "fallback_plugin"
    package.mkdir()
    (package / "__init__.py").write_text(SECOND)
    manifest = (site / PACKAGE / "imgedit_plugin.toml").read_text()
    head = 'schema = "imgedit-plugin/1"\nname = "fallback"\ntitle = "F"\nsummary = "S."\n'
    accepts = manifest[manifest.index("[[accepts]]") : manifest.index('[[accepts]]\nhook = "pre')]
    (package / "imgedit_plugin.toml").write_text(
        head + 'hooks = ["apply_edit"]\n' + accepts.replace("rank = 1", "rank = 0")
    )
    info = site / "fallback-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fallback\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[imgedit_plugins]\nfallback = fallback_plugin\n")


def environment(site: Path) -> dict[str, str]:
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    chosen = {"IMGEDIT_PLUGINS": "sample,fallback", "PYTHONDONTWRITEBYTECODE": "1"}
    return os.environ | chosen | {"PYTHONPATH": path}


def probe(site: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True, text=True, env=environment(site), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def replace(site: Path, file: str, old: str, new: str) -> None:
    path = site / PACKAGE / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# --- healthy ----------------------------------------------------------------------------------


def test_it_is_listed_and_called(site):
    seen = probe(site)
    assert ["sample", "available", "", "imgedit-sample-plugin", "1.2.3"] in seen["listed"]
    assert seen["light"], "listing imported something"
    assert seen["named"]["warnings"] == seen["unnamed"]["warnings"] == []
    assert seen["predicted"]["plan"] == [["sample-posterise", {"levels": 6}]]
    assert seen["predicted"]["explanation"] == "posterised to 6 levels"
    assert seen["operation"]
    assert seen["after"] == ["available", ""]


def test_its_own_tests_pass_where_it_is_installed(site, tmp_path):
    shutil.copytree(PROJECT / "tests", tmp_path / "tests")
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        capture_output=True, text=True, cwd=tmp_path, env=environment(site), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b5 passed", done.stdout)


def test_it_keeps_the_contract(site):
    code = (
        "import json; from imgedit_plugins.authoring.validation import validate;"
        "print(json.dumps(validate('imgedit-sample-plugin').to_dict()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, env=environment(site), check=False,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["passed"], report
    assert {check["verdict"] for check in report["checks"]} == {"pass"}


def test_the_environment_switches_it_off(site):
    code = (
        "from imgedit_plugins.plugins import PluginManager;"
        "print({i.status for i in PluginManager.discover().plugins})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True,
        env=environment(site) | {"IMGEDIT_PLUGINS": "none"},
    )  # fmt: skip
    assert done.stdout.strip() == "{'disabled'}"


# --- broken -----------------------------------------------------------------------------------

BREAKS_AT_LISTING = {
    "manifest that is no TOML": ("imgedit_plugin.toml", "schema =", "schema", "no valid TOML"),
    "manifest with a wrong default": (
        "imgedit_plugin.toml", "default = 4", "default = 99", "options[0].default",
    ),
    "manifest of another name": (
        "imgedit_plugin.toml", 'name = "sample"', 'name = "simple"', "'simple'",
    ),
}  # fmt: skip
BREAKS_AT_IMPORT = {
    "ImportError": ("plugin.py", "from imgedit_plugins import", "from imgedit_plugin import",
                    "ModuleNotFoundError: No module named 'imgedit_plugin' (plugin.py:7)"),
    "SystemExit": ("plugin.py", "if TYPE_CHECKING:", "raise SystemExit(9)\nif TYPE_CHECKING:",
                   "SystemExit: 9 (plugin.py:9)"),
    "wrong signature": ("plugin.py", "def apply_edit(request: ApplyRequest, job: Job)",
                        "def apply_edit(image, job)", "image"),
    "hook missing": ("plugin.py", "@hookimpl\ndef predict", "def predict", "predict_operations"),
    "operation of another name": ("posterise.py", '"sample-posterise"', '"posterise"',
                                  "registers the operations posterise"),
    "operation of the core's": ("posterise.py", '"sample-posterise"', '"bright"', "bright"),
}  # fmt: skip
BREAKS_AT_CALL = {
    "raises": ("plugin.py", "edited = _posterised(request, job)", "edited = [][1]",
               "IndexError: list index out of range (plugin.py:"),
    "exits": ("plugin.py", "edited = _posterised(request, job)", "raise SystemExit",
              "SystemExit (plugin.py:"),
    "wrong result type": ("plugin.py", "return EditResult(candidates=", "return dict(candidates=",
                          "apply_edit returned a dict, not an EditResult"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BREAKS_AT_LISTING)
def test_broken_manifests_are_set_aside_when_listed(site, fault):
    file, old, new, words = BREAKS_AT_LISTING[fault]
    replace(site, file, old, new)
    seen = probe(site)
    name, status, reason, *_ = next(row for row in seen["listed"] if row[0] == "sample")
    assert (name, status) == ("sample", "quarantined")
    assert words in reason
    assert seen["named"]["error"] == "PluginQuarantinedError"
    assert seen["unnamed"] == {"explanation": "fallback", "warnings": [], "plan": None}


@pytest.mark.parametrize("fault", BREAKS_AT_IMPORT | BREAKS_AT_CALL)
def test_broken_code_is_set_aside_when_called(site, fault):
    file, old, new, words = (BREAKS_AT_IMPORT | BREAKS_AT_CALL)[fault]
    replace(site, file, old, new)
    seen = probe(site)
    assert ["sample", "available"] in [row[:2] for row in seen["listed"]]
    assert seen["named"]["error"] == "PluginQuarantinedError"
    assert words in seen["named"]["message"]
    assert seen["after"][0] == "quarantined"
    assert words in seen["after"][1]
    assert seen["unnamed"] == {"explanation": "fallback", "warnings": [], "plan": None}
    assert seen["predicted"]["error"] == "PluginQuarantinedError"


def test_a_second_distribution_of_the_same_name(site):
    twin = site / "imgedit_other_sample-2.0.dist-info"
    twin.mkdir()
    (twin / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: imgedit-other-sample\nVersion: 2\n"
    )
    (twin / "entry_points.txt").write_text(
        "[imgedit_plugins]\nsample = imgedit_sample_plugin.plugin\n"
    )
    rows = [row for row in probe(site)["listed"] if row[0] == "sample"]
    assert {row[1] for row in rows} == {"available", "quarantined"}
    reason = next(row[2] for row in rows if row[1] == "quarantined")
    assert "imgedit-sample-plugin" in reason
    assert "imgedit-other-sample" in reason
