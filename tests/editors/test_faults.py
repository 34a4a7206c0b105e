"""The worker, or the process that runs plugins, killed in the middle of a job of a real editor."""

import json

import pytest

from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture

pytestmark = pytest.mark.editors

NOTICED = 5.0  # seconds
SAID = {
    "worker": "The worker ended in the middle of the job.",
    "executor": "The process that runs plugins ended in the middle of the job (SIGKILL",
}

# Kills from a thread while the editor's own waits for the job.
KILLER = """
import hashlib, os, pathlib, signal, threading, time

def child_of(parent):
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            stat = (path / "stat").read_text().rpartition(")")[2].split()
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if int(stat[1]) == parent and b"spawn_main" in command:
            return int(path.name)

def found(victim):
    base = os.environ.get("XDG_RUNTIME_DIR")
    folder = f"{base}/imgedit-plugins" if base else f"/tmp/imgedit-plugins-{os.getuid()}"
    try:
        worker = json.loads(pathlib.Path(folder, "worker.json").read_text())["pid"]
    except OSError:
        return None
    executor = child_of(worker)
    return executor and {"worker": worker, "executor": executor}[victim]

def kill(victim):
    while not (pid := found(victim)):
        time.sleep(0.05)
    time.sleep(2.0)  # by now it searches
    os.kill(pid, signal.SIGKILL)
    mark("killed", at=time.monotonic())

def digest(data):
    return hashlib.sha256(bytes(data)).hexdigest()
"""


@pytest.fixture
def pair(folder):
    """Two photographs that no plan leads from one to the other, so that the search is long."""
    paths = folder / "before.png", folder / "after.png"
    for seed, path in enumerate(paths):
        save_picture(photograph(2400, 1600, seed=3 * seed), path)
    return paths


@pytest.fixture
def plan(folder):
    path = folder / "plan.json"
    operations = [{"name": "sharp", "parameters": {}}]
    path.write_text(json.dumps({"schema": "imgedit-plan/1", "operations": operations}), "utf-8")
    return path


def check(run, victim):
    [killed], [noticed] = run.events("killed"), run.events("noticed")
    assert noticed["at"] - killed["at"] < NOTICED
    told = run.events("refused")[0]["told"]
    assert SAID[victim] in told
    assert "Traceback" not in told
    before, after, edited = run.events("picture")
    assert after["layers"] == before["layers"], "the picture is untouched"
    assert edited["layers"][1:] == before["layers"], "the next action works, on a layer of its own"
    assert edited["layers"][0] not in before["layers"]


@pytest.mark.parametrize("victim", SAID)
def test_gimp(plugin, pair, plan, victim):
    from gimp_session import NAMES, RECOVER

    run = plugin.run(NAMES + "import json\n" + KILLER + f"""
def picture():
    layers = image.get_layers()
    area = Gegl.Rectangle.new(0, 0, 2400, 1600)
    mark("picture", layers=[
        [one.get_name(), len(one.get_filters()), digest(
            one.get_buffer().get(area, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE))]
        for one in layers])

image = load({str(pair[0])!r})
upper = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image,
                             Gio.File.new_for_path({str(pair[1])!r}))
image.insert_layer(upper, None, 0)
picture()
thread = threading.Thread(target=kill, args=({victim!r},))
thread.start()
assert call(RECOVER, image, image.get_layers()) is None
mark("noticed", at=time.monotonic())
thread.join()
picture()
assert apply_plan(image, image.get_layers()[:1], {str(plan)!r})
picture()
""".replace("RECOVER", repr(RECOVER)), seconds=240)  # fmt: skip
    check(run, victim)


@pytest.mark.parametrize("victim", SAID)
def test_krita(extension, pair, plan, victim):
    run = extension.run("import json\n" + KILLER + f"""
def picture():
    painted(document)
    area = (0, 0, 2400, 1600)
    mark("picture", layers=[
        [one.name(), one.type(), digest(one.projectionPixelData(*area))]
        for one in reversed(document.rootNode().childNodes())])

document, other = load({str(pair[0])!r}), load({str(pair[1])!r})
upper = background(other).clone()
document.rootNode().addChildNode(upper, None)
settle(document)
picture()
thread = threading.Thread(target=kill, args=({victim!r},))
thread.start()
assert work("recover", [upper, background(document)], document=document) is None
mark("noticed", at=time.monotonic())
thread.join()
picture()
assert work("apply_file", pathlib.Path({str(plan)!r}), [upper], document=document) is not None
picture()
""", seconds=240)  # fmt: skip
    check(run, victim)
