"""`imgedit-plugins export` and `bundle`: models as ONNX bundles that need no PyTorch."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from imgedit_plugins.cli import common
from imgedit_plugins.cli.terminal import print_json, print_table, running_job

if TYPE_CHECKING:
    from imgedit_exporters.runtime.bundles import Document
    from imgedit_exporters.verifying import Verdict
    from imgedit_exporters.writing import Wanted
    from imgedit_plugins.exporting import BundleReport, ExportReport, Precision
    from imgedit_plugins.jobs import Job

_PRECISIONS = ("fp32", "fp16", "bf16", "int8", "int4")
_Folder = click.Path(file_okay=False, path_type=Path)


@click.command("export")
@common.plugin_argument
@click.option("--model", default="", help="Which of the plugin's models [its usual one].")
@click.option(
    "--to",
    "target",
    type=click.Choice(["onnx", "tensorrt"]),
    required=True,
    help="What to make: ONNX, or that and engines of TensorRT for this machine's card.",
)
@click.option("-o", "--out", required=True, type=common.FilePath, help="Folder of the bundle.")
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    metavar="[PART=]P",
    help="fp32, fp16, bf16, int8 or int4 for all parts, or for one [fp32].",
)
@click.option(
    "--block-size",
    type=click.Choice(["16", "32", "64", "128", "256"]),
    default="32",
    help="Weights that share a scale, of int8 and int4 [32].",
)
@click.option(
    "--accuracy-level",
    type=click.IntRange(0, 4),
    default=4,
    help="Of int8 and int4: 4 computes in int8, 1 in fp32, 0 as the runtime likes [4].",
)
@click.option(
    "--golden",
    type=click.IntRange(2, 100_000),
    help="Inputs that each part is compared on [500 for small parts, 16 for large ones].",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "torch", "genai", "optimum"]),
    default="auto",
    help="What exports decoders: onnxruntime-genai's builder where it fits, else torch [auto]. "
    "Optimum gets an environment of its own.",
)
@click.option(
    "--triton",
    is_flag=True,
    help="Make a model repository for Triton Inference Server in the bundle's folder triton, too.",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="AXIS=LEAST:USUAL:MOST",
    help="Of TensorRT's engines: sizes of an axis [those of golden inputs].",
)
@click.option("--force", is_flag=True, help="Write a bundle that fails its checks, too.")
@common.hook_options
@common.json_option
def export(  # noqa: PLR0913 (the command's options)
    *,
    plugin: str,
    model: str,
    target: Literal["onnx", "tensorrt"],
    out: Path,
    precisions: tuple[str, ...],
    block_size: str,
    accuracy_level: int,
    golden: int | None,
    backend: Literal["auto", "torch", "genai", "optimum"],
    triton: bool,
    sizes: tuple[str, ...],
    force: bool,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a bundle of PLUGIN's model that needs no PyTorch.

    Every part is compared with its original, and then whole edits; an export that is not as good is
    refused.
    """
    inputs = frozenset({"model"}) if model else frozenset()
    given = common.parse_assignments(options)
    resolved = common.resolve_for("export_parts", inputs, plugin, given)
    precision, parts = _precisions(precisions)
    axes = _sizes(sizes, target)
    _require_export(target)
    if target == "tensorrt":
        from imgedit_exporters.engines import required

        required()
    from imgedit_exporters.exporting import export
    from imgedit_exporters.writing import Wanted
    from imgedit_plugins.requests import ExportRequest

    wanted = Wanted(
        precision,
        parts,
        int(block_size),
        accuracy_level,
        golden=golden,
        force=force,
        backend=backend,
        triton=triton,
        engines=target == "tensorrt",
        sizes=axes,
    )
    manager = common.plugin_manager()
    with running_job() as job:
        request = ExportRequest(model=model, options=resolved)
        report: ExportReport = manager.call("export_parts", request, job, plugin)
        document = export(report, plugin, out, wanted, _verifier(plugin), job)
    if as_json:
        print_json(_plain(document))
        return
    _tell_export(document, out, wanted)


def _tell_export(document: Document, out: Path, wanted: Wanted) -> None:
    _print_parts(document)
    _print_edits(document)
    size = sum(file.size for file in document.files.values())
    click.echo(f"The bundle is in {out} ({size / 1e6:.1f} MB).")
    if wanted.force and not document.certificate.passed:
        click.echo("It FAILED its checks, which its document records.")


@click.group("bundle")
def bundle() -> None:
    """Show and check models' bundles."""


@bundle.command("show")
@click.argument("folder", type=_Folder)
@common.json_option
def show(*, folder: Path, as_json: bool) -> None:
    """Show what the bundle in FOLDER holds, where it comes from and how it was checked."""
    from imgedit_exporters.runtime import bundles

    document = bundles.read(folder)
    if as_json:
        print_json(_plain(document))
        return
    size = sum(file.size for file in document.files.values())
    click.echo(f"{document.model} ({document.plugin}), {size / 1e6:.1f} MB")
    state = "passed" if document.certificate.passed else "FAILED"
    made = ", ".join(f"{name} {number}" for name, number in document.certificate.versions.items())
    click.echo(f"checks: {state}, with {made}")
    _print_parts(document)
    _print_edits(document)
    for fault in document.certificate.faults:
        click.echo(fault)
    if document.lineage:
        rows = [(one.part, one.licence, one.file, one.source) for one in document.lineage]
        print_table(("made of", "licence", "file", "source"), rows)


@bundle.command("verify")
@click.argument("folder", type=_Folder)
@click.option("--device", default="auto", help="Where the parts run: auto, cpu, cuda, ... [auto].")
@common.json_option
def verify(*, folder: Path, device: str, as_json: bool) -> None:
    """Check the bundle in FOLDER: its files, each part on golden inputs, then whole edits."""
    from imgedit_exporters.runtime import bundles
    from imgedit_exporters.runtime.providers import require_onnxruntime
    from imgedit_exporters.verifying import verify as check

    document = bundles.read(folder)
    require_onnxruntime()
    with running_job() as job:
        verdict = check(folder, _verifier(document.plugin), job, device=device)
    if as_json:
        print_json(_verdict(verdict))
    else:
        _tell_verdict(verdict)
    if verdict.faults:
        raise click.exceptions.Exit(1)


@bundle.command("schema")
def schema() -> None:
    """Print the JSON Schema of bundle.json."""
    from imgedit_exporters.runtime import bundles

    print_json(bundles.schema())


def _tell_verdict(verdict: Verdict) -> None:
    rows = [
        (name, one.golden, one.largest, one.typical, one.limit, "FAILED" if one.fault else "passed")
        for name, one in verdict.parts.items()
    ]
    print_table(("part", "inputs", "largest", "typical", "limit", ""), rows)
    if verdict.edits:
        print_table(
            ("edits", "value", "limit", ""),
            [(e.what, e.value, e.limit, "passed" if e.passed else "FAILED") for e in verdict.edits],
        )
    for fault in verdict.faults:
        click.echo(fault)
    if not verdict.faults:
        click.echo("The bundle is what was exported, and does here what its original did.")


def _print_parts(document: Document) -> None:
    rows = [
        (
            part.name,
            part.precision,
            part.backend,
            part.compared.golden,
            part.compared.largest,
            part.compared.typical,
            part.compared.limit,
            "FAILED" if part.compared.fault else "passed",
        )
        for part in document.parts
    ]
    print_table(("part", "precision", "by", "inputs", "largest", "typical", "limit", ""), rows)
    for part in document.parts:
        if (rounding := part.compared.rounding) is not None:
            click.echo(
                f"{part.name}: its original in float32 is {rounding:.2g} from what it is in "
                "float64, so twice that is allowed."
            )


def _print_edits(document: Document) -> None:
    if document.certificate.edits:
        rows = [
            (one.what, one.value, one.limit, "passed" if one.passed else "FAILED")
            for one in document.certificate.edits
        ]
        print_table(("edits", "value", "limit", ""), rows)


def _plain(document: Document) -> Any:
    import msgspec

    return msgspec.to_builtins(document)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    import msgspec

    return {
        "passed": not verdict.faults,
        "parts": msgspec.to_builtins(verdict.parts),
        "edits": [one.model_dump() for one in verdict.edits],
        "faults": list(verdict.faults),
    }


def _precisions(texts: tuple[str, ...]) -> tuple[Precision, dict[str, Precision]]:
    """The precision of all parts, and those of some.

    Raises:
        click.UsageError: one is unknown, or given twice.
    """
    whole: list[str] = []
    parts: dict[str, Precision] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        if value not in _PRECISIONS:
            raise click.UsageError(
                f"--precision takes {', '.join(_PRECISIONS)}, alone or as PART=P, not {text!r}."
            )
        if (name and name in parts) or (not name and whole):
            raise click.UsageError(f"--precision {name or 'of all parts'} is given twice.")
        if name:
            parts[name] = cast("Precision", value)
        else:
            whole.append(value)
    return cast("Precision", whole[0] if whole else "fp32"), parts


def _sizes(texts: tuple[str, ...], target: str) -> dict[str, tuple[int, int, int]]:
    """Sizes by the name of an axis.

    Raises:
        click.UsageError: one is malformed, or there is nothing that has sizes.
    """
    if texts and target != "tensorrt":
        raise click.UsageError("--size is of TensorRT's engines: use it with --to tensorrt.")
    made: dict[str, tuple[int, int, int]] = {}
    for text in texts:
        axis, _, value = text.partition("=")
        numbers = value.split(":")
        if not axis or len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
            raise click.UsageError(f"--size takes AXIS=LEAST:USUAL:MOST, not {text!r}.")
        least, usual, most = (int(number) for number in numbers)
        made[axis] = (least, usual, most)
    return made


def _verifier(plugin: str) -> Any:
    """What makes a plugin's golden edits again; None where it cannot, or is not there."""
    manager = common.plugin_manager()
    info = next((one for one in manager.plugins if one.name == plugin), None)
    if info is None or info.status != "available" or info.manifest is None:
        return None
    if "verify_bundle" not in info.manifest.hooks:
        return None
    return functools.partial(_verified, plugin)


def _verified(plugin: str, folder: Path, job: Job) -> BundleReport:
    from imgedit_plugins.requests import BundleRequest

    request = BundleRequest(bundle=folder)
    report: BundleReport = common.plugin_manager().call("verify_bundle", request, job, plugin)
    return report


def _require_export(target: str) -> None:
    import importlib.util

    from imgedit_plugins.errors import PluginError

    packages = ("torch", "onnx", "onnx_ir", "onnxscript", "onnxruntime")
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    runtime = "runtime-gpu,tensorrt" if target == "tensorrt" else "runtime"
    if absent:
        raise PluginError(
            f"Exporting needs packages that are not installed: {', '.join(absent)}.",
            hint=f"Run: pip install 'imgedit-plugins[torch,export,{runtime}]'",
        )
