"""What a language model makes of a user's instruction, and what the user is told of it.

The same for models and bundles; no torch here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from imgedit_mgie.expressive import so_far
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.requests import ApplyRequest


class _Derived(Protocol):
    @property
    def expressive(self) -> str:
        """The expressive instruction; empty where the model wrote none."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the model wrote the visual tokens itself."""
        ...


Derived_co = TypeVar("Derived_co", bound=_Derived, covariant=True)


class Writes(Protocol[Derived_co]):
    """A language model of the family: `Writer`, or that of a bundle."""

    def derive(
        self,
        picture: RGB8,
        instruction: str,
        *,
        longest: int,
        on_token: Callable[[int], None],
        on_text: Callable[[str], None],
    ) -> Derived_co:
        """Write the expressive instruction."""
        ...

    def reread(self, picture: RGB8, instruction: str, expressive: str) -> Derived_co:
        """What a given expressive instruction comes to."""
        ...


def derived_of(
    model: Writes[Derived_co], seen: RGB8, request: ApplyRequest, job: Job, *, guided: bool
) -> Derived_co:
    """What the instruction of a request comes to, or the option 'expressive' in its place.

    Args:
        model: the language model.
        seen: (height, width, 3), what it is shown.
        request: with an instruction, and the options 'expressive' and 'max-tokens'.
        job: progress and cancellation at each token; warned where the model fell short.
        guided: whether the visual tokens guide the diffusion model.
    """
    options, instruction = request.options, request.instruction or ""
    if given := str(options["expressive"]).strip():
        job.report("reading the expressive instruction")
        return model.reread(seen, instruction, given)
    told = _Telling(job, int(options["max-tokens"]))
    derived = model.derive(
        seen, instruction, longest=told.longest, on_token=told.token, on_text=told.piece
    )
    if not derived.expressive:
        job.warn("The language model wrote no expressive instruction; yours is used as it is.")
    elif guided and not derived.complete:
        job.warn(
            "The language model did not get to its visual tokens, so the last of what it wrote "
            "guides the edit; a higher max-tokens may help."
        )
    return derived


class _Telling:
    """Progress of writing: how many tokens there are, and their text."""

    def __init__(self, job: Job, longest: int) -> None:
        self.longest = longest
        self._job, self._count, self._answer = job, 0, ""

    def token(self, count: int) -> None:
        self._count = count
        self._tell()

    def piece(self, text: str) -> None:
        self._answer += text
        self._tell()

    def _tell(self) -> None:
        text = so_far(self._answer)
        self._job.report("writing the expressive instruction", self._count, self.longest, text)
