"""Messages are read strictly: what is right comes back the same, all else is told by place."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgedit_bridges.errors import MessageError
from imgedit_bridges.protocol import (
    HOOKS,
    MAX_BODY,
    JobRequest,
    PictureRef,
    is_client,
    is_id,
    parse_job,
    parse_picture,
)
from imgedit_bridges.strict_json import MAX_DEPTH, decode, encode

PICTURE = {"pixels": "0" * 32, "width": 6, "height": 5, "channels": 3, "dtype": "uint8"}
MASK = {**PICTURE, "channels": 1}
RENDER = {"hook": "render", "inputs": {"picture": PICTURE}, "plan": {}}
PREDICT = {"hook": "predict_operations", "inputs": {"source": PICTURE}}
APPLY = {"hook": "apply_edit", "inputs": {"picture": PICTURE, "mask": MASK}}

CHANNELS = st.one_of(
    st.tuples(st.integers(1, 4), st.just("rgb")), st.tuples(st.integers(3, 4), st.just("bgr"))
)
REFS = st.builds(
    lambda file, channels, dtype, icc: PictureRef(file, 6, 5, channels[0], dtype, icc, channels[1]),
    st.text("0123456789abcdef", min_size=32, max_size=32),
    CHANNELS,
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.integers(0, 10_000),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_what_was_encoded_is_decoded(value):
    assert decode(encode(value)) == value


@given(st.binary(max_size=300))
def test_anything_is_a_value_or_a_fault(data):
    try:
        value = decode(data)
    except MessageError:
        return
    assert decode(encode(value)) == value


@given(st.integers(0, 2 * MAX_DEPTH))
def test_nesting_has_a_limit(depth):
    text = b"[" * depth + b"0" + b"]" * depth
    if depth <= MAX_DEPTH:
        decode(text)
    else:
        with pytest.raises(MessageError, match="nested too deeply"):
            decode(text)


def test_what_takes_long_to_read_is_refused_fast():
    nested, digits, text = b"[" * MAX_BODY, b"9" * MAX_BODY, b'"' + b"\\" * MAX_BODY
    for body in (nested, digits, text, b'{"":' * (MAX_BODY // 4)):
        with pytest.raises(MessageError):
            decode(body)


def test_numbers_that_are_none_are_not_encoded():
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"strength": math.nan})


@given(REFS, REFS, st.integers(0, 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"])))
def test_jobs_survive_the_journey(first, second, seed, words):
    jobs = [
        JobRequest("predict_operations", {"source": first, "edited": second}, seed=seed),
        JobRequest("apply_edit", {"picture": first}, plugin="a-b_c", instruction=words, seed=seed),
        JobRequest("render", {"picture": first}, plan={"operations": []}, strength=0.5),
    ]
    for job in jobs:
        assert parse_job(json.loads(encode(job.to_json()))) == job


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ([], ""),
        ({}, "hook"),
        ({**RENDER, "hook": "train"}, "hook"),
        ({**RENDER, "hook": ["render"]}, "hook"),
        ({"hook": "render", "plan": {}}, "inputs"),
        ({"hook": "render", "inputs": {"picture": PICTURE}}, "plan"),
        ({**RENDER, "plan": [1]}, "plan"),
        ({**RENDER, "seed": 1}, ""),
        ({**RENDER, "strength": 2.1}, "strength"),
        ({**RENDER, "strength": True}, "strength"),
        ({**RENDER, "strength": "1"}, "strength"),
        ({**RENDER, "file": "/etc/passwd"}, ""),
        ({**RENDER, "inputs": {}}, "inputs.picture"),
        ({**RENDER, "inputs": {"source": PICTURE}}, "inputs.picture"),
        ({**RENDER, "inputs": {"picture": PICTURE, "edited": PICTURE}}, "inputs"),
        ({**RENDER, "inputs": {"picture": {}}}, "inputs.picture.pixels"),
        ({**RENDER, "inputs": {"picture": {**PICTURE, "path": "x"}}}, "inputs.picture"),
        ({**RENDER, "inputs": {"picture": {**PICTURE, "width": 0}}}, "inputs.picture.width"),
        ({**RENDER, "inputs": {"picture": {**PICTURE, "width": 6.0}}}, "inputs.picture.width"),
        ({**RENDER, "inputs": {"picture": {**PICTURE, "height": 2**40}}}, "inputs.picture.height"),
        ({**RENDER, "inputs": {"picture": {**PICTURE, "channels": 5}}}, "inputs.picture.channels"),
        ({**RENDER, "inputs": {"picture": {**PICTURE, "dtype": "object"}}}, "inputs.picture.dtype"),
        ({**RENDER, "inputs": {"picture": {**PICTURE, "order": "rbg"}}}, "inputs.picture.order"),
        (
            {**RENDER, "inputs": {"picture": {**PICTURE, "channels": 1, "order": "bgr"}}},
            "inputs.picture.order",
        ),
        ({**APPLY, "inputs": {"picture": PICTURE, "mask": PICTURE}}, "inputs.mask"),
        ({**APPLY, "inputs": {"picture": PICTURE, "mask": {**MASK, "width": 7}}}, "inputs.mask"),
        ({**APPLY, "strength": 1}, ""),
        ({**APPLY, "plugin": "../x"}, "plugin"),
        ({**APPLY, "instruction": 5}, "instruction"),
        ({**APPLY, "instruction": "x" * 10_001}, "instruction"),
        ({**APPLY, "options": []}, "options"),
        ({**APPLY, "options": {"A": 1}}, "options"),
        ({**APPLY, "options": {"a": []}}, "options.a"),
        ({**APPLY, "options": {"a": "x" * 10_001}}, "options.a"),
        ({**APPLY, "options": {f"a{n}": 1 for n in range(101)}}, "options"),
        ({**APPLY, "seed": -1}, "seed"),
        ({**PREDICT, "seed": 2**63}, "seed"),
        ({**PREDICT, "plan": {}}, ""),
    ],
)
def test_faults_are_told_with_their_place(message, place):
    with pytest.raises(MessageError) as caught:
        parse_job(message)
    assert caught.value.place == place
    assert str(caught.value).endswith(".")


def test_a_picture_larger_than_any_file_is_refused():
    with pytest.raises(MessageError, match="bytes, more than"):
        parse_picture({**PICTURE, "width": 2**19, "height": 2**19}, "x")


def test_sizes():
    ref = PictureRef("0" * 32, 6000, 4000, 4, "uint16", 3144)
    assert ref.pixel_bytes == 6000 * 4000 * 4 * 2
    assert ref.file_bytes == ref.pixel_bytes + 3144


def test_each_hook_s_fields_are_those_of_its_request():
    from imgedit_plugins.manifest import HOOK_INPUTS
    from imgedit_plugins.requests import ApplyRequest, PredictRequest

    for hook, kind in (("predict_operations", PredictRequest), ("apply_edit", ApplyRequest)):
        form = HOOKS[hook]
        assert {*form.pictures, *form.fields} == {*kind.model_fields, "plugin"}
        assert set(HOOK_INPUTS[hook]) <= {*form.pictures, *form.fields}


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "A" * 32, "0" * 32 + "\n", None, 5])
def test_what_is_no_id(text):
    assert not is_id(text)


@pytest.mark.parametrize(("text", "fine"), [("gimp-12-ab", True), ("a b", False), ("", False)])
def test_names_of_clients(text, fine):
    assert is_client(text) is fine
