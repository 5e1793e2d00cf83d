"""The model as it is before training. What the store has of its answers needs no weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

from kb.llm import LLM
from kb.llm.base import Completion, Holds, ModelConfig, Request
from kb.llm.open import find_folder, open_model
from kb.store import Store


class Untrained:
    """A local model that is loaded when it has to answer for the first time; see `kb.llm.base.LLM`."""

    json_schema: Holds = "off"

    def __init__(self, model: ModelConfig, store: Store) -> None:
        self._model, self._store = model, store
        self._loaded: LLM | None = None

    @cached_property
    def identity(self) -> str:
        """As `kb.llm.local.LocalLLM` has it. Raises ModelUnavailable where the model is not to be had."""
        from kb.llm.weights import weights_identity

        return weights_identity(find_folder(self._model.name), self._model.load_in_4bit, self._store)

    @property
    def label(self) -> str:
        """The folder's name."""
        return find_folder(self._model.name).name

    def generate(self, requests: Sequence[Request], skip: Collection[int] = ()) -> Iterator[tuple[int, Completion]]:
        """Load the model if need be, and answer. Raises ModelUnavailable where that cannot be done."""
        self._loaded = self._loaded or open_model(self._model, self._store)
        return self._loaded.generate(requests, skip)

    def close(self) -> None:
        """Free the weights; asked again, they are loaded again."""
        if self._loaded:
            self._loaded.close()
        self._loaded = None
