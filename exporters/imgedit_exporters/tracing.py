"""From a part that PyTorch can trace to an ONNX file."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imgedit_exporters import fusing
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.exporting import Array, Part

OPSET = 18
LARGE = 1 << 24
"""Bytes of weights from which on they lie in a file beside the graph, to be memory-mapped."""

_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


class Traced(nn.Module):
    """A part as it is traced: floating-point numbers are float32 outside, whatever is inside.

    Args:
        module: of the part.
        dtype: that it computes in.
        exact: places of inputs that it gets as they are.
    """

    def __init__(
        self,
        module: Callable[..., Any],
        dtype: torch.dtype = torch.float32,
        exact: Container[int] = (),
    ) -> None:
        super().__init__()
        self.module, self.dtype, self.exact = module, dtype, exact

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The part's outputs, in order."""
        given = [
            one.to(self.dtype) if one.is_floating_point() and place not in self.exact else one
            for place, one in enumerate(inputs)
        ]
        made = self.module(*given)
        outputs = (made,) if isinstance(made, Tensor) else tuple(made)
        return tuple(one.float() if one.is_floating_point() else one for one in outputs)


def in_double(part: Part) -> Part:
    """A part that computes in float64; what goes in and comes out is float32 all the same."""
    module = part.module
    assert isinstance(module, nn.Module)
    twice = Traced(copy.deepcopy(module).double(), torch.float64)
    return part.model_copy(update={"module": twice})


@torch.no_grad()
def original(part: Part, inputs: Mapping[str, Array]) -> list[Array]:
    """What a part makes of arrays, by PyTorch.

    Raises:
        ImgeditError: it gives another number of tensors than it names outputs.
    """
    made = Traced(part.module)(*(torch.from_numpy(inputs[name]) for name in part.example))
    if len(made) != len(part.outputs):
        raise ImgeditError(
            f"The part {part.name!r} names {len(part.outputs)} outputs and gives {len(made)}."
        )
    return [np.asarray(one.numpy()) for one in made]


def to_onnx(
    part: Part, path: Path, dtype: torch.dtype = torch.float32, *, fused: bool = True
) -> None:
    """Write a part as ONNX; the same part gives the same bytes.

    Args:
        part: declared by a plugin.
        path: of the file; weights of `LARGE` bytes and more lie beside it, in ``PATH.data``.
        dtype: float32, or float16 for weights of half the size.
        fused: with operators that onnxruntime alone has; see `fusing`.

    Raises:
        ImgeditError: PyTorch cannot trace it.
    """
    module = part.module
    if dtype != torch.float32 and isinstance(module, nn.Module):
        module = _in(dtype, module)
    # A function's closure may hold modules, which are not ours to change.
    elif dtype != torch.float32:
        raise ImgeditError(
            f"The part {part.name!r} is a function, so its weights stay fp32.",
            hint="Declare a torch module to have it in another precision.",
        )
    exact = [place for place, name in enumerate(part.example) if name in part.exact]
    traced = Traced(module, dtype, exact).eval()
    inputs = tuple(torch.from_numpy(array) for array in part.example.values())
    dynamic = tuple(part.dynamic.get(name) for name in part.example)
    try:
        with quiet(), _layers_as_written():
            program = torch.onnx.export(
                traced,
                inputs,
                input_names=list(part.example),
                output_names=list(part.outputs),
                dynamic_shapes=(dynamic,),
                custom_translation_table=fusing.translations() if fused else None,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        told = " ".join(str(error.__cause__ or error).split())[:400]
        raise ImgeditError(f"PyTorch cannot export the part {part.name!r}: {told}") from error
    assert program is not None
    save(program.model, path)


@contextlib.contextmanager
def _layers_as_written() -> Iterator[None]:
    """Transformer layers without PyTorch's one operator for a whole layer, which ONNX has not.

    PyTorch takes it where no weight wants a gradient, as in copies in half precision.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _in(dtype: torch.dtype, module: nn.Module) -> nn.Module:
    """A copy of a module in another type; its own weights are not copied before."""
    tensors = (*module.parameters(), *module.buffers())
    floating = {id(one): one.detach().to(dtype) for one in tensors if one.is_floating_point()}
    for parameter in module.parameters():
        floating[id(parameter)] = nn.Parameter(floating[id(parameter)], requires_grad=False)
    return copy.deepcopy(module, dict(floating))


def save(model: Any, path: Path) -> None:
    """Write an ONNX model of onnx_ir, without what tells of the machine it was made on."""
    import onnx_ir as ir

    _forget(model)
    values = [value.const_value for value in model.graph.initializers.values()]
    size = sum(tensor.nbytes for tensor in values if tensor is not None)
    beside = f"{path.name}.data" if size >= LARGE else None
    ir.save(model, path, external_data=beside, size_threshold_bytes=1024)


def _forget(model: Any) -> None:
    """Take stack traces and the like out of a graph: they differ from machine to machine."""
    model.metadata_props.clear()
    for graph in (model.graph, *model.functions.values()):
        graph.metadata_props.clear()
        for value in (*graph.inputs, *graph.outputs):
            value.metadata_props.clear()
        for node in graph.all_nodes():
            node.metadata_props.clear()
            node.doc_string = None
            for value in node.outputs:
                value.metadata_props.clear()
    for value in model.graph.initializers.values():
        value.metadata_props.clear()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What the exporter says is for its developers; what goes wrong is raised."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
