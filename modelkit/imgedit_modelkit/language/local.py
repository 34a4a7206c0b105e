"""A causal language model of transformers that answers conversations on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import LogitsProcessorList

from imgedit_modelkit.json_decoding import JsonForms
from imgedit_modelkit.language.chats import Chat, OnReply, Reply, one_by_one
from imgedit_modelkit.picture_answers import LocalModel
from imgedit_modelkit.vision_language import Watch


@dataclass
class LocalChat:
    """The model of a folder; a `LanguageModel`.

    Answers that have a JSON Schema can only be written in that form (constrained decoding).

    Attributes:
        source: the folder; nothing is loaded before the first question.
    """

    source: LocalModel
    _loaded: list[Any] = field(default_factory=list, init=False, repr=False)

    @property
    def identity(self) -> str:
        """The folder's name and the hash of its weights.

        Raises:
            WeightsError: there are none.
        """
        return self.source.identity

    def replies(
        self,
        chats: Sequence[Chat],
        on_wait: Callable[[], None] = lambda: None,
        on_reply: OnReply = lambda _, __: None,
    ) -> list[Reply]:
        """One after another, each drawn from a seed of its own.

        Args:
            chats: independent of each other; pictures are not shown.
            on_wait: called after each token; what it raises ends the work.
            on_reply: told each answer.

        Raises:
            WeightsError, OptionError: as `LocalModel.load`.
            ImgeditError: the tokenizer cannot write an answer of the wanted form.
        """
        return one_by_one(chats, lambda chat: self._reply(chat, on_wait), on_reply)

    def _reply(self, chat: Chat, on_wait: Callable[[], None]) -> Reply:
        model, tokenizer = self._load()
        ids = self._ids(tokenizer, chat).to(model.device)
        embeds = model.get_input_embeddings()(ids)
        drawn = chat.temperature > 0
        with torch.no_grad(), torch.random.fork_rng(_devices(model.device)):
            torch.manual_seed(chat.seed or 0)
            out = model.generate(
                inputs_embeds=embeds,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=chat.max_new_tokens,
                do_sample=drawn,
                temperature=chat.temperature if drawn else None,
                top_k=0 if drawn else None,
                top_p=None,
                logits_processor=self._processors(chat),
                stopping_criteria=[Watch(on_wait)],
                pad_token_id=_end(tokenizer),
                eos_token_id=_end(tokenizer),
            )
        new = out[0].tolist()
        ended = _end(tokenizer) in new
        text = tokenizer.decode(new, skip_special_tokens=True).strip()
        return Reply(text, ended=ended, tokens_in=ids.shape[1], tokens_out=len(new))

    def _processors(self, chat: Chat) -> LogitsProcessorList:
        if chat.schema is None:
            return LogitsProcessorList()
        forms: JsonForms = self._loaded[2]
        # From embeddings, `generate` passes on the new tokens alone.
        return LogitsProcessorList([forms.form(chat.schema).processor(0)])

    def _load(self) -> tuple[Any, Any]:
        if not self._loaded:
            from transformers import AutoModelForCausalLM, AutoTokenizer

            tokenizer = self.source.read(AutoTokenizer)
            model = self.source.load(AutoModelForCausalLM)
            self._loaded = [model, tokenizer, JsonForms(tokenizer)]
        return self._loaded[0], self._loaded[1]

    @staticmethod
    def _ids(tokenizer: Any, chat: Chat) -> torch.Tensor:
        told = [{"role": message.role, "content": message.text} for message in chat.messages]
        if tokenizer.chat_template:
            text = tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
            found = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        else:
            text = "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in told)
            found = tokenizer(f"{text}\n\nassistant:", return_tensors="pt")
        return torch.as_tensor(found["input_ids"])


def _end(tokenizer: Any) -> int:
    return int(tokenizer.eos_token_id)


def _devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
