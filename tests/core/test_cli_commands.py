"""Each command: what it prints, writes and refuses."""

from __future__ import annotations

import importlib.metadata
import json

import pytest
from cli_plugin import MANIFEST, ROOT, install_tested, run, write_picture, write_plan

from imgedit_plugins import compiled
from imgedit_plugins.cli.doctor import CHECKS, Finding, parse_requirement
from imgedit_plugins.cli.plan import schema_text
from imgedit_plugins.plan import parse_plan, plan_schema, step


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    return install_tested(tmp_path, monkeypatch)


@pytest.fixture
def photo(tmp_path):
    return write_picture(tmp_path / "photo.png")


@pytest.fixture
def plan_file(tmp_path):
    return write_plan(tmp_path / "plan.json", step("bright", offset=50))


# --- list, describe, operations ---------------------------------------------------------------


def test_list_shows_the_quarantined_with_their_reason(site):
    site.install("broken", manifest='schema = "imgedit-plugin/1"\nname = "broken"')
    result = run("list")
    assert "tested" in result.stdout
    assert "broken is quarantined: The manifest" in result.stdout
    listed = {entry["name"]: entry for entry in json.loads(run("list", "--json").stdout)}
    assert listed["broken"]["status"] == "quarantined"
    assert "hooks: is missing" in listed["broken"]["reason"]
    assert listed["tested"]["hooks"][0] == "predict_operations"


def test_list_hides_the_disabled(monkeypatch):
    monkeypatch.setenv("IMGEDIT_PLUGINS", "none,nobody")
    assert "tested" not in run("list").stdout
    assert "'nobody', which is not installed" in run("list").stderr
    assert "disabled" in run("list", "--all").stdout


def test_describe_tells_everything_of_the_manifest():
    text = run("describe", "tested").stdout
    for told in (
        "Answers the tests",
        "takes source, optionally edited, instruction (rank 7)",
        "quick or thorough",
        "a whole number from 1 to 8 px",
        "Invert…",
        "Data recipe make-pairs",
        "(needed)",
    ):
        assert told in text
    described = json.loads(run("describe", "tested", "--json").stdout)
    assert described["manifest"]["options"][1]["maximum"] == 8


def test_describe_unknown_plugin():
    assert "Did you mean 'tested'?" in run("describe", "testet", code=1).stderr


def test_operations():
    assert "grayscale" in run("operations").stdout
    one = run("operations", "bright").stdout
    assert "between -255 and 255" in one
    assert "--op bright=" in one
    assert len(json.loads(run("operations", "--json").stdout)) >= 14
    assert json.loads(run("operations", "bright", "--json").stdout)["name"] == "bright"
    assert "Did you mean 'bright'" in run("operations", "brigt", code=1).stderr


# --- predict ----------------------------------------------------------------------------------


def test_predict_prints_writes_and_reports(photo, tmp_path):
    out, report = tmp_path / "plan.json", tmp_path / "report.html"
    options = ("--option", "effort=thorough", "--seed", 5)
    result = run("predict", photo, photo, *options, "-o", out, "--report", report)
    assert "brightened with thorough effort and seed 5" in result.stdout
    assert "offset 50 code" in result.stdout
    assert "98%" in result.stdout
    assert "more than 99.99 % of the edit; PSNR 43.1 dB" in result.stdout
    assert [s.name for s in parse_plan(out.read_text()).operations] == ["bright", "rotate"]
    assert report.read_text().startswith("<!DOCTYPE html>")


def test_predict_abstains_with_code_3_and_one_sentence(photo, tmp_path):
    out = tmp_path / "plan.json"
    result = run("predict", photo, "--instruction", "abstain", "-o", out, code=3)
    assert result.stderr == "No plan explains <this> edit.\n"
    assert result.stdout == ""
    assert parse_plan(out.read_text()).abstained
    as_json = run("predict", photo, "--instruction", "abstain", "--json", code=3)
    assert json.loads(as_json.stdout)["abstained"] is True


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["photo.png"], 2, "Give the EDITED picture"),
        (["photo.png", "photo.png", "-o", "photo.png"], 2, "photo.png is an input"),
        (["photo.png", "photo.png", "-o", "a", "--report", "a"], 2, "the same file"),
        (["photo.png", "photo.png", "--option", "effort"], 2, "NAME=VALUE"),
        (["photo.png", "photo.png", "--option", "effort=much"], 2, "must be quick or thorough"),
        (["photo.png", "photo.png", "--option", "speed=1"], 2, "no option 'speed'"),
        (["photo.png", "photo.png", "--seed", "-1"], 2, "-1 is not from 0 to 2^63 - 1"),
        (["photo.png", "photo.png", "--seed", str(2**63)], 2, "is not from 0 to 2^63 - 1"),
        (["missing.png", "photo.png"], 1, "missing.png"),
        (["photo.png", "photo.png", "-o", "no/such/plan.json"], 1, "its folder does not exist"),
        (["photo.png", "photo.png", "--plugin", "nobody"], 1, "no plugin 'nobody'"),
    ],
)
def test_predict_refuses(photo, arguments, code, said):
    before = photo.read_bytes()
    assert said in run("predict", *arguments, code=code).stderr
    assert photo.read_bytes() == before


# --- plan -------------------------------------------------------------------------------------


def test_plan_show(plan_file):
    assert "bright" in run("plan", "show", plan_file).stdout
    shown = run("plan", "show", "-", "--json", stdin=plan_file.read_text()).stdout
    assert shown == plan_file.read_text()


def test_plan_validate_names_the_places(plan_file, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text('{"schema": "imgedit-plan/1", "operations": [{"name": "brigt"}]}')
    assert "valid" in run("plan", "validate", plan_file).stdout
    assert "operations[0].name" in run("plan", "validate", bad, code=1).stderr
    assert "valid" in run("plan", "validate", bad, plan_file, code=4).stdout
    verdicts = json.loads(run("plan", "validate", bad, "--json", code=1).stdout)
    assert verdicts[0]["problems"][0]["place"] == "operations[0].name"


def test_plan_invert_compose_compare(plan_file, photo, tmp_path):
    run("plan", "invert", plan_file, "-o", "back.json")
    both = run("plan", "compose", plan_file, "back.json").stdout
    assert [s.parameters for s in parse_plan(both).operations] == [
        {"offset": 50.0},
        {"offset": -50.0},
    ]
    (tmp_path / "both.json").write_text(both)
    write_plan(tmp_path / "nothing.json")
    same = ("plan", "compare", "both.json", "nothing.json", "--on", photo)
    assert "The same" in run(*same).stdout
    differs = ("plan", "compare", plan_file, "nothing.json", "--on", photo, "--json")
    assert json.loads(run(*differs, code=1).stdout)["maximum"] == 50


def test_plan_invert_names_what_cannot_be_undone(tmp_path):
    write_plan(tmp_path / "p.json", step("grayscale"))
    assert "operations[0]: 'grayscale'" in run("plan", "invert", "p.json", code=1).stderr


def test_plan_outputs_spare_their_inputs(plan_file):
    before = plan_file.read_text()
    assert "is an input" in run("plan", "invert", plan_file, "-o", plan_file, code=2).stderr
    assert plan_file.read_text() == before
    assert "once only" in run("plan", "compose", "-", "-", code=2, stdin=before).stderr


def test_published_schema_is_current():
    published = ROOT / "core/imgedit_plugins/schemas/imgedit-plan-1.schema.json"
    again = f"imgedit-plugins plan schema -o {published.relative_to(ROOT)}"
    assert published.read_text(encoding="utf-8") == schema_text(plan_schema()), again
    assert json.loads(run("plan", "schema").stdout) == plan_schema()


# --- evaluate, data ---------------------------------------------------------------------------


def test_evaluate(tmp_path):
    result = run("evaluate", "tested", "--data", "here", "-o", "out.json")
    assert "Scores" in result.stdout
    assert "0.9877" in result.stdout
    assert json.loads((tmp_path / "out.json").read_text())["details"] == {"data": "here"}
    as_json = json.loads(run("evaluate", "tested", "--data", "here", "--json").stdout)
    assert as_json["tables"][0]["rows"][0] == ["F1", 0.98765]


def test_evaluate_writes_a_page_with_the_worst_cases(tmp_path):
    run("evaluate", "tested", "--data", "here", "--report", "r.html", "--worst", 2)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "tested on here" in page
    assert "0.9877" in page
    assert ("case 1" in page, "case 2" in page) == (True, False)
    found = json.loads(run("evaluate", "tested", "--data", "here", "--json").stdout)
    assert set(found) == {"tables", "details", "charts"}, "no pictures where no page is wanted"


def test_long_headings_stand_on_several_lines():
    lines = run("evaluate", "tested", "--data", "here", "--baseline").stdout.splitlines()
    assert lines == [
        "Scores",
        "             value, published",
        "  metric  elsewhere by others",
        "  F1                      0.5",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "x", "--report", "x"], "--out and --report name the same file"),
        (["--report", "no/r.html"], "no/r.html lies in a folder that does not exist"),
        (["-o", "."], ". is a folder; name a file"),
        (["--report", "r.html", "--worst", "-1"], "--worst"),
    ],
)
def test_evaluate_refuses_outputs_before_the_work(arguments, said):
    assert said in run("evaluate", "tested", "--data", "unasked", *arguments, code=2).stderr


def test_data_that_writes_nothing_tells_its_figures(tmp_path):
    result = run("data", "tested", "make-pairs", "--out", "a", "--images", "none")
    assert result.stdout == "Nothing was written to a.\n  hours: 2.5\n  pairs: 7\n"


def test_data_takes_options_of_the_recipe_both_ways(tmp_path):
    run("data", "tested", "make-pairs", "--out", "a", "--images", "x", "--count", 9)
    result = run(
        "data", "tested", "make-pairs", "--out", "b", "--option", "images=x",
        "--fine-grained", "-O", "count=9",
    )  # fmt: skip
    assert result.stdout == "b has 9 rows, 1 of them from an earlier run.\n"
    told = "[('count', 9), ('fine-grained', {}), ('images', 'x')]"
    assert (tmp_path / "a/options.txt").read_text() == told.format(False)
    assert (tmp_path / "b/options.txt").read_text() == told.format(True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["tested", "make-pairs", "--out", "a"], 2, "'images' is needed"),
        (["tested", "make-pairs", "--out", "a", "--images", "x", "--count", "0"], 2, "at least 1"),
        (["tested", "make-pairs", "--out", "a", "--images", "x", "-O", "images=y"], 2, "twice"),
        (["tested", "make-nothing", "--out", "a"], 2, "no 'make-nothing' here"),
        (["nobody", "make-pairs"], 1, "no plugin 'nobody'"),
    ],
)
def test_data_refuses(tmp_path, arguments, code, said):
    assert said in run("data", *arguments, code=code).stderr
    assert not (tmp_path / "a").exists()


def test_data_help_shows_the_recipes_options():
    assert "make-pairs" in run("data", "tested", "--help").stdout
    text = run("data", "tested", "make-pairs", "--help").stdout
    assert "--count INTEGER" in text
    assert "--fine-grained / --no-fine-grained" in text


# --- new, validate, doctor --------------------------------------------------------------------


def test_new_makes_a_plugin_and_never_twice(tmp_path):
    (tmp_path / "work").mkdir()
    assert "imgedit-warm-look" in run("new", "warm-look", "--into", "work").stdout
    assert (tmp_path / "work/imgedit-warm-look/pyproject.toml").is_file()
    assert run("new", "warm-look", "--into", "work", code=1).stderr.startswith("Error: ")
    assert "cannot be the name" in run("new", "Not A Name", code=1).stderr


def test_validate_prints_verdicts_and_fails_when_one_does():
    result = run("validate", "tested", "--json", code=1)  # it does not honour masks
    report = json.loads(result.stdout)
    assert report["passed"] is False
    verdicts = {check["name"]: check["verdict"] for check in report["checks"]}
    assert verdicts["manifest"] == "pass"
    assert "fail" in verdicts.values()
    text = run("validate", "tested", code=1).stdout
    assert "manifest" in text
    assert "checks failed." in text
    assert "No installed plugin" in run("validate", "nobody", code=1).stderr


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of the test's own, since editors and the worker are looked for there."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("GIMP3_DIRECTORY", raising=False)


def test_doctor(monkeypatch, home):
    monkeypatch.setenv("IMGEDIT_PLUGINS", "tested")
    findings = {f["subject"]: f for f in json.loads(run("doctor", "--json").stdout)}
    assert findings["libvips"]["status"] == "ok"
    assert findings["OpenCV"]["status"] == "ok"
    kernels = compiled.state()
    told = findings["compiled kernels"]
    if kernels.kernels:
        assert told["status"] == "ok"
        assert told["detail"].startswith(f"{len(kernels.kernels)} for {kernels.level}")
    else:
        assert told["status"] == "missing"
        assert told["detail"].startswith(kernels.reason)
    assert findings["plugin tested"]["status"] == "ok"
    assert findings["IMGEDIT_PLUGINS"]["status"] == "note"


def test_doctor_says_what_to_do_about_a_broken_plugin(site, home):
    site.install("broken", code="import no_such_module", manifest=MANIFEST.replace(
        'name = "tested"', 'name = "broken"'))  # fmt: skip
    result = run("doctor", code=1)
    assert "no_such_module" in result.stdout
    assert "pip uninstall dist-broken" in result.stdout


def test_doctor_finds_rival_distributions(site, home):
    for name in ("onnxruntime", "onnxruntime-gpu"):
        site.declare("x", "y", name)
    result = run("doctor", code=1)
    assert "both installed, and they share files. Run: pip uninstall" in result.stdout


def test_doctor_asks_other_packages(monkeypatch, home):
    def found():
        yield Finding("their part", "problem", "it is broken", "Mend it.")
        raise OSError("no more")

    class Point:
        name, value, dist = "theirs", "theirs:found", None

        def load(self):
            return found

    real = importlib.metadata.entry_points
    monkeypatch.setattr(
        "importlib.metadata.entry_points",
        lambda **kind: [Point()] if kind == {"group": CHECKS} else real(**kind),
    )
    text = run("doctor", code=1).stdout
    assert "their part: it is broken. Mend it." in text
    assert "theirs: its check failed (OSError: no more" in text


def test_requirement_lines():
    parsed = parse_requirement("onnxruntime-gpu[cuda,cudnn]>=1.31; extra == 'gpu'")
    assert (parsed.name, parsed.minimum, parsed.extra) == ("onnxruntime-gpu", "1.31", "gpu")
    assert parse_requirement("click>=8.1").extra == ""
