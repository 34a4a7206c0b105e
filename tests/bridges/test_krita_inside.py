"""What the Krita extension keeps in documents, and how it works between Krita's events."""

import json

import pytest
from krita_doubles import Inside

from imgedit_bridges.client import BridgeError
from imgedit_bridges.steps import StepList
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.operations.described import described

VOCABULARY = json.loads(json.dumps([described(one) for one in default_vocabulary()]))
PLAN = {"operations": [{"name": "bright", "parameters": {"offset": 40.0}}]}


@pytest.fixture
def inside(monkeypatch):
    return Inside(monkeypatch)


@pytest.fixture
def document(inside):
    return inside.app.createDocument(8, 8, "photo")


def put(inside, document, title="Edit", **values):
    """An edit on top of a document."""
    kept = inside.module("kept")
    group = document.createGroupLayer(title)
    group.addChildNode(document.createNode(title, "filterlayer"), None)
    document.rootNode().addChildNode(group, None)
    source = kept.key(document.rootNode().childNodes()[0])
    kept.keep(document, group, kept.Kept(PLAN, title=title, source=source, **values))
    return group


# --- what is kept -----------------------------------------------------------------------------


def test_an_edit_comes_back_as_it_was_kept(inside, document):
    kept = inside.module("kept")
    state = {"steps": [{"name": "bright", "on": False}]}
    group = put(inside, document, strength=0.25, own=True, state=state)
    [found] = kept.edits(document)
    assert found.group is group
    assert (found.kept.plan, found.kept.strength, found.kept.own) == (PLAN, 0.25, True)
    assert found.kept.state == state
    assert kept.edit_of(document, document.rootNode().childNodes()[0]).group is group


def test_a_copied_group_is_the_same_edit_until_its_layers_are_others(inside, document):
    kept = inside.module("kept")
    copy = put(inside, document).duplicate()
    document.rootNode().addChildNode(copy, None)
    assert len(kept.edits(document)) == 2
    copy.addChildNode(document.createNode("painted", "paintlayer"), None)
    assert len(kept.edits(document)) == 1


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"{}", b'{"plan": 3}', b'{"plan": {"operations": 3}}', b"\xff"]
)
def test_what_is_damaged_is_no_edit(inside, document, data):
    kept = inside.module("kept")
    group = put(inside, document)
    document.setAnnotation(f"imgedit/edit/{kept.key(group)}", "", data)
    document.setAnnotation("imgedit/history", "", data)
    assert kept.edits(document) == []
    assert kept.history(document) == []


def test_damaged_details_are_the_usual_ones(inside, document):
    kept = inside.module("kept")
    group = put(inside, document)
    data = json.dumps({"plan": PLAN, "strength": "much", "state": 1, "own": "yes"}).encode()
    document.setAnnotation(f"imgedit/edit/{kept.key(group)}", "", data)
    [found] = kept.edits(document)
    assert (found.kept.strength, found.kept.state, found.kept.own) == (1.0, None, False)


def test_the_history_keeps_the_newest_fifty(inside, document):
    kept = inside.module("kept")
    for number in range(55):
        put(inside, document, f"edit {number}")
    titles = [one["title"] for one in kept.history(document)]
    assert titles == [f"edit {number}" for number in range(54, 4, -1)]


def test_a_gesture_is_one_entry(inside, document):
    kept = inside.module("kept")
    put(inside, document, "before")
    group = put(inside, document, "1")
    for title in "234":
        old, group = kept.key(group), document.createGroupLayer(title)
        document.rootNode().addChildNode(group, None)
        kept.keep(document, group, kept.Kept(PLAN, title=title), continues=old)
    assert [one["title"] for one in kept.history(document)] == ["4", "before"]


# --- gestures ---------------------------------------------------------------------------------


class Hand:
    """Somebody at the docker, and the time."""

    def __init__(self, inside):
        self.time = 0.0
        self.gestures = inside.module("gestures").Gestures(lambda: self.time)
        others = [{"name": name, "parameters": {}} for name in ("contrast", "invert")]
        plan = {"operations": [*PLAN["operations"], *others]}
        self.state = StepList(plan, VOCABULARY).state()

    def moves(self, change, edit="one", after=0.5):
        self.time += after
        new = json.loads(json.dumps(self.state))
        change(new)
        old, self.state = self.state, new
        return self.gestures.continues(edit, old, new)

    def slides(self, step, value, **values):
        return self.moves(lambda new: new["steps"][step].update(parameters={"x": value}), **values)


def test_one_slider_is_one_gesture_until_it_rests(inside):
    hand = Hand(inside)
    assert [hand.slides(0, value) for value in (1, 2, 3)] == [False, True, True]
    assert not hand.slides(0, 4, after=3.1)
    assert hand.slides(0, 5, after=2.9)


def test_another_slider_or_edit_begins_a_new_one(inside):
    hand = Hand(inside)
    hand.slides(0, 1)
    assert not hand.slides(1, 1)
    assert hand.slides(1, 2)
    assert not hand.moves(lambda new: new.update(strength=0.5))
    assert hand.moves(lambda new: new.update(strength=0.6))
    assert not hand.slides(0, 2)
    assert not hand.slides(0, 3, edit="two")
    hand.gestures.end()
    assert not hand.slides(0, 4, edit="two")


@pytest.mark.parametrize(
    "change",
    [
        lambda new: new["steps"].pop(),
        lambda new: new["steps"].reverse(),
        lambda new: new["steps"].append(dict(new["steps"][0])),
        lambda new: new["steps"][0].update(on=not new["steps"][0]["on"]),
    ],
    ids=["removed", "moved", "added", "switched"],
)
def test_what_is_no_sliding_is_an_entry_each_time(inside, change):
    hand = Hand(inside)
    hand.slides(0, 1)
    assert not hand.moves(change)
    assert not hand.moves(change)
    assert not hand.slides(0, 2)


# --- work between events ----------------------------------------------------------------------


def test_nothing_of_ours_runs_in_the_middle_of_a_step(inside):
    """Krita handles events while it removes a node: another task of ours may be due then."""
    background, turns = inside.module("background"), inside.module("turns")
    order = []

    def first():
        order.append("first begins")
        inside.loop.spin(lambda: len(order) > 1 or not inside.loop._timed or tried[0] > 3)
        order.append("first goes on")
        yield

    def second():
        order.append("second")
        yield

    tried = [0]
    postpones = turns.KRITA.postpones

    def counted(do):
        tried[0] += turns.KRITA.is_taken
        return postpones(do)

    turns.KRITA.postpones = counted
    tasks = [background.Task(first()), background.Task(second())]
    for task in tasks:
        task.start()
    inside.loop.spin(lambda: all(task.over for task in tasks))
    assert tried[0] > 0
    assert order == ["first begins", "first goes on", "second"]


def test_the_turn_is_given_back_after_a_fault(inside):
    turns = inside.module("turns").KRITA
    with pytest.raises(ZeroDivisionError), turns.taken():
        raise ZeroDivisionError
    assert not turns.is_taken
    with turns.taken(), pytest.raises(RuntimeError, match="not our turn"), turns.taken():
        pass


# --- the engine -------------------------------------------------------------------------------


class Session:
    """The worker's answers."""

    def operations(self, plan=None):
        return VOCABULARY
        yield


class Told:
    """What an engine says."""

    def __init__(self, engine, loop):
        self.engine, self.loop = engine, loop
        self.said = []
        for name in ("busy", "finished", "edited", "failed", "cancelled"):
            getattr(engine, name).connect(
                lambda *values, name=name: self.said.append((name, *values))
            )

    def until_idle(self):
        self.loop.spin(lambda: not self.engine.is_busy)
        return self.said


@pytest.fixture
def told(inside):
    return Told(inside.module("engine").Engine(Session()), inside.loop)


def test_without_a_picture_it_says_so(told):
    told.engine.explain()
    assert told.said == [("failed", "No picture is open. Open one and try again.")]


def test_an_edit_is_explained(inside, document, told):
    group = put(inside, document, strength=0.5)
    told.engine.explain([group])
    assert told.said == [("busy", True)]
    text = "1. bright (offset 40): live\nStrength 50 %."
    assert told.until_idle()[1:] == [("busy", False), ("finished", text)]


def test_one_piece_of_work_at_a_time(inside, document, told):
    group = put(inside, document)
    told.engine.explain([group])
    told.engine.explain([group])
    assert told.said[-1] == ("failed", "imgedit is still at work. Wait for it, or cancel it.")
    assert [one[0] for one in told.until_idle()].count("finished") == 1


def test_a_plan_is_saved(inside, document, told, tmp_path):
    group = put(inside, document)
    told.engine.save_plan(tmp_path / "plan.json", [group])
    assert told.until_idle()[-1] == ("finished", tmp_path / "plan.json")
    assert json.loads((tmp_path / "plan.json").read_text("utf-8"))["operations"]


def test_cancelled_work_ends_with_a_word_and_nothing_else(inside, document, told):
    told.engine.explain([put(inside, document)])
    told.engine.cancel()
    assert told.until_idle() == [("busy", True), ("busy", False), ("cancelled",)]


@pytest.mark.parametrize("count", [0, 2])
def test_one_layer_is_needed(inside, document, told, count):
    told.engine.explain([put(inside, document)] * count)
    sentence = "One layer is needed. Select one layer and try again."
    assert told.until_idle()[-1] == ("failed", sentence)


def test_a_closed_picture_ends_the_work_with_a_sentence(inside, document, told):
    group = put(inside, document)
    background = inside.module("background")

    def steps(_document, _nodes):
        yield background.Pause(5)
        group.setName("touched")

    told.engine._on(document, [group], steps)
    document.close()
    assert told.until_idle()[-1] == (
        "failed",
        "The picture was closed before the edit was done. Open it and try again.",
    )
    assert group.name() == "Edit"


def test_documents_that_were_changed_are_told(inside, document, told):
    def steps(_document, _nodes):
        return "done"
        yield

    told.engine._on(document, [], steps)
    assert told.until_idle()[1:] == [("busy", False), ("edited", document), ("finished", "done")]


def test_faults_are_one_sentence(inside, document, told):
    sentence = inside.module("engine").sentence
    assert sentence(BridgeError("It is gone.", hint="Look.")) == "It is gone. Look."
    assert sentence(ValueError("two\nlines.")) == (
        "Unexpected: ValueError: two lines. Please report it."
    )
    told.engine.copy_edit([put(inside, document)])
    assert told.until_idle()[-1] == ("failed", "No other picture is open. Open one and try again.")


def test_the_active_layers_edit(inside, document, told):
    assert told.engine.current() is None
    group = put(inside, document)
    document.active = group.childNodes()[0]
    assert told.engine.current().group is group
    assert [one["title"] for one in told.engine.history()] == ["Edit"]
