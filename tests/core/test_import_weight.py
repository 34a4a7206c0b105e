"""The core stays light, and knows no plugin."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "imgedit_plugins"
SOURCES = sorted(CORE.rglob("*.py"))
HEAVY = ("torch", "transformers", "diffusers", "accelerate", "peft", "onnxruntime", "ray")
PLUGINS = ("reverse_design", "reason_edit", "mgie")


def module(path: Path) -> str:
    parts = path.relative_to(CORE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [module(path) for path in SOURCES if path.stem != "__main__"]


def imported_by(code: str) -> set[str]:
    """Top-level modules that are there after the code, in a process of its own."""
    # Where this process found the core, a child finds it.
    place = f"import sys; sys.path.insert(0, {str(CORE.parent)!r}); "
    told = "; import json; print(json.dumps([n.partition('.')[0] for n in sys.modules]))"
    run = subprocess.run(
        [sys.executable, "-c", place + code + told], capture_output=True, text=True, check=True
    )
    return set(json.loads(run.stdout))


def test_the_package_itself_imports_next_to_nothing():
    found = imported_by("import imgedit_plugins")
    ours = {"numpy", "pydantic", "cv2", "PIL", "pyvips", "jinja2", "msgspec", "stringzilla"}
    assert not found & (ours | set(HEAVY))
    assert "pluggy" in found


@pytest.mark.parametrize("name", ["jobs", "errors", "hookspecs", "manifest", "discovery"])
def test_what_lists_plugins_needs_no_numpy(name):
    found = imported_by(f"import imgedit_plugins.{name}")
    assert not found & {*HEAVY, "numpy", "pydantic", "cv2", "PIL", "pyvips"}


@pytest.mark.parametrize("name", ["plan", "requests", "operations", "pictures", "plan_algebra"])
def test_plans_and_pictures_wait_with_opencv_until_something_is_rendered(name):
    found = imported_by(f"import imgedit_plugins.{name}")
    assert not found & {*HEAVY, "cv2", "PIL", "pyvips"}


def test_the_whole_core_imports_no_model_library():
    code = "import importlib; [importlib.import_module(n) for n in " + repr(MODULES) + "]"
    found = imported_by(code)
    assert "imgedit_plugins" in found
    assert not found & set(HEAVY)
    assert not {name for name in found if name.startswith("imgedit_")} - {"imgedit_plugins"}


def test_no_source_of_the_core_imports_a_model_library_or_plugin_later():
    """Imports inside functions count too."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                assert top not in HEAVY, f"{path}:{node.lineno}"
                assert top == "imgedit_plugins" or not top.startswith("imgedit_"), (
                    f"{path}:{node.lineno}"
                )


def documentation(tree: ast.AST) -> set[int]:
    """Ids of the constants that are docstrings."""
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            found.add(id(body[0].value))
    return found


def test_the_core_names_no_plugin():
    """In code not at all; in docstrings, which may give an example, not as a module."""
    names = re.compile("|".join(PLUGINS))
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert "imgedit_reverse_design" not in text, path
        tree = ast.parse(text)
        documented = documentation(tree)
        for node in ast.walk(tree):
            told = [v for v in vars(node).values() if isinstance(v, str)]
            if id(node) not in documented:
                assert not any(names.search(v) for v in told), f"{path}:{node.lineno}"
    for path in CORE.rglob("*"):
        if path.suffix in (".toml", ".json", ".in", ".html", ".jinja"):
            assert not names.search(path.read_text(encoding="utf-8")), path


def test_the_plugins_looked_for_are_those_of_the_distribution():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["entry-points"]["imgedit_plugins"]) <= set(PLUGINS)
    assert not any(requirement.startswith(HEAVY) for requirement in project["dependencies"]), (
        "the base installation has no model library"
    )
