"""Cleaning of answers: one rule, one test."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgedit_mgie.expressive import LONG_QUESTION, QUESTION, clean, question

TWO = "The pizza includes tomatoes. Fresh herbs lie on top."


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (TWO, TWO),
        (f"{TWO} A third sentence.", TWO),
        (f"USER: what will ... ASSISTANT: {TWO}</s>", TWO),
        (f"ASSISTANT: an example. ASSISTANT: {TWO}", TWO),
        (f"{TWO}</s>The model went on. And on.", TWO),
        (f"{TWO}[IMG0] [IMG1] [IMG2]", TWO),
        ("The sky is darker. [IMG0] The grass is green.", "The sky is darker."),
        ("The sky is darker. Alternatively, make it red.", "The sky is darker."),
        ("The sky is darker. As an alternative, make it red.", "The sky is darker."),
        ("The sky is dark, an ALTERNATIVE is red.", "The sky is dark, an."),
        ("The sky is darker. The grass is grow", "The sky is darker."),
        ("no full stop", "no full stop."),
        ("  The sky\n\nis\tdarker .  ", "The sky is darker ."),
        ("It grows by 1.5 times. Then 2.0 more. Done.", "It grows by 1.5 times. Then 2.0 more."),
        ("Add fruit, e.g. apples. Then pears. No.", "Add fruit, e.g. apples. Then pears."),
        ("Dr. Who arrives! Is he late? Yes.", "Dr. Who arrives! Is he late?"),
        ('It says "stop." It is red. It ends.', 'It says "stop." It is red.'),
        ("The image gets a filter, a frame, etc.", "The image gets a filter, a frame, etc."),
        ("... The sky.", "The sky."),
        ("空は暗い。草は緑。終わり。", "空は暗い。 草は緑。"),
        ("", ""),
        ("</s>", ""),
        ("Alternatively, red.", ""),
        (" . ,! ", ""),
    ],
)
def test_rules(answer: str, expected: str) -> None:
    assert clean(answer) == expected


def test_number_of_sentences() -> None:
    assert clean("One. Two. Three.", sentences=1) == "One."
    assert clean("One. Two. Three.", sentences=9) == "One. Two. Three."


@given(st.text(alphabet="aB1. !?,'\n[IMG0]</s>ASSISTANT: alternative"))
def test_cleaning_twice_changes_nothing(answer: str) -> None:
    once = clean(answer)
    assert clean(once) == once
    assert "\n" not in once
    assert "alternative" not in once.lower()


def test_questions() -> None:
    assert question("make it  red\n") == "what will this image be like if 'make it red'"
    assert question("a {b}", LONG_QUESTION) == (
        "what will this image be like if 'a {b}' (in a short paragraph)"
    )
    assert LONG_QUESTION.startswith(QUESTION)
