"""`kb chat`: the same question to base, RAG, tuned and tuned+RAG, with the sources that were shown."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from kb.errors import UsageError, WorkspaceError
from kb.llm import LLM, Message, Request, user
from kb.llm.base import ModelConfig
from kb.llm.closed import closed_prompt
from kb.llm.open import is_local, open_model
from kb.llm.tuned import open_tuned, tag_differs
from kb.prompt import Prompts
from kb.retrieval.hybrid import Hit, Retriever, passages_text
from kb.runs import find_run
from kb.store import Store
from kb.text.language import detect

log = logging.getLogger(__name__)

ANSWER_TOKENS = 512
ARMS = {"base": (False, False), "rag": (False, True), "tuned": (True, False), "tuned_rag": (True, True)}
"""Arm to (adapter on, passages shown)."""


@dataclass(frozen=True)
class Reply:
    """What one arm answered."""

    question: str
    arm: str
    text: str
    sources: tuple[Hit, ...]
    """The passages that were shown, best first."""
    error: str = ""
    """Why there is no answer, or not all of it; empty otherwise."""

    def lines(self) -> list[str]:
        """For the terminal."""
        said = self.text or ("" if self.error else "(empty)")
        trouble = [f"[{self.error}]"] if self.error else []
        sources = [f"    [{number}] {hit.chunk.header} ({hit.chunk.id})" for number, hit in enumerate(self.sources, 1)]
        return [" ".join(filter(None, [f"{self.arm}:", said, *trouble])), *sources]


def usual_arms(store: Store, model: ModelConfig) -> tuple[str, ...]:
    """Whom to talk to when nothing is said: tuned+RAG if there is a run and the model can carry it, else RAG."""
    return ("tuned_rag",) if is_local(model.name) and find_run(store) else ("rag",)


def typed(source: TextIO) -> Iterator[str]:
    """Questions, one a line, until the end; on a terminal with a prompt on stderr, until an empty line."""
    typing = source.isatty()
    while True:
        if typing:
            sys.stderr.write("? ")
            sys.stderr.flush()
        line = source.readline()
        if not line or (typing and not line.strip()):
            return
        if line.strip():
            yield line.strip()


class Chat:
    """Answers single questions; each stands alone, as in the evaluation.

    An arm that reads is asked closed-book where nothing is found. Raises UsageError for an unknown arm, or one that
    needs a training run when there is none or the model cannot carry it; WorkspaceError when there is nothing to read.
    """

    def __init__(
        self, store: Store, model: ModelConfig, prompts: Prompts, retriever: Retriever, arms: Sequence[str]
    ) -> None:
        unknown = [arm for arm in arms if arm not in ARMS]
        if unknown:
            raise UsageError(f"no arm {unknown[0]!r}; there is: {', '.join(ARMS)}")
        self._arms, self._prompts, self._retriever = tuple(dict.fromkeys(arms)), prompts, retriever
        if any(ARMS[arm][1] for arm in arms) and not retriever.chunks:
            raise WorkspaceError("there are no documents to read in. Start with: kb ingest PATH")
        tuned = any(ARMS[arm][0] for arm in arms)
        run = find_run(store) if tuned else None
        if tuned and run is None:
            raise UsageError("there is no tuned model yet. Train one with: kb train")
        self._models: dict[bool, LLM] = {False: open_model(model, store)}
        if run:
            said = tag_differs(run, prompts)
            if said:
                log.warning(said)
            self._models[True] = open_tuned(self._models[False], run, store)

    def ask(self, question: str) -> Iterator[Reply]:
        """Each arm's reply, in order."""
        hits = tuple(self._retriever.search([question])[0]) if any(ARMS[arm][1] for arm in self._arms) else ()
        for arm in self._arms:
            tuned, reads = ARMS[arm]
            request = Request(self._messages(question, hits if reads else ()), ANSWER_TOKENS)
            for _, done in self._models[tuned].generate([request]):
                cut = f"cut off at {ANSWER_TOKENS} tokens" if done.finish == "length" else ""
                yield Reply(question, arm, done.text, hits if reads else (), done.error or cut)

    def _messages(self, question: str, hits: Sequence[Hit]) -> tuple[Message, ...]:
        if not hits:
            return closed_prompt(self._prompts, question, detect(question))
        prompt = self._prompts.get("kb", "rag", detect(question))
        return user(prompt.fill(question=question, passages=passages_text([hit.chunk for hit in hits])), prompt.system)
