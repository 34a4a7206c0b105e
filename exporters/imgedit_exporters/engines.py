"""Engines of NVIDIA's TensorRT, built by its own interface out of parts in standard ONNX.

An engine is good for one card and one version of TensorRT, and for sizes between those of its
profile. It lies in the bundle with a small ONNX file around it, by which onnxruntime runs it.
"""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgedit_exporters.runtime.bundles import BundlePart
from imgedit_exporters.runtime.providers import (
    PROVIDERS,
    Card,
    card,
    tensorrt_fault,
    tensorrt_version,
    timing_cache,
)
from imgedit_plugins.errors import ImgeditError, JobCancelledError, OptionError, PluginError
from imgedit_plugins.exporting import Part
from imgedit_plugins.jobs import Job

_DRAWN = 16
"""Golden inputs that sizes are taken from."""

Sizes = Mapping[str, tuple[int, int, int]]
"""By an axis' name: the least, the usual and the most."""


@dataclass(frozen=True)
class Profile:
    """The shapes of an input that an engine takes."""

    least: tuple[int, ...]
    usual: tuple[int, ...]
    most: tuple[int, ...]


def required() -> tuple[Any, Card]:
    """TensorRT's module, and the card that engines are built for.

    Raises:
        PluginError: there is no card, or no TensorRT that onnxruntime can run engines of.
    """
    found = card()
    if fault := tensorrt_fault(found, tensorrt_version()):
        raise PluginError(
            f"Engines of TensorRT cannot be built here: {fault}",
            hint="They are built on the machine that runs them; --to onnx needs none of this.",
        )
    assert found is not None
    try:
        return _tensorrt(), found
    except (ImportError, OSError) as error:
        raise PluginError(
            f"TensorRT cannot be loaded: {error}.",
            hint="Run: pip install 'imgedit-plugins[runtime-gpu,tensorrt]'.",
        ) from error


def _tensorrt() -> Any:
    return importlib.import_module("tensorrt")


def profiles(part: Part, sizes: Sizes) -> dict[str, Profile]:
    """The shapes of each input.

    Args:
        part: with axes that may differ.
        sizes: of axes by name; of the others those of golden inputs are taken, from 1 (or from 0
            where there are such) to the largest of them.

    Raises:
        OptionError: `sizes` is of an axis that the part has not, or its order is wrong.
    """
    drawn = [part.example, *part.inputs(_DRAWN)]
    found: dict[str, tuple[int, int, int]] = {}
    for name, axes in part.dynamic.items():
        for axis, label in axes.items():
            there = [arrays[name].shape[axis] for arrays in drawn]
            before = found.get(label, (1, 1, 1))
            usual = int(statistics.median_low(there))
            found[label] = (min(*there, before[0]), usual, max(*there, before[2]))
    found |= {label: size for label, size in sizes.items() if label in found}
    made = {}
    for name, array in part.example.items():
        labels = part.dynamic.get(name, {})
        shapes = [
            tuple(found[labels[axis]][which] if axis in labels else size
                  for axis, size in enumerate(array.shape))
            for which in range(3)
        ]  # fmt: skip
        made[name] = Profile(*shapes)
    return made


def check_sizes(parts: tuple[Part, ...], sizes: Sizes) -> None:
    """Make sure that sizes are in order, and that a part has such an axis.

    Raises:
        OptionError: they are not.
    """
    known = {label for part in parts for axes in part.dynamic.values() for label in axes.values()}
    for label, (least, usual, most) in sizes.items():
        if label not in known:
            raise OptionError(
                f"No part has an axis {label!r}.", hint=f"There are {', '.join(sorted(known))}."
            )
        if not 0 <= least <= usual <= most or most == 0:
            raise OptionError(
                f"The sizes of {label!r} are not in order: {least}:{usual}:{most}.",
                hint="Give them as LEAST:USUAL:MOST.",
            )


def build(part: Part, source: Path, target: Path, sizes: Sizes, job: Job) -> None:
    """Build an engine of a part.

    Args:
        part: as it was declared.
        source: its ONNX file, of standard operators alone.
        target: of the engine.
        sizes: see `profiles`.
        job: progress of the build, and cancellation.

    Raises:
        PluginError: as `required`.
        ImgeditError: TensorRT cannot read or build it.
        JobCancelledError: cancelled.
    """
    trt, found = required()
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    # Types are those of the file: a part in fp16 says so by its weights.
    typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(source)):
        told = "; ".join(str(parser.get_error(n)) for n in range(parser.num_errors))
        raise ImgeditError(f"TensorRT cannot read the part {part.name!r}: {told[:400]}")
    config = builder.create_builder_config()
    config.add_optimization_profile(_profile(builder, profiles(part, sizes)))
    config.progress_monitor = _monitor(trt, part.name, job)
    known = timing_cache(found, tensorrt_version())
    times = config.create_timing_cache(known.read_bytes() if known.is_file() else b"")
    config.set_timing_cache(times, ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    job.check()
    if plan is None:
        raise ImgeditError(f"TensorRT cannot build an engine of the part {part.name!r}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(memoryview(plan))
    known.parent.mkdir(parents=True, exist_ok=True)
    known.write_bytes(memoryview(config.get_timing_cache().serialize()))


def _profile(builder: Any, shapes: Mapping[str, Profile]) -> Any:
    made = builder.create_optimization_profile()
    for name, one in shapes.items():
        made.set_shape(name, one.least, one.usual, one.most)
    return made


def _monitor(trt: Any, name: str, job: Job) -> Any:
    """Tells a job of TensorRT's phases; a cancelled job ends the build."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            del parent_phase
            self._steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                job.report(f"building {name}: {phase_name}", step, self._steps[phase_name])
            except JobCancelledError:
                return False
            return True

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Monitor()


def write_context(part: BundlePart, engine: Path, path: Path, found: Card) -> None:
    """Write the ONNX file by which onnxruntime's provider runs an engine.

    Args:
        part: whose inputs and outputs the engine has.
        engine: beside `path`.
        path: of the file.
        found: the card that the engine is for.
    """
    from onnx import TensorProto, helper, save

    kinds = {"float": TensorProto.FLOAT, "float16": TensorProto.FLOAT16,
             "int64": TensorProto.INT64, "int32": TensorProto.INT32,
             "bool": TensorProto.BOOL}  # fmt: skip
    inputs, outputs = (
        [helper.make_tensor_value_info(one.name, kinds[one.type], list(one.shape)) for one in side]
        for side in (part.inputs, part.outputs)
    )
    node = helper.make_node(
        "EPContext",
        [one.name for one in part.inputs],
        [one.name for one in part.outputs],
        domain="com.microsoft",
        main_context=1,
        embed_mode=0,
        ep_cache_context=engine.name,
        source=PROVIDERS["tensorrt"],
        hardware_architecture=found.capability.replace(".", ""),
    )
    graph = helper.make_graph([node], part.name, inputs, outputs)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=10), str(path))
