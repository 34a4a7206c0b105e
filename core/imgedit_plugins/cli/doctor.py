"""`imgedit-plugins doctor`: what is wrong with this installation, and what to do about it.

Other packages add findings by entry points of the group `CHECKS`: functions without arguments
that yield `Finding`s.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import click

from imgedit_plugins.cli import EXIT_ERROR, common
from imgedit_plugins.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from imgedit_plugins.plugins import PluginManager

CHECKS = "imgedit_plugins.checks"

_DISTRIBUTION = "imgedit-plugins"
_DEVELOPMENT = ("dev", "dev-torch")

_RIVALS = (
    ("onnxruntime", "onnxruntime-gpu"),
    ("opencv-python-headless", "opencv-python"),
    ("opencv-python-headless", "opencv-contrib-python"),
)
"""Distributions that install the same files: with both, the later one half overwrote the other."""

_MODULES = {
    "opencv-python-headless": "cv2",
    "openimageio": "OpenImageIO",
    "pillow": "PIL",
    "onnxruntime-gpu": "onnxruntime",
    "onnxruntime-genai": "onnxruntime_genai",
    "onnxruntime-genai-cuda": "onnxruntime_genai",
}
"""Import names that are not the distribution's; `pyvips-binary` has none of its own."""


Status = Literal["ok", "missing", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what.
        status: 'ok', 'missing' (optional and not there), 'note' or 'problem'.
        detail: what was found.
        remedy: what to do about a problem.
    """

    subject: str
    status: Status
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Requirement:
    """A line of the distribution's requirements: name, lowest version, extra ('' for the base)."""

    name: str
    minimum: str
    extra: str


@click.command("doctor")
@common.json_option
def command(*, as_json: bool) -> None:
    """Check libraries, extras, plugins and switches; exits with 1 if something is broken."""
    findings = list(_findings())
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        _print(findings)
    if any(finding.status == "problem" for finding in findings):
        raise click.exceptions.Exit(EXIT_ERROR)


def _print(findings: list[Finding]) -> None:
    rows = [
        (f.subject, f.status, "see below" if f.status == "problem" else f.detail) for f in findings
    ]
    print_table(("what", "status", "found"), rows)
    problems = [finding for finding in findings if finding.status == "problem"]
    click.echo()
    for finding in problems:
        click.echo(f"{finding.subject}: {finding.detail}. {finding.remedy}".rstrip())
    if not problems:
        click.echo("Nothing is broken.")


def _findings() -> Iterator[Finding]:
    yield _python()
    yield from _requirements()
    yield from _rivals()
    yield _loads("libvips", _vips_version, "pyvips pyvips-binary")
    yield _loads("OpenCV", _opencv_version, "opencv-python-headless")
    yield _kernels()
    yield from _plugins(common.plugin_manager())
    for check in sorted(importlib.metadata.entry_points(group=CHECKS), key=lambda one: one.name):
        yield from _checked(check)
    yield from _switches()


# --- Python and libraries ---------------------------------------------------------------------


def _python() -> Finding:
    from imgedit_plugins import __version__

    detail = f"{platform.python_version()} at {sys.executable}, imgedit-plugins {__version__}"
    return Finding("Python", "ok", detail)


def requirements() -> list[Requirement]:
    """What our distribution declares; empty where it is not installed as one."""
    try:
        lines = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [parsed for line in lines if (parsed := parse_requirement(line))]


def parse_requirement(line: str) -> Requirement | None:
    """'onnx>=1.20; extra == "export"' in its parts."""
    match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?[^;]*", line)
    if match is None:
        return None
    minimum = re.search(r">=\s*([0-9][0-9.]*)", match[0])
    extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", line)
    return Requirement(match[1].lower(), minimum[1] if minimum else "", extra[1] if extra else "")


def _requirements() -> Iterator[Finding]:
    declared = requirements()
    if not declared:
        hint = "run from source: which extras are there cannot be told"
        yield Finding("imgedit-plugins", "note", f"not installed as a distribution, {hint}")
    for requirement in declared:
        if not requirement.extra:
            yield _required(requirement)
    for extra in dict.fromkeys(r.extra for r in declared):
        if extra not in ("", *_DEVELOPMENT):
            yield _extra(extra, [r for r in declared if r.extra == extra])


def _required(requirement: Requirement) -> Finding:
    name, found = requirement.name, installed_version(requirement.name)
    remedy = f"Run: pip install '{name}>={requirement.minimum}'"
    if found is None:
        return Finding(name, "problem", "not installed", remedy)
    if _older(found, requirement.minimum):
        return Finding(name, "problem", f"{found} is older than {requirement.minimum}", remedy)
    return Finding(name, "ok", found)


def _extra(extra: str, wanted: list[Requirement]) -> Finding:
    subject = f"extra [{extra}]"
    found = {r.name: installed_version(r.name) for r in wanted}
    absent = [name for name, version in found.items() if version is None]
    if len(absent) == len(wanted):
        detail = f"not there; pip install 'imgedit-plugins[{extra}]' adds it"
        return Finding(subject, "missing", detail)
    if absent:
        detail = f"in part; not there: {', '.join(absent)}"
        return Finding(subject, "missing", detail)
    old = [r.name for r in wanted if _older(found[r.name] or "", r.minimum)]
    if old:
        remedy = f"Run: pip install --upgrade 'imgedit-plugins[{extra}]'"
        return Finding(subject, "problem", f"too old: {', '.join(old)}", remedy)
    return Finding(subject, "ok", ", ".join(f"{name} {found[name]}" for name in found))


def installed_version(name: str) -> str | None:
    """The version of a distribution whose module can be found; nothing is imported."""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    module = _MODULES.get(name, name.replace("-", "_"))
    there = name == "pyvips-binary" or importlib.util.find_spec(module) is not None
    return version if there else None


def _older(version: str, minimum: str) -> bool:
    return bool(minimum) and _numbers(version) < _numbers(minimum)


def _numbers(version: str) -> tuple[int, ...]:
    leading = re.match(r"[0-9.]*", version)
    return tuple(int(part) for part in (leading[0] if leading else "").split(".") if part)


def _rivals() -> Iterator[Finding]:
    for one, other in _RIVALS:
        if _has(one) and _has(other):
            remedy = (
                f"Run: pip uninstall {one} {other}, then install the one you want again"
                f" (pip install {one})."
            )
            yield Finding(
                f"{one} and {other}", "problem", "both installed, and they share files", remedy
            )


def _has(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _loads(subject: str, version: Callable[[], str], distributions: str) -> Finding:
    try:
        return Finding(subject, "ok", f"{version()} loads")
    except (ImportError, OSError, AttributeError) as error:
        detail = " ".join(f"cannot be loaded: {error}".split()).rstrip(".")
        remedy = f"Run: pip install --force-reinstall {distributions}"
        return Finding(subject, "problem", detail, remedy)


def _vips_version() -> str:
    import pyvips

    return ".".join(str(pyvips.version(part)) for part in range(3))


def _opencv_version() -> str:
    import cv2

    return str(cv2.__version__)


def _kernels() -> Finding:
    """Whether rendering has its compiled kernels; without them it is slower and the same."""
    from imgedit_plugins import compiled

    try:
        found = compiled.state()
    except ImportError as error:  # OpenCV, which they are compared with
        return Finding("compiled kernels", "missing", f"cannot be compared: {error}")
    if not found.kernels:
        reason = found.reason or "all of them differ from this OpenCV"
        return Finding("compiled kernels", "missing", f"{reason}; rendering is slower")
    detail = f"{len(found.kernels)} for {found.level}"
    if found.differing:
        detail += f"; left out, as OpenCV differs here: {', '.join(found.differing)}"
    return Finding("compiled kernels", "ok", detail)


# --- plugins and switches ---------------------------------------------------------------------


def _plugins(manager: PluginManager) -> Iterator[Finding]:
    from imgedit_plugins.errors import PluginError

    for info in manager.plugins:
        if info.status == "available":
            with contextlib.suppress(PluginError):  # the reason is in its info then
                manager.load(info.name)
    manager.vocabulary()
    for info in manager.plugins:
        subject = f"plugin {info.name}"
        if info.status == "quarantined":
            remedy = f"Reinstall or remove it: pip uninstall {info.distribution}"
            yield Finding(subject, "problem", info.reason.rstrip("."), remedy)
        elif info.status == "disabled":
            yield Finding(subject, "note", info.reason)
        else:
            yield Finding(subject, "ok", f"{info.version}, {info.title}")
    for name in manager.missing:
        remedy = "Install it, or take its name out of IMGEDIT_PLUGINS."
        yield Finding(f"plugin {name}", "problem", "IMGEDIT_PLUGINS asks for it", remedy)


def _checked(check: importlib.metadata.EntryPoint) -> Iterator[Finding]:
    try:
        yield from check.load()()
    except Exception as error:  # somebody else's code
        from imgedit_plugins.faults import one_line

        source = check.dist.name if check.dist else check.value
        yield Finding(check.name, "problem", f"its check failed ({one_line(error)})",
                      f"Reinstall or remove {source}.")  # fmt: skip


def _switches() -> Iterator[Finding]:
    for name in sorted(os.environ):
        if name.startswith("IMGEDIT_"):
            yield Finding(name, "note", f"set to {os.environ[name]!r}")
