"""`verify_bundle`: the golden questions answered again with a bundle, without torch.

Where the two likeliest tokens have the same probability, computers may choose either, and the
answers go apart from there. Such a *tie* is forgiven: what follows it is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgedit_exporters.runtime.bundles import EDITS
from imgedit_exporters.runtime.golden import load_groups
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_plugins.exporting import BundleReport, Finding
from imgedit_plugins.jobs import Job
from imgedit_plugins.operations import load_profile
from imgedit_plugins.requests import BundleRequest
from imgedit_reverse_design.minigpt4.bundled import (
    GOLDEN_TOKENS,
    BundledMiniGPT4,
    Floats,
    likeliest,
)
from imgedit_reverse_design.minigpt4.parsing import parse_answer, steps
from imgedit_reverse_design.scores import Sample, summarise

TIE = 1e-3
"""How far the probabilities of two tokens, and those of the bundle and its original, may be apart
in fp32."""

PLANS, POINTS = 0.99, 1.0
"""Share of plans that must agree where nothing is in few bits; points of F1 that may be lost."""

Plan = tuple[tuple[str, tuple[float, ...]], ...]
"""Operations in their order, each with its parameters in natural units."""


@dataclass(frozen=True)
class Compared:
    """One golden answer beside that of the bundle.

    Attributes:
        pixels: the largest difference of what the tower sees; 0 where it was not kept.
        same, total: tokens before the first that differs, of those that were compared.
        chances: the largest difference of the equal tokens' probabilities.
        tied: whether the answers went apart at a tie.
        truth: the operations that were made.
        wanted, found: the plans of the original and of the bundle.
    """

    pixels: float
    same: int
    total: int
    chances: float
    tied: bool
    truth: tuple[str, ...]
    wanted: Plan
    found: Plan


def verify(request: BundleRequest, job: Job) -> BundleReport:
    """Answer the golden questions of a bundle again, and compare tokens, plans and their scores.

    Raises:
        WeightsError: the bundle has none, or is not one of ours.
    """
    model = BundledMiniGPT4(Bundle(request.bundle, device="cpu"))
    answers, compared = load_groups(request.bundle / EDITS), []
    for number, golden in enumerate(answers):
        job.report("answering again", number, len(answers))
        compared.append(_compared(model, golden, job))
    return BundleReport(findings=tuple(findings(compared, model.bundle)))


def findings(compared: Sequence[Compared], bundle: Bundle) -> list[Finding]:
    """What of all answers is told, and what is good enough."""
    precisions = {part.precision for part in bundle.document.parts}
    exact = precisions == {"fp32"}
    few = not precisions.isdisjoint({"int8", "int4"})
    pixels = max(one.pixels for one in compared)
    share = sum(one.same for one in compared) / max(sum(one.total for one in compared), 1)
    chances = max(one.chances for one in compared)
    return [
        _at_most("pixels for the tower, largest difference", pixels, 1e-4),
        _at_least("tokens that are equal, share", share, 1.0 if exact else None),
        _at_most(
            "probabilities of equal tokens, largest difference", chances, TIE if exact else None
        ),
        _agreement(compared, None if few else PLANS),
        *_scores(compared),
    ]


def _agreement(compared: Sequence[Compared], least: float | None) -> Finding:
    """How many plans are the same: operations, order and levels."""
    planned = [one for one in compared if not one.tied and (one.wanted or one.found)]
    if not planned:
        told = f"plans, share that agrees: none, as no answer of {len(compared)} names an operation"
        return Finding(what=told, value=0.0)
    different = len({one.wanted for one in planned})
    share = sum(one.wanted == one.found for one in planned) / len(planned)
    told = f"plans that agree, share of {len(planned)} ({different} different)"
    return _at_least(told, share, least)


def _scores(compared: Sequence[Compared]) -> list[Finding]:
    """F1 of the original on the edits that were made, and what of it is lost."""
    before, after = (
        100 * _f1([(one.truth, plan) for one, plan in zip(compared, plans, strict=True)])
        for plans in ([c.wanted for c in compared], [c.found for c in compared])
    )
    told = f"F1 of the original on {len(compared)} edits, %"
    if before == 0.0:
        return [Finding(what=f"{told}: it names none of them, so none can be lost", value=0.0)]
    return [Finding(what=told, value=before), _at_most("F1 lost, points", before - after, POINTS)]


def _f1(answers: Sequence[tuple[tuple[str, ...], Plan]]) -> float:
    samples = [
        Sample(dict.fromkeys(truth, 1.0), {name: 1.0 for name, _ in plan})
        for truth, plan in answers
    ]
    return summarise(samples, draws=0)["f1"].value or 0.0


# --- one answer -------------------------------------------------------------------------------


class _Watched:
    """The greedy choice, which remembers how near the second was."""

    def __init__(self) -> None:
        self.seconds: list[tuple[int, float]] = []

    def __call__(self, logits: Floats) -> int:
        best = likeliest(logits)
        others = logits.copy()
        others[best] = -np.inf
        second = likeliest(others)
        chances = np.exp(logits.astype(np.float64) - logits[best])
        apart = float((chances[best] - chances[second]) / chances.sum())
        self.seconds.append((second, apart))
        return best


def _compared(model: BundledMiniGPT4, golden: Mapping[str, Any], job: Job) -> Compared:
    pictures = (golden["source"], golden["edited"])
    pixels = 0.0
    if "pixels" in golden:
        seen = np.stack([model.pixels(picture) for picture in pictures])
        pixels = float(np.abs(seen - golden["pixels"]).max())
    prompt, choose = json.loads(str(golden["prompt"])), _Watched()
    answer = model.answer(
        pictures, prompt, longest=GOLDEN_TOKENS, choose=choose, on_token=lambda _: job.check()
    )
    wanted = tuple(golden["tokens"].tolist())
    same = _shared(wanted, answer.tokens)
    differs = same < max(len(wanted), len(answer.tokens))
    tied = differs and _is_tie(model, choose, same, wanted)
    apart = np.abs(np.array(answer.probabilities[:same]) - golden["probabilities"][:same])
    return Compared(
        pixels=pixels,
        same=same,
        total=same if tied else max(len(wanted), len(answer.tokens)),
        chances=float(apart.max(initial=0.0)),
        tied=tied,
        truth=tuple(json.loads(str(golden["truth"]))),
        wanted=_plan(model, wanted),
        found=_plan(model, answer.tokens),
    )


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens are equal before the first that is not."""
    equal = [a == b for a, b in zip(one, other, strict=False)]
    return equal.index(False) if False in equal else len(equal)


def _is_tie(model: BundledMiniGPT4, choose: _Watched, place: int, wanted: Sequence[int]) -> bool:
    """Whether the original's token was as likely, for the bundle, as the one that it wrote."""
    token = wanted[place] if place < len(wanted) else model.tokenizer.eos_token_id
    second, apart = choose.seconds[place]
    return token == second and apart <= TIE


def _plan(model: BundledMiniGPT4, tokens: Sequence[int]) -> Plan:
    said = parse_answer("".join(model.strings[token] for token in tokens))
    return tuple(
        (step.name, tuple(float(value) for value in step.parameters.values()))
        for step in steps(said, load_profile())
    )


def _at_most(what: str, value: float, limit: float | None) -> Finding:
    return Finding(what=what, value=value, limit=limit, passed=limit is None or value <= limit)


def _at_least(what: str, value: float, limit: float | None) -> Finding:
    return Finding(what=what, value=value, limit=limit, passed=limit is None or value >= limit)
