"""What is documented: every hook has a page with its exact signature, and the pages are right."""

import ast
import inspect
import re
import tomllib
from pathlib import Path

import pluggy
import pytest

from imgedit_plugins import hookspecs, manifest, requests
from imgedit_plugins.manifest import HOOK_INPUTS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HOOKS = tuple(HOOK_INPUTS)
SECTIONS = ["Signature", "Arguments", "Result", "Sample", "Who implements it"]
REQUESTS = {
    "predict_operations": "PredictRequest",
    "apply_edit": "ApplyRequest",
    "train": "TrainRequest",
    "evaluate": "EvaluateRequest",
    "make_data": "DataRequest",
    "import_weights": "WeightsRequest",
    "export_parts": "ExportRequest",
    "verify_bundle": "BundleRequest",
}
MANIFESTS = [
    manifest.load(path)
    for pattern in ("plugins/*/*/imgedit_plugin.toml", "tests/third_party/*/src/*/*.toml")
    for path in ROOT.glob(pattern)
]


def signature(hook: str) -> str:
    """The signature as it stands in hookspecs.py."""
    tree = ast.parse(inspect.getsource(hookspecs))
    node = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == hook)
    assert node.returns is not None
    return f"def {hook}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def page(hook: str) -> dict[str, str]:
    return sections((DOCS / "hooks" / f"{hook}.md").read_text(encoding="utf-8"))


def test_there_is_a_page_for_each_hook_and_no_other():
    assert {path.stem for path in (DOCS / "hooks").glob("*.md")} == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_page_has_all_sections_in_order(hook):
    assert list(page(hook)) == SECTIONS
    assert all(text.strip() for text in page(hook).values())


@pytest.mark.parametrize("hook", HOOKS)
def test_the_page_has_the_exact_signature(hook):
    assert blocks(page(hook)["Signature"], "python") == [signature(hook) + "\n"]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_page_names_every_argument_and_field(hook):
    text = page(hook)["Arguments"]
    documented = set(re.findall(r"^- `([a-z_.]+)`", text, flags=re.MULTILINE))
    expected = set(inspect.signature(getattr(hookspecs, hook)).parameters) - {"request"}
    if hook in REQUESTS:
        fields = getattr(requests, REQUESTS[hook]).model_fields
        expected |= {f"request.{name}" for name in fields}
    assert documented == expected


@pytest.mark.parametrize("hook", HOOKS)
def test_the_sample_is_a_valid_implementation(hook):
    (sample,) = blocks(page(hook)["Sample"], "python")
    registry = pluggy.PluginManager(hookspecs.PROJECT)
    registry.add_hookspecs(hookspecs)
    plugin = type(inspect)("sample")
    exec(compile(sample, f"{hook}.md", "exec"), plugin.__dict__)
    registry.register(plugin)
    registry.check_pending()
    assert [caller.name for caller in registry.get_hookcallers(plugin) or []] == [hook]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_page_names_everybody_who_implements_it(hook):
    text = page(hook)["Who implements it"]
    for one in MANIFESTS:
        assert (f"`{one.name}`" in text) == (hook in one.hooks), one.name


def test_the_guide_leads_to_every_hook_page():
    guide = (DOCS / "plugin-authors.md").read_text(encoding="utf-8")
    for hook in HOOKS:
        assert f"(hooks/{hook}.md)" in guide


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_guide_s_manifest_is_valid():
    guide = (DOCS / "plugin-authors.md").read_text(encoding="utf-8")
    whole = [block for block in blocks(guide, "toml") if block.startswith("schema")]
    assert whole
    for block in whole:
        manifest.parse(block, Path("plugin-authors.md"))


def test_the_guide_explains_every_field_of_the_manifest():
    guide = (DOCS / "plugin-authors.md").read_text(encoding="utf-8")
    for table in manifest.schema()["$defs"].values():
        for field in table["properties"]:
            assert re.search(rf"`(\[\[)?{field}(\]\])?`", guide), field


def test_our_entry_points_have_manifests_of_their_name():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, module in project["entry-points"]["imgedit_plugins"].items():
        package = module.split(".")[0]
        (path,) = ROOT.glob(f"plugins/*/{package}/imgedit_plugin.toml")
        written = manifest.load(path)
        assert written.name == name
        assert not written.extra or written.extra in project["optional-dependencies"]
