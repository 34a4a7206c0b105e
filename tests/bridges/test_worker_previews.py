"""Layers above a plan, and previews: asked for by who knows them, of who knows them."""

from __future__ import annotations

import base64
import json
import time

import numpy as np
import pytest
from worker_home import does, got, put, raw, small, until, wait_for

from imgedit_bridges import step_previews
from imgedit_bridges.errors import MessageError
from imgedit_bridges.protocol import FEATURES, JobRequest, parse_job
from imgedit_bridges.step_previews import PreviewPicture, parse_preview
from imgedit_plugins import jobs

PIXELS = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


def request(client, what, **fields):
    return JobRequest("apply_edit", {"picture": put(client, PIXELS)}, instruction=what, **fields)


def test_both_sides_know_the_same_size():
    assert step_previews.LONGEST == jobs.LONGEST_PREVIEW


# --- layers -----------------------------------------------------------------------------------


def test_layers_come_with_the_plan_below_them(client):
    _, result = client.run(request(client, "layers", layers=True, seed=3))
    assert result.layered
    assert [one["name"] for one in result.plan["operations"]] == ["bright"]
    layer = got(client, result.pictures[0])
    assert layer.shape == (4, 5, 4)
    assert (layer[..., :3] == 9).all()
    assert (layer[..., 3] == 200).all()
    assert result.pictures[0].seed == 3


def test_who_does_not_ask_for_layers_gets_whole_pictures_and_no_plan(client):
    """A plan beside whole pictures means that it does the same, and this one does not."""
    _, result = client.run(request(client, "layers"))
    assert not result.layered
    assert result.plan is None
    assert (got(client, result.pictures[0]) == np.full((4, 5, 3), 9)).all()


def test_results_without_layers_are_as_they_were(client):
    _, asked = client.run(request(client, "invert", layers=True))
    assert not asked.layered
    assert np.array_equal(got(client, asked.pictures[0]), 255 - PIXELS)


# --- previews ---------------------------------------------------------------------------------


def test_previews_are_small_few_and_in_the_order_of_the_steps(client):
    job = client.submit(request(client, "previews", previews=True))
    until(client, job, "started")
    began = time.monotonic()
    events = until(client, job, "done")
    seconds = time.monotonic() - began
    shown = [found for event in events if (found := parse_preview(event))]
    assert seconds > 1.2, "60 steps"
    assert 2 <= len(shown) <= 4 * seconds + 2
    assert all((one.width, one.height, one.place) == (256, 171, (1, 2, 30, 20)) for one in shown)
    colours = [one.pixels[:3] for one in shown]
    assert all(colour[1:] == bytes((7, 9)) for colour in colours)
    steps = [colour[0] for colour in colours]
    assert steps == sorted(set(steps))
    assert events[-1]["result"]["explanation"] == "True"
    assert [event["number"] for event in events] == sorted(event["number"] for event in events)


def test_nobody_makes_previews_where_nobody_asked(client):
    events = until(client, client.submit(request(client, "previews")), "done")
    assert "preview" not in [event["event"] for event in events]
    assert events[-1]["result"]["explanation"] == "False"


def test_who_comes_late_gets_the_last_preview_and_who_comes_after_the_end_none(client):
    job = client.submit(request(client, "previews", previews=True))
    until(client, job, "stepping")
    early = [event["event"] for event in until(client, job, "done")]
    assert early.count("preview") >= 1
    late = [event["event"] for event in client.events(job)]
    assert "preview" not in late
    assert late[-1] == "done"
    assert len(late) <= 4, "the story of a job stays short"


def test_a_worker_that_does_not_know_them_is_not_asked(home, monkeypatch):
    """It would refuse fields that it does not know."""
    client = home.started()
    real = client.connect

    def older():
        hello = real()
        return client._met(client._now(), {k: v for k, v in hello.items() if k != "features"})

    monkeypatch.setattr(client, "connect", older)
    client.connect()
    asked = request(client, "layers", layers=True, previews=True)
    sent = []
    ask = client._ask
    monkeypatch.setattr(client, "_ask", lambda *a, **k: sent.append(a) or ask(*a, **k))
    _, result = client.run(asked)
    assert not result.layered
    assert not {"layers", "previews"} & sent[-1][2].keys()


def test_a_client_that_does_not_know_them_is_served_as_before(home):
    """What a plug-in of the first version sends, byte for byte, and what it understands."""
    client = home.started()
    status, hello = raw(home.state, "GET", "/v1/hello")
    assert status == 200
    assert hello["protocols"] == [1]
    assert hello["features"] == list(FEATURES)
    ref = put(client, PIXELS).to_json()
    body = {"hook": "apply_edit", "inputs": {"picture": ref}, "instruction": "layers"}
    status, made = raw(home.state, "POST", "/v1/jobs", json.dumps(body).encode())
    assert status == 201

    def ended():
        return raw(home.state, "GET", f"/v1/jobs/{made['job']}")[1]["state"] == "done"

    wait_for(ended)
    done = raw(home.state, "GET", f"/v1/jobs/{made['job']}")[1]["last"]["result"]
    assert sorted(done) == ["explanation", "pictures", "plan", "warnings"]
    assert sorted(done["pictures"][0]) == sorted([*ref, "offset", "seed"])


# --- messages ---------------------------------------------------------------------------------


PREVIEW = PreviewPicture(2, 1, bytes(range(6)), (0, 0, 20, 10))


def test_a_preview_is_read_as_it_was_written():
    told = {"number": 3, "event": "preview", **PREVIEW.to_json()}
    assert parse_preview(json.loads(json.dumps(told))) == PREVIEW
    assert parse_preview({"event": "progress"}) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0),
        ("width", 257),
        ("height", "1"),
        ("height", None),
        ("place", [0, 0, 1]),
        ("place", [0, 0, 1, -1]),
        ("place", None),
        ("pixels", None),
        ("pixels", "#"),
        ("pixels", base64.b64encode(bytes(7)).decode()),
    ],
)
def test_a_preview_that_is_none_is_refused_with_its_place(field, value):
    told = {"event": "preview", **PREVIEW.to_json(), field: value}
    with pytest.raises(MessageError, match=f"preview.{field}"):
        parse_preview(told)


@pytest.mark.parametrize("field", ["layers", "previews"])
@pytest.mark.parametrize("value", [1, "true", []])
def test_what_is_asked_for_is_true_or_false(field, value):
    ref = {"pixels": "0" * 32, "width": 5, "height": 4, "channels": 3, "dtype": "uint8"}
    body = {"hook": "apply_edit", "inputs": {"picture": ref}, field: value}
    with pytest.raises(MessageError, match=f"{field}: true or false is needed"):
        parse_job(body)


def test_plugins_see_no_difference(client):
    """Which of them the client knows is not told to plugins in their request."""
    _, one = client.run(does(client, "invert", small(), layers=True, previews=True))
    _, other = client.run(does(client, "invert", small()))
    assert np.array_equal(got(client, one.pictures[0]), got(client, other.pictures[0]))
