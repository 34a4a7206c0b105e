"""Both hooks through the core: plans, pictures, self-criticism, documents given back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reasoned_answers import BIRDS, SKY, WARM, Model, content, picture_of, plan, revised, serving

from imgedit_modelkit.language.testing import Said
from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.errors import ImgeditError, JobCancelledError
from imgedit_plugins.jobs import Job
from imgedit_plugins.picture_files import open_picture, save_picture
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, step
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.render import render_plan
from imgedit_plugins.requests import ApplyRequest, EditResult, PredictRequest
from imgedit_reason_edit.reasoning.document import Document, parse_document

DARKER = {**WARM, "operations": [{"name": "exposure", "parameters": {"stops": -1.5}}]}
INVERTS = """
from imgedit_plugins.render.blending import blend
made = blend(request.picture.pixels, 255 - request.picture.pixels, request.mask)
return EditResult(candidates=(Candidate(picture=request.picture.with_pixels(made)),))
"""


def call(
    hook: str, *, job: Job | None = None, picture: Picture | None = None, mask: Any = None,
    instruction: str = "make it a warm evening", **options: Any,
) -> Any:  # fmt: skip
    given = {name.replace("_", "-"): value for name, value in options.items()}
    shown = picture or photograph()
    request: Any = (
        PredictRequest(source=shown, instruction=instruction, options=given)
        if hook == "predict_operations"
        else ApplyRequest(picture=shown, instruction=instruction, mask=mask, options=given)
    )
    manager = PluginManager.discover()
    return manager.call(hook, request, job or Job(), "reason_edit")


def applied(model: Model, **given: Any) -> EditResult:
    with serving(model) as address:
        result: EditResult = call("apply_edit", endpoint=address, **given)
    return result


def predicted(model: Model, **given: Any) -> EditPlan:
    with serving(model) as address:
        result: EditPlan = call("predict_operations", endpoint=address, **given)
    return result


def saved(folder: Path) -> Document:
    return parse_document((folder / "document.json").read_text("utf-8"))


# --- plans ------------------------------------------------------------------------------------


def test_operations_on_the_whole_picture_are_a_plan() -> None:
    for found in (applied(Model()).plan, predicted(Model())):
        assert found is not None
        assert found.operations == (step("temperature", shift=40),)
        assert found.explanation == "A warm evening."
        assert found.provenance is not None
        assert found.provenance.plugin == "reason_edit"
        assert found.provenance.model.startswith("eyes at http://127.0.0.1")
    assert not applied(Model()).candidates, "editors hold it live"


def test_what_a_plan_cannot_hold_is_told() -> None:
    job = Job()
    found = predicted(Model([plan(WARM, SKY)]), job=job)
    assert found.operations == (step("temperature", shift=40),)
    (warning,) = job.warnings
    assert "“Darker sky” is left out" in warning
    found = predicted(Model([plan(SKY)]))
    assert found.abstained
    assert found.explanation == "This takes more than operations on the whole picture: “Darker sky”"
    for hook in (predicted, applied):
        result: Any = hook(Model([plan(intent="It is warm already.")]))
        told = result if isinstance(result, EditPlan) else result.plan
        assert (told.abstained, told.explanation) == (True, "It is warm already.")


def test_nothing_without_an_instruction() -> None:
    for hook in ("predict_operations", "apply_edit"):
        with pytest.raises(ImgeditError, match="declined"):
            call(hook, instruction=" ")


def test_an_instruction_that_no_document_can_hold_is_told_before_anything_is_asked() -> None:
    model = Model()
    with serving(model) as address:
        for hook in ("predict_operations", "apply_edit"):
            with pytest.raises(ImgeditError, match="has 10001 characters, more than 10000"):
                call(hook, instruction="x" * 10_001, endpoint=address)
    assert not model.asked


# --- pictures ---------------------------------------------------------------------------------


def test_regions_and_what_is_painted_lie_above_the_plan(site: Any, tmp_path: Path) -> None:
    site.install("painter", body=INVERTS, rank=60)
    picture = photograph()
    result = applied(Model([plan(WARM, SKY, BIRDS)]), picture=picture, painter="painter")
    (candidate,) = result.candidates
    assert result.explanation == "A warm evening."
    assert result.plan is not None
    assert [one.name for one in result.plan.operations] == ["temperature"]
    assert result.plan.provenance is not None
    assert candidate.layer is not None
    assert 0.1 < (candidate.layer.pixels[:, :, 3] > 0).mean() < 0.9
    warm = render_plan(picture, EditPlan(operations=(step("temperature", shift=40),)))
    kept = candidate.picture.pixels[-5:]
    np.testing.assert_array_equal(kept, warm.pixels[-5:])
    assert not np.array_equal(candidate.picture.pixels[:30], warm.pixels[:30])


def test_what_could_not_be_painted_is_a_warning() -> None:
    """MGIE is installed, and has no weights here."""
    result = applied(Model([plan(WARM, BIRDS)]))
    assert result.plan is not None
    assert [one.name for one in result.plan.operations] == ["temperature"]
    assert not result.candidates
    (warning,) = result.warnings
    assert "“Swallows” could not be painted: There is no MGIE model" in warning
    with pytest.raises(ImgeditError, match="There is no MGIE model"):
        applied(Model([plan(BIRDS)]))


@pytest.mark.parametrize("depth", ["uint16", "float32"])
def test_depth_profile_and_pixels_outside_of_the_selection_stay(depth: str) -> None:
    pixels = photograph().pixels
    deep = pixels.astype(np.uint16) * 257 if depth == "uint16" else pixels / np.float32(255)
    picture = Picture(np.ascontiguousarray(deep.astype(depth)))
    mask = np.zeros((64, 96), np.uint8)
    mask[10:50, 10:60] = 255
    model = Model([plan(SKY)])
    result = applied(model, picture=picture, mask=mask)
    made = result.candidates[0].picture.pixels
    assert made.dtype == depth
    np.testing.assert_array_equal(made[mask == 0], picture.pixels[mask == 0])
    assert (made[mask == 255] != picture.pixels[mask == 255]).any()
    assert "The user has selected a part" in model.asked[0][1]["messages"][0]["content"][0]["text"]


# --- self-criticism ---------------------------------------------------------------------------


def test_a_content_model_is_asked_twice(tmp_path: Path) -> None:
    model = Model()
    applied(model, save_folder=str(tmp_path / "look"))
    assert model.kinds() == ["plan", "criticise"]
    beside = picture_of(model.asked[1][1])
    before, after = beside[:, :96].astype(int), beside[:, -96:].astype(int)
    assert np.abs(before - photograph().pixels).mean() < 8, "the picture before is on the left"
    assert (after - before)[:, :, 0].mean() > (after - before)[:, :, 2].mean() + 20, "warmer"
    told = saved(tmp_path / "look").criticism
    assert told is not None
    assert (told.criticism, told.layers, told.kept) == ("It is good as it is.", (), False)


@pytest.mark.parametrize("hook", ["predict_operations", "apply_edit"])
@pytest.mark.parametrize("better", ["first", "second", "neither"])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_correction_counts_only_if_it_is_better(
    hook: str, better: str, seed: int, tmp_path: Path
) -> None:
    model = Model(criticisms=[revised(DARKER)], better=better)
    folder = tmp_path / "look"
    with serving(model) as address:
        given = {"endpoint": address, "save-folder": str(folder)}
        shown = photograph()
        request: Any = (
            PredictRequest(source=shown, instruction="x", options=given, seed=seed)
            if hook == "predict_operations"
            else ApplyRequest(picture=shown, instruction="x", options=given, seed=seed)
        )
        found: Any = PluginManager.discover().call(hook, request, Job(), "reason_edit")
    assert model.kinds() == ["plan", "criticise", "choose"]
    made = found if hook == "predict_operations" else found.plan
    names = [one.name for one in made.operations]
    assert names == (["exposure"] if better == "second" else ["temperature"])
    document = saved(folder)
    told = document.criticism
    assert told is not None
    assert told.criticism == "The sky is too bright."
    assert told.reason == "It looks natural."
    assert told.kept == (better == "second")
    assert told.layers[0].operations[0].name == "exposure"
    assert [layer.operations[0].name for layer in told.before] == (
        ["temperature"] if better == "second" else []
    )
    assert document.layers[0].operations[0].name == names[0], "both are recorded"


def test_places_are_drawn() -> None:
    """A model that always prefers the right picture does not always get the second edit."""
    kept = set()
    for seed in range(8):
        model = Model(criticisms=[revised(DARKER)], better="right")
        with serving(model) as address:
            request = ApplyRequest(
                picture=photograph(), instruction="x", options={"endpoint": address}, seed=seed
            )
            made = PluginManager.discover().call("apply_edit", request, Job(), "reason_edit")
        kept.add(made.plan.operations[0].name)
    assert kept == {"temperature", "exposure"}


def test_the_same_seed_gives_the_same() -> None:
    results = [applied(Model([plan(WARM, SKY)])).candidates[0].picture.pixels for _ in range(2)]
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("criticisms", "better", "why"),
    [
        (["I like it."], "second", "gave no criticism that can be used"),
        ([revised({**DARKER, "operations": []})], "second", "gave no criticism"),
        ([Said(b"", 401)], "second", "refuses: 401"),
        ([revised(DARKER)], Said(b"", 401), "refuses: 401"),
        ([revised(DARKER)], "left", "'better' must be middle, right or neither, not 'left'"),
    ],
)
def test_a_failing_criticism_leaves_the_first_plan(criticisms: Any, better: Any, why: str) -> None:
    job = Job()
    result = applied(Model(criticisms=criticisms, better=better), job=job, attempts=1)
    assert result.plan is not None
    assert result.plan.operations == (step("temperature", shift=40),)
    (warning,) = job.warnings
    assert warning.startswith("The first plan is kept as it is: ")
    assert why in warning


def test_criticism_can_be_left_out() -> None:
    model = Model()
    applied(model, criticism=False)
    assert model.kinds() == ["plan"]


def test_a_plan_with_something_to_paint_is_criticised_when_it_is_painted(site: Any) -> None:
    site.install("painter", body=INVERTS, rank=60)
    model = Model([plan(WARM, BIRDS)])
    predicted(model, painter="painter")
    assert model.kinds() == ["plan"]
    model = Model([plan(WARM, BIRDS)])
    applied(model, painter="painter")
    assert model.kinds() == ["plan", "criticise"]


def test_nothing_is_painted_for_a_plan(site: Any) -> None:
    """Not even to see what a correction would come to."""
    body = 'raise AssertionError("it was painted")'
    site.install("painter", body=body, rank=60)
    model = Model([plan(WARM)], criticisms=[revised(WARM, BIRDS), revised(DARKER)])
    found = predicted(model, painter="painter")
    assert [one.name for one in found.operations] == ["exposure"]
    assert model.kinds() == ["plan", "criticise", "criticise", "choose"]
    assert "nothing can be painted here" in model.told(2)


def test_cancelling_while_it_looks_at_the_result() -> None:
    job = Job()

    class Cancels(Model):
        def __call__(self, body: Any, headers: Any) -> Said:
            if self.asked:
                job.cancel()
            return super().__call__(body, headers)

    with pytest.raises(JobCancelledError):
        applied(Cancels(), job=job)


# --- documents --------------------------------------------------------------------------------


def test_a_document_is_changed_and_given_back(tmp_path: Path) -> None:
    folder = tmp_path / "look"
    predicted(Model([plan(WARM, SKY)], criticisms=[content()]), save_folder=str(folder))
    assert {path.name for path in folder.iterdir()} == {
        "document.json", "preview.png", "region-2.png"
    }  # fmt: skip
    data = json.loads((folder / "document.json").read_text("utf-8"))
    data["layers"][1]["operations"][0]["parameters"]["stops"] = 2.0
    data["layers"][1]["region"]["mask"] = "region-2.png"
    (folder / "document.json").write_text(json.dumps(data), "utf-8")
    half = np.zeros((64, 96, 1), np.uint8)
    half[:, 48:] = 255  # painted over
    save_picture(Picture(half), folder / "region-2.png")

    again = tmp_path / "again"
    result = call("apply_edit", document=str(folder), save_folder=str(again))
    warm = render_plan(photograph(), EditPlan(operations=(step("temperature", shift=40),)))
    lit = render_plan(warm, EditPlan(operations=(step("exposure", stops=2),)), mask=half[:, :, 0])
    np.testing.assert_array_equal(result.candidates[0].picture.pixels, lit.pixels)
    assert result.explanation == "A warm evening."
    copy = saved(again)
    assert copy.layers[1].region is not None
    assert copy.layers[1].region.mask == "region-2.png"
    np.testing.assert_array_equal(open_picture(again / "region-2.png").pixels, half)
    twice = call("apply_edit", document=str(again))
    np.testing.assert_array_equal(twice.candidates[0].picture.pixels, lit.pixels)


def test_masks_of_regions_that_a_correction_did_away_with_are_gone(tmp_path: Path) -> None:
    folder = tmp_path / "look"
    applied(Model([plan(WARM, SKY)], criticisms=[revised(DARKER)]), save_folder=str(folder))
    assert {path.name for path in folder.iterdir()} == {"document.json", "preview.png"}
    assert [layer.region for layer in saved(folder).layers] == [None]


def test_masks_keep_their_names_and_take_no_other_ones(tmp_path: Path) -> None:
    """A layer's mask may be called as another layer's would be."""
    mine = tmp_path / "mine"
    mine.mkdir()
    half = np.zeros((64, 96, 1), np.uint8)
    half[:, 48:] = 255
    for name in ("region-2.png", "preview.png"):
        save_picture(Picture(half), mine / name)
    first = {**SKY, "region": {"mask": "region-2.png"}}
    (mine / "document.json").write_text(json.dumps({"layers": [first, SKY]}), "utf-8")
    folder = tmp_path / "look"
    call("apply_edit", document=str(mine), save_folder=str(folder))
    np.testing.assert_array_equal(open_picture(folder / "region-2.png").pixels, half)
    first["region"] = {"mask": "preview.png"}
    (mine / "document.json").write_text(json.dumps({"layers": [first]}), "utf-8")
    with pytest.raises(ImgeditError, match=r"mask cannot be called 'preview\.png'"):
        call("apply_edit", document=str(mine), save_folder=str(tmp_path / "other"))


def test_a_given_document_needs_no_model_and_no_criticism(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"layers": [WARM]}), "utf-8")
    model = Model()
    with serving(model) as address:
        found = call("predict_operations", document=str(file), endpoint=address)
        made = call("apply_edit", document=str(file), endpoint=address)
    assert not model.asked
    assert found.operations == made.plan.operations == (step("temperature", shift=40),)
    assert found.provenance.model == "a document of nobody"
    assert made.explanation == "Warmer light"


def test_nothing_of_the_users_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "document.json"
    file.write_text("mine", "utf-8")
    model = Model()
    with pytest.raises(ImgeditError, match=r"exists already and may hold your changes\. Name ano"):
        applied(model, save_folder=str(tmp_path))
    assert not model.asked, "it is told before anything is asked"
    assert file.read_text("utf-8") == "mine"
    for name in ("preview.png", "region-3.png"):
        mine = tmp_path / name.partition(".")[0] / name
        mine.parent.mkdir()
        mine.write_text("mine", "utf-8")
        with pytest.raises(ImgeditError, match=f"{name} exists already and may hold your"):
            applied(model, save_folder=str(mine.parent))
        assert [(one.name, one.read_text("utf-8")) for one in mine.parent.iterdir()] == [
            (name, "mine")
        ]
    assert not model.asked
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(ImgeditError, match="cannot be written"):
        applied(model, save_folder=str(taken))
    with pytest.raises(ImgeditError, match="cannot be written"):
        applied(model, save_folder="a\0b")


def test_a_document_is_there_before_anything_is_painted(site: Any, tmp_path: Path) -> None:
    folder = tmp_path / "look"
    body = f"""
from pathlib import Path
from imgedit_plugins.errors import PluginError
raise PluginError("There: " + str(Path({str(folder / "document.json")!r}).exists()))
"""
    site.install("watches", body=body, rank=60)
    with pytest.raises(ImgeditError, match="There: True"):
        applied(Model([plan({"title": "x", "region": None, "paint": "y"})]), painter="watches",
                save_folder=str(folder))  # fmt: skip
    assert saved(folder).layers[0].paint == "y", "what was asked for is not lost"


def test_the_preview_shows_the_regions(tmp_path: Path) -> None:
    outside = {**SKY, "region": {**SKY["region"], "outside": True, "shape": "box"}}
    picture = photograph(320, 200)
    predicted(Model([plan(SKY, outside)]), save_folder=str(tmp_path / "a"), picture=picture)
    shown = open_picture(tmp_path / "a" / "preview.png").pixels.astype(int)
    assert shown.shape == (200, 320, 3)
    change = np.abs(shown - picture.pixels).max(2)
    assert (change > 10).mean() > 0.8
    np.testing.assert_array_equal(
        open_picture(tmp_path / "a" / "region-2.png").pixels[:, :, 0][0, 150], 255
    )
    predicted(Model([plan(WARM)]), save_folder=str(tmp_path / "b"), picture=picture)
    plain = open_picture(tmp_path / "b" / "preview.png").pixels
    np.testing.assert_array_equal(plain, picture.pixels)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"layers": [', "This is not JSON"),
        ('{"layers": [{"paint": ""}]}', "either operations or something to paint"),
        (json.dumps({"layers": [{**WARM, "region": {"mask": "no.png"}}]}), "mask cannot be used"),
        (json.dumps({"layers": [{**WARM, "region": {"box": [0, 0, 1e-9, 1e-9], "shape": "box",
                                                    "feather": 0}}]}),
         "has no pixel"),
    ],
)  # fmt: skip
def test_documents_that_cannot_be_carried_out(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text, "utf-8")
    with pytest.raises(ImgeditError) as caught:
        call("apply_edit", document=str(file))
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
