"""`predict_operations` with `model=minigpt4`: the model alone, and checked by the search."""

from __future__ import annotations

import hashlib
import importlib.util

import pytest

pytestmark = pytest.mark.torch

from made_pictures import edit, picture, plan_of, values  # noqa: E402

from imgedit_plugins.errors import (  # noqa: E402
    JobCancelledError,
    OptionError,
    PluginError,
    WeightsError,
)
from imgedit_plugins.jobs import Job  # noqa: E402
from imgedit_plugins.operations import load_profile  # noqa: E402
from imgedit_plugins.pictures import Picture  # noqa: E402
from imgedit_plugins.plan import EditPlan, parse_plan  # noqa: E402
from imgedit_plugins.plugins import PluginManager  # noqa: E402
from imgedit_plugins.render import mean_squared_error, psnr, render_plan  # noqa: E402
from imgedit_plugins.requests import PredictRequest  # noqa: E402
from imgedit_reverse_design.minigpt4 import predicting  # noqa: E402
from imgedit_reverse_design.minigpt4.parsing import parse_answer, steps  # noqa: E402
from imgedit_reverse_design.minigpt4.requirements import require_torch  # noqa: E402
from imgedit_reverse_design.scene import Pair  # noqa: E402

TRUTH = (("grayscale", None), ("bright", 50.0))


@pytest.fixture(scope="module")
def photo():
    return picture(160, 200, seed=1)


def request(photo, edited, model_folder, **options) -> PredictRequest:
    given = {name.replace("_", "-"): value for name, value in options.items()}
    instruction = given.pop("instruction", None)
    return PredictRequest(
        source=Picture(photo),
        edited=Picture(edited),
        instruction=instruction,
        options={
            "model": "minigpt4", "weights": str(model_folder), "device": "cpu",
            "precision": "fp32", "min-explained": 0.9, "effort": "normal",
            "max-operations": 5, "verify": True, "constrained": False, **given,
        },
    )  # fmt: skip


@pytest.fixture
def predict(photo, model_folder, reverse_design: PluginManager):
    """Through the manager, as every front end does it."""

    def call(*moves, job: Job | None = None, **options) -> EditPlan:
        made = request(photo, edit(photo, *moves), model_folder, **options)
        plan = reverse_design.call("predict_operations", made, job or Job(), "reverse_design")
        assert parse_plan(plan.to_json()) == plan
        return plan

    return call


@pytest.fixture
def says(monkeypatch):
    """Lets the model say something definite; what it is asked with is kept."""

    def set_answer(text: str) -> None:
        said = parse_answer(text)
        monkeypatch.setattr(predicting, "ask", lambda *_: (said, [0.5] * len(said), text))

    return set_answer


def sha256(model_folder) -> str:
    return hashlib.sha256((model_folder / "projection.safetensors").read_bytes()).hexdigest()


# --- with verification ------------------------------------------------------------------------


def test_the_search_turns_a_wrong_answer_into_the_right_plan(predict, photo, model_folder):
    """The model is real and untrained, so that its constrained answer is as good as drawn."""
    pair = Pair(photo, edit(photo, *TRUTH))
    asked = request(photo, pair.edited, model_folder, constrained=True)
    model = predicting._loaded(model_folder, asked.options).model
    said, _, _ = predicting.ask(model, pair, asked, Job())
    wrong = values(EditPlan(operations=steps(said, load_profile())))
    assert wrong
    assert wrong != list(TRUTH)
    plan = predict(*TRUTH, constrained=True)
    assert sorted(values(plan)) == sorted(TRUTH)
    assert plan.residual.explained > 0.999
    assert plan.provenance.model == "minigpt4+search"
    assert plan.provenance.model_sha256 == sha256(model_folder)


def test_an_answer_that_says_nothing_is_searched_without_it(predict):
    job = Job()
    plan = predict(*TRUTH, job=job)
    assert sorted(values(plan)) == sorted(TRUTH)
    assert any("named no operation" in warning for warning in job.warnings)


def test_a_right_answer_is_confirmed(predict, says):
    says("x\ngrayscale: 1.00,\nbright: 0.56")
    plan = predict(*TRUTH)
    assert values(plan) == list(TRUTH)
    assert all(step.confidence > 0.5 for step in plan.operations), "those of the search"


def test_flips_and_turns_of_the_answer_are_left_to_the_alignment(predict, says):
    says("x\nrotate: 0.33,\nflip: 1.0,\ngrayscale: 1.00,\nbright: 0.56,\nblur: 0.11")
    assert values(predict(("flip", None), *TRUTH)) == [("flip", None), *TRUTH]


def test_verification_abstains_where_nothing_explains_the_edit(predict, says, photo, model_folder):
    says("x\nbright: 0.56")
    other = picture(160, 200, seed=9)
    asked = request(photo, other, model_folder, effort="quick")
    plan = predicting.predict_by_model(asked, Job())
    assert plan.abstained
    assert plan.explanation.startswith("No plan explains this edit")


# --- alone ------------------------------------------------------------------------------------


def test_alone_the_answer_stays_as_it_is_and_is_measured(predict, says, photo, model_folder):
    says("x\ngrayscale: 1.00,\nbright: 0.78")
    plan = predict(*TRUTH, verify=False, min_explained=0.0)
    assert values(plan) == [("grayscale", None), ("bright", 70.0)]
    assert [step.confidence for step in plan.operations] == [0.5, 0.5]
    rendered = render_plan(Picture(photo), plan_of(*values(plan))).rgb8()
    expected = psnr(mean_squared_error(rendered, edit(photo, *TRUTH)))
    assert plan.residual.psnr_db == pytest.approx(expected, abs=1e-6)
    assert 0.0 < plan.residual.explained < 1.0
    assert plan.provenance.model == "minigpt4"
    assert plan.provenance.model_sha256 == sha256(model_folder)


def test_alone_a_right_answer_is_whole(predict, says):
    says("x\nbright: 0.56,\nrotate: 0.33")
    plan = predict(("bright", 50.0), ("rotate", 90), verify=False)
    assert values(plan) == [("bright", 50.0), ("rotate", 90)]
    assert plan.residual.psnr_db is None
    assert plan.residual.explained == 1.0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("x\ninvert: 1.00", "No plan explains this edit: the model's shows"),
        ("I cannot tell.", "The model named no operation ('I cannot tell.')."),
        ("x\ngrayscale: 1.00,\nrotate: 0.33", "turns the picture to another shape"),
    ],
)
def test_alone_it_abstains(predict, says, answer, reason):
    says(answer)
    plan = predict(*TRUTH, verify=False)
    assert plan.abstained
    assert reason in plan.explanation


def test_alone_an_untrained_model_abstains(predict):
    assert predict(*TRUTH, verify=False).abstained
    constrained = predict(*TRUTH, verify=False, constrained=True)
    assert constrained.abstained
    assert constrained.residual is not None, "its answer was read, rendered and judged"


# --- asking -----------------------------------------------------------------------------------


def test_the_instruction_is_the_command(predict, model_folder, monkeypatch):
    from imgedit_reverse_design.minigpt4.model import MiniGPT4

    prompts = []
    answer = MiniGPT4.answer

    def kept(self, pixels, asked, **options):
        prompts.extend(asked)
        return answer(self, pixels, asked, **options)

    monkeypatch.setattr(MiniGPT4, "answer", kept)
    predict(*TRUTH, instruction="Make it an old newspaper.", constrained=True, verify=False)
    predict(*TRUTH, constrained=True, verify=False)
    assert prompts[0][-1].endswith("\nCommand:\nMake it an old newspaper. [/INST] ")
    assert "Command" not in prompts[1][-1]
    assert [p for p in prompts[0] if not isinstance(p, str)] == [0, 1]


def test_confidences_are_the_probabilities_of_the_tokens(photo, model_folder):
    pair = Pair(photo, edit(photo, *TRUTH))
    asked = request(photo, pair.edited, model_folder, constrained=True)
    model = predicting._loaded(model_folder, asked.options).model
    said, confidences, text = predicting.ask(model, pair, asked, Job())
    assert len(said) == len(confidences)
    assert all(0.0 < c < 0.5 for c in confidences), "an untrained model is sure of nothing"
    assert [text[slice(*one.place)].partition(":")[0] for one in said] == [o.name for o in said]


def test_a_job_can_be_cancelled_while_the_model_writes(photo, model_folder):
    job = Job(on_progress=lambda p: job.cancel() if p.stage == "asking the model" else None)
    with pytest.raises(JobCancelledError):
        predicting.predict_by_model(request(photo, photo, model_folder), job)


def test_the_model_is_loaded_once(predict, monkeypatch):
    from imgedit_reverse_design.minigpt4 import model

    predict(*TRUTH, verify=False)
    monkeypatch.setattr(model, "load_model", None)
    predict(*TRUTH, verify=False)


# --- what is missing --------------------------------------------------------------------------


def test_missing_weights_are_one_sentence(photo, tmp_path, monkeypatch, reverse_design):
    monkeypatch.setenv("IMGEDIT_WEIGHTS", str(tmp_path))
    made = request(photo, photo, "")
    with pytest.raises(WeightsError) as told:
        reverse_design.call("predict_operations", made, Job(), "reverse_design")
    for wanted in ("13 GB", "LLaMA 2 Community License", "weights import reverse_design/minigpt4"):
        assert wanted in str(told.value)
    assert reverse_design.get("reverse_design").status == "available"


def test_an_unknown_device_is_told(predict):
    with pytest.raises(OptionError, match="There is no device 'cuda:99' here"):
        predict(*TRUTH, device="cuda:99")


def test_missing_packages_are_told(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else find(name)
    )
    with pytest.raises(PluginError, match=r"not installed: torch\. Run: pip install") as told:
        require_torch()
    assert "imgedit-plugins[torch]" in str(told.value)


# --- scored -----------------------------------------------------------------------------------


def test_evaluation_has_both_rows_in_every_table(data, model_folder, reverse_design):
    from imgedit_plugins.options import resolve_options
    from imgedit_plugins.requests import EvaluateRequest

    info = reverse_design.get("reverse_design")
    given = {"model": "minigpt4", "weights": str(model_folder), "device": "cpu",
             "constrained": True, "limit": 3, "effort": "quick"}  # fmt: skip
    options = resolve_options(reverse_design.options_for(info, "evaluate"), given)
    asked = EvaluateRequest(data=data, options=options)
    report = reverse_design.call("evaluate", asked, Job(), "reverse_design")
    titles = ["Overall", "95 % intervals", "By number of operations", "By operation"]
    assert [table.title for table in report.tables[:-1]] == titles
    assert report.tables[-1].title == "Abstention: the surest answers first"
    overall = {row[0]: dict(zip(report.tables[0].columns, row, strict=True))
               for row in report.tables[0].rows}  # fmt: skip
    assert list(overall)[:2] == ["model alone", "model + verification"]
    assert "empty plan" in overall
    assert overall["model alone"]["abstained %"] == 0.0, "every answer counts, as in the paper"
    assert overall["model alone"]["exact set %"] < 100.0, "an untrained model knows nothing"
    assert overall["model + verification"]["exact set %"] == 100.0
    for table in report.tables[1:-1]:
        names = [str(row[0]) for row in table.rows]
        assert any(name.endswith(", model alone") for name in names)
        assert any(name.endswith(", model + verification") for name in names)
    methods = {"model alone", "model + verification"}
    assert set(report.details) == {row[0] for row in report.tables[-1].rows} == methods
