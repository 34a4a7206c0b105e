"""One story told to an engine of the docker: the double and the real one must tell the same."""

import copy

from imgedit_bridges.errors import BridgeError


class Listener:
    """Remembers what the engine tells."""

    def __init__(self):
        self.ends = []

    def changed(self):
        """Nothing to remember: the story looks when it wants to know."""

    def progress(self, stage, share):
        """Another time each time."""

    def explained(self, text):
        """Told to one docker alone."""

    def told(self, message, hint, *, failed):
        self.ends.append((message, failed))

    def ended(self, message, hint, *, failed):
        self.ends.append((message, failed))


class Telling:
    """A story on its way; `goes_on` takes it as far as it can go without waiting."""

    def __init__(self, engine, plan):
        self.facts = []
        self._steps = story(engine, plan, self.facts)
        self._until = next(self._steps)

    def goes_on(self):
        """Whether it has not come to its end yet."""
        while self._until():
            self._until = next(self._steps, None)
            if self._until is None:
                return False
        return True


def story(engine, plan, facts):
    """Adds what happens to `facts`, as plain values; yields what it waits for.

    It begins with two layers and no edit; `plan` is a file.
    """
    listener = Listener()
    engine.listen(listener)

    def seen(title):
        now = engine.look()
        edit = now.edit and {
            "steps": [(one["name"], one["on"]) for one in now.edit.state["steps"]],
            "strength": now.edit.state["strength"],
            "shown": now.edit.shown,
            "earlier": len(now.edit.history),
        }
        able = {one.id for one in now.commands if not one.refusal}
        own = able & {"recover", "apply-plan", "save-plan", "explain"}
        facts.append((title, edit, sorted(own), now.problem))

    engine.prepare()
    yield lambda: engine.look().vocabulary is not None
    seen("before")
    layers = engine.layers()
    keys = [key for key, _ in layers.names]
    facts.append(("layers", len(keys), layers.before in keys, layers.after in keys))
    pictures = []
    engine.preview("apply-plan", {"path": plan}, 64, lambda *told: pictures.append(told))
    yield lambda: pictures
    before, after, why = pictures[0]
    facts.append(("preview", before.width(), after.width(), before == after, why))
    try:
        engine.begin("nothing-of-the-kind")
        facts.append(("begun", "nothing"))
    except BridgeError as error:
        facts.append(("refused", type(error).__name__))
    engine.begin("grayscale")
    yield lambda: listener.ends
    facts.append(("ended", *listener.ends[0]))
    seen("begun")
    state = copy.deepcopy(dict(engine.look().edit.state))
    state["strength"] = 0.5
    engine.change(engine.look().edit.key, state)
    yield lambda: len(listener.ends) > 1
    facts.append(("ended", *listener.ends[1]))
    seen("weaker")
    engine.show(engine.look().edit.key, on=False)
    yield lambda: not engine.look().edit.shown
    seen("hidden")
    engine.show(engine.look().edit.key, on=True)
    yield lambda: engine.look().edit.shown
    engine.start("explain", {})
    yield lambda: len(listener.ends) > 2
    facts.append(("ended", *listener.ends[2]))
    engine.write_setting("story", "told")
    facts.append(("setting", engine.setting("story"), engine.setting("another")))
