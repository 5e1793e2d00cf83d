"""What computes the answers of `kb serve`: this process, or a vLLM server behind it.

`transformers serve` 5.23 is no engine for adapters: it loads a folder by its config.json, which an adapter has not; it
gives each name weights of its own, on a thread of its own; it loads 4-bit models without kb's compute dtype; and it
samples and penalises repetition as the model's generation config says. A server of any kind, that one too, can be
named as the model (`name = "openai:MODEL"`) and then serves base and RAG.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kb.chat import UNTRAINED, Arm, Models
from kb.errors import UsageError
from kb.llm.base import LLM, ModelConfig
from kb.llm.exported import carries_runs
from kb.llm.openai_api import OpenAIServer
from kb.prompt import Prompts
from kb.runs import Run, find_run
from kb.store import Store

BASE = "base"
"""What the base model is called at the vLLM server."""


class Local:
    """The configured model in this process, every run's adapter on the same weights; one answer at a time.

    Raises ModelUnavailable where there is no such model. A server in its place (`openai:`), or an export of kb, which
    has a run in it already, answers for the base alone.
    """

    concurrency = 1

    def __init__(self, store: Store, model: ModelConfig, prompts: Prompts) -> None:
        self._models = Models(store, model, prompts)
        self._carries = carries_runs(model.name)

    def of(self, arm: Arm) -> LLM:
        """See `Served`."""
        return self._models.of(arm)

    def runs(self, runs: Sequence[Run]) -> list[Run]:
        """Those whose adapters are there."""
        return [run for run in runs if self._carries and run.adapter.exists()]


class Remote:
    """A vLLM server that has the base as `base` and the adapters of runs under their names."""

    def __init__(self, store: Store, model: ModelConfig, url: str) -> None:
        self._store, self._config = store, replace(model, base_url=url)
        self.concurrency = model.concurrency
        self._loaded = frozenset(listed(url, model))

    def of(self, arm: Arm) -> LLM:
        """See `Served`."""
        if not arm.tuned:
            return OpenAIServer(self._config, BASE)
        run = find_run(self._store, arm.run)
        if run is None:
            raise UsageError(UNTRAINED)
        return OpenAIServer(self._config, run.name)

    def runs(self, runs: Sequence[Run]) -> list[Run]:
        """Those that the server was started with."""
        return [run for run in runs if run.name in self._loaded]


def listed(url: str, model: ModelConfig) -> list[str]:
    """The names of the models that the server at `url` has. Raises LLMError when nothing answers there."""
    return OpenAIServer(replace(model, base_url=url), BASE).models()
