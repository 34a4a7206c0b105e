"""What the tiny LLaVA is trained to say: of pictures, of kinds, and of what a sentence comes to.

It is told in words what each instruction means in a picture, also for the new kinds, as large
models know such things; no edited picture is ever shown to it. Without a picture it learns to guess
what is meant as well as can be.
"""

from __future__ import annotations

import numpy as np

from benchmarks.reason_learning import puzzles
from benchmarks.tiny_editing import scenes
from benchmarks.tiny_editing.captions import Said, of_a_kind, of_a_scene


def about_a_picture(rng: np.random.Generator) -> Said:
    """A question about a picture, or an instruction and what it comes to."""
    if rng.random() < 0.55:
        puzzle = puzzles.draw_puzzle(str(rng.choice(puzzles.FAMILIES)), rng)
        picture = scenes.drawn(puzzle.scene)
        return Said(puzzle.instruction, puzzle.comes_to, picture, puzzle.scene)
    return of_a_scene(rng)


def in_words(rng: np.random.Generator) -> Said:
    """The same without a picture: what a kind is like, or an instruction and what is likely."""
    if rng.random() < 0.3:
        return of_a_kind(rng)
    puzzle = puzzles.draw_puzzle(str(rng.choice(puzzles.FAMILIES)), rng)
    return Said(puzzle.instruction, puzzle.comes_to)


def everything_said(count: int = 1500) -> list[str]:
    """What a tokenizer is trained on: each form of text, often enough."""
    rng = np.random.default_rng(0)
    made = [one for _ in range(count) for one in (about_a_picture(rng), in_words(rng))]
    return [text for one in made for text in (one.asked, one.answer)]
