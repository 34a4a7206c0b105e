"""`bundle verify`: is a bundle what was written, and does it still do what it did? No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imgedit_exporters.comparing import compare, edit_faults
from imgedit_exporters.runtime import bundles
from imgedit_exporters.runtime.bundles import Compared, Document
from imgedit_exporters.runtime.fused import answers
from imgedit_exporters.runtime.golden import load_pairs
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.exporting import BundleReport, Finding
from imgedit_plugins.jobs import Job

Verify = Callable[[Path, Job], BundleReport | None]


@dataclass(frozen=True)
class Verdict:
    """What a check of a bundle has found.

    Attributes:
        document: of the bundle.
        parts: each part beside its original's results, which lie in the bundle.
        edits: whole edits; empty where they could not be made here.
        faults: one sentence each; none where all is well.
    """

    document: Document
    parts: dict[str, Compared]
    edits: tuple[Finding, ...]
    faults: tuple[str, ...]


def verify(folder: Path, edits: Verify | None, job: Job, *, device: str = "auto") -> Verdict:
    """Check every file, run every part on its golden inputs, and make the golden edits again.

    Args:
        folder: of the bundle.
        edits: the plugin's `verify_bundle`; None where the plugin is not there.
        job: progress, warnings, cancellation.
        device: that the parts run on; see `Bundle`.

    Raises:
        WeightsError: it is no bundle.
        PluginError: onnxruntime is not installed.
    """
    document = bundles.read(folder)
    faults = bundles.damaged(folder, document, job)
    bundle = Bundle(folder, device=device, warn=job.warn)
    parts: dict[str, Compared] = {}
    for number, part in enumerate(document.parts):
        job.report(f"running {part.name}", number, len(document.parts))
        try:
            parts[part.name] = _compared(bundle, part.name)
        except ImgeditError as error:
            faults.append(str(error))
            continue
        finally:
            bundle.release(part.name)
        if fault := parts[part.name].fault:
            faults.append(f"The part {part.name!r} fails: {fault}.")
    findings = _edits(folder, document, edits, job, faults)
    return Verdict(document, parts, findings, tuple(faults))


def _compared(bundle: Bundle, name: str) -> Compared:
    part = bundle.document.part(name)
    pairs = load_pairs(bundle.folder / bundles.GOLDEN / f"{name}.npz")
    return compare(
        pairs,
        lambda inputs: answers(bundle.session(name), inputs, name),
        part.precision,
        part.compared.limit,
    )


def _edits(
    folder: Path, document: Document, edits: Verify | None, job: Job, faults: list[str]
) -> tuple[Finding, ...]:
    if not (folder / bundles.EDITS).is_file():
        return ()
    if edits is None:
        job.warn(f"The edits were not made again: the plugin {document.plugin!r} is not there.")
        return ()
    try:
        report = edits(folder, job)
    except ImgeditError as error:
        faults.append(str(error))
        return ()
    findings = report.findings if report else ()
    faults += edit_faults(findings)
    return findings
