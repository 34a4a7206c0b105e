import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugin_factory import CODE, MANIFEST, Site

from imgedit_plugins import manifest, testing
from imgedit_plugins.authoring import contract, imports, samples, scaffold
from imgedit_plugins.authoring.validation import validate
from imgedit_plugins.errors import PluginError, UnknownPluginError
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.requests import Candidate, EditResult

# --- new --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """(the new distribution's folder, where pip installed it)."""
    folder = scaffold.new("warm-look", tmp_path_factory.mktemp("new"))
    target = tmp_path_factory.mktemp("site")
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
        *("--no-build-isolation", "--disable-pip-version-check", "--target", str(target)),
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, target


def run(code_or_args: list[str], site: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, *code_or_args],
        capture_output=True, text=True, cwd=cwd, check=False,
        env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def test_the_tests_of_a_new_plugin_pass_as_written(installed):
    folder, site = installed
    done = run(["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"], site, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    torch = importlib.util.find_spec("torch")
    assert ("8 passed" if torch else "7 passed, 1 skipped") in done.stdout


def test_a_new_plugin_keeps_the_contract(installed):
    folder, site = installed
    code = (
        "from imgedit_plugins.authoring.validation import validate;"
        "report = validate('.');"
        "[print(c.verdict, c.name, c.reason) for c in report.checks]"
    )
    done = run(["-c", code], site, folder)
    lines = done.stdout.splitlines()
    assert len(lines) >= 11, done.stderr
    (untried,) = [line for line in lines if " export_parts " in line]
    assert untried.startswith("not-applicable "), "it is called by `export` alone"
    assert all(line.startswith("pass ") for line in lines if line != untried), done.stdout


def test_a_new_plugin_passes_ruff(installed):
    folder, _ = installed
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,I,B,UP,N",
         "--config", "line-length = 100", "--config", "src = ['src']", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_a_new_plugin_has_its_names_everywhere(installed):
    folder, _ = installed
    assert folder.name == "imgedit-warm-look"
    written = manifest.load(folder / "src/imgedit_warm_look/imgedit_plugin.toml")
    assert (written.name, written.title) == ("warm-look", "Warm look")
    for path in folder.rglob("*.*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.suffix != ".in"
            assert "$" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Warm",
        "9lives",
        "a b",
        "a--b",
        "-a",
        "a-",
        "../x",
        "a/b",
        "é",
        "imgedit-",
        "x" * 41,
        "a.b",
    ],
)
def test_bad_names_are_refused(tmp_path, name):
    with pytest.raises(PluginError, match="cannot be the name"):
        scaffold.new(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@given(st.from_regex(r"\A[a-z][a-z0-9]{0,8}([-_][a-z0-9]{1,8}){0,2}\Z"))
def test_names_are_importable_and_installable(name):
    names = scaffold.names_for(f"imgedit-{name}")
    assert names.package.isidentifier()
    assert names.distribution == f"imgedit-{names.plugin}".replace("_", "-")
    assert names.plugin in (name, name.removeprefix("imgedit-").removeprefix("imgedit_"))


def test_a_name_that_is_taken_is_refused(tmp_path, monkeypatch):
    Site(tmp_path, monkeypatch).install("warm_look")
    with pytest.raises(PluginError, match=r"already a plugin 'warm_look', of dist-warm_look"):
        scaffold.new("warm-look", tmp_path / "new")


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "imgedit-mine").mkdir()
    (tmp_path / "imgedit-mine" / "precious.txt").write_text("x")
    with pytest.raises(PluginError, match="exists already; nothing was written"):
        scaffold.new("mine", tmp_path)
    assert [p.name for p in (tmp_path / "imgedit-mine").iterdir()] == ["precious.txt"]


def test_no_half_distribution_is_left(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(PluginError, match="no space left"):
        scaffold.new("mine", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PluginError, match="cannot be written"):
        scaffold.new("mine", tmp_path / "file")


# --- validate ---------------------------------------------------------------------------------

GOOD = """
import numpy as np
step = request.picture.pixels.dtype.type(1)
after = request.picture.pixels.copy()
channels = request.picture.color.shape[2]
for row in range(len(after)):
    job.report("working", row, len(after))
    after[row, :, :channels] = request.picture.color[row] // step
    if request.picture.pixels.dtype.kind == "u":
        after[row, :, :channels] += step
    else:
        after[row, :, :channels] *= 0.5
if request.mask is not None:
    keep = request.mask == 0
    after[keep] = request.picture.pixels[keep]
return EditResult(candidates=(Candidate(picture=request.picture.with_pixels(after)),))
"""
SILENT = "(lambda *_: None)"
WITH_MASK = MANIFEST.replace('"instruction"]', '"instruction"]\noptional = ["mask"]')


@pytest.fixture
def site(tmp_path, monkeypatch):
    site = Site(tmp_path, monkeypatch)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    monkeypatch.setenv("PYTHONPATH", path)  # for the processes that `validate` starts
    return site


def verdicts(site, body=GOOD, *, code=None, manifest=WITH_MASK) -> dict[str, tuple[str, str]]:
    site.install(body=body, code=code, manifest=manifest.format(name="tested", rank=0))
    report = validate("tested")
    assert report.passed == all(check.verdict != "fail" for check in report.checks)
    return {check.name: (check.verdict, check.reason) for check in report.checks}


def test_a_good_plugin_passes_everything(site):
    found = verdicts(site)
    assert {verdict for verdict, _ in found.values()} == {"pass"}, found
    assert len(found) == 10


@pytest.mark.parametrize(
    ("old", "new", "check", "words"),
    [
        ("job.report", SILENT, "apply_edit: cancelled before", "went through"),
        ("request.mask == 0", "request.mask == 1", "apply_edit: mask honoured", "candidate 1"),
        ("keep = request.mask == 0", "keep = request.mask < -1", "apply_edit: mask honoured",
         "pixels to be kept"),
        ("if request.mask is", "after += np.random.default_rng().integers(0, 9, after.shape)"
         ".astype(after.dtype)\nif request.mask is",
         "apply_edit: same seed, same result", "pixels of candidate 1 differ"),
        ("with_pixels(after)", "with_pixels(after[:, :, :1].copy())",
         "apply_edit: size, depth, alpha, profile kept", "instead of RGB uint8"),
        ("with_pixels(after)", "with_pixels(after.repeat(2, axis=0))",
         "apply_edit: size, depth, alpha, profile kept", "does not lie within"),
        ("if request.mask is", "after[:, :, -1] = 0\nif request.mask is",
         "apply_edit: size, depth, alpha, profile kept", "the alpha channel was changed"),
        ("request.picture.with_pixels(after)", "type(request.picture)(after)",
         "apply_edit: size, depth, alpha, profile kept", "colour profile was lost"),
        ("import numpy", "raise ValueError('bad')\nimport numpy", "apply_edit answers",
         "ValueError: bad"),
        ("return EditResult", "return repr", "apply_edit answers", "Error"),
    ],
)  # fmt: skip
def test_each_broken_promise_is_found(site, old, new, check, words):
    assert old in GOOD
    verdict, reason = verdicts(site, GOOD.replace(old, new))[check]
    assert verdict == "fail", reason
    assert words in reason


def test_swallowed_cancellation_is_found(site):
    body = "try:\n    job.check()\nexcept Exception:\n    raise RuntimeError('stopped')\n" + GOOD
    verdict, reason = verdicts(site, body)["apply_edit: cancelled before"]
    assert verdict == "fail"
    assert "instead of JobCancelledError" in reason


def test_a_plugin_that_does_not_stop_is_found(site, monkeypatch):
    monkeypatch.setattr(contract, "PATIENCE_S", 0.3)
    body = "import time\njob.report('one')\ntime.sleep(2 if request.picture.width > 999 else 0)\n"
    verdict, reason = verdicts(site, body + GOOD.replace("job.report", SILENT))[
        "apply_edit: cancelled midway"
    ]
    assert (verdict, reason) == (
        "fail",
        "it went on for more than 0.3 s after the job was cancelled",
    )


def test_a_plugin_that_is_finished_first_cannot_be_judged(site):
    body = "job.check()\n" + GOOD.replace("job.report", SILENT)
    verdict, _ = verdicts(site, body)["apply_edit: cancelled midway"]
    assert verdict == "not-applicable"


def test_a_plugin_that_takes_nothing_cannot_be_judged(site):
    verdict, reason = verdicts(site, "return None")["apply_edit answers"]
    assert verdict == "not-applicable"
    assert "--instruction" in reason


def test_the_instruction_can_be_given(site):
    body = "if request.instruction != 'abracadabra': return None\n" + GOOD
    site.install(body=body, manifest=WITH_MASK.format(name="tested", rank=0))
    checks = {c.name: c for c in validate("tested", instruction="abracadabra").checks}
    assert checks["apply_edit answers"].reason == "takes 'abracadabra'"
    assert checks["apply_edit: mask honoured"].verdict == "pass"


def test_an_edit_without_effect_says_nothing_about_masks(site):
    body = "return EditResult(candidates=(Candidate(picture=request.picture),))"
    assert verdicts(site, body)["apply_edit: mask honoured"][0] == "not-applicable"


def test_no_mask_accepted_no_check(site):
    assert verdicts(site, manifest=MANIFEST)["apply_edit: mask honoured"] == (
        "not-applicable", "it accepts no mask",
    )  # fmt: skip


def test_a_bad_manifest_ends_the_validation(site):
    found = verdicts(site, manifest=MANIFEST.replace("title =", "titel ="))
    assert list(found) == ["manifest"]
    assert found["manifest"][0] == "fail"
    assert "titel" in found["manifest"][1]


def test_a_bad_signature_ends_the_validation(site):
    code = CODE.replace("request, job", "image, job").format(body="    pass")
    found = verdicts(site, code=code)
    assert list(found)[-1] == "hook signatures"
    assert found["hook signatures"][0] == "fail"


def test_heavy_imports_are_found(site):
    code = "import cv2\n" + CODE.format(body="    pass")
    verdict, reason = verdicts(site, code=code)["importing it is light"]
    assert verdict == "fail"
    assert "cv2" in reason
    assert "inside the hooks" in reason


def test_what_listing_drags_in_is_found(site):
    site.install()
    (site.folder / "sitecustomize.py").write_text("import numpy\n")
    checks = {check.name: check for check in validate("tested").checks}
    assert checks["listing imports nothing heavy"].verdict == "fail"
    assert "numpy" in checks["listing imports nothing heavy"].reason


def test_modules_after_reports_failures():
    with pytest.raises(imports.FailedCheckError, match="ZeroDivisionError"):
        imports.modules_after("1/0")
    assert "tomllib" in imports.modules_after("import tomllib; print('noise')")


PREDICTS = """
schema = "imgedit-plugin/1"
name = "{name}"
title = "T"
summary = "S."
hooks = ["predict_operations", "train"]
[[accepts]]
hook = "predict_operations"
inputs = ["source", "edited"]
rank = {rank}
[[accepts]]
hook = "train"
inputs = ["data"]
"""
PREDICTION = """
from imgedit_plugins import hookimpl
COUNT = []
@hookimpl
def predict_operations(request, job):
    from imgedit_plugins.plan import EditPlan, step
    job.report("looking", 0, 2)
    COUNT.append(1)
    job.report("looking", 1, 2)
    return EditPlan(operations=(step("bright", offset={offset}),))
@hookimpl
def train(request, job):
    return None
"""


def test_predictions_are_checked(site):
    found = verdicts(site, code=PREDICTION.format(offset="40"), manifest=PREDICTS)
    assert found["predict_operations answers"] == ("pass", "plan: bright")
    assert found["predict_operations: cancelled midway"][0] == "pass"
    assert found["train"][0] == "not-applicable"
    assert "fail" not in {verdict for verdict, _ in found.values()}


def test_changing_predictions_are_found(site):
    found = verdicts(site, code=PREDICTION.format(offset="len(COUNT)"), manifest=PREDICTS)
    assert found["predict_operations: same seed, same plan"] == ("fail", "the plans differ")


def test_packages_are_found_by_all_their_names(site, tmp_path):
    package = site.install(distribution="some-dist", manifest="")  # ends at its first check
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text('[project]\nname = "Some_Dist"\n')
    for name in ("tested", "some-dist", "Some_Dist", package, f"{package}.plugin", str(project)):
        assert {check.plugin for check in validate(name).checks} == {"tested"}, name
    with pytest.raises(UnknownPluginError, match="Did you mean 'tested'"):
        validate("testd")
    with pytest.raises(UnknownPluginError, match="pip install"):
        validate("zzzzzzzzz")
    (project / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(PluginError, match="names no project"):
        validate(str(project))


# --- the contract, on results -----------------------------------------------------------------


def result_of(picture: Picture, **more) -> EditResult:
    return EditResult(candidates=(Candidate(picture=picture, **more),))


def test_a_cropped_candidate_is_compared_in_its_place():
    picture = samples.photograph()
    mask = samples.mask_for(picture)
    part = picture.pixels[10:50, 20:90].copy()
    inverted = np.where(mask[10:50, 20:90, None] == 0, part, 255 - part)
    right = result_of(picture.with_pixels(inverted), offset=(20, 10))
    assert contract.mask_fault(picture, mask, right) == ""
    assert contract.form_fault(picture, right) == ""
    moved = result_of(picture.with_pixels(inverted), offset=(21, 10))
    assert "pixels to be kept" in contract.mask_fault(picture, mask, moved)
    for offset in ((60, 10), (-1, 0)):
        outside = result_of(picture.with_pixels(inverted), offset=offset)
        assert contract.mask_fault(picture, mask, outside)
        assert "does not lie within" in contract.form_fault(picture, outside)


@given(st.integers(0, 63), st.integers(0, 95))
def test_one_wrong_pixel_is_enough(y, x):
    picture = samples.photograph()
    mask = samples.mask_for(picture)
    changed = picture.pixels.copy()
    changed[mask == 255] = 255 - changed[mask == 255]
    changed[y, x] ^= 1
    fault = contract.mask_fault(picture, mask, result_of(picture.with_pixels(changed)))
    assert bool(fault) == (mask[y, x] == 0)


def test_plans_alone_say_nothing_about_pixels():
    picture = samples.photograph()
    only_plan = EditResult(plan=EditPlan())
    with pytest.raises(contract.NothingToCheckError):
        contract.mask_fault(picture, samples.mask_for(picture), only_plan)
    with pytest.raises(contract.NothingToCheckError):
        contract.form_fault(picture, only_plan)


def test_differences_between_results():
    picture = samples.photograph()
    one = result_of(picture)
    assert contract.difference_between(one, result_of(picture)) == ""
    other = picture.with_pixels(picture.pixels ^ 1)
    assert "pixels of candidate 1" in contract.difference_between(one, result_of(other))
    assert "seed" in contract.difference_between(one, result_of(picture, seed=4))
    two = EditResult(candidates=one.candidates * 2)
    assert contract.difference_between(one, two) == "1 candidates, then 2"
    told = EditResult(candidates=one.candidates, explanation="x")
    assert contract.difference_between(one, told) == "the explanations differ"
    assert "plans" in contract.difference_between(one, EditResult(plan=EditPlan()))


def test_cancellation_midway():
    def polite(job):
        for number in range(100):
            job.report("working", number, 100)

    def silent(job):
        while True:
            time.sleep(0.01)
            job.check()

    assert contract.cancelled_midway_fault(polite) == ""
    assert contract.cancelled_midway_fault(silent) == ""


# --- samples and fixtures ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_photographs_are_what_was_asked_for(mode, dtype):
    picture = samples.photograph(30, 20, mode=mode, dtype=dtype)
    assert (picture.width, picture.height, picture.mode) == (30, 20, mode)
    assert picture.pixels.dtype == dtype
    assert len(np.unique(picture.color)) > 50
    again = samples.photograph(30, 20, mode=mode, dtype=dtype)
    assert np.array_equal(picture.pixels, again.pixels)
    other = samples.photograph(30, 20, mode=mode, dtype=dtype, seed=1)
    assert not np.array_equal(picture.pixels, other.pixels)


def test_the_mask_keeps_takes_and_fades():
    mask = samples.mask_for(samples.photograph())
    assert {0, 255} < set(np.unique(mask))
    assert (mask == 0).mean() == pytest.approx(1 / 3, abs=0.02)
    assert (mask == 255).mean() == pytest.approx(1 / 3, abs=0.02)


def test_the_assertions_for_authors_fail_when_they_should(site):
    site.install(body=GOOD.replace("request.mask == 0", "request.mask < -1"),
                 manifest=WITH_MASK.format(name="tested", rank=0))  # fmt: skip
    found = PluginManager.discover({"IMGEDIT_PLUGINS": "tested"})
    picture = samples.photograph()
    with pytest.raises(AssertionError, match="pixels to be kept"):
        testing.assert_mask_honoured(found, "tested", picture, instruction="x")
    testing.assert_deterministic(found, "tested", picture, instruction="x")


def test_the_assertions_for_authors_want_an_effect(site):
    site.install(manifest=WITH_MASK.format(name="tested", rank=0))
    found = PluginManager.discover({"IMGEDIT_PLUGINS": "tested"})
    with pytest.raises(AssertionError, match="changed nothing"):
        testing.assert_mask_honoured(found, "tested", samples.photograph(), instruction="x")


def test_the_fixtures_are_shipped():
    for name in ("manager", "photograph", "job", "cancelled_job"):
        assert "Fixture" in type(getattr(testing, name)).__name__
