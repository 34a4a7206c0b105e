"""MiniGPT-4 of a bundle: the family's composition on numpy, without torch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgedit_exporters.runtime.decoding import Choose, Rules, decoder_of, write
from imgedit_exporters.runtime.sessions import Bundle
from imgedit_exporters.runtime.tokens import Tokenizer
from imgedit_exporters.runtime.using import Kept, refuse
from imgedit_modelkit.constraints import Constraint
from imgedit_modelkit.pixels import normalised
from imgedit_plugins.jobs import Job
from imgedit_plugins.pictures import RGB8
from imgedit_plugins.requests import Options
from imgedit_reverse_design.minigpt4.answer_grammar import AnswerGrammar, grammar_of

TOKENIZER, STRINGS = "tokenizer/tokenizer.json", "tokenizer/strings.json"
PLUGIN = "reverse_design"
GOLDEN_TOKENS = 128

Floats = NDArray[np.float32]
Prompt = Sequence[str | int]


@dataclass(frozen=True)
class Answer:
    """What the model wrote, its end left out.

    Attributes:
        tokens: of the answer.
        probabilities: of each token, 0..1.
    """

    tokens: tuple[int, ...]
    probabilities: tuple[float, ...]


def likeliest(logits: Floats) -> int:
    """The greedy choice."""
    return int(logits.argmax())


class BundledMiniGPT4:
    """A bundle that `export reverse_design` made.

    Raises:
        WeightsError: the bundle is another plugin's, or a file is missing.
    """

    def __init__(self, bundle: Bundle) -> None:
        bundle.check_plugin(PLUGIN)
        self.bundle, self.settings = bundle, bundle.settings
        self.tokenizer = Tokenizer(bundle.folder / TOKENIZER, self.settings["special"])
        self.strings: list[str] = json.loads((bundle.folder / STRINGS).read_text("utf-8"))

    def pixels(self, picture: RGB8) -> Floats:
        """(3, size, size): a picture as the tower wants it."""
        given = self.settings["pixels"]
        return normalised(picture, given["size"], given["mean"], given["deviation"])

    def answer(
        self,
        pictures: Sequence[RGB8],
        prompt: Prompt,
        *,
        longest: int,
        choose: Choose = likeliest,
        on_token: Callable[[int], None] = lambda _: None,
    ) -> Answer:
        """An answer to a prompt with pictures in it, greedy by default."""
        # One by one, as the model itself reads them: a picture hangs on no other.
        seen = [self.bundle.remembered("tower", [self.pixels(one)[None]])[0] for one in pictures]
        tokens = [self.bundle.remembered("projection", [one])[0][0] for one in seen]
        end = self.tokenizer.eos_token_id
        assert end is not None, "an export without one is refused"
        rules = Rules(end, longest=longest, choose=choose, on_token=on_token, probable=True)
        decoder = decoder_of(self.bundle)
        written = write(decoder, self._prompt(prompt, tokens), rules, embed=self._embed)
        count = len(written.tokens) - (written.tokens[-1] == end)
        return Answer(written.tokens[:count], written.probabilities[:count])

    def grammar(self, longest: int) -> AnswerGrammar:
        """What an answer of this model may look like; as `MiniGPT4.grammar`."""
        return grammar_of(longest, own_sentences=self.settings["own_sentences"])

    def constraint(self, grammar: AnswerGrammar) -> Constraint:
        """The grammar over this model's tokens."""
        end = self.tokenizer.eos_token_id
        assert end is not None, "an export without one is refused"
        return Constraint(grammar, self.strings, end)

    def _embed(self, ids: Sequence[int]) -> Floats:
        (embeds,) = self.bundle.run("embeddings", [np.array([ids], np.int64)])
        return np.asarray(embeds[0], np.float32)

    def _prompt(self, prompt: Prompt, pictures: Sequence[Floats]) -> Floats:
        begin = self.tokenizer.bos_token_id
        parts = [] if begin is None else [self._embed([begin])]
        for piece in prompt:
            parts += self._text(piece) if isinstance(piece, str) else [pictures[piece]]
        return np.concatenate(parts)

    def _text(self, text: str) -> list[Floats]:
        averaged = self.settings["averaged"]
        pattern = "|".join(map(re.escape, averaged))
        parts = []
        for part in re.split(f"({pattern})", text) if pattern else [text]:
            if part and (ids := self.tokenizer.encode(part)):
                embeds = self._embed(ids)
                parts.append(embeds.mean(0, keepdims=True) if part in averaged else embeds)
        return parts


def constrained(constraint: Constraint) -> Choose:
    """The likeliest of the tokens that may follow, for one text.

    What it returns raises ImgeditError where the tokenizer cannot write what the constraint wants.
    """
    state: Hashable = constraint.automaton.start

    def choose(logits: Floats) -> int:
        nonlocal state
        allowed = constraint.allowed(state)
        token = int(allowed[logits[allowed].argmax()])
        if token != constraint.end:
            state = constraint.after(state, token)
        return token

    return choose


MODELS = Kept(BundledMiniGPT4)


def loaded(folder: Path, options: Options, job: Job) -> BundledMiniGPT4:
    """The model of a bundle; the last one is kept.

    Raises:
        OptionError: an option asks for what a bundle has settled.
        WeightsError, PluginError: the bundle cannot be used, or there is no onnxruntime.
    """
    refuse(options, {"precision": "auto", "bits": "full"})
    return MODELS.of(folder, str(options.get("device", "auto")), job)
