"""How far Krita's filter layers are from the renderer, operation by operation, and as a table."""

import json
from dataclasses import dataclass

import numpy as np
from krita_session import pixels_of

from imgedit_bridges.krita import holdings
from imgedit_plugins.operations import default_vocabulary
from imgedit_plugins.operations.described import described
from imgedit_plugins.plan import parse_plan
from imgedit_plugins.render import render_plan

S_CURVE = [[0, 0], [0.25, 0.2], [0.75, 0.8], [1, 1]]
LIVE = [
    ("bright", {"offset": 50}),
    ("bright", {"offset": -73}),
    ("contrast", {"gain": 1.3}),
    ("contrast", {"gain": 0.4}),
    ("levels", {"in_black": 20, "in_white": 200, "gamma": 1.4}),
    ("levels", {"in_black": 10, "out_black": 200, "out_white": 30}),
    ("invert", {}),
    ("grayscale", {}),
    ("sepia", {}),
    ("saturate", {"factor": 0.4}),
    ("saturate", {"factor": 1.5}),
    ("saturate", {"factor": 3.0}),
    ("hue", {"degrees": 33.3}),
    ("hue", {"degrees": -120}),
    ("gaussian", {"kernel": 3}),
    ("gaussian", {"kernel": 13}),
    ("gaussian", {"kernel": 31}),
    ("blur", {"kernel": 3}),
    ("blur", {"kernel": 7}),
    ("blur", {"kernel": 21}),
    ("summer", {}),
    ("winter", {}),
    ("gamma", {"gamma": 1.7}),
    ("gamma", {"gamma": 0.6}),
    ("exposure", {"stops": 0.7}),
    ("exposure", {"stops": -1.5}),
    ("lightness", {"amount": 30}),
    ("whites", {"amount": 40}),
    ("blacks", {"amount": -40}),
    ("curves", {"all": S_CURVE}),
    ("curves", {"red": S_CURVE}),
    ("temperature", {"shift": 80}),
    ("tint", {"shift": -30}),
]
RENDERED = [
    ("saturate", {"factor": 4.5}),
    ("sharp", {}),
    ("hdr", {}),
    ("vibrance", {"amount": 40}),
    ("vignette", {"amount": -50}),
    ("rotate", {"degrees": 180}),
    ("flip", {}),
]


@dataclass
class Row:
    """One operation as Krita shows it: differences in codes of 8 bits, over all channels."""

    name: str
    parameters: dict
    layers: list
    mean: float
    largest: int


def measure(extension, picture, path, folder, cases):
    """Apply each operation by the extension in Krita and compare with `render_plan`."""
    script = ""
    for number, (name, parameters) in enumerate(cases):
        plan = {"schema": "imgedit-plan/1",
                "operations": [{"name": name, "parameters": parameters}]}  # fmt: skip
        (folder / f"{number}.json").write_text(json.dumps(plan), "utf-8")
        script += f"""
document = load({str(path)!r})
assert work("apply_plan", {plan!r}, document=document), {name!r}
group = kept.edits(document)[0].group
mark("held", number={number}, layers=[one.type() for one in group.childNodes()])
seen(document, {str(folder / f"{number}.bin")!r})
close(document)
"""
    run = extension.run(script, seconds=400)
    return [_row(run, picture, folder, number, *case) for number, case in enumerate(cases)]


def _row(run, picture, folder, number, name, parameters):
    plan = parse_plan((folder / f"{number}.json").read_text("utf-8"))
    wanted = np.asarray(render_plan(picture, plan).pixels).astype(int)
    got = pixels_of(run, folder / f"{number}.bin")[:, :, :3].astype(int)
    assert got.shape == wanted.shape, (name, parameters)
    difference = np.abs(got - wanted)
    [held] = [one for one in run.events("held") if one["number"] == number]
    return Row(name, parameters, held["layers"], float(difference.mean()), int(difference.max()))


def table(rows):
    """All operations of the vocabulary as a table: form, errors that were measured, reason."""
    lines = ["| Operation | In Krita | Mean | Largest | Why |", "|---|---|---|---|---|"]
    vocabulary = [described(one) for one in default_vocabulary()]
    for operation in vocabulary:
        fitting = [row for row in rows if row.name == operation["name"]]
        forms = sorted({_form(row) for row in fitting}) or ["a rendered layer"]
        for form in forms:
            measured = [row for row in fitting if _form(row) == form]
            errors = "– | –"
            if measured:
                mean, largest = max(r.mean for r in measured), max(r.largest for r in measured)
                errors = f"{mean:.2f} | {largest}"
            why = _why(operation, form)
            lines.append(f"| `{operation['name']}` | {form} | {errors} | {why} |")
    return "\n".join(lines) + "\n"


def _why(operation, form):
    if form == "a rendered layer":
        return holdings.reason(operation)
    return holdings.HELD.get(operation["name"], holdings.CURVE)


def _form(row):
    return "a rendered layer" if "paintlayer" in row.layers else "filter layers"
