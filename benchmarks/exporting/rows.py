"""What is measured: each row is one piece of work, done by several engines."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.exporting.processes import Engine
from benchmarks.exporting.shapes import B1, B7, M110, TINY, TINY_DEEP, Lengths, Shape

OURS, GENAI, LLAMA = "ours", "onnxruntime-genai", "llama.cpp"
EAGER, BF16, COMPILED = "torch eager", "torch eager bf16", "torch.compile"
DIFFUSERS = "diffusers"
COMPILING = 240.0
"""Seconds after which compiling is broken off."""

MAKING = 1800.0
"""The same, of files."""

GB = 1e9


@dataclass(frozen=True)
class Setting:
    """How everything is measured.

    Attributes:
        threads: of everybody.
        quick: tiny models instead.
        llama: an interpreter with llama-cpp-python, gguf and numpy; '' where there is none.
    """

    threads: int
    quick: bool
    llama: str


@dataclass(frozen=True)
class Row:
    """A piece of work.

    Attributes:
        name: for people, and for `--only`.
        kind: 'text' has figures 'first' and 'rest', the others 'seconds'.
        makers: what makes the files; each works once.
        passes: engines that work by turns; those far behind come in a pass of their own, since the
            memory does not hold all.
        left_out: engines that are not here, with the reason.
        memory, disk: bytes that must be free.
        lengths: of the text.
    """

    name: str
    kind: Literal["text", "part", "edit"]
    makers: tuple[Engine, ...]
    passes: tuple[tuple[Engine, ...], ...]
    left_out: dict[str, str] = field(default_factory=dict)
    memory: float = 0.0
    disk: float = 0.0
    lengths: Lengths = field(default_factory=Lengths)


def rows(setting: Setting, folder: Path) -> Iterator[Row]:
    """All rows; those of pictures share their files."""
    texts = ((TINY, "fp32"), (TINY_DEEP, "int4")) if setting.quick else _TEXTS
    for shape, precision in texts:
        place = folder / f"{shape.name}-{precision}".replace(", ", "-")
        yield _text(shape, precision, setting, place)
    yield from _pictures(setting, folder / "pictures")


_TEXTS = ((M110, "fp32"), (M110, "int4"), (B1, "fp32"), (B1, "int4"), (B7, "int4"))


def _text(shape: Shape, precision: str, setting: Setting, folder: Path) -> Row:
    lengths = Lengths(16, 8) if setting.quick else Lengths()
    common = {
        "threads": setting.threads,
        "lengths": asdict(lengths),
        "vocabulary": shape.vocabulary,
    }
    places = {"folder": str(folder), "shape": shape.as_task()}
    gguf = str(folder / f"{precision}.gguf")
    has_genai = importlib.util.find_spec("onnxruntime_genai") is not None
    makers = [
        Engine(
            "files",
            "make_llama",
            places | {"precisions": [precision], "genai": has_genai},
            limit=MAKING,
        )
    ]
    fast = [Engine(OURS, "ours", common | {"folder": str(folder / f"bundle-{precision}")})]
    left_out = {}
    if has_genai:
        genai = str(folder / f"genai-{precision}")
        fast.append(Engine(GENAI, "genai", common | {"folder": genai}))
    else:
        left_out[GENAI] = "pip install onnxruntime-genai"
    if setting.llama:
        task = {"folder": str(folder / "hf"), "file": gguf, "precision": precision}
        makers.append(
            Engine("gguf", "make_gguf", places | task, python=setting.llama, limit=MAKING)
        )
        fast.append(Engine(LLAMA, "llama_cpp", common | {"file": gguf}, python=setting.llama))
    else:
        left_out[LLAMA] = "pip install llama-cpp-python gguf, and name its Python with --llama"
    whole = shape.numbers * (4.0 if precision == "fp32" else 0.6)
    return Row(
        f"text {shape.name} {precision}",
        "text",
        tuple(makers),
        (tuple(fast), *_transformers(shape, precision, common, folder)),
        left_out,
        memory=max(len(fast) * whole, 8 * shape.made / shape.layers * shape.numbers) + 1 * GB,
        disk=3.2 * whole + 1 * GB,
        lengths=lengths,
    )


def _transformers(
    shape: Shape, precision: str, common: dict[str, Any], folder: Path
) -> tuple[tuple[Engine, ...], ...]:
    """In float32 and, told apart, in bfloat16; it has no 4 bits for CPUs."""
    if precision != "fp32":
        return ()
    saved = "" if shape.repeated else str(folder / "hf")
    task = {**common, "folder": saved, "shape": shape.as_task(), "compiled": False}
    float32, bfloat16 = ({**task, "dtype": name} for name in ("float32", "bfloat16"))
    found = [
        Engine(EAGER, "transformers_text", float32),
        Engine(BF16, "transformers_text", bfloat16),
    ]
    if shape is M110:
        compiled = {**float32, "compiled": True}
        found.append(Engine(COMPILED, "transformers_text", compiled, limit=COMPILING))
    return (tuple(found),)


def _pictures(setting: Setting, folder: Path) -> Iterator[Row]:
    sizes = "quick" if setting.quick else "full"
    task = {"folder": str(folder), "sizes": sizes, "threads": setting.threads, "dtype": "float32"}
    makers = (Engine("files", "make_pictures", task, limit=MAKING),)
    disk = 0 if setting.quick else 9 * GB
    names = {"unet": "UNet step", "tower": "vision tower", "edit_head": "edit head"}
    for part, name in names.items():
        one = {**task, "part": part, "compiled": False}
        slow = [Engine(BF16, "part_torch", {**one, "dtype": "bfloat16"})] if part == "unet" else []
        if not setting.quick:
            compiled = {**one, "compiled": True}
            slow.append(Engine(COMPILED, "part_torch", compiled, limit=COMPILING))
        fast = (Engine(OURS, "part_ours", one), Engine(EAGER, "part_torch", one))
        passes = (fast, tuple(slow)) if slow else (fast,)
        memory = 10 * GB if part == "unet" and not setting.quick else 0
        yield Row(name, "part", makers, passes, memory=memory, disk=disk)
    both = (Engine(OURS, "edit_ours", task), Engine(DIFFUSERS, "edit_diffusers", task))
    yield Row("whole edit", "edit", makers, (both,), memory=disk, disk=disk)


def has_llama(python: str) -> bool:
    """Whether an interpreter has what llama.cpp's rows need."""
    try:
        done = subprocess.run(
            [python, "-c", "import llama_cpp, gguf"], capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0
