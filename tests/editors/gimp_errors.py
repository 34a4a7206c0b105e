"""How far GIMP's live filters are from the renderer, operation by operation, and as a table."""

import json
import sys
from dataclasses import dataclass

import numpy as np
from editor_root import PROJECT
from gimp_session import NAMES, pixels_of

sys.path.append(str(PROJECT / "tests" / "core"))
from plan_strategies import example_of

from imgedit_bridges.gimp import holdings
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

LIVE = [
    ("bright", {"offset": 50}),
    ("bright", {"offset": -73}),
    ("contrast", {"gain": 1.3}),
    ("contrast", {"gain": 0.4}),
    ("levels", {"in_black": 20, "in_white": 200}),
    ("levels", {"in_black": 10, "out_black": 200, "out_white": 30}),
    ("invert", {}),
    ("grayscale", {}),
    ("sepia", {}),
    ("saturate", {"factor": 0.4}),
    ("saturate", {"factor": 1.2}),
    ("saturate", {"factor": 1.5}),
    ("gaussian", {"kernel": 3}),
    ("gaussian", {"kernel": 7}),
    ("gaussian", {"kernel": 13}),
    ("gaussian", {"kernel": 5}),
    ("gaussian", {"kernel": 31}),
    ("gaussian", {"kernel": 41}),
    ("gaussian", {"kernel": 99}),
    ("exposure", {"stops": 0.7}),
    ("exposure", {"stops": -1.5}),
    ("temperature", {"shift": 60}),
    ("temperature", {"shift": -80}),
    ("tint", {"shift": 20}),
    ("tint", {"shift": -30}),
    ("rotate", {"degrees": 90}),
    ("rotate", {"degrees": 180}),
    ("rotate", {"degrees": 270}),
    ("flip", {}),
]
OUT_OF_REACH = [
    ("saturate", {"factor": 2.0}),
    ("levels", {"gamma": 1.4}),
    ("temperature", {"shift": -150}),
    ("tint", {"shift": 50}),
]
"""Parameters for which an operation that can be live is not."""

BORDER = 16  # pixels; blurs of large kernels reach further


def baked():
    """Every other operation with the example of the core's own tests."""
    live = {name for name, _ in LIVE}
    steps = [example_of(one) for one in default_vocabulary() if one.name not in live]
    return OUT_OF_REACH + [(one.name, dict(one.parameters)) for one in steps]


@dataclass
class Row:
    """One operation as GIMP shows it: differences in codes of 8 bits, over all channels."""

    name: str
    parameters: dict
    filters: list
    layers: int
    mean: float
    largest: int
    inside: int


def measure(gimp, picture, path, folder, cases):
    """Apply each operation by the plug-in in GIMP and compare with `render_plan`."""
    script = NAMES
    for number, (name, parameters) in enumerate(cases):
        plan = {"schema": "imgedit-plan/1",
                "operations": [{"name": name, "parameters": parameters}]}  # fmt: skip
        (folder / f"{number}.json").write_text(json.dumps(plan), "utf-8")
        script += f"""
image = load({str(path)!r})
assert apply_plan(image, image.get_layers()[:1], {str(folder / f"{number}.json")!r})
top = image.get_layers()[0]
mark("held", number={number}, layers=len(image.get_layers()),
     filters=[made.get_name() for made in top.get_filters()])
top.merge_filters()
pixels(top, {str(folder / f"{number}.bin")!r})
image.delete()
"""
    run = gimp.run(script, seconds=600)
    return [_row(run, picture, folder, number, *case) for number, case in enumerate(cases)]


def _row(run, picture, folder, number, name, parameters):
    plan = parse_plan((folder / f"{number}.json").read_text("utf-8"))
    wanted = np.asarray(render_plan(picture, plan).pixels).astype(int)
    got = pixels_of(run, folder / f"{number}.bin").astype(int)
    assert got.shape == wanted.shape, (name, parameters)
    difference = np.abs(got - wanted)
    [held] = [one for one in run.events("held") if one["number"] == number]
    inner = difference[BORDER:-BORDER, BORDER:-BORDER]
    return Row(name, parameters, held["filters"], held["layers"],
               float(difference.mean()), int(difference.max()), int(inner.max()))  # fmt: skip


def short_table(rows):
    """Operations that are live, in a GIMP that hides some filters: measured errors."""
    lines = ["| Live operation | Mean | Largest | Inside |", "|---|---|---|---|"]
    for name in dict.fromkeys(row.name for row in rows if row.filters):
        mine = [row for row in rows if row.name == name and row.filters]
        mean, largest, inside = (max(getattr(row, one) for row in mine)
                                 for one in ("mean", "largest", "inside"))  # fmt: skip
        lines.append(f"| `{name}` | {mean:.2f} | {largest} | {inside} |")
    return "\n".join(lines) + "\n"


def table(rows):
    """All operations of the vocabulary as a table: form, measured errors, reason."""
    lines = ["| Operation | In GIMP | Mean | Largest | Inside | Why |", "|---|---|---|---|---|---|"]
    for operation in default_vocabulary():
        mine = [row for row in rows if row.name == operation.name]
        for form in sorted(set(map(_form, mine))):
            fitting = [row for row in mine if _form(row) == form]
            mean = max(row.mean for row in fitting)
            largest, inside = (max(getattr(row, one) for row in fitting)
                               for one in ("largest", "inside"))  # fmt: skip
            why = holdings.RENDERED if form == "a rendered layer" else holdings.HELD
            lines.append(
                f"| `{operation.name}` | {form} | {mean:.2f} | {largest} | {inside} | "
                f"{why[operation.name]} |"
            )
    return "\n".join(lines) + "\n"


def _form(row):
    if row.layers > 1:
        return "a rendered layer"
    if row.name in holdings.GEOMETRIC:
        return "the layer turned"
    return "live filters"
