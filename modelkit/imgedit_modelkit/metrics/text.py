"""How near written answers come to their references: sacrebleu and torchmetrics behind one face.

Everywhere one answer stands beside one reference, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TextScores:
    """Figures of a set of answers, each from 0 to 1.

    Attributes:
        bleu: of the whole set, not the mean over answers (Papineni et al. 2002).
        bleu_signature: how sacrebleu tokenised and smoothed it; belongs in every table.
        rouge_l: mean F-measure of the longest common subsequence of words (Lin 2004).
        exact: share of answers that are the reference.
        token_f1: mean F-measure over words. Like `exact`, without case, punctuation and articles
            (Rajpurkar et al. 2016).
    """

    bleu: float
    bleu_signature: str
    rouge_l: float
    exact: float
    token_f1: float


def score_texts(answers: Sequence[str], references: Sequence[str]) -> TextScores:
    """All figures of a set of answers.

    Raises:
        ValueError: there are none, or not as many answers as references.
    """
    if not answers or len(answers) != len(references):
        raise ValueError(f"{len(answers)} answers do not go with {len(references)} references")
    from sacrebleu.metrics.bleu import BLEU
    from torchmetrics.functional.text import rouge_score, squad

    metric = BLEU()
    bleu = metric.corpus_score(list(answers), [list(references)])
    rouge = rouge_score(list(answers), list(references), rouge_keys="rougeL")
    numbered = list(enumerate(zip(answers, references, strict=True)))
    words = squad(
        [{"id": str(i), "prediction_text": answer} for i, (answer, _) in numbered],
        [{"id": str(i), "answers": {"answer_start": [0], "text": [r]}} for i, (_, r) in numbered],
    )
    return TextScores(
        bleu=bleu.score / 100,
        bleu_signature=str(metric.get_signature()),
        rouge_l=float(rouge["rougeL_fmeasure"]),
        exact=float(words["exact_match"]) / 100,
        token_f1=float(words["f1"]) / 100,
    )
