"""A language model that misbehaves, behind a real socket: it is told why, then the user is."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import numpy as np
import pytest
from reasoned_answers import BIRDS, SKY, WARM, Model, picture_of, plan, serving

from imgedit_modelkit.language.endpoint import KEY_VARIABLE
from imgedit_modelkit.language.testing import Said, chat_server, text
from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.errors import JobCancelledError, OptionError
from imgedit_plugins.jobs import Job
from imgedit_plugins.options import resolve_options
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plugins import PluginManager
from imgedit_reason_edit.reasoning.asking import ReasoningError
from imgedit_reason_edit.reasoning.document import Document
from imgedit_reason_edit.reasoning.planning import Planner
from imgedit_reason_edit.reasoning.settings import asker_of

MANAGER = PluginManager.discover()
SPECS = MANAGER.options_for(MANAGER.get("reason_edit"), "apply_edit")
GOOD = plan(WARM, SKY)


def options(**given: Any) -> Any:
    return resolve_options(SPECS, {name.replace("_", "-"): value for name, value in given.items()})


def planned(
    model: Any, *, job: Job | None = None, paints: bool = False, picture: Picture | None = None,
    **given: Any,
) -> Document:  # fmt: skip
    with serving(model) as address:
        asker = asker_of(options(endpoint=address, **given), 0, job or Job())
        planner = Planner.of(asker, paints=paints)
        return planner.plan(picture or photograph(), "make it a warm evening", None)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between requests are those of the protocol, in hundredths."""
    waited = threading.Event.wait
    monkeypatch.setattr(
        threading.Event, "wait",
        lambda self, timeout=None: waited(self, None if timeout is None else timeout / 100),
    )  # fmt: skip


# --- what goes well ---------------------------------------------------------------------------


def test_the_model_sees_the_picture_and_all_that_it_can_do() -> None:
    model = Model([GOOD])
    wide = photograph(2400, 1200)
    document = planned(model, picture=wide)
    ((kind, body),) = model.asked
    assert kind == "plan"
    assert picture_of(body).shape == (512, 1024, 3)
    assert np.abs(picture_of(body).mean((0, 1)) - wide.rgb8().mean((0, 1))).max() < 2
    told = model.told()
    assert '"make it a warm evening"' in told
    for name in ("temperature", "hsl", "perspective"):
        assert f"- {name}" in told
    form = body["response_format"]["json_schema"]["schema"]
    assert set(form["properties"]) == {"intent", "layers"}
    assert (body["model"], body["temperature"]) == ("eyes", 0)
    assert document.intent == "A warm evening."
    assert [layer.title for layer in document.layers] == ["Warmer light", "Darker sky"]
    assert document.origin is not None
    assert document.origin.model.startswith("eyes at http://127.0.0.1:")
    assert document.origin.attempts == 1


def test_transparent_parts_are_shown_grey() -> None:
    model = Model([GOOD])
    pixels = np.zeros((40, 60, 4), np.uint16)
    pixels[:, 30:] = 65535
    planned(model, picture=Picture(pixels))
    shown = picture_of(model.asked[0][1])
    assert np.abs(shown[:, :25].astype(int) - 128).max() < 6
    assert shown[:, 35:].min() > 245


def test_a_selection_is_told() -> None:
    model = Model([GOOD])
    selection = np.zeros((64, 96), np.uint8)
    selection[16:48, 24:72] = 255
    with serving(model) as address:
        asker = asker_of(options(endpoint=address), 0, Job())
        Planner.of(asker, paints=False).plan(photograph(), "brighter", selection)
    assert "within [0.25, 0.25, 0.75, 0.75]" in model.told()


def test_painting_is_offered_only_where_somebody_paints() -> None:
    for paints in (True, False):
        model = Model([GOOD])
        planned(model, paints=paints)
        assert ("- or paint:" in model.told()) == paints
        form = json.dumps(model.asked[0][1]["response_format"])
        assert ('"paint"' in form) == paints
    model = Model([plan(BIRDS), plan(SKY)])
    assert not any(layer.paint for layer in planned(model).layers)
    assert "nothing can be painted here" in model.told()


# --- what does not ----------------------------------------------------------------------------

SORRY = "I'm sorry, but I can't help with that."
RANGE = {"title": "", "region": None,
         "operations": [{"name": "bright", "parameters": {"offset": 999}}]}  # fmt: skip
UNKNOWN = {"title": "", "region": None, "operations": [{"name": "brigth", "parameters": {}}]}
OFF = {**SKY, "region": {**SKY["region"], "box": [0, 0, 512, 300]}}
NOTHING = {**SKY, "region": {**SKY["region"], "box": [0, 0, 1, 1], "shape": "box",
                             "outside": True}}  # fmt: skip
REFUSED = Said({"choices": [{"message": {"content": None, "refusal": SORRY}}]})


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (GOOD[:80], "not valid JSON, or not whole"),
        (text(GOOD[:80], ended=False), "broken off because it became too long"),
        ('{"intent": "x"}', "no field 'layers'"),
        ('{"layers": {}}', "layers: input should be a list"),
        ('{"intent": 5, "layers": []}', "intent: input should be a valid string"),
        (plan(UNKNOWN), "There is no operation 'brigth'. Did you mean 'bright'?"),
        (plan(RANGE), "must be between -255 and 255 code, not 999"),
        (plan(OFF), "layers[0].region.box[2]: input should be less than or equal to 1, not 512"),
        (plan({**WARM, "strength": 3}), "layers[0].strength: there is no such field"),
        (plan({**SKY, "region": {**SKY["region"], "mask": "x.png"}}), "there are no masks"),
        (plan(NOTHING), "The region (the sky) has no pixel in a picture of 96 × 64"),
        (SORRY, "no JSON object in it"),
        (REFUSED, f"refuses to answer: {SORRY}"),
        ("", "it is empty"),
        (Said({"choices": []}), "answered no text"),
    ],
)
def test_a_bad_answer_is_asked_for_again_with_the_reason(said: Any, why: str) -> None:
    model = Model([said, GOOD])
    document = planned(model)
    assert len(document.layers) == 2
    assert document.origin is not None
    assert document.origin.attempts == 2
    (_, first), (_, second) = model.asked
    assert why in model.told()
    assert second["messages"][0] == first["messages"][0]
    assert [one["role"] for one in second["messages"]] == ["user", "assistant", "user"]
    assert second["temperature"] > 0, "its likeliest words were the wrong ones"

    model = Model([said])
    with pytest.raises(ReasoningError) as caught:
        planned(model, attempts=2)
    told = str(caught.value)
    assert "was asked 2 times and gave no plan that can be used" in told
    assert why in told
    assert "\n" not in told
    assert len(model.asked) == 2


def test_only_the_last_bad_answer_is_repeated() -> None:
    model = Model([SORRY, plan(UNKNOWN), GOOD])
    planned(model)
    last = model.asked[-1][1]["messages"]
    assert len(last) == 3
    assert "brigth" in last[1]["content"]


def test_prose_around_the_plan_is_no_fault() -> None:
    document = planned(Model([f"Of course!\n```json\n{GOOD}\n```\nAnything else?"]))
    assert document.origin is not None
    assert (len(document.layers), document.origin.attempts) == (2, 1)


@pytest.mark.parametrize(
    "hiccup",
    [Said(b"slow down", 429), Said(b"wait", 429, headers={"Retry-After": "2"}), Said(b"", 500),
     Said(b"", 503), Said(b"<html>", 200), text(GOOD, cut=50)],
)  # fmt: skip
def test_a_server_with_hiccups_is_asked_again(hiccup: Said) -> None:
    model = Model([hiccup, GOOD])
    document = planned(model)
    assert document.origin is not None
    assert (len(document.layers), document.origin.attempts) == (2, 1)
    assert len(model.asked) == 2


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Said(b"slow down", 429), "does not answer after 3 attempts: 429 Too Many Requests"),
        (Said(b"", 500), "does not answer after 3 attempts: 500"),
        (Said(b"bad key", 401), "refuses: 401 Unauthorized. bad key"),
        (Said(b"", 429, headers={"Retry-After": "3600"}), "wants to be left alone for 3600 s"),
        (text(GOOD, delay=3.0), "does not answer after 3 attempts: timed out"),
    ],
)
def test_a_server_that_does_not_answer_is_told_in_a_sentence(said: Said, why: str) -> None:
    with pytest.raises(ReasoningError) as caught:
        planned(Model([said]), timeout=0.2)
    assert why in str(caught.value)
    assert "the option 'timeout' gives it more time" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("known", ["json_object", ""])
def test_a_server_without_schemas_is_asked_in_another_way(known: str) -> None:
    model = Model([GOOD])

    def answer(body: Any, headers: Any) -> Said:
        kind = body.get("response_format", {}).get("type", "")
        return model(body, headers) if kind in ("", known) else Said(b"what is this?", 400)

    assert len(planned(answer).layers) == 2


def test_waiting_can_be_cancelled() -> None:
    job = Job()
    threading.Timer(0.5, job.cancel).start()
    began = time.monotonic()
    with pytest.raises(JobCancelledError):
        planned(Model([text(GOOD, delay=20.0)]), job=job)
    assert time.monotonic() - began < 10


# --- whom it may tell what --------------------------------------------------------------------


def test_the_key_comes_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    model = Model([GOOD])

    def answer(body: Any, headers: Any) -> Said:
        seen.append((headers.get("Authorization"), json.dumps(body)))
        return model(body, headers)

    planned(answer)
    monkeypatch.setenv(KEY_VARIABLE, "secret-7")
    document = planned(answer)
    assert [key for key, _ in seen] == [None, "Bearer secret-7"]
    assert not any("secret-7" in body for _, body in seen)
    assert "secret-7" not in document.to_json()
    assert not [spec.name for spec in SPECS if "key" in spec.name]


@pytest.mark.parametrize("address", ["http://192.0.2.1:9/v1", "https://api.example.com/v1"])
def test_a_server_elsewhere_gets_nothing_unless_it_may(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgedit_modelkit.language import endpoint

    def nobody(_: str) -> Any:
        raise AssertionError("something was sent")

    monkeypatch.setattr(endpoint, "opener_for", nobody)
    with pytest.raises(OptionError, match="would be sent the picture") as caught:
        asker_of(options(endpoint=address), 0, Job())
    assert "send-pictures=yes" in str(caught.value)
    job = Job()
    asker_of(options(endpoint=address, endpoint_model="eyes", send_pictures=True), 0, job)
    assert job.warnings == [f"The picture and the instruction are sent to {address}."]
    job = Job()
    asker_of(options(endpoint="http://localhost:1/v1", endpoint_model="eyes"), 0, job)
    assert not job.warnings


def test_which_model_is_asked() -> None:
    with pytest.raises(OptionError, match="none is given"):
        asker_of(options(), 0, Job())
    with pytest.raises(OptionError, match="both are given"):
        asker_of(options(endpoint="http://localhost:1/v1", model_folder="/x"), 0, Job())
    with pytest.raises(ReasoningError, match="does not tell its models: Connection refused"):
        asker_of(options(endpoint="http://127.0.0.1:1/v1"), 0, Job())
    with pytest.raises(OptionError, match="begins with http, not 'localhost:11434/v1'"):
        asker_of(options(endpoint="localhost:11434/v1"), 0, Job())
    with chat_server(lambda *_: text(""), models=("a", "b")) as (address, _):
        with pytest.raises(OptionError, match=r"'endpoint-model' is needed: .* has a, b"):
            asker_of(options(endpoint=address), 0, Job())
        asker = asker_of(options(endpoint=address, endpoint_model="b"), 0, Job())
        assert asker.model.identity == f"b at {address}"
