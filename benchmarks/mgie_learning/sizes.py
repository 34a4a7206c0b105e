"""How large MGIE's own parts are, beside the shared ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.tiny_editing import sizes


@dataclass(frozen=True)
class Sizes(sizes.Sizes):
    """Sizes for which one processor core is enough.

    Attributes:
        head, head_layers, queries: of the edit head.
        said_rows: pairs of the first training of all, on edits that are said in full.
    """

    head: int = 64
    head_layers: int = 1
    queries: int = 8
    said_rows: int = 3000

    def language_model(self, tokenizer: Any) -> Any:
        """A LLaMA with drawn weights."""
        from transformers import LlamaForCausalLM

        return LlamaForCausalLM(self.language(tokenizer))
