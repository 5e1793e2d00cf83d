"""From what a client posts to what a model is asked, and back: the prompts, passages and decoding of the evaluation."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kb.chat import ARMS, Arm, asked, parse_arm
from kb.errors import UsageError
from kb.llm.base import LLM, Completion, Message, Request
from kb.llm.streaming import Tell, answer
from kb.prompt import Prompts
from kb.retrieval.hybrid import Hit, Retriever
from kb.runs import Run, all_runs
from kb.store import Store

log = logging.getLogger(__name__)

SYSTEM = ("system", "developer")


class Served(Protocol):
    """What computes the arms."""

    concurrency: int
    """Most answers under way at once."""

    def of(self, arm: Arm) -> LLM:
        """The model that answers for an arm. Raises UsageError for a run that is not there."""

    def runs(self, runs: Sequence[Run]) -> list[Run]:
        """Those of the registered runs that it can answer for."""


@dataclass(frozen=True)
class Asked:
    """A question as a client posts it, with how it wants it answered."""

    model: str
    messages: tuple[Message, ...]
    """The last is the question."""
    max_tokens: int
    temperature: float = 0.0
    """0: greedy, as in the evaluation."""
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What came of it."""

    done: Completion
    sources: tuple[Hit, ...]
    """The passages that were shown, best first."""


class Desk:
    """Takes questions and has them answered by the arm that they name."""

    def __init__(self, store: Store, prompts: Prompts, retriever: Retriever, served: Served) -> None:
        self._store, self._prompts, self._retriever, self.served = store, prompts, retriever, served
        self._searching = threading.Lock()

    def names(self) -> list[str]:
        """The models that can be asked for now: the arms, of the run in use, then those of every run by name."""
        runs = self.served.runs(all_runs(self._store))
        there = [name for name, (tuned, reads) in ARMS.items() if (runs or not tuned) and (self._reads() or not reads)]
        kinds = [name for name in there if ARMS[name][0]]
        return there + [f"{kind}:{run.name}" for run in runs for kind in kinds]

    def _reads(self) -> bool:
        return bool(self._retriever.chunks)

    def arm(self, model: str) -> Arm:
        """The arm of a model's name. Raises UsageError, with the names there are, for another one."""
        if model not in self.names():
            raise UsageError(f"there is no model {model!r}; there is: {', '.join(self.names())}")
        return parse_arm(model)

    def answer(self, posted: Asked, tell: Tell) -> Answer:
        """Search where the arm reads, ask, and tell the answer as it is made; see `kb.llm.streaming.answer`."""
        arm = self.arm(posted.model)
        hits: tuple[Hit, ...] = ()
        if arm.reads:
            with self._searching:
                hits = tuple(self._retriever.search([posted.messages[-1].content])[0])
        chat = worded(self._prompts, posted.messages, hits)
        request = Request(chat, posted.max_tokens, posted.temperature, posted.seed, posted.stop)
        return Answer(answer(self.served.of(arm), request, tell), hits)


def worded(prompts: Prompts, messages: Sequence[Message], hits: Sequence[Hit]) -> tuple[Message, ...]:
    """The chat with its last question in kb's own prompt, from passages where there are some.

    A single question is asked exactly as the evaluation asks it. Earlier turns stay as they are, and a system message
    of the client's takes the place of kb's.
    """
    *before, question = messages
    *own, posed = asked(prompts, question.content, hits)
    given = [message for message in before if message.role in SYSTEM]
    turns = [message for message in before if message.role not in SYSTEM]
    return (*(given or own), *turns, posed)
