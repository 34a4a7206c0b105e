"""Sentences made by rule, prompts as files, and what counts as an indirect instruction."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgedit_plugins.errors import DataError
from imgedit_reason_edit.data.wording import DIRECT, direct_instruction, is_direct, replaced
from imgedit_reason_edit.prompting import GENERATE, REPLACE, RETRY, SELECT, load_prompt


def test_direct_instructions_follow_the_templates() -> None:
    found = {direct_instruction("butterfly", "bee", seed) for seed in range(200)}
    assert len(found) == len(DIRECT)
    assert "Turn the butterfly to a bee." in found
    assert direct_instruction("butterfly", "bee", 3) == direct_instruction("butterfly", "bee", 3)
    assert all("butterfly" in text and "bee" in text for text in found)
    for target, said in {"old lantern": "an old lantern", "flowers": "flowers",
                         "glass": "a glass", "the moon": "the moon"}.items():  # fmt: skip
        found = {direct_instruction("cup", target, seed) for seed in range(60)}
        assert f"Turn the cup into {said}." in found


@pytest.mark.parametrize(
    ("caption", "category", "target", "after"),
    [
        ("a butterfly on a flower", "butterfly", "bee", "a bee on a flower"),
        ("a butterfly on a flower", "flower", "apple", "a butterfly on an apple"),
        ("An apple on the table.", "apple", "pear", "A pear on the table."),
        ("the old fire truck", "fire truck", "tram", "the old tram"),
        ("cats and a cat", "cat", "dog", "cats and a dog"),
        ("a Cat, a cat", "cat", "owl", "an owl, an owl"),
        ("a sunny day.", "cat", "owl", "a sunny day with an owl"),
    ],
)
def test_captions_after_the_edit(caption: str, category: str, target: str, after: str) -> None:
    assert replaced(caption, category, target) == after


@pytest.mark.parametrize(
    ("instruction", "direct"),
    [
        ("Make it a watercolor", "make it a watercolor"),
        ("make it a watercolour, please", "Turn it into a watercolour"),
        ("Replace the butterfly with a bee.", "turn butterfly into bee"),
        ("Please turn this butterfly into a bee", "turn butterfly into bee"),
        ("A lighthouse in a snow storm", "a lighthouse in a snow storm"),
        ("make the sky 5", "Make the sky 5"),
    ],
)
def test_what_is_direct(instruction: str, direct: str) -> None:
    assert is_direct(instruction, direct)


@pytest.mark.parametrize(
    ("instruction", "direct"),
    [
        ("She prefers a face mask to sunglasses.", "turn sunglasses into face mask"),
        ("A company has planned a new project on clean energy.", "turn field into wind farm"),
        ("He has a formal meeting to attend.", "make him wear a suit"),
        ("I wish that winter were here already.", "make it snow"),
        ("Something that makes honey would be nicer here.", "turn butterfly into bee"),
        ("", "make it snow"),
        ("...", ""),
    ],
)
def test_what_leaves_something_to_the_reader(instruction: str, direct: str) -> None:
    assert not is_direct(instruction, direct)


def test_prompts_are_versioned_files() -> None:
    for name in (GENERATE, SELECT, REPLACE):
        prompt = load_prompt(name)
        assert prompt.version == f"{name}-1"
        assert prompt.identity == f"{name}-1 {prompt.sha256[:12]}"
        system, user = prompt.messages(dict.fromkeys(prompt.placeholders, "a {b}\nc"))
        assert (system.role, user.role) == ("system", "user")
        assert "JSON" in system.text
        assert "a {b} c" in user.text


def test_prompts_of_one_s_own(tmp_path: Path) -> None:
    own = tmp_path / "replace-mine.toml"
    own.write_text('system = "s"\nuser = "{caption}: {categories}"')
    assert load_prompt(REPLACE, str(tmp_path)).version == "replace-mine"
    assert load_prompt(SELECT, str(tmp_path)).version == "select-1"
    assert load_prompt(REPLACE, str(tmp_path)).identity != load_prompt(REPLACE).identity
    assert load_prompt(RETRY).version == "retry-1"
    (tmp_path / "retry.toml").write_text('system = ""\nuser = "No: {reason}"')
    assert load_prompt(RETRY, str(tmp_path)).messages({"reason": "a\nb"})[0].text == "No: a b"
    (tmp_path / "replace.toml").write_text("")
    with pytest.raises(DataError, match=r"several prompts 'replace': replace-mine\.toml, replace"):
        load_prompt(REPLACE, str(tmp_path))
    with pytest.raises(DataError, match="no folder of prompts"):
        load_prompt(REPLACE, str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "missing required field `system`"),
        ('system = "s"', "missing required field `user`"),
        ('system = "s"\nuser = "{caption}"', r"must have the placeholders \{caption\}, \{cat"),
        ('system = "s"\nuser = "{caption} {categories} {x}"', r"it has .*\{x\}"),
        ('system = "s"\nuser = 3', "Expected `str`"),
        ('system = "s"\nuser = "{caption} {categories}"\nmore = 1', "unknown field `more`"),
        ("system =", "cannot be read"),
    ],
)
def test_malformed_prompts_are_told(content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "replace.toml").write_text(content)
    with pytest.raises(DataError, match=told):
        load_prompt(REPLACE, str(tmp_path))
