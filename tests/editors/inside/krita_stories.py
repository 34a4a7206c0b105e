"""Stories about documents and about work between events: told in Krita, and to its doubles."""

import threading

from imgedit_bridges.client import BridgeError, JobCancelledError

PLAN = {"operations": [{"name": "invert", "parameters": {}}]}


def kept_story(app, kept):
    """What a document keeps of its edits; returns facts."""
    facts = []
    document = app.createDocument(8, 8, "story", "RGBA", "U8", "", 72.0)
    root = document.rootNode()
    bottom = root.childNodes()[0]

    def edit(title, **values):
        group = document.createGroupLayer(title)
        group.addChildNode(document.createNode(f"{title} layer", "paintlayer"), None)
        root.addChildNode(group, None)
        kept.keep(document, group, kept.Kept(PLAN, title=title, **values), continues=before[0])
        before[0] = ""
        return group

    def tell(what):
        titles = [one.kept.title for one in kept.edits(document)]
        facts.append((what, titles, [one["title"] for one in kept.history(document)]))

    before = [""]
    tell("nothing")
    first = edit("first", strength=0.5, source=kept.key(bottom), state={"steps": []})
    tell("one")
    found = kept.edit_of(document, first.childNodes()[0])
    facts.append(("by a layer in it", found.kept.strength, found.kept.state, found.kept.children))
    facts.append(("by its source", kept.edit_of(document, bottom).kept.title))
    facts.append(("by its id", kept.find(document, kept.key(first)).name()))
    before[0] = kept.key(first)
    second = edit("second")
    tell("the second goes on with the first")
    before[0] = kept.key(first)
    third = edit("third")
    tell("the third does not, since it is not the newest")
    root.addChildNode(second.duplicate(), None)
    tell("a copy")
    third.remove()
    tell("removed")
    facts.append(("gone", kept.find(document, kept.key(third)) is None))
    root.addChildNode(third, None)
    tell("back")
    document.setAnnotation("imgedit/edit/" + kept.key(third), "", b"{")
    document.setAnnotation("imgedit/history", "", b"[1]")
    tell("damaged")
    document.setModified(False)
    document.close()
    return facts


def task_story(background, spin):
    """Work on a thread, pauses, faults and cancelling; returns facts."""
    facts = []
    main = threading.get_ident()

    def run(name, steps, cancels=False):
        task = background.Task(steps)
        ends = []
        task.progressed.connect(lambda stage, share: facts.append((name, stage, share)))
        task.ended.connect(lambda value, error: ends.append((value, error)))
        task.start()
        facts.append((name, "is over", task.over))
        if cancels:
            task.cancel()
        spin(lambda: ends)
        value, error = ends[0]
        facts.append((name, value, type(error).__name__, threading.get_ident() == main, task.over))

    def work():
        told = yield background.Work(lambda told: told("halfway", 0.5))
        elsewhere = yield background.Work(lambda _: threading.get_ident() != main)
        yield background.Pause(5)
        yield
        return [told, elsewhere, threading.get_ident() == main]

    def fails(where):
        if where == "thread":
            yield background.Work(lambda _: 1 / 0)
        yield
        raise BridgeError("no")

    def mends():
        try:
            yield background.Work(lambda _: 1 / 0)
        except ZeroDivisionError:
            return "mended"

    def cleans():
        try:
            yield background.Pause(1)
        except JobCancelledError:
            facts.append("cleaned up")
            raise

    run("work", work())
    run("fault on a thread", fails("thread"))
    run("fault between events", fails("here"))
    run("mended fault", mends())
    run("not cancelled", cleans())
    run("cancelled at once", cleans(), cancels=True)
    return facts
