"""The actions of plugins as GIMP's entries, and how they are written down again."""

import json
import os
import subprocess
import sys

import pytest

from imgedit_bridges.gimp import catalogue, refresh
from imgedit_bridges.gimp.catalogue import ACTIONS, NEXT, is_stale, read_actions
from imgedit_bridges.gimp.install import install, uninstall
from imgedit_bridges.gimp.profiles import Profile
from imgedit_bridges.worker.actions import all_actions


def option(name, kind="string", **fields):
    usual = {"help": "H.", "default": None, "minimum": None, "maximum": None, "unit": "",
             "choices": []}  # fmt: skip
    return {"name": name, "type": kind, **usual, **fields}


def action(plugin="theirs", name="do-it", hook="apply_edit", options=()):
    return {"plugin": plugin, "id": name, "label": "Do it…", "hook": hook, "inputs": ["picture"],
            "help": "Does it.", "options": list(options)}  # fmt: skip


def written(folder, *actions, name=ACTIONS, **fields):
    (folder / name).write_text(json.dumps({"actions": actions, **fields}), "utf-8")
    return folder


OURS = ["mgie", "reason_edit", "reason_edit", "reason_edit", "reverse_design"]
"""Whose entries the plugins of this distribution have, one for each entry."""


def read(folder, *, asked=False):
    return read_actions(folder, asked=asked)


# --- from manifests to entries ----------------------------------------------------------------


def test_our_own_plugins_have_their_entries(tmp_path):
    written(tmp_path, *all_actions())
    [words, reasoned, planned, painted, found] = read(tmp_path)
    assert words.procedure == "imgedit-mgie-edit-by-instruction"
    assert words.inputs == ("picture", "selection", "instruction")
    assert [one.option for one in words.arguments][:2] == ["candidates", "expressive"]
    assert reasoned.procedure == "imgedit-reason-edit-reason"
    assert reasoned.inputs == ("picture", "selection", "instruction")
    assert planned.procedure == "imgedit-reason-edit-plan"
    assert (planned.hook, planned.inputs) == ("predict_operations", ("picture", "instruction"))
    assert {"endpoint", "document", "save-folder"} <= {one.option for one in planned.arguments}
    assert painted.procedure == "imgedit-reason-edit-paint"
    assert painted.inputs == ("picture", "selection", "instruction")
    assert {"candidates", "steps", "weights"} <= {one.option for one in painted.arguments}
    assert not {"endpoint", "model"} & {one.option for one in painted.arguments}
    assert (reasoned.fixed, painted.fixed) == ({"model": "plan"}, {"model": "reason_pix2pix"})
    assert found.procedure == "imgedit-reverse-design-recover-edit"
    assert found.label == "Recover edit from two layers…"
    assert found.inputs == ("picture", "second_picture")
    names = [one.option for one in found.arguments]
    assert names == ["effort", "max-operations", "min-explained", "model"]


def test_what_an_entry_stands_for(tmp_path):
    written(tmp_path, action(), {**action(name="other"), "fixed": {"style": "film"}})
    assert [one.fixed for one in read(tmp_path)] == [{}, {"style": "film"}]


def test_no_two_have_one_name(tmp_path):
    """GIMP's names have no underscores, and the bridge's own come first."""
    written(tmp_path, action("a-b", "c"), action("a_b", "c"), action("a", "b-c"),
            action("apply", "plan"))  # fmt: skip
    found = read_actions(tmp_path, asked=False, own=("imgedit-apply-plan",))
    names = [one.procedure for one in found]
    assert names == ["imgedit-a-b-c", "imgedit-a-b-c-2", "imgedit-a-b-c-3", "imgedit-apply-plan-2"]


def test_options_become_arguments_that_gimp_can_hold(tmp_path):
    options = [
        option("image"),
        option("many", "integer"),
        option("huge", "integer", minimum=5, maximum=2**40),
        option("share", "number", default=1, minimum=0, maximum=2, unit="px"),
        option("free", "number"),
        option("on", "boolean"),
        option("kind", "choice", choices=["a", "b"]),
        option("place", "path"),
    ]
    written(tmp_path, action(options=options))
    found = {one.option: one for one in read(tmp_path)[0].arguments}
    assert found["image"].name == "option-image"
    assert (found["many"].minimum, found["many"].maximum) == (-(2**31), 2**31 - 1)
    assert found["many"].default == 0
    assert (found["huge"].minimum, found["huge"].maximum, found["huge"].default) == (
        5,
        2**31 - 1,
        5,
    )
    assert isinstance(found["share"].default, float)
    assert found["share"].label == "_Share (px)"
    assert (found["free"].minimum, found["free"].default) == (-1e9, 0.0)
    assert (found["on"].default, found["kind"].default, found["place"].default) == (False, "a", "")


def test_no_letter_is_underlined_twice(tmp_path):
    options = [option(name) for name in ("size", "sides", "ice", "ice-ice")]
    written(tmp_path, action(options=options))
    labels = [one.label for one in read(tmp_path)[0].arguments]
    assert labels == ["_Size", "Sid_es", "Ice", "Ice ice"]


def test_letters_of_the_buttons_above_the_options_are_taken(tmp_path):
    written(tmp_path, action(options=[option(name) for name in ("move", "preset", "vary")]))
    labels = [one.label for one in read(tmp_path)[0].arguments]
    assert labels == ["Mov_e", "Pre_set", "V_ary"]


def test_what_gimp_cannot_do_has_no_entry(tmp_path):
    written(tmp_path, action(hook="render", plugin="core"), action(name="fine"))
    assert [one.procedure for one in read(tmp_path)] == ["imgedit-theirs-fine"]


@pytest.mark.parametrize("text", ["", "[", "[]", '{"actions": [1, {}, {"plugin": "a"}]}'])
def test_a_damaged_file_is_no_actions(tmp_path, text):
    (tmp_path / ACTIONS).write_text(text, "utf-8")
    assert read(tmp_path) == []


def test_newer_actions_wait_until_gimp_asks(tmp_path):
    written(tmp_path, action(name="old"))
    written(tmp_path, action(name="new"), name=NEXT)
    assert [one.procedure for one in read(tmp_path)] == ["imgedit-theirs-old"]
    assert [one.procedure for one in read(tmp_path, asked=True)] == ["imgedit-theirs-new"]
    assert [one.procedure for one in read(tmp_path)] == ["imgedit-theirs-new"]


# --- written down again -----------------------------------------------------------------------


@pytest.fixture
def profile(tmp_path):
    folder = tmp_path / "GIMP" / "3.0"
    folder.mkdir(parents=True)
    made = Profile("system", folder)
    install(made)
    return made


def test_packages_are_watched(profile, tmp_path):
    assert not is_stale(profile.plugin)
    listing = catalogue.read_listing(profile.plugin / ACTIONS)
    assert any(place.endswith("site-packages") for place in listing["watched"])
    site = tmp_path / "site-packages"
    site.mkdir()
    listing["watched"] = {str(site): site.stat().st_mtime_ns}
    (profile.plugin / ACTIONS).write_text(json.dumps(listing), "utf-8")
    assert not is_stale(profile.plugin)
    (site / "new.py").touch()
    os.utime(site, ns=(1, 1))
    assert is_stale(profile.plugin)
    (profile.plugin / ACTIONS).unlink()
    assert is_stale(profile.plugin)


def test_gimp_asks_again_only_when_actions_have_changed(profile, monkeypatch):
    before = profile.script.stat().st_mtime
    assert not refresh.refresh(profile.plugin, profile.script)
    listing = catalogue.read_listing(profile.plugin / ACTIONS)
    listing["watched"] = {"/gone": 1}
    (profile.plugin / ACTIONS).write_text(json.dumps(listing), "utf-8")
    assert not refresh.refresh(profile.plugin, profile.script)
    assert not is_stale(profile.plugin)
    assert profile.script.stat().st_mtime == before
    monkeypatch.setattr(refresh, "all_actions", lambda: [action()])
    assert refresh.refresh(profile.plugin, profile.script)
    assert int(profile.script.stat().st_mtime) > int(before)
    assert [one.plugin for one in read(profile.plugin)] == OURS
    monkeypatch.undo()
    assert refresh.refresh(profile.plugin, profile.script)
    assert [one.plugin for one in read(profile.plugin, asked=True)] == OURS


def test_the_plugin_can_have_it_done(profile):
    (profile.plugin / ACTIONS).write_text("{}", "utf-8")
    line = [sys.executable, "-P", "-m", "imgedit_bridges.gimp.refresh", str(profile.plugin)]
    subprocess.run(line, check=True, env={**os.environ, "PYTHONPATH": ""})
    assert (profile.plugin / NEXT).is_file()
    assert [one.plugin for one in read(profile.plugin, asked=True)] == OURS


def test_installing_again_brings_new_actions_and_removing_takes_all(profile, monkeypatch):
    monkeypatch.setattr(refresh, "all_actions", lambda: [action()])
    before = profile.script.stat().st_mtime
    assert install(profile).what == "updated"
    assert int(profile.script.stat().st_mtime) > int(before)
    assert [one.plugin for one in read(profile.plugin)] == ["theirs"]
    assert install(profile).what == "unchanged"
    monkeypatch.setattr(refresh, "all_actions", list)
    refresh.refresh(profile.plugin, profile.script)
    assert (profile.plugin / NEXT).is_file()
    uninstall(profile)
    assert not profile.plugin.exists()
