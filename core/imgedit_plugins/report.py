"""A page of recovered edits: before, after, plan, re-rendered picture, residual.

One HTML file with the pictures inside, so that it can be sent around.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgedit_plugins import __version__
from imgedit_plugins.atomic import write_failure, write_text_atomic
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.pictures import RGB8, Picture
from imgedit_plugins.wording import value_text

if TYPE_CHECKING:
    from imgedit_plugins.plan import EditPlan

_THUMBNAIL = 640
_JPEG_QUALITY = 88
_LARGEST_PROFILE = 8192
_GAINS = (1, 2, 4, 8, 16, 32)
_BRIGHT_ENOUGH = 96


@dataclass(frozen=True)
class ReportEntry:
    """One edit of a report.

    Attributes:
        name: heading.
        before: the picture before the edit.
        after: the edited picture, if it is known.
        plan: the recovered plan.
        rendered: the plan applied to `before`; None where the plan abstained.
        residual: how far `rendered` is from `after`, brightened; black is no difference.
        gain: by how much `residual` is brightened.
        seconds: how long the recovery took.
    """

    name: str
    before: Picture
    after: Picture | None
    plan: EditPlan
    rendered: Picture | None = None
    residual: Picture | None = None
    gain: int = 1
    seconds: float | None = None


def report_entry(
    name: str,
    before: Picture,
    after: Picture | None,
    plan: EditPlan,
    *,
    seconds: float | None = None,
) -> ReportEntry:
    """An entry with the re-rendered picture and the residual computed.

    Raises:
        ProfileError: the plan's definitions are not known here.
    """
    from imgedit_plugins.render import render_plan

    if plan.abstained:
        return ReportEntry(name, before, after, plan, seconds=seconds)
    rendered = render_plan(before, plan)
    if after is None:
        return ReportEntry(name, before, None, plan, rendered, seconds=seconds)
    residual, gain = residual_picture(rendered, after)
    return ReportEntry(name, before, after, plan, rendered, residual, gain, seconds)


def residual_picture(rendered: Picture, after: Picture) -> tuple[Picture, int]:
    """The absolute difference, brightened so that it can be seen, and by how much.

    Where the sizes differ, `rendered` is scaled to the size of `after` first.
    """
    goal = after.rgb8()
    reached = _scaled(rendered.rgb8(), (after.width, after.height))
    distance = np.abs(goal.astype(np.int16) - reached.astype(np.int16))
    strong = max(float(np.quantile(distance, 0.995)), 1.0)
    gain = max(g for g in _GAINS if g == 1 or g * strong <= _BRIGHT_ENOUGH)
    return Picture(np.minimum(distance * gain, 255).astype(np.uint8)), gain


def write_report(
    path: Path, entries: Sequence[ReportEntry], *, title: str = "Recovered edits"
) -> None:
    """Write the entries as one HTML page; it appears whole or not at all.

    Raises:
        ImgeditError: the file cannot be written.
    """
    html = html_template("report.html.j2").render(
        title=title, version=__version__, entries=[_shown(entry) for entry in entries]
    )
    try:
        write_text_atomic(path, html)
    except OSError as error:
        raise ImgeditError(
            f"The report {path} cannot be written: {write_failure(error)}."
        ) from error


def html_template(name: str) -> Any:
    """A page of `templates/`, with the style that all pages share."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


# --- what the template gets -------------------------------------------------------------------


def _shown(entry: ReportEntry) -> dict[str, Any]:
    residual = entry.plan.residual
    return {
        "name": entry.name,
        "plan": entry.plan,
        "json": entry.plan.to_json().rstrip(),
        "steps": [_step(step) for step in entry.plan.operations],
        "pictures": list(_pictures(entry)),
        "psnr": _psnr(entry),
        "explained": None if residual is None else f"{_floored(residual.explained)} %",
        "seconds": None if entry.seconds is None else f"{entry.seconds:.2f} s",
    }


def _psnr(entry: ReportEntry) -> str | None:
    residual = entry.plan.residual
    if residual is None:
        return None
    return "no difference" if residual.psnr_db is None else f"{residual.psnr_db:.1f} dB"


def _floored(explained: float) -> str:
    """Percent with two digits, rounded down: 99.996 must not read as all of it."""
    return f"{int(explained * 10_000) / 100:g}"


def _step(step: Any) -> dict[str, Any]:
    values = [
        {"name": p.title, "value": value_text(step.parameters[p.name]), "unit": p.unit}
        for p in step.operation.parameters
        if not (p.optional and step.parameters[p.name] == p.neutral)
    ]
    return {
        "title": step.operation.title,
        "name": step.name,
        "summary": step.operation.summary,
        "values": values,
        "confidence": step.confidence,
    }


def _pictures(entry: ReportEntry) -> Any:
    yield _figure("Before", "", entry.before)
    if entry.after:
        yield _figure("After", "", entry.after)
    if entry.rendered:
        yield _figure("Re-rendered", "the plan, applied to 'before'", entry.rendered)
    if entry.residual:
        yield _figure("Residual", _residual_note(entry.residual, entry.gain), entry.residual)


def _residual_note(residual: Picture, gain: int) -> str:
    if not residual.pixels.any():
        return "no difference in any pixel"
    return "black: no difference" + (f", amplified {gain} times" if gain > 1 else "")


def _figure(title: str, note: str, picture: Picture) -> dict[str, str]:
    size = f"{picture.width} x {picture.height}"
    return {"title": title, "note": note, "size": size, "uri": data_uri(picture)}


def data_uri(picture: Picture, side: int = _THUMBNAIL) -> str:
    """The picture, at most `side` pixels wide and high, as a `data:` address.

    JPEG; PNG where there is alpha.
    """
    image = picture.to_pillow()
    image.thumbnail((side, side))
    kind = "png" if picture.has_alpha else "jpeg"
    profile = picture.icc_profile or b""
    out = io.BytesIO()
    # Large profiles are printers' tables, and would outweigh the thumbnail.
    kept = {"icc_profile": profile} if 0 < len(profile) <= _LARGEST_PROFILE else {}
    image.save(out, kind, **({} if picture.has_alpha else {"quality": _JPEG_QUALITY}), **kept)
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


def _scaled(rgb: RGB8, size: tuple[int, int]) -> RGB8:
    import cv2

    if (rgb.shape[1], rgb.shape[0]) == size:
        return rgb
    shrinks = size[0] * size[1] < rgb.shape[0] * rgb.shape[1]
    return np.asarray(
        cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    )
