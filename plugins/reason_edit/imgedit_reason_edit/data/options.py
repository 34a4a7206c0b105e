"""The options of a request, checked as they are taken; both recipes share them.

What is missing or out of range is an OptionError.
"""

from __future__ import annotations

from pathlib import Path

from imgedit_modelkit.language.endpoint import Endpoint
from imgedit_modelkit.picture_answers import LocalModel
from imgedit_plugins.errors import OptionError
from imgedit_plugins.requests import DataRequest, OptionValue
from imgedit_reason_edit.data.detection import Detector, Limits
from imgedit_reason_edit.data.difference import share_of
from imgedit_reason_edit.data.instructions import Effort
from imgedit_reason_edit.data.layout import SIZES
from imgedit_reason_edit.data.painting import GLIGEN, Painter


class Options:
    """A request's options, checked as they are taken."""

    def __init__(self, request: DataRequest) -> None:
        self._recipe = request.recipe
        self._values: dict[str, OptionValue] = request.options

    def text(self, name: str, default: str = "") -> str:
        """A text; the default where it is empty."""
        return str(self._values.get(name, default)) or default

    def needed(self, name: str, what: str) -> str:
        """A text that must be given; `what` says what it is."""
        if text := self.text(name):
            return text
        raise self.lacking(name, what)

    def lacking(self, name: str, what: str) -> OptionError:
        """The error about an option that is missing."""
        return OptionError(f"{self._recipe} needs the option {name!r}: {what}.")

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of several texts; the first is the default."""
        value = self.text(name, choices[0])
        if value in choices:
            return value
        told = " or ".join(choices)
        raise OptionError(f"Option {name!r} must be {told}, not {value!r}.")

    def whole(self, name: str, default: int, minimum: int = 0) -> int:
        """A whole number of at least `minimum`."""
        value = self._values.get(name, default)
        if isinstance(value, int) and not isinstance(value, bool) and value >= minimum:
            return value
        raise OptionError(
            f"Option {name!r} must be a whole number of at least {minimum}, not {value!r}."
        )

    def number(self, name: str, default: float) -> float:
        """Any number; the manifest has its range."""
        return float(self._values.get(name, default))

    def part(self) -> str:
        """Which part; the benchmark is made like part III."""
        if self._recipe == "benchmark":
            return "III"
        return self.choice("part", tuple(SIZES)) if "part" in self._values else self._no_part()

    def _no_part(self) -> str:
        raise self.lacking("part", "I, II or III")

    def split(self) -> str:
        """Of V3Det: `train`, and `test` for the benchmark, where nothing else is said."""
        splits = ("train", "val", "test")
        return self.choice("split", splits[::-1] if self._recipe == "benchmark" else splits)

    def tau(self) -> str:
        """Eq. 1: a number or a share; 'auto' is 10% for part I and 0 for the others."""
        part = self.part()
        given = self.text("tau", "auto")
        tau = ("10%" if part == "I" else "0") if given == "auto" else given.strip()
        if share_of(tau) is not None and part != "I":
            raise OptionError(
                f"A share such as {tau} ranks pairs that are there already, which part {part} "
                "makes first; give 'tau' as a squared distance."
            )
        return tau

    def effort(self) -> Effort:
        """How much the language model is asked."""
        return Effort(
            self.whole("candidates", 5, 1),
            self.whole("attempts", 3, 1),
            self.number("temperature", 1.0),
            self.whole("max-new-tokens", 256, 16),
        )

    def local(self, folder: str) -> LocalModel:
        """A folder of transformers, on the device of the request."""
        return LocalModel(Path(folder), self.text("device", "auto"), self.text("precision", "auto"))

    def language(self) -> Endpoint | LocalModel:
        """The language model: a server or a folder."""
        folder, address = self.text("model"), self.text("endpoint")
        if bool(folder) == bool(address):
            raise OptionError(
                f"{self._recipe} needs either the option 'endpoint', the address of a server with "
                "a language model, or 'model', the folder of one."
            )
        if folder:
            return self.local(folder)
        if not address.startswith(("http://", "https://")):
            raise OptionError(
                f"The option 'endpoint' is an address that begins with http, not {address!r}."
            )
        name = self.needed("endpoint-model", "the model's name on the server")
        return Endpoint(address, name, timeout=self.number("timeout", 120.0))

    def detector(self) -> Detector:
        """Grounding DINO."""
        folder = self.needed("detector", "the folder of Grounding DINO")
        limits = Limits(
            self.number("box-threshold", 0.3),
            self.number("smallest", 0.01),
            self.number("largest", 0.8),
        )
        if not limits.smallest < limits.largest:
            raise OptionError(
                f"Option 'smallest' ({limits.smallest}) must be below 'largest' ({limits.largest})."
            )
        return Detector(self.local(folder), limits, self.whole("batch-size", 4, 1))

    def painter(self) -> Painter:
        """The painter, if the installed diffusers has it."""
        folder = Path(self.needed("painter-weights", "the folder of the painter"))
        made = Painter(
            self.text("painter", GLIGEN),
            folder,
            self.whole("steps", 50, 1),
            self.number("guidance", 7.5),
            self.text("device", "auto"),
            self.text("precision", "auto"),
        )
        made.check()
        return made
