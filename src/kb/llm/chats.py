"""Prompts as the tensors of one batch, what several begin with computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


@dataclass(frozen=True)
class Chats:
    """The prompts of a batch."""

    ids: list[list[int]]
    """Token ids of each."""
    shared: list[int]
    """How many of its first tokens each shares with others; all 0, or none: see `kb.llm.prefixes`."""

    def padded(self, model: Any, tokenizer: Any) -> dict[str, Any]:
        """What `generate` is given: ids and mask of (prompts, tokens), padded on the left, and where beginnings are
        shared the keys and values of these, a row a prompt. Beginnings and rests are then padded each for itself, so
        there is padding within a row, which the mask hides and no position counts.
        """
        if not any(self.shared):
            return dict(_pad(tokenizer, self.ids, model.device))
        begun = [tuple(own[:shared]) for own, shared in zip(self.ids, self.shared, strict=True)]
        heads = {head: at for at, head in enumerate(dict.fromkeys(begun))}
        first = _pad(tokenizer, [list(head) for head in heads], model.device)
        positions = (first["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        cache = model(**first, position_ids=positions, use_cache=True, logits_to_keep=1).past_key_values
        rows = torch.tensor([heads[head] for head in begun], device=model.device)
        cache.batch_select_indices(rows)
        rests = [own[shared:] for own, shared in zip(self.ids, self.shared, strict=True)]
        rest = _pad(tokenizer, rests, model.device)
        joined = {name: torch.cat([first[name][rows], rest[name]], 1) for name in ("input_ids", "attention_mask")}
        return joined | {"past_key_values": cache}


def keeps_all(model: Any) -> bool:
    """Whether every layer of a causal LM keeps the keys and values of all tokens: none has a window, none a state."""
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def takes_places(model: Any) -> bool:
    """Whether a causal LM is told the place of each token: one that counts for itself counts the padding in a row."""
    return "position_ids" in signature(type(getattr(model, "get_base_model", lambda: model)()).forward).parameters


def _pad(tokenizer: Any, ids: Sequence[list[int]], device: Any) -> Any:
    return tokenizer.pad({"input_ids": ids}, padding_side="left", return_tensors="pt").to(device)
