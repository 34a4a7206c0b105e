"""The rows of a table, `[TITLE=]KIND[:FOLDER][[OPTION=VALUE …]]`.

A row is a plugin that edits by instructions, asked through the core; a pipeline of diffusers; a
folder of pictures that are there already; or the input itself, which is always a row.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from imgedit_modelkit.evaluation import methods as kit
from imgedit_modelkit.evaluation.methods import COPY, RESULTS, Method
from imgedit_plugins.errors import OptionError
from imgedit_plugins.plugins import PluginManager
from imgedit_reason_edit.evaluation.subjects import Subject

OWN = ("reason_pix2pix", "text", "clip", "plan")
"""Values of this plugin's own option 'model'."""

PIX2PIX = ("instructpix2pix", "magicbrush", "instructdiffusion")
"""Weights in the shape of InstructPix2Pix."""

PIPELINE = "StableDiffusionInstructPix2PixPipeline"

_LACKING = {"null-text": "Null-text inversion", "edict": "EDICT"}

_TITLES = {
    **kit.TITLES,
    "reason_pix2pix": "ReasonPix2Pix",
    "text": "language model that does not see",
    "clip": "CLIP's text instead of a language model",
    "plan": "reasoned plan",
    "instructpix2pix": "InstructPix2Pix",
    "magicbrush": "MagicBrush",
    "instructdiffusion": "InstructDiffusion",
}

_HINT = (
    "models=ReasonPix2Pix=reason_pix2pix:FOLDER,instructpix2pix:FOLDER,results:FOLDER names rows, "
    "each [TITLE=]KIND[:FOLDER][[OPTION=VALUE ...]]."
)


def methods_of(text: str, subject: Subject) -> tuple[Method, ...]:
    """The rows that the option 'models' names, or the subject's own, and the input itself.

    Raises:
        OptionError: a kind is unknown, a folder is missing, options have another form, or two rows
            have one title.
    """
    parts = kit.row_parts(text.strip() or subject.models)
    if not parts:
        raise OptionError(f"{subject.title}: option 'models' must name the rows.", hint=_HINT)
    found = [_method(part) for part in parts]
    if all(one.kind != COPY for one in found):
        found.append(Method(kit.TITLES[COPY], COPY))
    return kit.distinct(found, _HINT)


def _method(text: str) -> Method:
    match = re.fullmatch(r"([^\[\]]*?)\s*(?:\[([^\[\]]*)\])?", text)
    if match is None:
        raise OptionError(f"The row {text!r} has brackets that do not close.", hint=_HINT)
    row, asked = match[1], match[2] or ""
    kind = row.partition(":")[0].rpartition("=")[2].strip()
    if kind in _LACKING:
        raise OptionError(_lacking(kind), hint=f"As in {_LACKING[kind]}=results:FOLDER.")
    pipelines = (kind,) if kind.endswith("Pipeline") else ()
    kinds = (COPY, RESULTS, *OWN, *PIX2PIX, *pipelines, *_plugins())
    titles = {**_TITLES, **{name: name for name in (*pipelines, *_plugins())}}
    method = kit.method_of(row, kinds, titles, (COPY,), _HINT)
    if kind in (*PIX2PIX, *pipelines) and not method.given:
        raise OptionError(f"The row {kind!r} needs its folder.", hint=f"As in {kind}:FOLDER.")
    if asked and kind in (COPY, RESULTS, *PIX2PIX, *pipelines):
        raise OptionError(f"The row {kind!r} takes no options, and [{asked}] was given.")
    options_in(asked)
    return replace(method, asked=asked)


def _plugins() -> tuple[str, ...]:
    """The plugins that can be asked to edit."""
    return tuple(
        info.name
        for info in PluginManager.discover().plugins
        if info.status == "available" and info.manifest and "apply_edit" in info.manifest.hooks
    )


def _lacking(kind: str) -> str:
    from importlib.metadata import version

    return (
        f"diffusers {version('diffusers')} has no pipeline of {_LACKING[kind]} (its examples do, "
        "and code from elsewhere is not run); pictures made by its authors' code can be scored."
    )


def options_in(text: str) -> dict[str, str]:
    """The options that a row has in brackets.

    >>> options_in("steps=20 painter-options='steps=5 seed=1'")
    {'steps': '20', 'painter-options': 'steps=5 seed=1'}

    Raises:
        OptionError: they are not of that form.
    """
    try:
        pairs = [part.partition("=") for part in shlex.split(text)]
    except ValueError as error:
        raise OptionError(f"The options [{text}] of a row cannot be read: {error}.") from error
    if not all(name and equals for name, equals, _ in pairs):
        raise OptionError(f"Options of a row are [NAME=VALUE ...], not [{text}].", hint=_HINT)
    return {name: value for name, _, value in pairs}
