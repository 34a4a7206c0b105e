"""Decoders by optimum, which needs older packages than this project: in an environment of its own.

Optimum's exporter takes tokens and gives logits. Of its graph the table of embeddings is cut off
and the hidden states are led out, so that it becomes a decoder as every other one here.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imgedit_exporters import tracing
from imgedit_exporters.runtime.providers import cache_folder
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.exporting import Part
from imgedit_plugins.jobs import Job

PINS = (
    "torch==2.13.0", "transformers==4.57.6", "optimum==2.1.0", "optimum-onnx==0.1.0",
    "onnx==1.23.2", "onnxruntime==1.31.1", "numpy==2.4.6",
)  # fmt: skip
"""What the environment holds. Optimum 0.1.0 of ONNX asks for transformers before 4.58."""

VERSIONS = dict(pin.split("==") for pin in PINS if pin.startswith("optimum"))
"""Of what makes the graph, for the certificate."""

_TASK = "text-generation-with-past"
_SECONDS = 3600.0


def misfit(part: Part) -> str:
    """Why optimum cannot make a part, as a clause; '' where it may."""
    return "" if part.language_model is not None else "it names no language model"


def to_onnx(part: Part, path: Path, job: Job) -> None:
    """Write a decoder as ONNX, in float32 and in the form that `runtime.decoding` tells.

    Args:
        part: which `misfit` finds nothing about.
        path: of the file.
        job: progress, and told when the environment is made.

    Raises:
        ImgeditError: the environment cannot be made, optimum fails, or its graph is a strange one.
    """
    import onnx_ir as ir

    program = environment(job)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".optimum-") as folder:
        source, target = Path(folder) / "model", Path(folder) / "made"
        job.report(f"exporting {part.name} by optimum")
        part.language_model.save_pretrained(source)
        _as_before_5(source / "config.json")
        _run(
            (program, "export", "onnx", "--model", source, "--task", _TASK, "--no-post-process",
             target),
            f"optimum cannot export the part {part.name!r}",
        )  # fmt: skip
        model = ir.load(target / "model.onnx")
        _as_decoder(model, part)
        tracing.save(model, path)


# --- the environment --------------------------------------------------------------------------


def environment(job: Job) -> Path:
    """Optimum's program, in an environment that is made when it is first needed.

    Raises:
        ImgeditError: it cannot be made.
    """
    folder = cache_folder() / f"optimum-{PINS[3].partition('==')[2]}-{PINS[1].partition('==')[2]}"
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    done = folder / "complete"
    if not done.is_file():
        job.warn(
            f"Optimum gets an environment of its own in {folder}: 2 GB, downloaded once. "
            "Delete it whenever you like."
        )
        job.report("making an environment for optimum")
        venv.create(folder, with_pip=True, clear=True)
        _run(
            (scripts / "python", "-m", "pip", "install", "--disable-pip-version-check", *PINS),
            "The environment for optimum cannot be made",
        )
        done.write_text("\n".join(PINS), "utf-8")
    return scripts / "optimum-cli"


def _run(command: Sequence[str | Path], trouble: str) -> None:
    """Run a program of the environment, which must not see this one's packages or the network."""
    kept = {n: v for n, v in os.environ.items() if n not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            [str(word) for word in command],
            env={**kept, "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImgeditError(f"{trouble}: {error}.") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise ImgeditError(
            f"{trouble}: {lines[-1].strip()[:400]}", hint="--backend torch exports without it."
        )


def _as_before_5(path: Path) -> None:
    """Write a configuration of transformers 5 in the words of transformers 4."""
    config = json.loads(path.read_text("utf-8"))
    rope = config.pop("rope_parameters", None) or {}
    if "rope_theta" in rope:
        config["rope_theta"] = rope.pop("rope_theta")
    if rope.get("rope_type", "default") != "default":
        config["rope_scaling"] = rope
    config["torch_dtype"] = config.pop("dtype", "float32")
    path.write_text(json.dumps(config), "utf-8")


# --- the graph --------------------------------------------------------------------------------


def _as_decoder(model: Any, part: Part) -> None:
    """Give optimum's graph the inputs and outputs of a decoder part; see `runtime.decoding`."""
    import onnx_ir.passes.common as passes

    graph = model.graph
    given = {value.name: value for value in graph.inputs}
    made = {value.name: value for value in graph.outputs}
    table, head = _ends(given, made, part)
    embeds = _input("embeds", ("length", part.example["embeds"].shape[2]))
    table.outputs[0].replace_all_uses_with(embeds)
    pairs = [
        (given.pop(f"past_key_values.{name}"), made[f"present.{name}"])
        for name in _layers(given, part)
    ]
    nodes = _positions(given, embeds, pairs[0][0])
    logits, states, more = _last_position(head)
    nodes += more
    graph.extend(nodes)
    for number, (past, present) in enumerate(pairs):
        layer, kind = divmod(number, 2)
        past.name = f"past_{('key', 'value')[kind]}_{layer}"
        present.name = past.name.removeprefix("past_")
        past.shape = _sizes(past, "cached")
        present.shape = _sizes(present, "total")
    graph.inputs[:] = [embeds, *(past for past, _ in pairs)]
    graph.outputs[:] = [logits, states, *(present for _, present in pairs)]
    graph.sort()
    passes.RemoveUnusedNodesPass()(model)


def _layers(given: Mapping[str, Any], part: Part) -> list[str]:
    count = sum(name.startswith("past_key_values.") for name in given)
    if count != len(part.example) - 1:
        raise ImgeditError(
            f"Optimum's graph of the part {part.name!r} has {count} caches, not "
            f"{len(part.example) - 1}.",
            hint="--backend torch exports without it.",
        )
    return [f"{layer}.{kind}" for layer in range(count // 2) for kind in ("key", "value")]


def _ends(given: Mapping[str, Any], made: Mapping[str, Any], part: Part) -> tuple[Any, Any]:
    """The table of embeddings and the layer of the logits."""
    uses = given["input_ids"].uses() if "input_ids" in given else ()
    tables = [use.node for use in uses if use.node.op_type == "Gather"]
    head = made["logits"].producer() if "logits" in made else None
    if len(tables) != 1 or head is None or head.op_type != "MatMul":
        raise ImgeditError(
            f"Optimum's graph of the part {part.name!r} is none that can become a decoder: it has "
            f"{len(tables)} tables of embeddings, and its logits come from "
            f"{head.op_type if head else 'nowhere'}.",
            hint="--backend torch exports without it.",
        )
    return tables[0], head


def _positions(given: Mapping[str, Any], embeds: Any, past: Any) -> list[Any]:
    """What optimum's graph is told of positions, from the sizes of what is read and cached."""
    import onnx_ir as ir

    zero, one, two = (_constant(number, []) for number in (0, 1, 2))
    axis, ones = _constant(0, [1]), ir.tensor([1])
    length_of, cached_of = ir.node("Shape", [embeds]), ir.node("Shape", [past])
    length = ir.node("Gather", [length_of.outputs[0], one.outputs[0]])
    cached = ir.node("Gather", [cached_of.outputs[0], two.outputs[0]])
    total = ir.node("Add", [length.outputs[0], cached.outputs[0]])
    places = ir.node("Range", [cached.outputs[0], total.outputs[0], one.outputs[0]])
    position_ids = ir.node("Unsqueeze", [places.outputs[0], axis.outputs[0]])
    every = ir.node("Range", [zero.outputs[0], total.outputs[0], one.outputs[0]])
    row = ir.node("Unsqueeze", [every.outputs[0], axis.outputs[0]])
    shape = ir.node("Shape", [row.outputs[0]])
    mask = ir.node("ConstantOfShape", [shape.outputs[0]], {"value": ones})
    replaced = {"attention_mask": mask, "position_ids": position_ids}
    for name, node in replaced.items():
        if name in given:
            given[name].replace_all_uses_with(node.outputs[0])
    return [zero, one, two, axis, length_of, cached_of, length, cached, total, places,
            position_ids, every, row, shape, mask]  # fmt: skip


def _last_position(head: Any) -> tuple[Any, Any, list[Any]]:
    """Logits of the last position alone, and the states of all."""
    import onnx_ir as ir

    states = head.inputs[0]
    last = _constant(-1, [])
    behind = ir.node("Gather", [states, last.outputs[0]], {"axis": 1})
    head.replace_input_with(0, behind.outputs[0])
    logits = head.outputs[0]
    logits.shape = ir.Shape([1, logits.shape[2]])
    states.name, states.shape = "states", ir.Shape([1, "length", head.inputs[1].shape[0]])
    states.dtype = ir.DataType.FLOAT
    return logits, states, [last, behind]


def _constant(number: int, shape: list[int]) -> Any:
    import numpy as np
    import onnx_ir as ir

    return ir.node("Constant", [], {"value": ir.tensor(np.full(shape, number, np.int64))})


def _input(name: str, sizes: tuple[int | str, ...]) -> Any:
    import onnx_ir as ir

    return ir.Value(name=name, shape=ir.Shape([1, *sizes]), type=ir.TensorType(ir.DataType.FLOAT))


def _sizes(value: Any, cached: str) -> Any:
    import onnx_ir as ir

    return ir.Shape([1, value.shape[1], cached, value.shape[3]])
