"""Whoever paints what operations cannot do: a plugin that edits by an instruction.

Which one is the core's to say; this plugin knows none of them. With a trained model it is one
itself.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imgedit_plugins.errors import NoPluginError, OptionError
from imgedit_plugins.plugins import PluginManager
from imgedit_plugins.render.blending import blend
from imgedit_reason_edit.requirements import NAME

if TYPE_CHECKING:
    from imgedit_plugins.jobs import Job
    from imgedit_plugins.pictures import Picture
    from imgedit_plugins.requests import ApplyRequest, EditResult
    from imgedit_reason_edit.reasoning.regions import Mask

_INPUTS = frozenset({"picture", "instruction"})
_NONE = "none"
PLAN = "plan"
"""Of the option 'model': not a trained one."""


@dataclass(frozen=True)
class Painter:
    """Paints by instructions.

    Attributes:
        plugin: its name; '' is the one that the core would ask.
        options: of that plugin, as text.
        manager: the plugins.
    """

    plugin: str = ""
    options: dict[str, str] = field(default_factory=dict)
    manager: PluginManager = field(default_factory=PluginManager.discover)

    def paint(
        self, picture: Picture, instruction: str, mask: Mask | None, seed: int, job: Job
    ) -> Picture:
        """A picture edited as an instruction says, of the same size.

        A plugin that takes no mask paints all of it, of which the masked part is taken.

        Raises:
            ImgeditError: whatever the plugin or the routing raises.
        """
        if mask is not None and not self._takes_masks():
            made = self.paint(picture, instruction, None, seed, job)
            return picture.with_pixels(blend(picture.pixels, made.pixels, mask))
        from imgedit_plugins.batch.edits import PluginEdit
        from imgedit_plugins.batch.running import Turn

        def ask(request: ApplyRequest, job: Job) -> EditResult:
            given = self.plugin or None
            made: Any = self.manager.call("apply_edit", request, job, given, without=NAME)
            result: EditResult = made
            return result

        edit = PluginEdit(ask, instruction=instruction, options=self.options, seed=seed)
        made = edit(picture, mask, Turn(job)).picture
        job.check()
        if made.pixels.shape != picture.pixels.shape:
            raise NoPluginError(
                f"The plugin that painted made {made.width} × {made.height} pixels "
                f"({made.mode}) of {picture.width} × {picture.height} ({picture.mode})."
            )
        return made

    def _takes_masks(self) -> bool:
        try:
            self.manager.route("apply_edit", _INPUTS | {"mask"}, self.plugin or None, without=NAME)
        except NoPluginError:
            return False
        return True


def find_painter(name: str, options: str) -> Painter | None:
    """The painter of the plugin's options; None where nothing is to be painted, or nobody can.

    Args:
        name: of a plugin, '' for the one that the core would ask, or 'none'.
        options: such as 'steps=20 guidance=9'.

    Raises:
        OptionError: the options are not of that form, or the plugin is this one without a trained
            model.
        PluginError: there is no such plugin, or it does not edit by instructions.
    """
    if name == _NONE:
        return None
    parsed = _parsed(options)
    if name == NAME and parsed.get("model", PLAN) == PLAN:
        raise OptionError(
            f"The option 'painter' names another plugin, or {NAME!r} itself with a trained model.",
            hint="Such as -O painter-options=model=reason_pix2pix.",
        )
    painter = Painter(name, parsed)
    try:
        painter.manager.route("apply_edit", _INPUTS, name or None, without=NAME)
    except NoPluginError:
        if name:
            raise
        return None
    return painter


def _parsed(text: str) -> dict[str, str]:
    try:
        pairs = [part.partition("=") for part in shlex.split(text)]
    except ValueError as error:
        raise OptionError(f"The option 'painter-options' cannot be read: {error}.") from error
    for name, equals, _ in pairs:
        if not (name and equals):
            raise OptionError(f"The option 'painter-options' takes NAME=VALUE …, not {text!r}.")
    return {name: value for name, _, value in pairs}
