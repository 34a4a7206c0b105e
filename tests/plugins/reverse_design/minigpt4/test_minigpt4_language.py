"""Prompts, targets, parsing, the grammar of answers: the language side, without a model."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgedit_plugins.errors import OptionError, ProfileError
from imgedit_plugins.operations import load_profile
from imgedit_reverse_design.imad_distribution import OPERATION_NAMES, VALUE_COUNTS
from imgedit_reverse_design.minigpt4 import prompts
from imgedit_reverse_design.minigpt4.answer_grammar import FREE_LEAD, AnswerGrammar
from imgedit_reverse_design.minigpt4.experiments import experiment, experiments
from imgedit_reverse_design.minigpt4.parsing import parse_answer, steps
from imgedit_reverse_design.minigpt4.targets import LEADS, target

# --- prompts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [False, True])
def test_eight_questions_half_with_both_pictures_first(command):
    found = prompts.questions(command=command)
    assert len(set(found)) == 8
    both = prompts.FIRST + prompts.SECOND
    assert sum(q.startswith(both) for q in found) == 4
    for question in found:
        assert question.count(prompts.FIRST) == question.count(prompts.SECOND) == 1
        assert ("command" in question) == command
        inside = not question.startswith(both)
        assert not inside or both not in question


def test_the_form_of_a_prompt():
    question = prompts.WITHOUT_COMMAND[0]
    pieces = prompts.prompt(question, None, "llama-2")
    assert pieces[:4] == ("[INST] <Img1>", 0, "</Img1><Img2>", 1)
    assert pieces[4].startswith("</Img2> which edits")
    assert pieces[4].endswith(" [/INST] ")
    pieces = prompts.prompt(prompts.WITH_COMMAND[0], "  Brighten it. ", "llama-2")
    assert pieces[-1].endswith("gave Img2?\nCommand:\nBrighten it. [/INST] ")
    assert prompts.prompt(question, None, "vicuna")[0] == "###Human: <Img1>"
    assert prompts.prompt(question, None, "plain")[0] == "<Img1>"


def test_a_command_cannot_name_a_picture():
    pieces = prompts.prompt(prompts.WITH_COMMAND[0], "see <ImageHere1>", "plain")
    assert [p for p in pieces if not isinstance(p, str)] == [0, 1]


@pytest.mark.parametrize("command", [False, True])
def test_breaks_stand_as_in_the_paper_s_figure_6(command):
    for question in prompts.questions(command=command, breaks=True):
        if question.startswith(prompts.FIRST):
            start = f"{prompts.FIRST} <break> {prompts.SECOND} <break> "
            assert question.startswith(start)
            assert question.count("<break>") == 2
        else:
            for picture in (prompts.FIRST, prompts.SECOND):
                assert f"<break> {picture} <break>" in question
            assert question.count("<break>") == 4


def test_all_questions_are_drawn():
    rng = random.Random(0)
    without = {prompts.draw(rng, None, "plain") for _ in range(200)}
    assert len(without) == 8
    assert len({prompts.draw(rng, "Do it.", "plain") for _ in range(200)}) == 8


# --- targets ----------------------------------------------------------------------------------

EDITS = st.dictionaries(
    st.sampled_from(OPERATION_NAMES), st.sampled_from(sorted(VALUE_COUNTS)), min_size=1, max_size=5
).map(lambda found: list(found.items()))


@given(EDITS, st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_targets_say_names_and_values_and_are_read_back(operations, seed):
    made = target(operations, random.Random(seed))
    lead, _, list_ = made.text.partition("\n")
    assert f"{lead}\n" in LEADS
    assert list_ == ",\n".join(f"{name}: {value:.2f}" for name, value in operations)
    assert [made.text[slice(*p)] for p in made.names] == [name for name, _ in operations]
    assert [made.text[slice(*p)] for p in made.values] == [f"{v:.2f}" for _, v in operations]
    said = [(one.name, one.value) for one in parse_answer(made.text)]
    assert said == list(made.operations)
    for one in parse_answer(made.text):
        assert re.fullmatch(rf"{one.name}: \d\.\d\d", made.text[slice(*one.place)])


def test_four_sentences_for_one_and_four_for_several():
    rng = random.Random(0)
    one = {target([("flip", 1.0)], rng).text.partition("\n")[0] for _ in range(100)}
    several = {
        target([("flip", 1.0), ("blur", 0.33)], rng).text.partition("\n")[0] for _ in range(100)
    }
    assert len(one) == len(several) == 4
    assert not one & several


# --- parsing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("In this image, an action enacted and its value is\nflip: 1.0", {"flip": 1.0}),
        ("contrast: 0.54, flip: 1.0, summer: 1.0, gaussian: 0.43",
         {"contrast": 0.54, "flip": 1.0, "summer": 1.0, "gaussian": 0.43}),
        ("Brightness = 0,33 and Box blur: .5", {"bright": 0.33, "blur": 0.5}),
        ("GREYSCALE: 1", {"grayscale": 1.0}),
        ("blur: 0.33,\nblur: 0.56", {"blur": 0.33}),
        ("sparkle: 0.5, sepia: 1.0", {"sepia": 1.0}),
        ("rotate: 90.0", {"rotate": 90.0}),
        ("I cannot see any edit here.", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_answers_are_read_tolerantly(text, said):
    assert {one.name: one.value for one in parse_answer(text)} == said


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("contrast: 0.69", {"gain": 0.9}),
        ("contrast: 0.70", {"gain": 0.9}),
        ("rotate: 0.67", {"degrees": 180}),
        ("rotate: 90.0", {"degrees": 90}),
        ("bright: -0.5", {"offset": 10.0}),
        ("saturate: 2.0", {"factor": 2.0}),
        ("flip: 0.01", {}),
    ],
)
def test_values_become_the_nearest_level(text, parameters):
    (step,) = steps(parse_answer(text), load_profile())
    assert dict(step.parameters) == parameters


def test_a_profile_without_levels_is_told(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('schema = "imgedit-definitions/1"\nid = "own/1"\n')
    with pytest.raises(ProfileError, match="'own/1' has no levels for 'bright'"):
        steps(parse_answer("bright: 0.5"), load_profile(str(path)))


# --- the grammar ------------------------------------------------------------------------------


def accepts(grammar: AnswerGrammar, text: str) -> bool:
    state = grammar.start
    for character in text:
        state = grammar.step(state, character)
        if state is None:
            return False
    return grammar.is_end(state)


@given(EDITS, st.integers(0, 99), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_grammar_accepts_every_target(operations, seed, free):
    text = target(operations, random.Random(seed)).text
    grammar = AnswerGrammar(None) if free else AnswerGrammar()
    assert accepts(grammar, text)
    assert accepts(grammar, f" {text}")
    assert len(text) < grammar.length


@pytest.mark.parametrize(
    "text",
    [
        "blur: 0.33",
        f"{LEADS[0]}blur: 0.33,\nblur: 0.56",
        f"{LEADS[0]}sparkle: 0.33",
        f"{LEADS[0]}blur: 1.50",
        f"{LEADS[0]}blur: 0.33,",
        f"{LEADS[0]}blur:",
        f"{LEADS[0]}",
        "blur 0.5\nblur: 0.33",
        f"{LEADS[4]}" + ",\n".join(f"{name}: 1.00" for name in OPERATION_NAMES[:6]),
    ],
)
def test_the_grammar_refuses(text):
    assert not accepts(AnswerGrammar(), text)


def test_a_free_lead_ends():
    assert accepts(AnswerGrammar(None), "Whatever it may be\nflip: 1.0")
    assert not accepts(AnswerGrammar(None), "x" * (FREE_LEAD + 1) + "\nflip: 1.0")
    assert not accepts(AnswerGrammar(None), "\nflip: 1.0")


@given(st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_the_grammar_writes_is_read(rng, free):
    """A random walk: nowhere a dead end, always an end in time, always read."""
    grammar = AnswerGrammar(None if free else LEADS)
    alphabet = sorted(set("".join(OPERATION_NAMES)) | set("".join(LEADS)) | set("0123456789.:,\n"))
    state, text = grammar.start, ""
    while not (grammar.is_end(state) and rng.random() < 0.2):
        follow = [(c, s) for c in alphabet if (s := grammar.step(state, c)) is not None]
        if not follow:
            assert grammar.is_end(state)
            break
        character, state = rng.choice(follow)
        text += character
        assert len(text) <= grammar.length
    said = parse_answer(text)
    assert 1 <= len(said) <= 5
    assert len(said) == text.count(":")


# --- experiments ------------------------------------------------------------------------------


def test_the_paper_s_experiments_and_their_figures():
    found = experiments()
    assert list(found) == ["1", "2", "2-gradient", "3", "3-gradient", "4", "4b"]
    assert found["2"].published == (72.5, 0.23, 94.37, 0.09, 50.63, 0.37)
    assert {i for i, e in found.items() if e.gradient} == {"2-gradient", "3-gradient"}
    assert all(len(e.published) in (0, 6) for e in found.values())
    with pytest.raises(OptionError, match="no experiment '5'"):
        experiment("5")
