"""The writer: a picture and an instruction in, an expressive instruction and guidance out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from imgedit_exporters.runtime.texts import Text
from imgedit_mgie.edit_head import EditHead
from imgedit_mgie.expressive import clean
from imgedit_mgie.llava import Llava, pixels_of
from imgedit_mgie.prompts import Asked
from imgedit_modelkit.diffusion.conditioning import Conditioning
from imgedit_plugins.errors import ImgeditError
from imgedit_plugins.pictures import RGB8


@dataclass(frozen=True)
class Derived:
    """What the language model made of an instruction.

    Attributes:
        expressive: the expressive instruction, cleaned; empty where it wrote none.
        states: (1, visual tokens, width): hidden states for the edit head.
        complete: whether the model wrote the visual tokens itself.
    """

    expressive: str
    states: Tensor
    complete: bool


class Writer(nn.Module):
    """LLaVA with the edit head.

    Args:
        llava: the language model.
        head: None where only the expressive instruction is wanted.
        visual: (visual tokens, width): their embeddings for the edit head; the language model's own
            by default.
        sees: whether it sees the picture; LGIE does not.
        asked: which question.
    """

    def __init__(
        self,
        llava: Llava,
        head: EditHead | None = None,
        visual: Tensor | None = None,
        *,
        sees: bool = True,
        asked: Asked = "what",
    ) -> None:
        super().__init__()
        self.llava = llava
        self.edit_head = head
        self.register_buffer("visual", visual, persistent=False)
        self.sees, self.asked = sees, asked

    def prompt(self, instruction: str) -> str:
        """The prompt for an instruction of the user's; see `Tokens.prompt`."""
        return self.llava.tokens.prompt(instruction, sees=self.sees, asked=self.asked)

    def _fitting(self, text: str, room: int) -> list[int]:
        """A prompt's tokens; refuses one that leaves less room for an answer."""
        llava = self.llava
        ids = llava.tokens.encode(text)
        if len(ids) + room > llava.longest:
            raise ImgeditError(
                f"The instruction is too long: with the picture it has {len(ids)} tokens, and the "
                f"model reads {llava.longest}, of which {room} are for its answer.",
                hint="Shorten it.",
            )
        return ids

    def look(self, picture: RGB8) -> Tensor | None:
        """Picture tokens, (1, patches, width); None where it does not see."""
        if not self.sees:
            return None
        pixels = pixels_of([picture], self.llava.tower.image_size)
        return self.llava.see(pixels.to(self.llava.table.weight.device))

    @torch.no_grad()
    def derive(
        self,
        picture: RGB8,
        instruction: str,
        *,
        longest: int = 96,
        on_token: Callable[[int], None] = lambda _: None,
        on_text: Callable[[str], None] = lambda _: None,
    ) -> Derived:
        """Write the expressive instruction, greedily.

        Args:
            picture: of any size and shape; it is seen whole.
            instruction: of the user.
            longest: tokens, after which the answer is broken off.
            on_token: told how many there are; what it raises ends the work.
            on_text: told the raw answer piece by piece, in whole characters.
        """
        text = Text(self.llava.tokens.decode, on_text=on_text)

        def tell(tokens: Sequence[int]) -> None:
            on_token(len(tokens))
            text.read(tokens)

        ids = self._fitting(self.prompt(instruction), longest)
        written = self.llava.write(ids, self.look(picture), longest=longest, on_token=tell)
        text.end()
        states, complete = self.llava.predicted(written)
        return Derived(clean(self.llava.tokens.decode(written.tokens)), states[None], complete)

    @torch.no_grad()
    def reread(self, picture: RGB8, instruction: str, expressive: str) -> Derived:
        """What a given expressive instruction comes to, as if the model had written it."""
        llava = self.llava
        plain = llava.tokens.harmless(expressive)
        text = self.prompt(instruction)
        told = llava.tokens.encode_answer(text, plain)
        ids = self._fitting(text, len(told))
        read = llava.read([ids], [told], self.look(picture))
        return Derived(plain, llava.predicting(read), complete=True)

    @torch.no_grad()
    def conditioning(self, states: Tensor) -> Conditioning:
        """What the UNet attends to, with the one that stands for no instruction."""
        assert self.edit_head is not None, "this writer only writes"
        visual = self.visual_embeddings()
        return Conditioning(self.edit_head(states, visual), self.edit_head.null(visual))

    def visual_embeddings(self) -> Tensor:
        """The embeddings of the visual tokens that the edit head gets."""
        visual = self.visual
        return self.llava.visual_embeddings() if visual is None else torch.as_tensor(visual)
