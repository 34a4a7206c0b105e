"""How far GIMP's live filters are from the renderer, operation by operation, and as a table."""

import json
from dataclasses import dataclass

import numpy as np
from gimp_session import NAMES, pixels_of

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
    ("gaussian", {"kernel": 31}),
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
BAKED = [
    ("saturate", {"factor": 2.0}),
    ("levels", {"gamma": 1.4}),
    ("blur", {"kernel": 7}),
    ("sharp", {}),
    ("summer", {}),
    ("winter", {}),
    ("hdr", {}),
    ("gamma", {"gamma": 1.3}),
    ("lightness", {"amount": 30}),
    ("hue", {"degrees": 40}),
    ("vibrance", {"amount": 40}),
    ("vignette", {"amount": -50}),
    ("crop", {"left": 0.1, "top": 0.05, "right": 0.0, "bottom": 0.2}),
]


@dataclass
class Row:
    """One operation as GIMP shows it: differences in codes of 8 bits, over all channels."""

    name: str
    parameters: dict
    filters: list
    layers: int
    mean: float
    largest: int


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
    run = gimp.run(script, seconds=400)
    return [_row(run, picture, folder, number, *case) for number, case in enumerate(cases)]


def _row(run, picture, folder, number, name, parameters):
    plan = parse_plan((folder / f"{number}.json").read_text("utf-8"))
    wanted = np.asarray(render_plan(picture, plan).pixels).astype(int)
    got = pixels_of(run, folder / f"{number}.bin").astype(int)
    assert got.shape == wanted.shape, (name, parameters)
    difference = np.abs(got - wanted)
    [held] = [one for one in run.events("held") if one["number"] == number]
    return Row(name, parameters, held["filters"], held["layers"],
               float(difference.mean()), int(difference.max()))  # fmt: skip


def table(rows):
    """All operations of the vocabulary as a table: form, errors that were measured, reason."""
    lines = ["| Operation | In GIMP | Mean | Largest | Why |", "|---|---|---|---|---|"]
    measured = {(row.name, _form(row)) for row in rows}
    for operation in default_vocabulary():
        forms = sorted(form for name, form in measured if name == operation.name)
        for form in forms or ["a rendered layer"]:
            fitting = [r for r in rows if (r.name, _form(r)) == (operation.name, form)]
            errors = ("–", "–")
            if fitting:
                mean = max(row.mean for row in fitting)
                errors = (f"{mean:.2f}", str(max(row.largest for row in fitting)))
            why = (holdings.RENDERED if form == "a rendered layer" else holdings.HELD).get(
                operation.name, "not known to the plug-in"
            )
            lines.append(f"| `{operation.name}` | {form} | {errors[0]} | {errors[1]} | {why} |")
    return "\n".join(lines) + "\n"


def _form(row):
    if row.layers > 1:
        return "a rendered layer"
    if row.name in holdings.GEOMETRIC:
        return "the layer turned"
    return "live filters"
