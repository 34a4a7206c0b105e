import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from plugin_factory import ANSWER, CODE, MANIFEST, Site

from imgedit_plugins import discovery
from imgedit_plugins.authoring.samples import photograph as make_photograph
from imgedit_plugins.errors import (
    AmbiguousPluginError,
    JobCancelledError,
    NoPluginError,
    OptionError,
    PictureError,
    PluginError,
    PluginQuarantinedError,
    UnknownPluginError,
)
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.requests import ApplyRequest, DataRequest

ROOT = Path(__file__).parents[2]
INPUTS = frozenset({"picture", "instruction"})


@pytest.fixture
def site(tmp_path, monkeypatch):
    return Site(tmp_path, monkeypatch)


@pytest.fixture
def request_(request):
    return ApplyRequest(picture=make_photograph(), instruction="something")


def manager(*names: str, **environ: str) -> PluginManager:
    """A manager that sees these plugins only, whatever else is installed."""
    return PluginManager.discover({"IMGEDIT_PLUGINS": ",".join(names)} | environ)


def outcome(found: PluginManager, request, plugin: str | None = "tested") -> str:
    """The reason with which the plugin was set aside by this call."""
    with pytest.raises(PluginQuarantinedError) as caught:
        found.call("apply_edit", request, Job(), plugin=plugin)
    assert found.get("tested").status == "quarantined"
    assert found.get("tested").reason == caught.value.reason
    assert "\n" not in caught.value.reason
    return caught.value.reason


# --- discovery --------------------------------------------------------------------------------


def test_a_plugin_is_listed_without_being_imported(site):
    package = site.install(code="raise RuntimeError('imported')")
    info = manager("tested").get("tested")
    assert info.status == "available"
    assert (info.title, info.distribution, info.version) == ("tested title", "dist-tested", "1.0")
    assert info.module == f"{package}.plugin"
    assert package not in sys.modules


HEAVY = ["pydantic", "numpy", "torch", "cv2", "diffusers", "transformers", "PIL", "pyvips"]


def test_discovery_imports_nothing_heavy(site):
    package = site.install(code="raise RuntimeError('imported')")
    code = (
        "import sys; from imgedit_plugins.plugins import PluginManager;"
        "found = PluginManager.discover();"
        "assert found.get('tested').status == 'available';"
        f"print([m for m in {[*HEAVY, package]} if m in sys.modules])"
    )
    path = os.pathsep.join([str(site.folder), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_core_names_no_plugin():
    for path in (ROOT / "core/imgedit_plugins").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for name in ("imgedit_reverse_design", "imgedit_reason_edit", "imgedit_mgie"):
            assert name not in text, path


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("", "is missing"),
        ("schema =", "no valid TOML"),
        (MANIFEST.format(name="other", rank=0), "'other'"),
        (MANIFEST.format(name="tested", rank='"high"'), "accepts[0].rank"),
    ],
)
def test_a_bad_manifest_sets_aside_one_plugin_only(site, manifest, words):
    site.install("tested", manifest=manifest)
    site.install("healthy")
    found = manager("tested", "healthy")
    assert found.get("tested").status == "quarantined"
    assert words in found.get("tested").reason
    assert found.get("tested").manifest is None
    assert found.get("healthy").status == "available"
    assert found.route("apply_edit", INPUTS)[0].name == "healthy"


def test_no_manifest_no_module(site):
    package = site.install()
    (site.folder / package / "imgedit_plugin.toml").unlink()
    site.declare("gone", "plugin_that_is_not_there.plugin", "dist-gone")
    site.declare("deep", f"{package}.not.there", "dist-deep")
    site.declare("odd", "???", "dist-odd")
    found = manager("tested", "gone", "deep", "odd")
    assert "There is no manifest" in found.get("tested").reason
    assert {found.get(n).status for n in ("gone", "deep", "odd")} == {"quarantined"}
    assert "plugin_that_is_not_there.plugin" in found.get("gone").reason


def test_two_distributions_with_one_name(site):
    site.install("tested", distribution="first-dist")
    site.install("tested", distribution="second-dist")
    found = manager("tested")
    kept, aside = (i for i in found.plugins if i.name == "tested")
    assert (kept.distribution, kept.status) == ("first-dist", "available")
    assert (aside.distribution, aside.status) == ("second-dist", "quarantined")
    assert "first-dist" in aside.reason
    assert "second-dist" in aside.reason
    assert found.get("tested") == kept


def test_nobody_takes_a_name_from_the_core_s_distribution(site):
    site.install("tested", distribution="aaa")
    site.install("tested", distribution=discovery.OWN_DISTRIBUTION)
    assert manager("tested").get("tested").distribution == discovery.OWN_DISTRIBUTION


def test_plugins_are_sorted_by_name(site):
    for name in ("zeta", "alpha", "mid"):
        site.install(name)
    names = [info.name for info in PluginManager.discover({}).plugins]
    assert names == sorted(names)
    assert {"zeta", "alpha", "mid"} <= set(names)


def test_the_environment_limits_what_is_loaded(site):
    site.install("one")
    site.install("two")
    status = {i.name: i.status for i in manager("one").plugins}
    assert (status["one"], status["two"]) == ("available", "disabled")
    for nothing in ("none", ""):
        found = PluginManager.discover({"IMGEDIT_PLUGINS": nothing})
        assert {i.status for i in found.plugins} == {"disabled"}
    assert {i.status for i in PluginManager.discover({}).plugins if i.name in ("one", "two")} == {
        "available"
    }
    assert manager("one", "oen").missing == ("oen",)
    with pytest.raises(UnknownPluginError, match=r"switched off.*IMGEDIT_PLUGINS"):
        manager("one").route("apply_edit", INPUTS, "two")


@pytest.mark.parametrize("layout", ["module", "package", "namespace", "finder"])
def test_modules_are_found_wherever_they_may_be(site, monkeypatch, layout):
    folder = site.folder / "lib_for_layout" / "inner"
    folder.mkdir(parents=True)
    value, base = "lib_for_layout.inner.plugin", folder
    if layout == "package":
        value, base = "lib_for_layout.inner", folder
        (folder / "__init__.py").write_text("")
    if layout == "module":
        value, base = "plugin_as_single_file", site.folder
    (base / ("plugin_as_single_file.py" if layout == "module" else "plugin.py")).write_text("")
    (base / "imgedit_plugin.toml").write_text(MANIFEST.format(name="tested", rank=0))
    if layout == "finder":
        value = "mapped_by_finder.inner.plugin"
        monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, _Editable(folder.parent)])
    site.declare("tested", value, "dist-tested")
    info = manager("tested").get("tested")
    assert info.status == "available", info.reason
    assert not {value, value.partition(".")[0]} & set(sys.modules)


class _Editable:
    """What setuptools installs for editable packages: a finder that maps names to folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, fullname, path=None, target=None):
        from importlib.util import spec_from_file_location

        if fullname != "mapped_by_finder":
            return None
        (self._folder / "__init__.py").write_text("")
        return spec_from_file_location(fullname, self._folder / "__init__.py")


# --- routing ----------------------------------------------------------------------------------


def test_the_highest_rank_is_first(site):
    for name, rank in (("low", 1), ("high", 9), ("mid", 5)):
        site.install(name, rank=rank)
    route = manager("low", "high", "mid").route("apply_edit", INPUTS)
    assert [info.name for info in route] == ["high", "mid", "low"]


def test_equal_ranks_are_refused_with_the_choices(site, request_):
    for name, rank in (("one", 5), ("two", 5), ("three", 1)):
        site.install(name, rank=rank)
    found = manager("one", "two", "three")
    with pytest.raises(AmbiguousPluginError) as caught:
        found.route("apply_edit", INPUTS)
    assert caught.value.choices == ("one", "two")
    assert "--plugin" in str(caught.value)
    result = found.call("apply_edit", request_, Job(), plugin="two")
    assert result.explanation == "two"


def test_whoever_looks_for_another_is_passed_over(site, request_):
    site.install("asks", rank=9)
    site.install("does", rank=5)
    found = manager("asks", "does")
    (info,) = found.route("apply_edit", INPUTS, without="asks")
    assert info.name == "does"
    assert found.call("apply_edit", request_, Job(), without="asks").explanation == "does"
    assert found.call("apply_edit", request_, Job()).explanation == "asks"


def test_equal_ranks_below_the_highest_do_not_matter(site):
    for name, rank in (("top", 5), ("two", 1), ("three", 1)):
        site.install(name, rank=rank)
    route = manager("top", "two", "three").route("apply_edit", INPUTS)
    assert [info.name for info in route] == ["top", "three", "two"]


def test_who_accepts_what_is_said_when_nobody_does(site):
    site.install()
    found = manager("tested")
    with pytest.raises(NoPluginError, match=r"mask \+ picture.*'tested' takes picture \+ instr"):
        found.route("apply_edit", frozenset({"picture", "mask"}))
    with pytest.raises(NoPluginError, match="does not take picture for apply_edit"):
        found.route("apply_edit", frozenset({"picture"}), "tested")
    with pytest.raises(NoPluginError, match=r"does not do train.*It does apply_edit"):
        found.route("train", frozenset({"data"}), "tested")
    with pytest.raises(NoPluginError, match="No plugin takes data for train"):
        found.route("train", frozenset({"data"}))


def test_unknown_plugins_get_close_matches(site):
    site.install()
    with pytest.raises(UnknownPluginError, match="Did you mean 'tested'"):
        manager("tested").get("testd")


# --- calling ----------------------------------------------------------------------------------


def test_none_hands_over_to_the_next(site, request_):
    site.install("shy", body="return None", rank=9)
    site.install("tested", rank=1)
    assert manager("shy", "tested").call("apply_edit", request_, Job()).explanation == "tested"


def test_everybody_declines(site, request_):
    site.install("tested", body="return None")
    with pytest.raises(NoPluginError, match="tested declined"):
        manager("tested").call("apply_edit", request_, Job())
    with pytest.raises(NoPluginError, match="tested declined"):
        manager("tested").call("apply_edit", request_, Job(), plugin="tested")


def test_a_breaking_plugin_is_passed_over_with_a_warning(site, request_):
    site.install("tested", body="raise KeyError('oops')", rank=9)
    site.install("healthy", rank=1)
    found, job = manager("tested", "healthy"), Job()
    assert found.call("apply_edit", request_, job).explanation == "healthy"
    assert "KeyError" in job.warnings[0]
    assert "tested" in job.warnings[0]
    job = Job()
    assert found.call("apply_edit", request_, job).explanation == "healthy"
    assert job.warnings == []


def test_all_break(site, request_):
    site.install("tested", body="raise KeyError('oops')")
    found = manager("tested")
    with pytest.raises(NoPluginError, match=r"tested was set aside .*KeyError"):
        found.call("apply_edit", request_, Job())
    with pytest.raises(NoPluginError, match=r"[Tt]he plugin 'tested' is quarantined .*KeyError"):
        found.call("apply_edit", request_, Job())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise ValueError('wrong\\nsize')", "ValueError: wrong size (plugin.py:7)"),
        ("import sys; sys.exit(3)", "SystemExit: 3 (plugin.py:7)"),
        ("raise BaseException", "BaseException (plugin.py:7)"),
        ("import json; json.loads('{')", "JSONDecodeError"),
        ("return 'text'", "apply_edit returned a str, not an EditResult"),
        ("return [request.picture]", "returned a list, not an EditResult"),
    ],
)
def test_what_breaks_the_contract_sets_aside(site, request_, body, words):
    site.install(body=body)
    found = manager("tested")
    reason = outcome(found, request_)
    assert words in reason
    if "(" in reason:
        assert "plugin.py:7" in reason
    assert outcome(found, request_) == reason, "it is not called again"


def test_the_named_place_is_the_innermost_inside_the_plugin(site, request_):
    body = "import json\nfrom . import deeper\nreturn deeper.fall()"
    package = site.install(body=body)
    (site.folder / package / "deeper.py").write_text(
        "import json\ndef fall():\n    return json.loads('{')\n"
    )
    assert "(deeper.py:3)" in outcome(manager("tested"), request_)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import a_module_that_is_not_there", "cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit('bye')", "SystemExit: bye (plugin.py:1)"),
        ("def broken(:", "SyntaxError"),
        ("from imgedit_plugins.errors import OptionError\nraise OptionError('x')", "OptionError"),
        ("", "its manifest lists apply_edit, its code has no"),
        (CODE.replace("request, job", "request, jop").format(body="    pass"), "jop"),
        (CODE.replace("def apply_edit", "def aply_edit").format(body="    pass"), "aply_edit"),
        (CODE.format(body="    pass") + "\n@hookimpl\ndef train(request, job): pass", "train"),
    ],
)
def test_what_is_wrong_with_the_module_sets_aside(site, request_, code, words):
    site.install(code=code)
    site.install("healthy")
    found = manager("tested", "healthy")
    assert words in outcome(found, request_)
    assert found.call("apply_edit", request_, Job()).explanation == "healthy"


def test_a_missing_extra_is_named(site, request_):
    text = MANIFEST.format(name="tested", rank=0).replace(
        "[[accepts]]", 'extra = "torch"\n[[accepts]]'
    )
    site.install(code="import a_module_that_is_not_there", manifest=text)
    assert "pip install 'dist-tested[torch]'" in outcome(manager("tested"), request_)


def test_errors_for_the_user_and_cancellation_pass_through(site, request_):
    site.install(body="job.check()\nfrom imgedit_plugins.errors import PictureError\n"
                      "raise PictureError('too small')")  # fmt: skip
    found = manager("tested")
    with pytest.raises(PictureError, match="too small"):
        found.call("apply_edit", request_, Job())
    job = Job()
    job.cancel()
    with pytest.raises(JobCancelledError):
        found.call("apply_edit", request_, job)
    assert found.get("tested").status == "available"


def test_interruption_passes_through(site, request_):
    site.install(body="raise KeyboardInterrupt")
    found = manager("tested")
    with pytest.raises(KeyboardInterrupt):
        found.call("apply_edit", request_, Job())
    assert found.get("tested").status == "available"


def test_too_little_memory_is_no_fault_of_the_plugin(site, request_):
    site.install(body="raise MemoryError")
    found = manager("tested")
    with pytest.raises(PluginError, match="not enough memory"):
        found.call("apply_edit", request_, Job())
    assert found.get("tested").status == "available"


def test_an_object_can_be_the_entry_point(site, request_):
    code = CODE.format(body="    pass") + (
        "\nclass Plugin:\n    @hookimpl\n    def apply_edit(self, request, job):\n        "
        + ANSWER.format("object")
        + "\nplugin = Plugin()"
    )
    package = site.install(name="other", code=code)
    (site.folder / package / "imgedit_plugin.toml").write_text(
        MANIFEST.format(name="tested", rank=0)
    )
    site.declare("tested", f"{package}.plugin:plugin", "dist-tested")
    assert manager("tested").call("apply_edit", request_, Job()).explanation == "object"


def test_only_the_asked_plugin_runs(site, request_):
    """A hook wrapper of one plugin must not see the calls of another."""
    wrapper = CODE.replace("@hookimpl", "@hookimpl(wrapper=True)").format(
        body="    raise RuntimeError('wrapped')\n    yield"
    )
    site.install("wrapper", code=wrapper, rank=1)
    site.install("tested", rank=9)
    found = manager("wrapper", "tested")
    found.load("wrapper")
    assert found.call("apply_edit", request_, Job()).explanation == "tested"


def test_a_plugin_is_imported_once_by_many_threads(site, request_):
    code = "import time; time.sleep(0.2); COUNT = []\n" + CODE.format(
        body="    COUNT.append(1); " + ANSWER.format("x")
    )
    site.install(code=code)
    found, results = manager("tested"), []
    call = lambda: results.append(found.call("apply_edit", request_, Job()))  # noqa: E731
    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert len(found.load("tested").COUNT) == 8


# --- options ----------------------------------------------------------------------------------

OPTION = """
[[options]]
hook = "apply_edit"
name = "{name}"
type = "integer"
minimum = 1
default = 4
help = "Some."
"""


def with_option(name: str, option: str, rank: int = 0) -> str:
    return MANIFEST.format(name=name, rank=rank) + OPTION.format(name=option)


def test_plugins_get_parsed_and_complete_options(site, request_):
    body = ANSWER.replace('"{}"', "repr(request.options)")
    site.install(manifest=with_option("tested", "size"), body=body)
    found = manager("tested")
    assert found.call("apply_edit", request_, Job()).explanation == "{'size': 4}"
    given = request_.model_copy(update={"options": {"size": "7"}})
    assert found.call("apply_edit", given, Job()).explanation == "{'size': 7}"
    for wrong in ({"size": 0}, {"siez": 3}):
        with pytest.raises(OptionError):
            found.call("apply_edit", request_.model_copy(update={"options": wrong}), Job())
    assert [o.name for o in found.options_for(found.get("tested"), "apply_edit")] == ["size"]


def test_a_plugin_without_the_option_is_passed_over(site, request_):
    site.install("first", manifest=with_option("first", "size", 9), body="return None")
    site.install("other", manifest=with_option("other", "width", 5))
    site.install("tested", manifest=with_option("tested", "size", 1))
    given = request_.model_copy(update={"options": {"size": 7}})
    found = manager("first", "other", "tested")
    assert found.call("apply_edit", given, Job()).explanation == "tested"
    assert found.call("apply_edit", request_, Job()).explanation == "other"


RECIPES = """
schema = "imgedit-plugin/1"
name = "tested"
title = "T"
summary = "S."
hooks = ["make_data"]
[[accepts]]
hook = "make_data"
inputs = ["recipe"]
[[data]]
name = "pairs"
title = "Pairs"
help = "Makes pairs."
[[data.options]]
name = "images"
type = "path"
help = "Folder."
"""


def test_recipes_have_options_of_their_own(site, tmp_path):
    code = (
        "from imgedit_plugins import hookimpl\nfrom imgedit_plugins.requests import DataReport\n"
        "@hookimpl\ndef make_data(request, job):\n"
        "    return DataReport(folder=request.out, rows=1, details=request.options)"
    )
    site.install(manifest=RECIPES, code=code)
    found = manager("tested")
    request = DataRequest(recipe="pairs", out=tmp_path, options={"images": "x"})
    assert found.call("make_data", request, Job(), plugin="tested").details == {"images": "x"}
    with pytest.raises(OptionError, match="'images' is needed"):
        found.call("make_data", DataRequest(recipe="pairs", out=tmp_path), Job(), plugin="tested")
    with pytest.raises(PluginError, match=r"no data recipe 'pear'.*It has pairs"):
        found.call("make_data", DataRequest(recipe="pear", out=tmp_path), Job(), plugin="tested")


# --- operations -------------------------------------------------------------------------------

REGISTERS = """
schema = "imgedit-plugin/1"
name = "{name}"
title = "T"
summary = "S."
hooks = ["register_operations"]
operations = ["{operation}"]
"""

OPERATION = """
from imgedit_plugins import hookimpl
from imgedit_plugins.operations import Operation
OPERATION = Operation("{operation}", "T", "pointwise", lambda rgb, p, c: rgb.copy(), "here", "S.")
@hookimpl
def register_operations(vocabulary):
    vocabulary.add(OPERATION)
"""


def install_operation(site, name: str, operation: str, listed: str = "") -> None:
    manifest = REGISTERS.format(name=name, operation=listed or operation)
    site.install(name, manifest=manifest, code=OPERATION.format(operation=operation))


@pytest.fixture
def clean_vocabulary():
    """Whatever a test adds to the process's vocabulary is forgotten."""
    default_vocabulary.cache_clear()
    yield
    default_vocabulary.cache_clear()


def test_operations_of_plugins_join_the_vocabulary(site, clean_vocabulary):
    install_operation(site, "tested", "tested-copy")
    assert "tested-copy" not in default_vocabulary()
    assert manager("tested").vocabulary()["tested-copy"].source == "here"
    assert "tested-copy" in default_vocabulary()
    again = manager("tested")
    assert "tested-copy" in again.vocabulary()
    assert again.get("tested").status == "available", again.get("tested").reason


@pytest.mark.parametrize(
    ("operation", "listed", "words"),
    [("bright", "", "already an operation 'bright'"), ("a-b", "a-c", "registers the operations a-b"
      ", its manifest names a-c")],
)  # fmt: skip
def test_clashing_operations_set_aside(site, clean_vocabulary, operation, listed, words):
    install_operation(site, "tested", operation, listed)
    install_operation(site, "healthy", "healthy-copy")
    before = set(default_vocabulary())
    found = manager("tested", "healthy")
    vocabulary = found.vocabulary()
    assert words in found.get("tested").reason
    assert {o.name for o in set(vocabulary) - before} == {"healthy-copy"}


def test_the_second_plugin_with_an_operation_is_set_aside(site, clean_vocabulary):
    install_operation(site, "aaa", "same-name")
    install_operation(site, "bbb", "same-name")
    found = manager("aaa", "bbb")
    found.vocabulary()
    assert (found.get("aaa").status, found.get("bbb").status) == ("available", "quarantined")


# --- tracing ----------------------------------------------------------------------------------


def test_every_call_is_traced(site, request_):
    site.install("tested", body="job.check(); return None", rank=9)
    site.install("other", rank=1)
    site.install("broken", body="raise ValueError('x')", rank=20)
    found, stream = manager("tested", "other", "broken"), io.StringIO()
    found.trace(stream)
    found.call("apply_edit", request_, Job())
    broken, declined, answered = stream.getvalue().splitlines()
    assert broken.startswith("broken.apply_edit(picture=<Picture 96x64 RGB uint8>, ")
    assert "!! PluginQuarantinedError" in broken
    assert "instruction='something'" in declined
    assert "-> None (not mine) [" in declined
    assert answered.endswith(" ms]")
    assert "-> EditResult(" in answered
    found.trace(None)
    found.call("apply_edit", request_, Job())
    assert len(stream.getvalue().splitlines()) == 3


def test_long_and_large_values_are_shortened(site):
    site.install(manifest=MANIFEST.format(name="tested", rank=0).replace(
        'rank', 'optional = ["mask"]\nrank'))  # fmt: skip
    picture = make_photograph()
    mask = np.zeros((picture.height, picture.width), np.uint8)
    request = ApplyRequest(picture=picture, instruction="long " * 99, mask=mask)
    found, stream = manager("tested"), io.StringIO()
    found.trace(stream)
    found.call("apply_edit", request, Job())
    assert "mask=<array 64x96>" in stream.getvalue()
    assert len(stream.getvalue()) < 400


def test_the_environment_switches_tracing_on(site, request_, capsys):
    site.install()
    manager("tested", IMGEDIT_TRACE_HOOKS="1").call("apply_edit", request_, Job())
    assert "tested.apply_edit" in capsys.readouterr().err
    manager("tested", IMGEDIT_TRACE_HOOKS="0").call("apply_edit", request_, Job())
    assert capsys.readouterr().err == ""


# --- speed ------------------------------------------------------------------------------------


def test_discovery_is_quick(site):
    """A coarse guard; tests of the command line measure `list` against its baseline."""
    for number in range(5):
        site.install(f"number{number}")
    PluginManager.discover({})
    started = time.perf_counter()
    PluginManager.discover({})
    assert time.perf_counter() - started < 0.25
