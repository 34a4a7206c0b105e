"""From a declared model to a bundle with its certificate."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import msgspec
from torch import nn

from imgedit_exporters import engines, genai, optimum_graphs, tracing, triton
from imgedit_exporters.comparing import Run, compare, edit_faults, finite
from imgedit_exporters.parking import park
from imgedit_exporters.runtime import bundles, providers
from imgedit_exporters.runtime.bundles import (
    Backend,
    BundlePart,
    Certificate,
    Compared,
    Document,
    Engine,
    Found,
    Origin,
    Port,
)
from imgedit_exporters.runtime.fused import answers
from imgedit_exporters.runtime.golden import KEPT, load_pairs, save_arrays, save_pairs
from imgedit_exporters.runtime.providers import CPU, PROVIDERS
from imgedit_exporters.runtime.sessions import open_session
from imgedit_exporters.writing import BITS, Wanted, write
from imgedit_plugins.errors import DataError, ImgeditError, OptionError
from imgedit_plugins.exporting import Array, Arrays, BundleReport, ExportReport, Pair, Part
from imgedit_plugins.jobs import Job

__all__ = ["ExportFailedError", "Verify", "Wanted", "export"]

SMALL, MANY, FEW = 20_000_000, 500, 16
"""Numbers up to which a part is small, and golden inputs of small and of large parts."""

_PACKAGES = ("imgedit-plugins", "numpy", "onnx", "onnxruntime", "onnxscript", "torch")
_ALSO: dict[Backend, tuple[str, ...]] = {"genai": (genai.PACKAGE, "transformers")}

_TF32 = 5e-3
"""Root of the mean square that an engine of an fp32 part may differ by: TensorRT multiplies
matrices in TF32, whose steps are those of half precision."""

Verify = Callable[[Path, Job], BundleReport]
"""Makes the golden edits of a bundle again; the plugin's `verify_bundle`."""


class ExportFailedError(ImgeditError):
    """An exported model is not what its original is; nothing was written. `faults` says why."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__(
            f"The export is not as good as its original, so it was not written: {' '.join(faults)}",
            hint="--force writes it with these faults recorded.",
        )
        self.faults = faults


def export(
    report: ExportReport, plugin: str, out: Path, wanted: Wanted, verify: Verify | None, job: Job
) -> Document:
    """Write a bundle; the folder appears whole, or not at all.

    Args:
        report: what `export_parts` declared.
        plugin: its name.
        out: the folder of the bundle, which is not there yet.
        wanted: how it is made.
        verify: compares whole edits; None where there is nothing that could.
        job: progress, warnings, cancellation.

    Raises:
        DataError: there is something at `out`, or `wanted` names a part that is not there.
        ExportFailedError: a part or an edit is not as good as its original.
        ImgeditError: a part cannot be exported.
        JobCancelledError: cancelled.
    """
    _check(report, out, wanted)
    with _appearing(out) as folder, _spare(out.parent) as parked:
        golden = report.golden(job) if report.golden is not None and verify is not None else None
        parts = []
        for number, part in enumerate(report.parts):
            job.report(f"exporting {part.name}", number, len(report.parts))
            parts.append(_exported(part, folder, parked, wanted, job))
        if wanted.engines:
            parts = [
                _with_engine(part, declared, folder, wanted, job)
                for part, declared in zip(parts, report.parts, strict=True)
            ]
        if wanted.triton:
            triton.write_repository(folder, report.model, parts)
        for name, content in report.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        document = _document(report, plugin, parts, folder, job)
        bundles.write(folder, document)
        if golden is not None and verify is not None:
            document = _with_edits(document, golden, folder, verify, job)
        if document.certificate.faults and not wanted.force:
            raise ExportFailedError(document.certificate.faults)
    for fault in document.certificate.faults:
        job.warn(fault)
    return document


def _check(report: ExportReport, out: Path, wanted: Wanted) -> None:
    if out.exists():
        raise DataError(f"{out} is there already.", path=out, hint="Name a folder that is not.")
    names = [part.name for part in report.parts]
    if strange := [name for name in wanted.parts if name not in names]:
        raise DataError(
            f"{report.model} has no part {strange[0]!r}.", hint=f"It has {', '.join(names)}."
        )
    if wanted.engines:
        engines.required()
        engines.check_sizes(report.parts, wanted.sizes)
        if few := [name for name in names if wanted.of(name) in BITS]:
            raise OptionError(
                f"TensorRT has no operator for {few[0]} in {wanted.of(few[0])}.",
                hint="Use fp32, fp16 or bf16, or --to onnx.",
            )


# --- a part -----------------------------------------------------------------------------------


def _exported(part: Part, folder: Path, parked: Path, wanted: Wanted, job: Job) -> BundlePart:
    """Write a part, and compare it.

    A large part's original answers first, and its weights lie in a file from then on.
    """
    path = folder / f"{part.name}.onnx"
    kept: list[Pair] = []
    large = _numbers(part) > SMALL
    count = wanted.golden or part.golden or (FEW if large else MANY)
    pairs: Iterable[Pair] = _pairs(part, count, kept, job)
    rest = None
    if large and isinstance(part.module, nn.Module):
        pairs, rest = list(pairs), park(part.module, parked / part.name)
    form = write(part, path, wanted, job, traced=rest)
    session = open_session(path, half=form.precision == "fp16")
    limit = part.limit(form.precision)

    def run(inputs: Arrays) -> list[Array]:
        return answers(session, inputs, part.name)

    compared = compare(pairs, run, form.precision, limit)
    if form.precision == "fp32" and (compared.largest or 0.0) > limit:
        asked = pairs if isinstance(pairs, list) else list(_pairs(part, count, [], job))
        compared = _by_rounding(compared, part, asked, run)
    save_pairs(folder / bundles.GOLDEN / f"{part.name}.npz", kept, part.outputs)
    few = form.precision in BITS
    return BundlePart(
        name=part.name,
        role=part.role,
        precision=form.precision,
        file=path.name,
        inputs=tuple(_port(one) for one in session.get_inputs()),
        outputs=tuple(_port(one) for one in session.get_outputs()),
        compared=compared,
        block=wanted.block if few else None,
        accuracy_level=wanted.accuracy_level if few else None,
        quantised=form.quantised if few else None,
        backend=form.backend,
    )


def _by_rounding(found: Compared, part: Part, pairs: list[Pair], run: Run) -> Compared:
    """Judge an fp32 part once more where its original is itself further from the truth.

    Nothing can be nearer to the original's float32 than that is to what it stands for.
    """
    if not isinstance(part.module, nn.Module):
        return found
    try:
        double = tracing.in_double(part)
        apart = compare(pairs, lambda inputs: tracing.original(double, inputs), "fp32", math.inf)
    except RuntimeError:  # it makes float32 numbers of its own
        return found
    if apart.largest is None or 2 * apart.largest <= found.limit:
        return found
    again = compare(pairs, run, "fp32", 2 * apart.largest)
    return msgspec.structs.replace(again, rounding=apart.largest)


def _with_engine(
    part: BundlePart, declared: Part, folder: Path, wanted: Wanted, job: Job
) -> BundlePart:
    """A part with an engine of TensorRT, which is compared as the part itself was."""
    _, found = engines.required()
    target = folder / bundles.ENGINES / f"{part.name}.engine"
    engines.build(declared, folder / part.file, target, wanted.sizes, job)
    around = target.with_suffix(".onnx")
    engines.write_context(part, target, around, found)
    session = open_session(around, (PROVIDERS["tensorrt"], PROVIDERS["cuda"], CPU), warn=job.warn)
    pairs = load_pairs(folder / bundles.GOLDEN / f"{part.name}.npz")
    compared = compare(
        pairs,
        lambda inputs: answers(session, inputs, part.name),
        "fp16" if part.precision == "fp32" else part.precision,
        part.compared.limit if part.precision != "fp32" else _TF32,
    )
    made = Engine(
        around.relative_to(folder).as_posix(), target.relative_to(folder).as_posix(), found.name,
        found.capability, found.driver, providers.tensorrt_version(), compared,
    )  # fmt: skip
    return msgspec.structs.replace(part, engines=(made,))


def _numbers(part: Part) -> int:
    module = part.module
    return sum(p.numel() for p in module.parameters()) if isinstance(module, nn.Module) else 0


def _pairs(part: Part, count: int, kept: list[Pair], job: Job) -> Iterator[Pair]:
    """Golden inputs with what the original makes of them; the first ones are kept."""
    for number, inputs in enumerate(part.inputs(count)):
        job.report(f"comparing {part.name}", number, count)
        pair = (inputs, tracing.original(part, inputs))
        if len(kept) < KEPT:
            kept.append(pair)
        yield pair


def _port(one: object) -> Port:
    name, kind, shape = (getattr(one, field) for field in ("name", "type", "shape"))
    sizes = tuple(size if isinstance(size, int) else str(size) for size in shape)
    return Port(name, kind.removeprefix("tensor(").removesuffix(")"), sizes)


# --- the document -----------------------------------------------------------------------------


def _document(
    report: ExportReport, plugin: str, parts: list[BundlePart], folder: Path, job: Job
) -> Document:
    faults = tuple(
        f"The part {part.name!r} ({part.precision}) fails: {part.compared.fault}."
        for part in parts
        if part.compared.fault
    ) + tuple(
        f"The engine of the part {part.name!r} fails: {one.compared.fault}."
        for part in parts
        for one in part.engines
        if one.compared.fault
    )
    backends = {part.backend for part in parts}
    packages = {*_PACKAGES, *(name for one in backends for name in _ALSO.get(one, ()))}
    versions = {name: version(name) for name in sorted(packages)}
    if "optimum" in backends:
        versions |= optimum_graphs.VERSIONS
    return Document(
        schema="imgedit-bundle/1",
        plugin=plugin,
        model=report.model,
        parts=tuple(parts),
        files=bundles.files_of(folder, job),
        certificate=Certificate(not faults, faults=faults, versions=versions),
        lineage=tuple(Origin(**one.model_dump()) for one in report.lineage),
        settings=report.settings,
    )


def _with_edits(
    document: Document, golden: Arrays, folder: Path, verify: Verify, job: Job
) -> Document:
    """The document with what whole edits came to; its files have the golden ones from then on."""
    save_arrays(folder / bundles.EDITS, golden)
    findings = verify(folder, job).findings
    found = tuple(Found(f.what, finite(f.value), f.passed, f.limit) for f in findings)
    before = document.certificate
    faults = (*before.faults, *edit_faults(findings))
    complete = Document(
        schema=document.schema,
        plugin=document.plugin,
        model=document.model,
        parts=document.parts,
        files=bundles.files_of(folder, job),
        certificate=Certificate(not faults, found, faults, before.versions),
        lineage=document.lineage,
        settings=document.settings,
    )
    bundles.write(folder, complete)
    return complete


@contextlib.contextmanager
def _spare(beside: Path) -> Iterator[Path]:
    """A folder for weights that are parked: on the disk of the bundle, which has room for them."""
    with tempfile.TemporaryDirectory(dir=beside, prefix=".weights-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A folder beside `target` that takes its name when the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        yield folder
        folder.rename(target)
