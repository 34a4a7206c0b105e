"""The auxiliary losses of experiments 2 and 3: as the authors have them, and with a gradient.

**As the authors have them** (`decoded_loss`): the answer's most likely tokens are decoded to text,
the text is parsed, and what it says is compared with the truth. That is a number and no function
of the weights: it raises the reported loss and teaches nothing. It is kept as the documented
baseline.

**With a gradient** (`taught_loss`): the same three questions asked of the probabilities, with the
true answer as context (teacher forced):

* value: the squared difference between each true value and its expected value over the tokens
  that stand for numbers (`number_tokens`);
* count: the probability of ending the answer behind a pair that is not the last, and of not ending
  it behind the last;
* overlap: the probability that no true operation is named, the product over them of 1 - P(name).

Experiment 2 takes the first, experiment 3 the mean of the three.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from imgedit_reverse_design.minigpt4.experiments import Auxiliary
from imgedit_reverse_design.minigpt4.number_tokens import NumberTokens
from imgedit_reverse_design.minigpt4.parsing import parse_answer
from imgedit_reverse_design.minigpt4.spans import token_spans, touching
from imgedit_reverse_design.minigpt4.targets import Target
from imgedit_reverse_design.scores import squared_error


@dataclass(frozen=True)
class Aligned:
    """An answer with its tokens and what the model made of them.

    Attributes:
        target: the answer.
        tokens: of its text, and the end-of-text token.
        logits: (tokens, vocabulary): row i predicts token i.
    """

    target: Target
    tokens: Sequence[int]
    logits: Tensor


def decoded_loss(text: str, target: Target, kind: Auxiliary) -> float:
    """What the authors add: computed from decoded text, so a plain number.

    Args:
        text: the most likely tokens at each place of the answer, decoded.
        target: the true answer.
        kind: 'value': the squared error over the true operations, a missing one counted as 0;
            'heuristic': the mean of the difference in the number of operations, 1 where no
            operation is right, and that squared error.
    """
    said = {one.name: one.value for one in parse_answer(text)}
    truth = dict(target.operations)
    value = squared_error(truth, said)
    if kind == "value":
        return value
    count = abs(len(said) - len(truth))
    return (count + (not said.keys() & truth.keys()) + value) / 3


def taught_loss(answer: Aligned, kind: Auxiliary, numbers: NumberTokens) -> dict[str, Tensor]:
    """The same with a gradient, each part a scalar.

    'value', and for 'heuristic' also 'count' and 'overlap'.

    Args:
        answer: logits of the true answer.
        kind: 'value' or 'heuristic'.
        numbers: of the vocabulary.
    """
    tokens, end = answer.tokens[:-1], answer.tokens[-1]
    spans = token_spans(tokens, numbers.strings, answer.target.text)
    parts = {"value": _value(answer, spans, numbers)}
    if kind == "heuristic":
        parts["count"] = _count(answer, spans, end)
        parts["overlap"] = _overlap(answer, spans)
    return parts


def combined(parts: Mapping[str, Tensor]) -> Tensor:
    """The mean of the parts, as the paper combines them."""
    return torch.stack(list(parts.values())).mean()


def _value(answer: Aligned, spans: Sequence[tuple[int, int]], numbers: NumberTokens) -> Tensor:
    target = answer.target
    expected = torch.stack(
        [
            numbers.expected(answer.logits, answer.tokens, spans, target.text, place)
            for place in target.values
        ]
    )
    true = torch.tensor([value for _, value in target.operations], device=expected.device)
    return (expected - true).square().mean()


def _count(answer: Aligned, spans: Sequence[tuple[int, int]], end: int) -> Tensor:
    """How likely each pair is followed by the wrong thing: the end, or no end."""
    wrong = []
    for number, place in enumerate(answer.target.values):
        behind = touching(spans, place)[-1] + 1
        ends = answer.logits[behind].float().softmax(-1)[end]
        last = number == len(answer.target.values) - 1
        wrong.append(1 - ends if last else ends)
    return torch.stack(wrong).mean()


def _overlap(answer: Aligned, spans: Sequence[tuple[int, int]]) -> Tensor:
    chances = answer.logits.float().log_softmax(-1)
    missed = chances.new_ones(())
    for place in answer.target.names:
        logs = [chances[i, answer.tokens[i]] for i in touching(spans, place)]
        missed = missed * (1 - torch.stack(logs).sum().exp())
    return missed
