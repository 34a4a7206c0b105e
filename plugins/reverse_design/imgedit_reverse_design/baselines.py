"""Trivial predictions, to read figures against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from imgedit_reverse_design.imad_distribution import OPERATION_NAMES
from imgedit_reverse_design.outcomes import Outcome, sample_of, untouched
from imgedit_reverse_design.scores import Sample


def baselines(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Edits that look at no picture, by title, made from the very data that they are scored on.

    All 14 operations, at their mean values and at 1.0; the usual number of the most frequent
    operations, at their mean values; nothing. Ties go to more operations. Where values are not
    known, all operations that occur, the most frequent ones, and nothing.
    """
    values: dict[str, list[float]] = {}
    for sample in samples:
        for name, value in sample.truth.items():
            values.setdefault(name, []).append(value)
    means = {name: sum(found) / len(found) for name, found in values.items()}
    counts = Counter(len(sample.truth) for sample in samples)
    usual = max(counts, key=lambda count: (counts[count], count))
    frequent = sorted(values, key=lambda name: (-len(values[name]), name))[:usual]
    if not all(sample.valued for sample in samples):
        return {
            f"all {len(values)} operations": dict.fromkeys(values, 1.0),
            f"always {', '.join(frequent)}": dict.fromkeys(frequent, 1.0),
            "empty plan": {},
        }
    return {
        "all 14 operations, mean values": {n: means.get(n, 1.0) for n in OPERATION_NAMES},
        "always 1.0: all 14 operations": dict.fromkeys(OPERATION_NAMES, 1.0),
        f"always the mean: {', '.join(frequent)}": {name: means[name] for name in frequent},
        "empty plan": {},
    }


def baseline_samples(outcomes: Sequence[Outcome]) -> dict[str, list[Sample]]:
    """The samples of the baselines, by title; the empty plan's with their rendered figures."""
    samples = [sample_of(outcome) for outcome in outcomes]
    named = {
        title: [Sample(s.truth, edit, s.image, cpu_seconds=0.0, valued=s.valued) for s in samples]
        for title, edit in baselines(samples).items()
    }
    named["empty plan"] = [untouched(outcome) for outcome in outcomes]
    return named
