"""The doubles of engine, documents and events beside the real ones: one story, the same facts."""

import json
import sys
from pathlib import Path

import pytest
from docker_names import INSIDE
from test_krita_docker import PLAN, extended, opened, pair
from test_krita_widgets import alone

TESTS = Path(__file__).resolve().parents[1]
for folder in (TESTS / "bridges", TESTS / "editors" / "inside"):
    sys.path.append(str(folder))

import krita_stories  # noqa: E402
from krita_doubles import Inside  # noqa: E402

pytestmark = pytest.mark.editors

__all__ = ["alone", "extended", "pair"]  # fixtures


def test_the_double_tells_what_the_real_engine_tells(
    alone, extended, krita_window, pair, folder
):  # fmt: skip
    plan = folder / "plan.json"
    plan.write_text(json.dumps(PLAN), "utf-8")
    doubled = alone(f"""
        import engine_scenario
        told = engine_scenario.Telling(double.Engine(V, False), {str(plan)!r})
        while told.goes_on():
            settle(20)
        mark("story", facts=told.facts)
    """).events("story")[-1]["facts"]
    docker = opened(krita_window, *pair)
    docker.do(f"""
import sys
sys.path.insert(0, {INSIDE!r})
import engine_scenario
engine_scenario.told = engine_scenario.Telling(pane.engine, {str(plan)!r})
""")

    def real():
        docker.do("""
import engine_scenario
if not engine_scenario.told.goes_on():
    mark("story", facts=engine_scenario.told.facts)
""")
        return [event["facts"] for event in docker.window.running.events("story")]

    found = docker.window.running.wait_until(real, "the end of the story", 60)[-1]
    assert doubled == found
    assert [fact[0] for fact in found].count("ended") == 3


def test_the_doubles_of_documents_and_events_tell_what_krita_tells(extension, monkeypatch):
    run = extension.run("""
import krita_stories
from imgedit_bridges.krita import background, kept

mark("stories", kept=krita_stories.kept_story(Krita.instance(), kept),
     task=krita_stories.task_story(background, spin))
""")
    inside = Inside(monkeypatch)
    doubled = {
        "kept": krita_stories.kept_story(inside.app, inside.module("kept")),
        "task": krita_stories.task_story(inside.module("background"), inside.loop.spin),
    }
    [found] = run.events("stories")
    for name, facts in doubled.items():
        assert json.loads(json.dumps(facts)) == found[name], name
    assert len(found["kept"]) == 12
    assert ["mended fault", "mended", "NoneType", True, True] in found["task"]
