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
from kb.llm.exported import carries_runs
from kb.llm.open import open_model
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

UNTRAINED = "there is no tuned model yet. Train one with: kb train"


@dataclass(frozen=True)
class Arm:
    """Who answers: the base, or a run's adapter on it; with or without passages."""

    name: str
    tuned: bool
    reads: bool
    run: str = ""
    """Which run; empty: the one in use."""


def parse_arm(name: str) -> Arm:
    """The arm of a name such as rag, tuned or tuned:RUN. Raises UsageError for another one."""
    kind, colon, run = name.partition(":")
    if kind not in ARMS or (colon and not (run and ARMS[kind][0])):
        raise UsageError(f"no arm {name!r}; there is: {', '.join(ARMS)}, and tuned:RUN, tuned_rag:RUN")
    return Arm(name, *ARMS[kind], run)


class Models:
    """The base and the adapters of runs on one set of weights, each opened when it is first asked for."""

    def __init__(self, store: Store, model: ModelConfig, prompts: Prompts) -> None:
        self._store, self._prompts = store, prompts
        self.base = open_model(model, store)
        self._tuned: dict[str, LLM] = {}

    def of(self, arm: Arm) -> LLM:
        """The model that answers for an arm; a tuned one without a name is the run that is in use now.

        Raises UsageError for a run that is not there, or that this base cannot carry.
        """
        return self.tuned(arm.run) if arm.tuned else self.base

    def tuned(self, name: str) -> LLM:
        """The base with a run's adapter on; of the run in use where no name is given."""
        run = find_run(self._store, name)
        if run is None:
            raise UsageError(UNTRAINED)
        key = f"{run.name} {run.lineage.adapter_identity}"
        if key not in self._tuned:
            said = tag_differs(run, self._prompts)
            if said:
                log.warning(said)
            self._tuned[key] = open_tuned(self.base, run, self._store)
            log.info("tuned: run %s%s", run.name, "" if name else ", which is in use")
        return self._tuned[key]


def asked(prompts: Prompts, question: str, hits: Sequence[Hit]) -> tuple[Message, ...]:
    """The chat that asks a question as the evaluation does: from passages, or without any where there are none."""
    if not hits:
        return closed_prompt(prompts, question, detect(question))
    prompt = prompts.get("kb", "rag", detect(question))
    return user(prompt.fill(question=question, passages=passages_text([hit.chunk for hit in hits])), prompt.system)


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
    return ("tuned_rag",) if carries_runs(model.name) and find_run(store) else ("rag",)


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


def of_run(arms: Sequence[str], run: str) -> list[str]:
    """The arms with those tuned ones that name no run on this one. Raises UsageError where there are none."""
    if run and not any(parse_arm(name).tuned for name in arms):
        raise UsageError(f"--run {run} changes nothing: none of {', '.join(arms)} is a tuned arm")
    return [f"{name}:{run}" if run and parse_arm(name).tuned and ":" not in name else name for name in arms]


class Chat:
    """Answers single questions; each stands alone, as in the evaluation.

    An arm that reads is asked closed-book where nothing is found. Raises UsageError for an unknown arm, or one that
    needs a training run when there is none or the model cannot carry it; WorkspaceError when there is nothing to read.
    """

    def __init__(
        self, store: Store, model: ModelConfig, prompts: Prompts, retriever: Retriever, arms: Sequence[str]
    ) -> None:
        self._arms = [parse_arm(name) for name in dict.fromkeys(arms)]
        self._prompts, self._retriever = prompts, retriever
        if any(arm.reads for arm in self._arms) and not retriever.chunks:
            raise WorkspaceError("there are no documents to read in. Start with: kb ingest PATH")
        if any(arm.tuned for arm in self._arms) and find_run(store) is None:
            raise UsageError(UNTRAINED)
        models = Models(store, model, prompts)
        self._models = {arm: models.of(arm) for arm in self._arms}

    def ask(self, question: str) -> Iterator[Reply]:
        """Each arm's reply, in order."""
        hits = tuple(self._retriever.search([question])[0]) if any(arm.reads for arm in self._arms) else ()
        for arm in self._arms:
            shown = hits if arm.reads else ()
            request = Request(asked(self._prompts, question, shown), ANSWER_TOKENS)
            for _, done in self._models[arm].generate([request]):
                cut = f"cut off at {ANSWER_TOKENS} tokens" if done.finish == "length" else ""
                yield Reply(question, arm.name, done.text, shown, done.error or cut)
