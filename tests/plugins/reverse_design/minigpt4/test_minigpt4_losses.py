"""The losses of the experiments: what they come to, and whether they teach."""

from __future__ import annotations

import random

import pytest

pytestmark = pytest.mark.torch

import torch  # noqa: E402

from imgedit_modelkit.testing import tiny_tokenizer  # noqa: E402
from imgedit_modelkit.token_strings import token_strings  # noqa: E402
from imgedit_plugins.errors import ImgeditError  # noqa: E402
from imgedit_reverse_design.minigpt4.losses import Aligned, decoded_loss, taught_loss  # noqa: E402
from imgedit_reverse_design.minigpt4.number_tokens import NumberTokens  # noqa: E402
from imgedit_reverse_design.minigpt4.spans import token_spans, touching  # noqa: E402
from imgedit_reverse_design.minigpt4.targets import Target, target  # noqa: E402

EDIT = [("contrast", 0.69), ("flip", 1.0), ("blur", 0.33)]
TEXTS = [target([(n, k / 100)], random.Random(k)).text for n, _ in EDIT for k in range(100)]


class Case:
    """A tokenizer, an answer in its tokens, and logits for them."""

    def __init__(self, kind: str, *, digits: bool) -> None:
        self.tokenizer = tiny_tokenizer(TEXTS, kind=kind, digits=digits, size=600)
        self.strings = token_strings(self.tokenizer)
        self.numbers = NumberTokens(self.strings)
        self.target = target(EDIT, random.Random(1))
        ids = self.tokenizer.encode(self.target.text, add_special_tokens=False)
        self.tokens = [*ids, self.tokenizer.eos_token_id]

    def certain(self) -> torch.Tensor:
        """Logits that give the true answer all of the probability."""
        logits = torch.zeros(len(self.tokens), len(self.strings))
        logits[range(len(self.tokens)), self.tokens] = 50.0
        return logits

    def answer(self, logits: torch.Tensor) -> Aligned:
        return Aligned(self.target, self.tokens, logits)


@pytest.fixture(
    scope="module",
    params=[("sentencepiece", True), ("bytes", True), ("bytes", False)],
    ids=["llama", "bytes", "long-numbers"],
)
def case(request) -> Case:
    return Case(request.param[0], digits=request.param[1])


# --- spans ------------------------------------------------------------------------------------


def test_spans_say_which_characters_a_token_writes(case):
    spans = token_spans(case.tokens, case.strings, case.target.text)
    text = "".join(case.target.text[a:b] for a, b in spans)
    assert text == case.target.text
    for place in (*case.target.names, *case.target.values):
        inside = touching(spans, place)
        assert spans[inside[0]][0] <= place[0]
        assert spans[inside[-1]][1] >= place[1]
    assert spans[-1][0] == spans[-1][1] == len(case.target.text)


def test_tokens_of_another_text_are_refused(case):
    with pytest.raises(ImgeditError, match="The tokens of"):
        token_spans(case.tokens, case.strings, "something else")


# --- expected values --------------------------------------------------------------------------


def expected(case: Case, logits: torch.Tensor) -> list[float]:
    spans = token_spans(case.tokens, case.strings, case.target.text)
    return [
        float(case.numbers.expected(logits, case.tokens, spans, case.target.text, place))
        for place in case.target.values
    ]


def test_certainty_expects_the_truth(case):
    found = expected(case, case.certain())
    assert found == pytest.approx([value for _, value in EDIT], abs=1e-6)


def test_the_expectation_is_the_mean_over_all_numbers_that_could_stand_there():
    """With single digits: 0.ab, first decimal 2 or 6 evenly, second as it is."""
    case = Case("sentencepiece", digits=True)
    spans = token_spans(case.tokens, case.strings, case.target.text)
    place = case.target.values[0]
    assert case.target.text[slice(*place)] == "0.69"
    logits = case.certain()
    (first,) = touching(spans, (place[0] + 2, place[0] + 3))
    two = case.strings.index("2")
    logits[first, two] = logits[first, case.tokens[first]]
    assert expected(case, logits)[0] == pytest.approx((0.29 + 0.69) / 2, abs=1e-6)


def test_tokens_that_stand_for_no_number_have_no_say(case):
    logits = case.certain()
    before = expected(case, logits)
    letters = [i for i, s in enumerate(case.strings) if s.isalpha()]
    logits[:, letters] += 100.0
    assert expected(case, logits) == pytest.approx(before, abs=1e-6)


# --- with a gradient --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["value", "heuristic"])
def test_certainty_costs_nothing(case, kind):
    parts = taught_loss(case.answer(case.certain()), kind, case.numbers)
    assert set(parts) == ({"value"} if kind == "value" else {"value", "count", "overlap"})
    assert all(float(part) == pytest.approx(0.0, abs=1e-6) for part in parts.values())


@pytest.mark.parametrize("part", ["value", "count", "overlap"])
def test_each_part_teaches(case, part):
    """Following its gradient alone lowers it, from random logits."""
    logits = torch.randn(len(case.tokens), len(case.strings), generator=torch.manual_seed(0))
    logits = logits.requires_grad_()
    optimizer = torch.optim.Adam([logits], 0.1)
    costs = []
    for _ in range(60):
        cost = taught_loss(case.answer(logits), "heuristic", case.numbers)[part]
        costs.append(float(cost.detach()))
        optimizer.zero_grad()
        cost.backward()
        assert logits.grad is not None
        assert logits.grad.abs().sum() > 0
        optimizer.step()
    assert costs[-1] < 0.5 * costs[0]


def test_count_is_the_chance_of_ending_too_early_or_too_late():
    case = Case("bytes", digits=True)
    spans = token_spans(case.tokens, case.strings, case.target.text)
    logits = case.certain()
    behind_first = touching(spans, case.target.values[0])[-1] + 1
    end = case.tokens[-1]
    logits[behind_first] = -50.0
    logits[behind_first, [end, case.tokens[behind_first]]] = torch.log(torch.tensor([0.3, 0.7]))
    parts = taught_loss(case.answer(logits), "heuristic", case.numbers)
    assert float(parts["count"]) == pytest.approx(0.3 / 3, abs=1e-5)
    logits = case.certain()
    logits[-1] = 0.0  # every token as likely as the end
    parts = taught_loss(case.answer(logits), "heuristic", case.numbers)
    assert float(parts["count"]) == pytest.approx((1 - 1 / len(case.strings)) / 3, abs=1e-5)


def test_overlap_is_the_chance_that_no_name_is_right():
    case = Case("bytes", digits=True)
    spans = token_spans(case.tokens, case.strings, case.target.text)
    logits = case.certain()
    for place, chance in zip(case.target.names, (0.5, 0.2, 0.1), strict=True):
        first = touching(spans, place)[0]
        logits[first] = -50.0
        wrong = (case.tokens[first] + 1) % len(case.strings)
        logits[first, [case.tokens[first], wrong]] = torch.log(torch.tensor([chance, 1 - chance]))
    parts = taught_loss(case.answer(logits), "heuristic", case.numbers)
    assert float(parts["overlap"]) == pytest.approx(0.5 * 0.8 * 0.9, abs=1e-5)


# --- as the authors have them -----------------------------------------------------------------

THREE = Target("", (("contrast", 0.69), ("flip", 1.0), ("blur", 0.33)), (), ())


@pytest.mark.parametrize(
    ("said", "value", "heuristic"),
    [
        ("contrast: 0.69,\nflip: 1.00,\nblur: 0.33", 0.0, 0.0),
        ("contrast: 0.69,\nflip: 1.00", 0.33**2 / 3, (1 + 0.33**2 / 3) / 3),
        ("sepia: 1.00", (0.69**2 + 1 + 0.33**2) / 3, (2 + 1 + (0.69**2 + 1 + 0.33**2) / 3) / 3),
        ("", (0.69**2 + 1 + 0.33**2) / 3, (3 + 1 + (0.69**2 + 1 + 0.33**2) / 3) / 3),
    ],
)
def test_decoded_losses_are_what_the_paper_describes(said, value, heuristic):
    assert decoded_loss(said, THREE, "value") == pytest.approx(value)
    assert decoded_loss(said, THREE, "heuristic") == pytest.approx(heuristic)
