"""Jobs of a real worker over real sockets: results are those of the same call in this process."""

from __future__ import annotations

import re
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageCms
from worker_home import does, got, put, raw, small, until, wait_for, whoami

from imgedit_bridges import transport
from imgedit_bridges.client import JobFailedError
from imgedit_bridges.errors import BridgeError
from imgedit_bridges.protocol import JobRequest, PictureRef
from imgedit_plugins.authoring.samples import mask_for, photograph
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.pictures import Picture
from imgedit_plugins.plan import EditPlan, parse_plan, step
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.render import render_plan
from imgedit_plugins.requests import PredictRequest

PLAN = EditPlan(operations=(step("bright", offset=20), step("contrast", gain=1.2)))
PLAN_JSON = PLAN.model_dump(mode="json", by_alias=True)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def render(client, picture, **fields):
    request = JobRequest("render", {"picture": put(client, picture.pixels)}, **fields)
    job, result = client.run(request)
    return got(client, result.pictures[0]), result, job


# --- results ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tcp", [0, 1])
def test_prediction_is_the_one_of_this_process(make_home, tcp):
    home = make_home(tcp=tcp)
    client = home.started()
    assert home.state.address.startswith("tcp:127.0.0.1:" if tcp else "unix:/")
    source = photograph(160, 120)
    edited = render_plan(source, parse_plan({"operations": [{"name": "invert"}]}))
    inputs = {"source": put(client, source.pixels), "edited": put(client, edited.pixels)}
    _, result = client.run(JobRequest("predict_operations", inputs, plugin="reverse_design"))
    request = PredictRequest(source=source, edited=edited)
    here = PluginManager.discover().call("predict_operations", request, Job(), "reverse_design")
    assert parse_plan(result.plan) == here
    assert [op["name"] for op in result.plan["operations"]] == ["invert"]
    assert result.explanation == here.explanation


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_rendering_is_the_one_of_this_process(client, dtype, mode):
    picture = photograph(90, 70, mode=mode, dtype=dtype)
    pixels, _, _ = render(client, picture, plan=PLAN_JSON)
    expected = render_plan(picture, PLAN).pixels
    assert pixels.dtype == expected.dtype
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_blue_may_come_first(client, dtype, mode):
    picture = photograph(90, 300, mode=mode, dtype=dtype)
    swap = [2, 1, 0, 3][: picture.pixels.shape[2]]
    plan = EditPlan(operations=(step("temperature", shift=40),))
    data = np.ascontiguousarray(picture.pixels[:, :, swap])
    sent = client.put_picture(data.data, 90, 300, len(swap), dtype, order="bgr")
    plan_json = plan.model_dump(mode="json", by_alias=True)
    _, result = client.run(JobRequest("render", {"picture": sent}, plan=plan_json))
    assert result.pictures[0].ref.order == "bgr"
    pixels = got(client, result.pictures[0])
    assert np.array_equal(pixels[:, :, swap], render_plan(picture, plan).pixels)
    assert not np.array_equal(pixels, render_plan(picture, plan).pixels)


def test_the_files_of_a_large_rendering_are_used_again(home):
    client = home.started()
    first, second = (photograph(3000, 1900, seed=seed) for seed in (1, 2))
    inodes = []
    for picture in (first, second, first):
        pixels, result, job = render(client, picture, plan=PLAN_JSON)
        assert np.array_equal(pixels, render_plan(picture, PLAN).pixels)
        (name,) = (one.ref.pixels for one in result.pictures)
        inodes.append({(home.places.pixels / one).stat().st_ino for one in home.pixel_files()})
        assert name in home.pixel_files()
        for one in [n for n in home.pixel_files() if n != name]:
            client.drop_pixels(one)
        client.forget(job)
        with pytest.raises(BridgeError, match="cannot be opened"):
            client.open_picture(result.pictures[0].ref)
    assert inodes[0] == inodes[1] == inodes[2]
    assert len(inodes[0]) == 2


def test_rendering_with_mask_and_strength(client):
    picture = photograph(90, 70)
    mask = mask_for(picture)
    inputs = {"picture": put(client, picture.pixels), "mask": put(client, mask[:, :, None])}
    _, result = client.run(JobRequest("render", inputs, plan=PLAN_JSON, strength=0.5))
    expected = render_plan(picture, PLAN, mask=mask, strength=0.5).pixels
    assert np.array_equal(got(client, result.pictures[0]), expected)


def test_geometry_gives_another_size(client):
    picture = photograph(50, 30)
    plan = EditPlan(operations=(step("rotate", degrees=90),))
    pixels, result, _ = render(client, picture, plan=plan.model_dump(mode="json", by_alias=True))
    assert (result.pictures[0].ref.width, result.pictures[0].ref.height) == (30, 50)
    assert np.array_equal(pixels, render_plan(picture, plan).pixels)


def test_the_colour_profile_travels_both_ways(client):
    picture = Picture(photograph(40, 30).pixels, icc_profile=SRGB)
    ref = put(client, picture.pixels, SRGB)
    assert ref.icc_bytes == len(SRGB)
    _, result = client.run(JobRequest("render", {"picture": ref}, plan=PLAN_JSON))
    made = result.pictures[0].ref
    with client.open_picture(made) as file:
        assert file.data[made.pixel_bytes :] == SRGB
    assert np.array_equal(got(client, result.pictures[0]), render_plan(picture, PLAN).pixels)


def test_a_plugin_s_candidates_come_back_with_all_that_belongs_to_them(client):
    picture = photograph(40, 30)
    mask = mask_for(picture)
    inputs = {"picture": put(client, picture.pixels), "mask": put(client, mask[:, :, None])}
    _, result = client.run(JobRequest("apply_edit", inputs, instruction="invert", seed=9))
    assert [(p.offset, p.seed) for p in result.pictures] == [((3, 4), 9)] * 2
    assert result.explanation == "inverted"
    assert result.warnings == ("mind the gap",)
    expected = np.where(mask[:, :, None] > 0, 255 - picture.pixels, picture.pixels)
    for one in result.pictures:
        assert np.array_equal(got(client, one), expected)


def test_one_picture_serves_several_jobs(client):
    picture = photograph(40, 30)
    ref = put(client, picture.pixels)
    for strength in (0.0, 1.0, 2.0):
        request = JobRequest("render", {"picture": ref}, plan=PLAN_JSON, strength=strength)
        _, result = client.run(request)
        expected = render_plan(picture, PLAN, strength=strength).pixels
        assert np.array_equal(got(client, result.pictures[0]), expected)


def test_the_source_is_left_as_it_was(client):
    pixels = photograph(40, 30).pixels
    ref = put(client, pixels)
    client.run(JobRequest("render", {"picture": ref}, plan=PLAN_JSON))
    with client.open_picture(ref) as file:
        assert bytes(file.data) == pixels.tobytes()


def test_actions_are_those_of_the_manifests(client):
    actions = {(a["plugin"], a["id"]): a for a in client.actions()}
    assert set(actions) == {
        ("", "apply-plan"), ("reverse_design", "recover-edit"), ("tested", "invert")
    }  # fmt: skip
    assert actions["tested", "invert"]["inputs"] == ["picture", "selection", "instruction"]
    options = {o["name"]: o for o in actions["reverse_design", "recover-edit"]["options"]}
    assert options["effort"]["choices"] == ["quick", "normal", "thorough"]
    assert options["max-operations"]["maximum"] == 8
    assert "definitions" not in options, "it is for experts"


def test_operations_are_those_of_plans(client):
    operations = {one["name"]: one for one in client.operations()}
    assert set(operations) >= {one.name for one in default_vocabulary()}
    bright = operations["bright"]
    assert (bright["title"], bright["per_channel"], bright["kind"]) == (
        "Brightness", True, "pointwise"
    )  # fmt: skip
    assert bright["parameters"][0]["maximum"] == 255
    assert not operations["blur"]["per_channel"]


def test_operations_of_plugins_are_among_them(home):
    client = home.started()
    before = {one["name"]: one for one in client.operations()}
    assert before["tested-negative"]["per_channel"]
    home.install("later")
    assert "later-negative" in {one["name"] for one in client.operations()} - set(before)


def test_a_running_job_is_not_disturbed_by_a_look_at_the_operations(home):
    client = home.started()
    job = client.submit(does(client, "steps"))
    until(client, job, "stepping")
    home.install("later")
    client.operations()
    assert until(client, job, "done")


# --- faults of jobs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_fields", "said", "code"),
    [
        ({"instruction": "raises"}, "The picture is too blue. Take a red one.", 1),
        ({"instruction": "whoami", "plugin": "nobody"}, "There is no plugin 'nobody'.", 1),
        ({"instruction": "whoami", "options": {"size": 3}}, "'size'", 2),
        ({"instruction": "whoami", "options": {"table": "../x"}}, "must be an absolute path", 2),
        ({"instruction": "whoami", "plan": {"operations": [{"name": "nothing"}]}}, "nothing", 1),
    ],
)
def test_faults_are_the_core_s_sentences(client, request_fields, said, code):
    request = JobRequest("apply_edit", {"picture": put(client, small())}, **request_fields)
    with pytest.raises(JobFailedError) as caught:
        client.run(request)
    assert said in str(caught.value)
    assert caught.value.exit_code == code


def test_geometry_in_a_selection_is_refused_with_a_reason(client):
    inputs = {"picture": put(client, small()), "mask": put(client, small()[:, :, :1])}
    request = JobRequest("render", inputs, plan={"operations": [{"name": "flip"}]})
    with pytest.raises(JobFailedError, match="cannot be limited to a selection"):
        client.run(request)


def test_a_picture_that_is_not_there_is_refused_at_once(client):
    ref = PictureRef("0" * 32, 6, 5, 3, "uint8")
    with pytest.raises(BridgeError, match="There is no pixel file"):
        client.submit(JobRequest("render", {"picture": ref}, plan=PLAN_JSON))


def test_a_picture_of_another_size_than_its_file_is_refused(client):
    ref = put(client, small())
    other = PictureRef(ref.pixels, 7, 5, 3, "uint8")
    with pytest.raises(BridgeError, match="has 90 bytes, a picture of this form 105"):
        client.submit(JobRequest("render", {"picture": other}, plan=PLAN_JSON))


# --- events -----------------------------------------------------------------------------------


def test_the_story_of_a_job(client):
    seen = []
    client.run(does(client, "steps"), on_event=seen.append)
    kinds = [event["event"] for event in seen]
    assert kinds[0] in ("queued", "started")
    assert kinds[-1] == "done"
    steps = [event for event in seen if event["event"] == "progress"]
    assert len(steps) >= 5
    assert steps[-1]["stage"] == "stepping"
    assert (steps[-1]["done"], steps[-1]["total"]) == (25, 25)
    numbers = [event["number"] for event in seen if event["event"] != "beat"]
    assert numbers == sorted(set(numbers))


def test_loading_compiling_and_steps_are_told_as_they_happen(home):
    client = home.started()
    came = {}
    request = does(client, "phases", plugin="tested", options={"seconds": 0.3})
    home.install("later")  # so that the executor, which started with the picture, starts anew
    began = time.monotonic()
    for event in client.events(client.submit(request)):
        came.setdefault(event.get("stage", event["event"]), time.monotonic() - began)
    stages = [name for name in came if name not in ("queued", "beat")]
    assert stages == ["started", "Loading plugins", "loading", "compiling", "stepping", "done"]
    assert came["compiling"] - came["loading"] > 0.2, "it is not told at the end all at once"
    assert came["stepping"] - came["compiling"] > 0.2
    assert came["done"] - came["stepping"] > 0.2


def test_a_plugin_that_reports_without_end_does_not_flood(client):
    seen = []
    client.run(does(client, "flood"), on_event=seen.append)
    assert len([e for e in seen if e["event"] == "warning"]) == 100
    assert len(seen) < 500


def test_events_can_be_heard_again_from_any_number(client):
    job = client.submit(does(client, "steps"))
    first = until(client, job, "done")
    again = list(client.events(job))
    assert again[-1] == first[-1]
    assert len([e for e in again if e["event"] == "progress"]) == 1, "the last one is kept"
    state = client._state
    after = first[-1]["number"] - 1
    rest = list(transport.stream(state, f"/v1/jobs/{job}/events?after={after}"))
    assert rest == [first[-1]]


def test_a_broken_connection_is_made_again_and_nothing_told_twice(client, monkeypatch):
    job = client.submit(does(client, "steps"))
    stream = transport.stream
    broken = []

    def breaking(*arguments, **named):
        for number, event in enumerate(stream(*arguments, **named)):
            if number == 3 and len(broken) < 2:
                broken.append(event)
                raise transport.WorkerGoneError("cut")
            yield event

    monkeypatch.setattr(transport, "stream", breaking)
    seen = [e for e in client.events(job) if e["event"] != "beat"]
    assert len(broken) == 2
    assert seen[-1]["event"] == "done"
    assert len({e["number"] for e in seen}) == len(seen)


def test_a_silent_job_is_known_to_live_by_beats(client):
    job = client.submit(does(client, "patient"))
    until(client, job, "waiting")
    began = time.monotonic()
    seen = until(client, job, "beat")
    assert time.monotonic() - began < 1.5
    assert seen[-1]["number"] > 0
    client.cancel(job)
    assert until(client, job, "cancelled")


# --- the queue --------------------------------------------------------------------------------


def test_jobs_wait_in_order_and_clients_take_turns(home):
    home.started()
    first, second = home.client("first"), home.client("second")
    blocker = first.submit(does(first, "patient"))
    until(first, blocker, "waiting")
    mine = [first.submit(does(first, "whoami")) for _ in range(3)]
    theirs = second.submit(does(second, "whoami"))
    state = home.state
    _, told = raw(state, "GET", "/v1/jobs")
    ahead = {job["job"]: job["last"].get("ahead") for job in told["jobs"]}
    assert [ahead[job] for job in mine] == [1, 3, 4]
    assert ahead[theirs] == 2
    first.cancel(blocker)
    for job in (*mine, theirs):
        until(first, job, "done")
    ends = re.findall(r"Job (\w+) \(apply_edit\): done", home.log())
    assert ends == [mine[0], theirs, mine[1], mine[2]]


def test_two_editors_at_once_each_get_their_own(client, shared_home):
    pictures = [photograph(120, 90, seed=seed) for seed in range(4)]
    results: dict[int, bool] = {}

    def work(number):
        editor = shared_home.client(f"editor{number}")
        for _ in range(3):
            pixels, _, job = render(editor, pictures[number], plan=PLAN_JSON)
            editor.forget(job)
            expected = render_plan(pictures[number], PLAN).pixels
            results[number] = results.get(number, True) and np.array_equal(pixels, expected)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(4), True)


def test_too_many_waiting_jobs_are_refused_in_a_sentence(home):
    client = home.started()
    request = does(client, "patient")
    jobs = [client.submit(request)]
    until(client, jobs[0], "waiting")
    jobs += [client.submit(request) for _ in range(32)]
    with pytest.raises(BridgeError, match="Too many jobs wait already \\(32\\)"):
        client.submit(request)
    for job in jobs:
        client.cancel(job)
    assert whoami(home.client("other"))


def test_a_forgotten_job_leaves_no_files(home):
    client = home.started()
    job, result = client.run(does(client, "invert"))
    made = {picture.ref.pixels for picture in result.pictures}
    assert made < set(home.pixel_files())
    client.forget(job)
    assert not made & set(home.pixel_files())
    with pytest.raises(BridgeError, match="There is no job"):
        list(client.events(job))
    for name in home.pixel_files():
        client.drop_pixels(name)
    assert home.pixel_files() == []


def test_results_and_pictures_expire(make_home):
    home = make_home(keep=0.5)
    client = home.started()
    job, result = client.run(does(client, "invert"))
    assert home.pixel_files()
    wait_for(lambda: not home.pixel_files())
    with pytest.raises(BridgeError, match="There is no job"):
        list(client.events(job))
    with pytest.raises(BridgeError, match="cannot be opened"):
        client.open_picture(result.pictures[0].ref)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has such a setting")
def test_the_work_is_done_with_memory_in_large_pages(make_home, monkeypatch):
    """Weights are read faster from such; the variable is read when a process starts."""
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    client = make_home().started()
    environ = Path(f"/proc/{whoami(client)}/environ").read_bytes().split(b"\0")
    assert b"GLIBC_TUNABLES=glibc.malloc.hugetlb=1" in environ
