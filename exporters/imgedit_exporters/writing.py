"""A part as a file: which backend writes it, and in which precision."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from imgedit_exporters import genai, optimum_graphs, tracing
from imgedit_exporters.halving import to_bfloat16
from imgedit_exporters.quantising import Grain, quantise
from imgedit_exporters.runtime.bundles import Backend
from imgedit_plugins.errors import OptionError
from imgedit_plugins.exporting import Part, Precision
from imgedit_plugins.jobs import Job

BITS: dict[Precision, Literal[4, 8]] = {"int8": 8, "int4": 4}


@dataclass(frozen=True)
class Wanted:
    """How a bundle is made.

    Attributes:
        precision: of all parts that `parts` does not name.
        parts: precision by the name of a part.
        block: weights that share a scale, of int8 and int4.
        accuracy_level: of the kernel, of int8 and int4; see `Grain`.
        golden: inputs that each part is compared on, instead of the part's own number.
        force: write a bundle that fails, with its faults recorded.
        backend: of decoders: 'auto' takes onnxruntime-genai's builder where it fits, else torch.
        triton: make a repository for Triton of the parts, too.
        engines: build an engine of TensorRT of each part, too; the parts are then of standard
            operators alone.
        sizes: of engines, by the name of an axis: the least, the usual and the most.
    """

    precision: Precision = "fp32"
    parts: Mapping[str, Precision] = field(default_factory=dict)
    block: int = 32
    accuracy_level: int = 4
    golden: int | None = None
    force: bool = False
    backend: Literal["auto", "torch", "genai", "optimum"] = "auto"
    triton: bool = False
    engines: bool = False
    sizes: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    def of(self, part: str) -> Precision:
        """The precision of a part."""
        return self.parts.get(part, self.precision)


@dataclass(frozen=True)
class Form:
    """How a part was written.

    Attributes:
        precision: which may be fp32 where there was nothing to put into another.
        quantised: matrices in few bits.
        backend: that wrote it.
    """

    precision: Precision
    quantised: int
    backend: Backend


def write(
    part: Part, path: Path, wanted: Wanted, job: Job, *, traced: Callable[[], None] | None = None
) -> Form:
    """Write a part.

    Args:
        part: declared by a plugin.
        path: of the file.
        wanted: how it is made.
        job: warned where it is made otherwise.
        traced: called once when the original's weights are in a file, and not needed any more.

    Raises:
        ImgeditError: it cannot be written, by the backend that is wanted or by any.
    """
    precision, backend = wanted.of(part.name), backend_of(part, wanted, job)
    if precision == "fp16" and not isinstance(part.module, nn.Module):
        job.warn(f"The part {part.name} is a function without weights of its own and stays fp32.")
        precision = "fp32"
    if precision == "bf16":
        count = _converted(part, path, wanted, backend, to_bfloat16, traced, job)
        if not count:
            job.warn(f"The part {part.name} has no weights to put into bfloat16; it stays fp32.")
        return Form("bf16" if count else "fp32", 0, backend)
    if precision not in BITS:
        half = precision == "fp16"
        _graph(part, path, wanted, backend, torch.float16 if half else torch.float32, traced, job)
        return Form(precision, 0, backend)
    grain = Grain(BITS[precision], wanted.block, wanted.accuracy_level)
    count = _converted(part, path, wanted, backend, lambda a, b: quantise(a, b, grain), traced, job)
    if count:
        return Form(precision, count, backend)
    job.warn(f"The part {part.name} has no matrix to put into {grain.bits} bits; it stays fp32.")
    return Form("fp32", 0, backend)


def backend_of(part: Part, wanted: Wanted, job: Job) -> Backend:
    """Which backend writes a part; it is told where another one might be expected.

    Raises:
        OptionError: the one that is wanted cannot.
    """
    if part.role != "decoder" or wanted.backend == "torch" or wanted.engines:
        return "torch"
    if wanted.backend == "optimum":
        return _optimum(part, wanted)
    if not (reason := genai.misfit(part)):
        return "genai"
    if wanted.backend == "genai":
        raise OptionError(
            f"{genai.PACKAGE} cannot build the part {part.name!r}: {reason}.",
            hint="--backend torch exports it without.",
        )
    if part.language_model is not None:
        job.warn(f"torch.onnx exports the part {part.name}, not {genai.PACKAGE}: {reason}.")
    return "torch"


def _converted(
    part: Part,
    path: Path,
    wanted: Wanted,
    backend: Backend,
    convert: Callable[[Path, Path], int],
    traced: Callable[[], None] | None,
    job: Job,
) -> int:
    """Write a part in float32 and convert the file; how much there was to be converted."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".whole-") as temporary:
        whole = Path(temporary) / path.name
        _graph(part, whole, wanted, backend, torch.float32, traced, job)
        return convert(whole, path)


def _optimum(part: Part, wanted: Wanted) -> Backend:
    if reason := optimum_graphs.misfit(part):
        raise OptionError(f"Optimum cannot export the part {part.name!r}: {reason}.")
    if wanted.of(part.name) == "fp16":
        raise OptionError(
            "Optimum's decoders compute in fp32 here, and not in fp16.",
            hint="--backend auto exports in fp16.",
        )
    return "optimum"


def _graph(
    part: Part,
    path: Path,
    wanted: Wanted,
    backend: Backend,
    dtype: torch.dtype,
    traced: Callable[[], None] | None,
    job: Job,
) -> None:
    if backend == "genai":
        genai.to_onnx(part, path, dtype)
    elif backend == "optimum":
        optimum_graphs.to_onnx(part, path, job)
    else:
        tracing.to_onnx(part, path, dtype, fused=not wanted.engines)
    gc.collect()  # graphs hold each other, and copies of the weights
    if traced:
        traced()
