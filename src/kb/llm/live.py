"""A model while it is trained, asked as it stands: its own weights, no second copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kb.llm.local import LocalLLM
from kb.llm.weights import Weights

TRAINED = "default"
"""What peft calls the adapter that is trained."""


class LiveLLM(LocalLLM):
    """The model of a trainer as an LLM. Its identity is empty: its answers are of this moment and are never stored."""

    def __init__(self, model: Any, tokenizer: Any, batch_tokens: int) -> None:
        super().__init__(Weights(model, tokenizer, "", Path("live"), batch_tokens))
        if TRAINED in getattr(model, "peft_config", {}):
            self.weights.adapters[TRAINED] = self._adapter = TRAINED


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """The model in evaluation mode and with its cache on, as it is asked; after that exactly as it was.

    peft switches adapters by way of `requires_grad`, and a trainer switches the cache off for gradient checkpointing.
    """
    modes = [(module, module.training) for module in model.modules()]
    grads = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    cache = model.config.use_cache
    model.eval()
    model.config.use_cache = True
    try:
        yield
    finally:
        model.config.use_cache = cache
        for module, mode in modes:
            module.training = mode
        for parameter, grad in grads:
            parameter.requires_grad_(grad)
