"""Nobody else gets in: tried with real requests and real files."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worker_home import connect, does, got, put, raw, read_answer, small, until, whoami

from imgedit_bridges.errors import BridgeError
from imgedit_bridges.protocol import HOST, MAX_BODY, JobRequest
from imgedit_bridges.worker.guard import Bucket

PLAN = {"operations": []}
ROOT_ONLY = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can give files away"
)


@pytest.fixture
def state(client, shared_home):
    return shared_home.state


@pytest.fixture(scope="module")
def tcp_home():
    from worker_home import Home

    home = Home(tcp=1)
    home.started()
    yield home
    home.end()


# --- who may ask ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"authorization": None}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": "Bearer " + "x" * 43}, 401),
        ({"authorization": "Bearer é"}, 401),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"http://{HOST}"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1"}, 421),
        ({"host": "localhost:80"}, 421),
        ({"host": f"{HOST}.evil.example"}, 421),
        ({"host": f"{HOST}:80"}, 421),
    ],
)
@pytest.mark.parametrize("tcp", [False, True])
def test_who_may_ask(state, tcp_home, headers, status, tcp):
    state = tcp_home.state if tcp else state
    for method, path, body in (
        ("GET", "/v1/hello", b""),
        ("POST", "/v1/pixels", b'{"bytes": 10}'),
    ):
        found, told = raw(state, method, path, body, **headers)
        assert found in (status, 201 if status == 200 else status)
        assert ("error" in told) == (status != 200)
        assert state.token not in json.dumps(told)


def test_the_token_of_one_worker_does_not_open_another(state, tcp_home):
    found, _ = raw(tcp_home.state, "GET", "/v1/hello", authorization=f"Bearer {state.token}")
    assert found == 401


def test_a_web_page_s_simple_request_has_no_effect(tcp_home):
    """What a browser sends across origins without asking first: no token, a text body."""
    before = tcp_home.pixel_files()
    found, _ = raw(
        tcp_home.state, "POST", "/v1/pixels", b'{"bytes": 10}',
        authorization=None, content_type="text/plain", origin="https://evil.example",
    )  # fmt: skip
    assert found == 403
    found, _ = raw(tcp_home.state, "POST", "/v1/shutdown", b"{}", content_type="text/plain")
    assert found == 415
    assert tcp_home.pixel_files() == before
    assert raw(tcp_home.state, "OPTIONS", "/v1/jobs")[0] == 405


def test_strangers_run_into_a_limit_of_their_own(make_home):
    home = make_home(tcp=1)
    client = home.started()
    found = {raw(home.state, "GET", "/v1/hello", authorization=None)[0] for _ in range(80)}
    assert found == {401, 429}
    assert whoami(client)


def test_the_limit_of_requests_fills_up_again():
    now = [0.0]
    bucket = Bucket(2, 10, lambda: now[0])
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now[0] = 0.1
    assert [bucket.take(), bucket.take()] == [True, False]
    now[0] = 100.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]


@ROOT_ONLY
def test_another_user_cannot_reach_the_socket(shared_home, state):
    code = (
        "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n"
        "except PermissionError: print('refused')\n"
        "try: open(sys.argv[2])\n"
        "except PermissionError: print('refused')"
    )
    where = state.address.partition(":")[2]
    command = [sys.executable, "-S", "-c", code, where, str(shared_home.places.state)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert told.stdout.split() == ["refused", "refused"]


@ROOT_ONLY
def test_another_user_finds_the_port_and_gets_no_further(tcp_home):
    code = (
        "import encodings.idna, os, socket, sys\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "line = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
        "line.sendall(sys.argv[2].encode()); print(line.recv(20).decode().split()[1])\n"
        "for path in sys.argv[3:]:\n"
        "    try: open(path)\n"
        "    except PermissionError: print('refused')"
    )
    port = tcp_home.state.address.rpartition(":")[2]
    head = f"POST /v1/shutdown HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    files = [tcp_home.places.state, tcp_home.places.log, tcp_home.places.pixels / ("0" * 32)]
    command = [sys.executable, "-S", "-c", code, port, head, *map(str, files)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert told.stdout.split() == ["401", "refused", "refused", "refused"]
    assert raw(tcp_home.state, "GET", "/v1/hello")[0] == 200


def test_permissions_of_every_file_and_folder(shared_home, client):
    client.run(does(client, "invert"))
    paths = [shared_home.places.folder, *shared_home.places.folder.rglob("*")]
    kinds = {path.relative_to(shared_home.places.folder).parts[:1] for path in paths}
    assert {("worker.sock",), ("worker.json",), ("worker.log",), ("worker.lock",)} < kinds
    assert len(shared_home.pixel_files()) > 1
    for path in paths:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
        assert path.lstat().st_uid == os.geteuid()


# --- sizes and forms --------------------------------------------------------------------------


def test_an_oversized_body_is_refused(state):
    body = b'{"bytes": 1' + b" " * MAX_BODY + b"}"
    assert raw(state, "POST", "/v1/pixels", body)[0] == 413
    # Also when it comes in pieces and without its length.
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    found, _ = raw(
        state, "POST", "/v1/pixels", piece * 17, content_length=None, transfer_encoding="chunked"
    )
    assert found in (413, 0)
    assert raw(state, "GET", "/v1/hello")[0] == 200


def test_an_oversized_head_is_refused(state):
    for size in (20_000, 100_000, 1_000_000):
        assert raw(state, "GET", "/v1/hello", x="y" * size)[0] in (400, 431, 0)
    assert raw(state, "GET", "/v1/" + "a" * 1000)[0] == 414


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1", "not JSON"),
        (b"[" * 500_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[" * 40 + b"]" * 40, "nested too deeply"),
        (b'{"bytes": NaN}', "NaN"),
        (b'{"bytes": 1e999}', "too large"),
        (b'{"bytes": ' + b"9" * 100_000 + b"}", "too many digits"),
        (b'{"bytes": 1, "bytes": 2}', "stands twice"),
        (b'{"bytes": "\\ud800"}', "half a character"),
        (b'{"bytes": 0}', "between 1 and"),
        (b'{"bytes": -5}', "between 1 and"),
        (b'{"bytes": 1.5}', "whole number"),
        (b'{"bytes": true}', "whole number"),
        (b'{"bytes": 99999999999999999}', "between 1 and"),
        (b'{"bytes": 5, "path": "/etc/passwd"}', "no field 'path'"),
        (b"[]", "an object is needed"),
        (b"{}", "missing"),
    ],
)
def test_malformed_bodies_are_refused_with_a_reason(state, body, said):
    found, told = raw(state, "POST", "/v1/pixels", body)
    assert found == 400
    assert said.lower() in told["error"]["message"].lower()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/../hello",
        "/v1/jobs/..%2f..%2fetc%2fpasswd",
        "/v1/jobs//etc/passwd",
        "/v1/jobs/%00",
        "/v1/jobs/" + "a" * 31,
        "/v1/jobs/" + "A" * 32,
        "/v1/jobs/" + "0" * 32 + "%00",
        "/v1/jobs/" + "0" * 32 + "%0a",
        "/v1/pixels/..%2fworker.json",
        "/v1/pixels/worker.json",
        "/",
        "/v2/hello",
    ],
)
def test_tricks_in_paths_lead_nowhere(state, shared_home, path):
    for method in ("GET", "DELETE"):
        assert raw(state, method, path)[0] in (404, 405)
    assert shared_home.places.state.exists()


@pytest.mark.parametrize(
    "name", ["../worker.json", "/etc/passwd", "0" * 31 + "\0", "worker.json", "0" * 32 + "\n", 7]
)
def test_tricks_in_ids_of_pictures_are_refused(state, name):
    picture = {"pixels": name, "width": 6, "height": 5, "channels": 3, "dtype": "uint8"}
    body = json.dumps({"hook": "render", "inputs": {"picture": picture}, "plan": PLAN})
    found, told = raw(state, "POST", "/v1/jobs", body.encode())
    assert found == 400
    assert told["error"]["message"].startswith("inputs.picture.pixels:")


@pytest.mark.parametrize("client_name", ["a b", "x" * 41, "", "a/b"])
def test_odd_names_of_clients_are_refused(client, state, client_name):
    body = json.dumps(
        JobRequest("render", {"picture": put(client, small())}, plan=PLAN).to_json()
    ).encode()
    assert raw(state, "POST", "/v1/jobs", body, imgedit_client=client_name)[0] == 400


def test_a_slow_client_does_not_keep_others_waiting(shared_home, state):
    client = shared_home.client()
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(state, 10.0)) for _ in range(100)]
        for number, line in enumerate(slow):
            line.sendall(b"GET /v1/hello HTTP/1.1\r\nX: " if number % 2 else b"G")
        began = time.monotonic()
        client.connect()
        assert time.monotonic() - began < 1.0
        assert whoami(client)


@pytest.mark.slow
def test_a_head_that_takes_too_long_is_given_up(state):
    for start in (b"", b"G", b"GET /v1/hello HTTP/1.1\r\nX: "):
        with connect(state, 10.0) as line:
            began = time.monotonic()
            line.sendall(start)
            assert line.recv(10) == b""
            assert 2.0 < time.monotonic() - began < 5.0


def test_a_slow_body_does_not_keep_others_waiting(state):
    with connect(state, 3.0) as slow:
        slow.sendall(
            f"POST /v1/pixels HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {state.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        assert raw(state, "GET", "/v1/hello")[0] == 200
        slow.shutdown(socket.SHUT_WR)
        assert read_answer(slow)[0] in (0, 400)


# --- pixel files ------------------------------------------------------------------------------


def refused(client, ref, said):
    with pytest.raises(BridgeError, match=said):
        client.submit(JobRequest("render", {"picture": ref}, plan=PLAN))


def test_a_link_in_the_place_of_a_pixel_file_is_refused(client, shared_home):
    ref = put(client, small())
    path = shared_home.places.pixels / ref.pixels
    secret = shared_home.folder / "secret"
    secret.write_bytes(bytes(90))
    secret.chmod(0o600)
    path.unlink()
    path.symlink_to(secret)
    refused(client, ref, "it is a link")
    client.drop_pixels(ref.pixels)
    assert secret.exists()
    assert not path.is_symlink()


def test_a_second_name_of_another_file_is_refused(client, shared_home):
    ref = put(client, small())
    path = shared_home.places.pixels / ref.pixels
    secret = shared_home.folder / "linked"
    secret.write_bytes(bytes(90))
    secret.chmod(0o600)
    path.unlink()
    os.link(secret, path)
    refused(client, ref, "has a second name")


def test_another_file_under_the_same_name_is_refused(client, shared_home):
    ref = put(client, small())
    path = shared_home.places.pixels / ref.pixels
    other = path.with_name("other")
    other.write_bytes(bytes(90))
    other.chmod(0o600)
    other.replace(path)
    refused(client, ref, "is not the file that was made")


def test_a_file_that_others_may_read_is_refused(client, shared_home):
    ref = put(client, small())
    (shared_home.places.pixels / ref.pixels).chmod(0o644)
    refused(client, ref, "read by others")


@ROOT_ONLY
def test_a_file_of_another_user_is_refused(client, shared_home):
    ref = put(client, small())
    os.chown(shared_home.places.pixels / ref.pixels, 65534, 65534)
    refused(client, ref, "belongs to another user")


def test_a_pipe_in_the_place_of_a_pixel_file_does_not_hang_the_worker(client, shared_home):
    ref = put(client, small())
    path = shared_home.places.pixels / ref.pixels
    path.unlink()
    os.mkfifo(path, 0o600)
    refused(client, ref, "is no regular file")
    path.unlink()


def test_a_link_put_there_while_the_job_waits_is_refused_too(home):
    client = home.started()
    blocker = client.submit(does(client, "patient"))
    until(client, blocker, "waiting")
    ref = put(client, small())
    job = client.submit(JobRequest("render", {"picture": ref}, plan=PLAN))
    path = home.places.pixels / ref.pixels
    path.unlink()
    path.symlink_to("/etc/passwd")
    client.cancel(blocker)
    assert "it is a link" in until(client, job, "failed")[-1]["message"]


def test_a_link_that_comes_and_goes_lets_nothing_through(home):
    """Somebody swaps the file for a link to a secret, and back, as fast as can be."""
    client = home.started()
    secret = home.folder / "secret"
    secret.write_bytes(b"\xee" * small().nbytes)
    secret.chmod(0o600)
    ref = put(client, small())
    path = home.places.pixels / ref.pixels
    aside, link = path.with_name("aside"), path.with_name("link")
    ends = threading.Event()
    swaps = [0]

    def swap():
        while not ends.is_set():
            path.rename(aside)
            link.symlink_to(secret)
            link.rename(path)
            aside.replace(path)
            swaps[0] += 1

    attacker = threading.Thread(target=swap)
    attacker.start()
    outcomes, told = {"done": 0, "refused": 0}, set()
    deadline = time.monotonic() + 30
    try:
        # Which one it is depends on the system's turns, so a busy one may need more of them.
        while sum(outcomes.values()) < 200 or (
            min(outcomes.values()) == 0 and time.monotonic() < deadline
        ):
            try:
                job, result = client.run(JobRequest("render", {"picture": ref}, plan=PLAN))
            except BridgeError as error:
                outcomes["refused"] += 1
                told.add(str(error).rpartition(": ")[2])
            else:
                outcomes["done"] += 1
                assert np.array_equal(got(client, result.pictures[0]), small())
                client.forget(job)
    finally:
        ends.set()
        attacker.join()
    assert secret.read_bytes() == b"\xee" * small().nbytes
    assert told <= {"it is a link.", "No such file or directory."}
    assert swaps[0] > 200
    assert min(outcomes.values()) > 0, (outcomes, swaps)
    client.run(JobRequest("render", {"picture": ref}, plan=PLAN))


# --- generated messages -----------------------------------------------------------------------

NAMES = st.sampled_from(
    ["hook", "inputs", "plan", "pixels", "source", "picture", "mask", "bytes", "width", "height",
     "channels", "dtype", "icc_bytes", "order", "options", "seed", "strength", "instruction",
     "plugin"]
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), NAMES,
    st.sampled_from(["render", "apply_edit", "predict_operations", "0" * 32, "../x", "uint8"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=8)
    ),
    max_leaves=20,
)
PATHS = st.one_of(
    st.sampled_from(
        ["/v1/hello", "/v1/pixels", "/v1/jobs", "/v1/actions", f"/v1/jobs/{'0' * 32}/events",
         f"/v1/jobs/{'1' * 32}", f"/v1/pixels/{'2' * 32}", "/v1/jobs/x/events?after=-1"]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40).map(
        lambda text: f"/v1/{text}"
    ),
)  # fmt: skip
BODIES = st.one_of(VALUES.map(lambda value: json.dumps(value).encode()), st.binary(max_size=200))
HEADERS = st.dictionaries(
    st.sampled_from(["host", "origin", "authorization", "content_type", "content_length",
                     "transfer_encoding", "expect", "upgrade", "imgedit_client"]),
    st.one_of(
        st.sampled_from([HOST, "chunked", "100-continue", "websocket", "0", "-1", "1e3", ""]),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20),
    ),
    max_size=2,
)  # fmt: skip
METHODS = st.sampled_from(["GET", "POST", "POST", "POST", "DELETE", "PUT", "HEAD"])


def throw(home, examples):
    """Send generated messages; the worker refuses or answers, and lives."""
    home.started()
    state = home.state
    found: dict[int, int] = {}

    @settings(
        max_examples=examples, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(METHODS, PATHS, BODIES, st.just({}) | HEADERS)
    def one(method, path, body, headers):
        body = body if method == "POST" else b""
        with connect(state, 2.0) as line:
            given_headers = {
                "Host": HOST, "Authorization": f"Bearer {state.token}", "Connection": "close",
                "Content-Type": "application/json", "Content-Length": str(len(body)),
                **{name.replace("_", "-").title(): value for name, value in headers.items()},
            }  # fmt: skip
            head = "".join(f"{name}: {value}\r\n" for name, value in given_headers.items())
            line.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
            line.shutdown(socket.SHUT_WR)
            status, _ = read_answer(line)
        found[status] = found.get(status, 0) + 1
        assert status < 500 or status == 507, (method, path, body, headers)

    one()
    assert home.state == state, "another worker has taken its place"
    return found


@pytest.mark.parametrize("tcp", [0, 1])
def test_generated_messages(make_home, tcp):
    home = make_home(tcp=tcp)
    found = throw(home, 200)
    assert {200, 400, 404} < set(found)
    assert whoami(home.client())


@pytest.mark.slow
def test_ten_thousand_generated_messages(make_home):
    home = make_home()
    found = throw(home, 10_000)
    assert sum(found.values()) >= 10_000
    assert whoami(home.client())
    assert "Traceback" not in home.log()
