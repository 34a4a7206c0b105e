"""The hash of what a run has loaded: it hangs on that, and on nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.loaded_sources import ROOT, changed, common, loaded_sources, main, sha256_of
from imgedit_modelkit import fingerprints


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with modules that use each other, and a process that loads some of them."""
    for name, text in {
        "kit/pack/__init__.py": "",
        "kit/pack/used.py": "from pack import inner\n",
        "kit/pack/inner.py": "VALUE = 1\n",
        "kit/pack/unused.py": "VALUE = 2\n",
        "bench/runs.py": "import pages\nimport pack.used\n",
        "bench/pages.py": "TITLE = 'figures'\n",
        "bench-other/strange.py": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def recorded(project: Path, **settings: object) -> dict[str, str]:
    """What a process of its own records that imported `runs` and, of elsewhere, `strange`."""
    program = (
        "import json, sys\nfrom pathlib import Path\n"
        "import runs, strange\n"
        "from benchmarks.loaded_sources import loaded_sources\n"
        f"settings = {settings!r}\n"
        f"print(json.dumps(loaded_sources(['kit', 'bench'], root=Path({str(project)!r}),"
        " **settings)))\n"
    )
    paths = [project / "kit", project / "bench", project / "bench-other", *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(map(str, paths))},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def test_what_was_loaded_is_recorded_and_nothing_else(project):
    found = recorded(project)
    assert list(found) == [
        "bench/pages.py", "bench/runs.py", "kit/pack/__init__.py", "kit/pack/inner.py",
        "kit/pack/used.py",
    ]  # fmt: skip
    assert found["kit/pack/inner.py"] == fingerprints.of_file(project / "kit/pack/inner.py")
    assert "bench/pages.py" not in recorded(project, without=["bench/pages.py"])


def test_a_change_elsewhere_makes_nothing_outdated(project):
    before = recorded(project)
    (project / "kit/pack/unused.py").write_text("VALUE = 3\n", "utf-8")
    assert recorded(project) == before
    assert changed(before, project) == []
    (project / "kit/pack/inner.py").write_text("VALUE = 4\n", "utf-8")
    (project / "bench/pages.py").unlink()
    assert changed(before, project) == ["bench/pages.py", "kit/pack/inner.py"]


def test_one_hash_over_names_and_contents():
    assert sha256_of({"a": "1", "b": "2"}) == sha256_of({"b": "2", "a": "1"})
    assert sha256_of({"a": "1", "b": "2"}) != sha256_of({"a": "2", "b": "1"})
    assert sha256_of({"a": "1"}) != sha256_of({"a": "1", "b": "2"})


def test_this_process_has_loaded_the_hashing_module():
    found = loaded_sources(["modelkit"])
    assert "modelkit/imgedit_modelkit/fingerprints.py" in found
    assert all(name.startswith("modelkit/") for name in found)
    assert changed(found) == []


def test_runs_of_different_sources_have_none_in_common():
    assert common([{"a": "1"}, {"b": "2"}, {"a": "1"}]) == {"a": "1", "b": "2"}
    assert common([{"a": "1"}, {"a": "2"}]) is None
    assert common([]) == {}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"sources": {}}, None),
        ({"figure": 1}, None),
        ({"sources": {"pyproject.toml": fingerprints.of_file(ROOT / "pyproject.toml")}}, []),
        ({"sources": {"pyproject.toml": "0", "gone.py": "1"}}, ["gone.py", "pyproject.toml"]),
    ],
)
def test_results_are_asked(document, told, tmp_path, capsys):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(document))
    assert main([str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == told
