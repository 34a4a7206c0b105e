"""Small pieces of sentences about plugins and plans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from imgedit_plugins.manifest import Manifest

if TYPE_CHECKING:
    from imgedit_plugins.plan import EditPlan


def article(kind: type[Any]) -> str:
    """'an EditPlan', 'a list'."""
    return f"{'an' if kind.__name__[0] in 'AEIOUaeiou' else 'a'} {kind.__name__}"


def all_of(names: Iterable[str]) -> str:
    """'a, b and c', sorted; 'none' for none."""
    ordered = sorted(names)
    if len(ordered) < 2:
        return "".join(ordered) or "none"
    return f"{', '.join(ordered[:-1])} and {ordered[-1]}"


def plus(names: Iterable[str]) -> str:
    """Inputs: 'instruction + picture', sorted; 'nothing' for none."""
    return " + ".join(sorted(names)) or "nothing"


def accepted(manifest: Manifest, hook: str) -> str:
    """'source + edited (optionally instruction), or instruction'."""
    words = []
    for accepts in manifest.accepts:
        if accepts.hook == hook:
            optional = f" (optionally {plus(accepts.optional)})" if accepts.optional else ""
            words.append(f"{' + '.join(accepts.inputs) or 'nothing'}{optional}")
    return ", or ".join(words)


def abstention(plan: EditPlan) -> str:
    """One sentence for a plan that explains nothing."""
    sentence = plan.explanation.rstrip(".") or "no plan explains this edit"
    return f"{sentence[0].upper()}{sentence[1:]}."


def value_text(value: object) -> str:
    """A parameter's value: a number, or the points of a curve as `--op` takes them."""
    if isinstance(value, tuple):
        return ",".join(f"{x:g}/{y:g}" for x, y in value)
    return f"{value:g}"
