"""What `export_parts` declares: the parts of a model, and what goes into a bundle beside them.

A part is anything that PyTorch can trace; this module itself needs no torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from imgedit_plugins.jobs import Job

Array = NDArray[Any]
Arrays = Mapping[str, Array]
"""Arrays by name, in the order in which a part takes them: float32, or int64 for tokens."""

Pair = tuple[Arrays, Sequence[Array]]
"""Golden inputs, and what the original makes of them."""

Precision = Literal["fp32", "fp16", "bf16", "int8", "int4"]
Role = Literal[
    "vision-tower",
    "projection",
    "embeddings",
    "decoder",
    "edit-head",
    "text-encoder",
    "unet",
    "vae-encoder",
    "vae-decoder",
    "other",
]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]

LIMITS: dict[Precision, float] = {
    "fp32": 2e-4,
    "fp16": 2e-2,
    "bf16": 3e-2,
    "int8": 5e-2,
    "int4": 0.5,
}
"""How far an exported part may be from its original, where it does not say otherwise: of fp32 the
largest difference, of the others the root of the mean square, as shares of the standard deviation
of what the original gives."""

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True
    )


class Part(_Frozen):
    """One part of a model, which an exporter turns into one ONNX file.

    Attributes:
        name: of the file, and how the composition asks for it.
        role: what it does.
        module: a torch module in eval mode, in float32, or a function of tensors; it gets the
            inputs in their order and returns a tensor or a tuple of them.
        example: inputs to trace it with. Sizes that may differ later must be 2 or more here.
        outputs: their names, in order.
        dynamic: of each input, the axes whose size may differ, with a name each.
        draw: golden inputs from a generator, the same on each machine; they vary the sizes too.
        exact: inputs that stay float32 where the part is in half precision, which would round
            them: a time of 998.6 becomes 998.5, whose sines are others.
        limits: per precision, another than that of `LIMITS`.
        golden: how many golden inputs it is compared on; by default 500 for a part with few
            numbers, and 16 for a large one.
        language_model: the causal language model of transformers that a decoder is the decoder of,
            for exporters that build it from there instead of tracing it; None where there is none.
    """

    name: Name
    role: Role = "other"
    module: Callable[..., Any]
    example: dict[str, Array]
    outputs: tuple[Name, ...]
    dynamic: dict[str, dict[int, str]] = {}
    draw: Callable[[np.random.Generator], dict[str, Array]]
    exact: tuple[Name, ...] = ()
    limits: dict[Precision, float] = {}
    golden: Annotated[int, Field(ge=2)] | None = None
    language_model: Any = None

    @model_validator(mode="after")
    def _fits(self) -> Part:
        if not self.example or not self.outputs:
            raise ValueError(f"part {self.name!r} needs an input and an output")
        if strange := {*self.dynamic, *self.exact} - set(self.example):
            raise ValueError(f"part {self.name!r} has no input {sorted(strange)[0]!r}")
        for name, axes in self.dynamic.items():
            for axis in axes:
                shape = self.example[name].shape
                if not 0 <= axis < len(shape) or shape[axis] < 2:
                    raise ValueError(
                        f"axis {axis} of {name!r} in part {self.name!r} may differ, so its size in "
                        f"the example must be 2 or more, and the example is {shape}"
                    )
        return self

    def limit(self, precision: Precision) -> float:
        """How far from its original it may be; see `LIMITS`."""
        return self.limits.get(precision, LIMITS[precision])

    def inputs(self, count: int, seed: int = 0) -> Iterator[dict[str, Array]]:
        """So many golden inputs."""
        for number in range(count):
            yield self.draw(np.random.default_rng([seed, number]))


class Source(_Frozen):
    """What a part of the model was made of.

    Attributes:
        part, file: what, and what it was called.
        sha256: of that file; '' for a folder.
        licence, source: SPDX identifier or the publisher's name for it, and a URL.
    """

    part: str
    file: str = ""
    sha256: str = ""
    licence: str = ""
    source: str = ""


class ExportReport(_Frozen):
    """Output of `export_parts`: a model, declared.

    Attributes:
        model: which one, for people.
        parts: at least one.
        settings: what the composition needs to know; must be JSON.
        files: other files of the bundle, such as tokenizers, by path in it.
        lineage: what it was made of, with licences.
        golden: makes whole edits with the originals, as arrays that `verify_bundle` finds in the
            bundle; None where the parts alone are compared.
    """

    model: str
    parts: tuple[Part, ...]
    settings: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    lineage: tuple[Source, ...] = ()
    golden: Callable[[Job], dict[str, Array]] | None = None

    @model_validator(mode="after")
    def _names_fit(self) -> ExportReport:
        names = [part.name for part in self.parts]
        if not names or len(set(names)) != len(names):
            raise ValueError("a model has parts, each with a name of its own")
        for path in self.files:
            if not _FILE.fullmatch(path) or path.endswith(".onnx"):
                raise ValueError(f"{path!r} is no path for a file beside the parts")
        return self


class Finding(_Frozen):
    """One thing that was measured of a bundle's edits.

    Attributes:
        what: a few words, with the unit.
        value: measured.
        passed: whether that is good enough; of what has no limit, always.
        limit: the worst that is good enough; where it did not pass there is one.
    """

    what: str
    value: float
    passed: bool = True
    limit: float | None = None

    @model_validator(mode="after")
    def _has_a_limit(self) -> Finding:
        if not self.passed and self.limit is None:
            raise ValueError(f"{self.what!r} cannot fail without a limit")
        return self


class BundleReport(_Frozen):
    """Output of `verify_bundle`."""

    findings: Annotated[tuple[Finding, ...], Field(min_length=1)]
